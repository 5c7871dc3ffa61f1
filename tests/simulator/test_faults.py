"""Every fault does what the catalogue says, and money moves only where it says so."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.simulator.stage import MIDDLE, NEW, OLD, Answer, Merchant, merchant, settle

from tollkeeper.simulator.core.faults import EFFECTS

CREATE = {"operation": "payment_intents.create"}


@pytest.mark.parametrize("effect", ["drop", "reset", "error", "html"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_effect_takes_place_or_not_as_the_rule_says(effect: str, when: str) -> None:
    shop = merchant()
    await shop.fault(effect, when=when, status=503, **CREATE)
    answer = await shop.pay(idempotency_key="k")
    assert len(shop.core.ledger().charges) == (when == "after")
    if effect in ("drop", "reset"):
        assert answer.reply.ending == effect
    else:
        assert (answer.status, answer.reply.ending) == (503, "send")


async def test_a_5xx_after_the_effect_is_what_a_replay_gets() -> None:
    shop = merchant()
    await shop.fault("error", when="after", count=1, **CREATE)
    assert (await shop.pay(idempotency_key="k")).status == 500
    again = await shop.pay(idempotency_key="k")
    assert (again.status, again.headers["idempotent-replayed"]) == (500, "true")
    assert again.error["type"] == "api_error"
    assert len(shop.core.ledger().charges) == 1


async def test_a_5xx_after_the_effect_need_not_be_stored() -> None:
    shop = merchant()
    await shop.fault("error", when="after", count=1, stored=False, **CREATE)
    assert (await shop.pay(idempotency_key="k")).status == 500
    assert (await shop.pay(idempotency_key="k")).status == 200
    assert len(shop.core.ledger().charges) == 1


async def test_a_5xx_before_the_effect_leaves_the_key_free() -> None:
    shop = merchant()
    await shop.fault("error", when="before", count=1, **CREATE)
    assert (await shop.pay(idempotency_key="k")).status == 500
    assert (await shop.pay(idempotency_key="k")).status == 200
    assert len(shop.core.ledger().charges) == 1


async def test_an_effect_may_land_after_the_client_gave_up() -> None:
    shop = merchant()
    await shop.fault("late_effect", seconds=20, count=1, **CREATE)
    assert (await shop.pay(idempotency_key="k")).reply.ending == "drop"
    await shop.clock.advance(19)
    assert shop.core.ledger().charges == []
    await shop.clock.advance(2)
    assert len(shop.core.ledger().charges) == 1
    assert (await shop.pay(idempotency_key="k")).headers["idempotent-replayed"] == "true"


async def test_a_late_effect_finds_its_key_used_and_does_nothing() -> None:
    shop = merchant()
    await shop.fault("late_effect", seconds=20, count=1, **CREATE)
    await shop.pay(idempotency_key="k")
    assert (await shop.pay(idempotency_key="k")).status == 200
    await shop.clock.advance(30)
    assert len(shop.core.ledger().charges) == 1


async def test_a_late_effect_may_hold_its_key_meanwhile() -> None:
    shop = merchant()
    await shop.fault("late_effect", seconds=20, count=1, holds_key=True, **CREATE)
    await shop.pay(idempotency_key="k")
    assert (await shop.pay(idempotency_key="k")).error["code"] == "idempotency_key_in_use"
    await shop.clock.advance(30)
    assert len(shop.core.ledger().charges) == 1


@pytest.mark.parametrize("operation", ["capture", "cancel", "refund"])
async def test_every_effect_on_money_may_be_hours_late(operation: str) -> None:
    shop = merchant()
    manual = "automatic" if operation == "refund" else "manual"
    made = (await shop.pay(capture_method=manual)).json
    path = f"/v1/payment_intents/{made['id']}/{operation}"
    body = {} if operation != "refund" else {"payment_intent": made["id"]}
    path = path if operation != "refund" else "/v1/refunds"
    name = "refunds.create" if operation == "refund" else f"payment_intents.{operation}"
    await shop.fault("late_effect", seconds=7200, count=1, holds_key=True, operation=name)

    assert (await shop.post(path, body, idempotency_key="k")).reply.ending == "drop"
    await shop.clock.advance(7199)
    in_use = await shop.post(path, body, idempotency_key="k")
    assert (in_use.status, in_use.error["code"]) == (409, "idempotency_key_in_use")
    before = shop.core.ledger().charges[0]
    await shop.clock.advance(2)
    after = shop.core.ledger().charges[0]
    assert (before.status, before.amount_refunded_minor) != (
        after.status,
        after.amount_refunded_minor,
    )
    assert (await shop.post(path, body, idempotency_key="k")).headers["idempotent-replayed"]


async def test_a_late_effect_may_be_told_as_an_error_at_once() -> None:
    shop = merchant()
    await shop.fault("late_effect", seconds=90, status=504, count=1, **CREATE)
    assert (await shop.pay()).status == 504
    assert shop.core.ledger().charges == []
    await shop.clock.advance(91)
    assert len(shop.core.ledger().charges) == 1


async def test_the_lateness_may_be_drawn() -> None:
    shop = merchant()
    await shop.fault("late_effect", seconds=10, most_seconds=1000, **CREATE)
    for _ in range(40):
        await shop.pay()
    landed = []
    for _ in range(5):
        await shop.clock.advance(200)
        landed.append(len(shop.core.ledger().charges))
    assert landed[-1] == 40
    assert landed == sorted(set(landed)), "they land one after the other"


async def test_an_effect_that_is_later_than_its_key_lives_lands_all_the_same() -> None:
    shop = merchant()
    rule = {"seconds": 25 * 3600, "count": 1, "holds_key": True}
    await shop.fault("late_effect", **rule, **CREATE)
    await shop.pay(idempotency_key="k")
    await shop.clock.advance(24 * 3600 + 1)
    assert (await shop.pay(idempotency_key="k")).status == 200
    await shop.clock.advance(3600)
    assert len(shop.core.ledger().charges) == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_delay_comes_before_or_after_the_effect(when: str) -> None:
    shop = merchant()
    await shop.fault("delay", when=when, seconds=5, **CREATE)
    waiting = asyncio.ensure_future(shop.pay())
    await settle()
    assert len(shop.core.ledger().charges) == (when == "after")
    assert not waiting.done()
    await shop.clock.advance(5)
    assert (await waiting).status == 200


async def test_a_slow_tail_strikes_a_fraction_of_requests() -> None:
    shop = merchant()
    await shop.fault("slow_tail", seconds=5, fraction=0.3, operation="account.retrieve")
    slow = 0
    for _ in range(300):
        waiting = asyncio.ensure_future(shop.get("/v1/account"))
        for _ in range(4):
            await asyncio.sleep(0)
        slow += not waiting.done()
        await shop.clock.advance(5)
        await waiting
    assert 60 < slow < 120


@pytest.mark.parametrize(
    ("effect", "fields", "status", "code"),
    [
        ("rate_limited", {}, 429, "rate_limit"),
        ("unauthorized", {}, 401, "api_key_expired"),
        ("conflict", {}, 409, "idempotency_key_in_use"),
        ("require_parameter", {"parameter": "mandate"}, 400, "parameter_missing"),
        ("require_parameter", {"parameter": "metadata[order]"}, 400, "parameter_missing"),
        ("forbid_parameter", {"parameter": "capture_method"}, 400, None),
    ],
)
async def test_a_refusal_comes_before_the_effect(
    effect: str, fields: dict[str, Any], status: int, code: str | None
) -> None:
    shop = merchant()
    await shop.fault(effect, **fields, **CREATE)
    answer = await shop.pay(idempotency_key="k", capture_method="manual")
    assert (answer.status, answer.error.get("code")) == (status, code)
    assert shop.core.ledger().intents == []


async def test_what_has_the_required_parameter_passes() -> None:
    shop = merchant()
    await shop.fault("require_parameter", parameter="metadata[order]")
    assert (await shop.pay(**{"metadata[order]": "7"})).status == 200


async def test_one_version_may_be_sunset_while_others_live() -> None:
    shop = merchant(OLD)
    await shop.fault("sunset", api_version=OLD, status=410)
    gone = await shop.pay()
    assert gone.status == 410
    assert gone.headers["content-type"].startswith("text/html")
    shop.version = MIDDLE
    assert (await shop.pay()).status == 200


async def _changed(version: str = NEW, **fields: Any) -> Any:
    shop = merchant(version)
    await shop.fault(**fields, **CREATE)
    return (await shop.pay(1000, capture_method="automatic")).json


async def test_documents_change_at_a_path() -> None:
    renamed = await _changed(effect="rename_field", path="latest_charge", to="last_charge")
    assert "latest_charge" not in renamed
    assert renamed["last_charge"].startswith("ch_")
    assert "status" not in await _changed(effect="remove_field", path="status")
    assert (await _changed(effect="null_field", path="$.amount"))["amount"] is None
    assert (await _changed(effect="change_type", path="amount"))["amount"] == "1000"
    assert (await _changed(effect="change_type", path="status"))["status"] == ["succeeded"]
    word = await _changed(effect="new_word", path="status", value="partially_done")
    assert word["status"] == "partially_done"
    assert (await _changed(effect="amount_unit", path="amount"))["amount"] == 10
    assert (await _changed(effect="amount_unit", path="amount", factor=100))["amount"] == 100_000


async def test_documents_change_inside_lists_and_wherever_a_type_stands() -> None:
    deep = await _changed(OLD, effect="rename_field", path="charges.data[].amount", to="total")
    assert deep["charges"]["data"][0]["total"] == 1000
    typed = await _changed(OLD, effect="null_field", object="charge", path="paid")
    assert typed["charges"]["data"][0]["paid"] is None
    missing = await _changed(effect="remove_field", path="no.such[].field")
    assert missing["status"] == "succeeded"


async def test_a_change_of_the_document_leaves_the_books_right() -> None:
    shop = merchant()
    await shop.fault("amount_unit", path="amount")
    await shop.pay(1000)
    assert shop.core.ledger().charges[0].amount_minor == 1000


async def test_a_decline_may_read_as_an_approval() -> None:
    shop = merchant()
    await shop.fault("decline_as_approval")
    answer = await shop.pay(700, payment_method="pm_card_visa_chargeDeclined")
    assert (answer.status, answer.json["status"]) == (200, "succeeded")
    assert answer.json["amount_received"] == 700
    assert shop.core.ledger().charges[0].status == "declined"


async def test_an_error_may_come_with_status_200() -> None:
    shop = merchant()
    await shop.fault("error_in_200")
    answer = await shop.pay()
    assert (answer.status, answer.error["type"]) == (200, "api_error")
    assert len(shop.core.ledger().charges) == 1


async def test_a_body_may_be_cut_slow_or_repeat_its_keys() -> None:
    shop = merchant()
    first = await shop.fault("truncate", at=33)
    assert (await shop.pay()).reply.truncate_at == 33
    await shop.control("DELETE", f"faults/{first}")
    await shop.fault("slow_body", seconds=3)
    await shop.fault("duplicate_keys")
    reply = (await shop.pay()).reply
    assert reply.body_delay_seconds == 3
    assert reply.body.endswith(b',"id":null}')


async def test_a_rule_strikes_only_what_it_names_and_only_so_often() -> None:
    shop = merchant()
    await shop.fault("error", when="before", payment_method="pm_card_mastercard*", count=2)
    assert (await shop.pay()).status == 200
    statuses = [(await shop.pay(payment_method="pm_card_mastercard")).status for _ in range(3)]
    assert statuses == [500, 500, 200]
    [rule] = (await shop.control("GET", "faults")).json
    assert rule["hits"] == 2


async def test_a_rule_may_strike_only_the_first_request_of_each_key() -> None:
    shop = merchant()
    rule = await shop.fault("error", when="before", first_of_key=True)
    statuses = [(await shop.pay(idempotency_key=key)).status for key in ("a", "b", "a", "b")]
    assert statuses == [500, 500, 200, 200]
    await shop.control("DELETE", f"faults/{rule}")
    await shop.fault("error", when="before", first_of_key=True)
    assert (await shop.pay(idempotency_key="a")).status == 500


async def test_a_rule_strikes_a_share_of_requests() -> None:
    shop = merchant()
    await shop.fault("error", when="before", probability=0.25)
    failed = sum([(await shop.get("/v1/account")).status == 500 for _ in range(400)])
    assert 70 < failed < 130


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "explode"},
        {"effect": "rename_field", "path": "a"},
        {"effect": "null_field"},
        {"effect": "drop", "probability": 2},
        {"effect": "late_effect", "seconds": 5, "most_seconds": 4},
        {"effect": "replace_row", "row": -1},
        {"effect": "drop", "colour": "red"},
        {},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    answer = await merchant().control("POST", "faults", rule)
    assert answer.status == 422
    assert answer.json["detail"]


async def test_clearing_the_rules_heals_the_provider() -> None:
    shop = merchant()
    await shop.fault("drop")
    await shop.control("DELETE", "faults")
    assert (await shop.pay()).reply.ending == "send"
    assert (await shop.control("DELETE", "faults/fault_1")).status == 404


def test_the_catalogue_describes_every_effect() -> None:
    for name, effect in EFFECTS.items():
        assert effect.summary.endswith("."), name
        assert effect.moments, name


async def test_each_effect_of_the_catalogue_can_strike() -> None:
    for name in EFFECTS:
        shop = merchant()
        parameter = "confirm" if name == "forbid_parameter" else "mandate"
        path = "" if name == "nulls" else "error.payment_intent.amount"
        to = "2022-08-01" if name == "ignore_version" else "x"
        rule = {"path": path, "to": to, "parameter": parameter, "seconds": 1, "fraction": 1}
        await shop.fault(name, **rule)
        waiting = asyncio.ensure_future(_asked(shop, name))
        await shop.clock.advance(5)
        plain = await _asked(merchant(), name)
        assert _differs(await waiting, plain) or EFFECTS[name].stage in ("webhook", "pause"), name


async def _asked(shop: Merchant, effect: str) -> Answer:
    """A decline, or a list for the effects on lists."""
    declined = await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    return await shop.get("/v1/payment_intents") if effect.endswith("_row") else declined


def _differs(one: Answer, other: Answer) -> bool:
    return bool(msgspec.to_builtins(one.reply) != msgspec.to_builtins(other.reply))
