"""The control API: what happens outside of any merchant's request."""

import json

import pytest
from tests.simulator.stage import merchant

from simulator_page import EXAMPLES
from tollkeeper.simulator.stripe.control import ROUTES
from tollkeeper.simulator.stripe.ledger import LedgerCharge


async def test_the_ledger_is_told_as_json() -> None:
    shop = merchant()
    paid = await shop.pay(
        800, idempotency_key="k", **{"metadata[tollkeeper_payment]": "pay_1", "metadata[x]": "y"}
    )
    [charge] = (await shop.control("GET", "ledger")).json["charges"]
    assert charge["idempotency_key"] == "k"
    assert charge["request_id"] == paid.headers["request-id"]
    assert charge["reference"] == "pay_1"
    assert charge["metadata"]["x"] == "y"
    assert (charge["status"], charge["live"], charge["amount_minor"]) == ("captured", True, 800)


async def test_the_journal_hears_of_each_effect_once_it_is_complete() -> None:
    lines: list[LedgerCharge] = []
    shop = merchant(journal=lines.append)
    held = (await shop.pay(500, capture_method="manual")).json
    await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 300})
    await shop.post("/v1/refunds", {"payment_intent": held["id"], "amount": 100})
    await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    told = [(line.status, line.amount_captured_minor, line.amount_refunded_minor) for line in lines]
    assert told == [
        ("authorized", 0, 0),
        ("captured", 300, 0),
        ("captured", 300, 100),
        ("declined", 0, 0),
    ]


async def test_a_refund_in_the_dashboard_is_nobody_s_request() -> None:
    shop = merchant()
    paid = (await shop.pay(1000)).json
    refund = await shop.control("POST", f"charges/{paid['latest_charge']}/refund", {"amount": 400})
    assert refund.json["amount"] == 400
    [entry] = shop.core.ledger().charges[0].refunds
    assert (entry.source, entry.request_id) == ("dashboard", "")
    over = await shop.control("POST", f"charges/{paid['latest_charge']}/refund", {"amount": 601})
    assert over.status == 409
    assert shop.events()[-2:] == ["refund.created", "charge.refunded"]


async def test_a_refund_can_be_made_to_fail_once() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    refund = (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).json
    failed = await shop.control("POST", f"refunds/{refund['id']}/fail")
    assert failed.json["status"] == "failed"
    assert (await shop.control("POST", f"refunds/{refund['id']}/fail")).status == 409
    again = await shop.post("/v1/refunds", {"payment_intent": paid["id"]})
    assert again.json["status"] == "succeeded"


async def test_an_authorization_can_be_made_to_expire() -> None:
    shop = merchant()
    held = (await shop.pay(capture_method="manual")).json
    gone = await shop.control("POST", f"intents/{held['id']}/expire")
    assert gone.json["status"] == "canceled"
    assert (await shop.control("POST", f"intents/{held['id']}/expire")).status == 409
    assert shop.core.ledger().charges[0].status == "expired"


async def test_a_dispute_is_opened_and_decided() -> None:
    shop = merchant()
    paid = (await shop.pay(capture_method="automatic")).json
    path = f"charges/{paid['latest_charge']}/dispute"
    dispute = (await shop.control("POST", path, {"reason": "product_not_received"})).json
    assert dispute["reason"] == "product_not_received"
    assert (await shop.control("POST", path)).status == 409
    closed = await shop.control("POST", f"disputes/{dispute['id']}/close", {"won": True})
    assert closed.json["status"] == "won"


async def test_the_issuer_can_be_made_to_decline() -> None:
    shop = merchant()
    await shop.control("POST", "issuer", {"approve_rate": 0.0})
    answer = await shop.pay()
    assert answer.status == 402
    assert answer.error["decline_code"] in dict(shop.core.world.issuer.declines)
    await shop.control("POST", "issuer", {"brands_down": {"visa": 1.0}})
    down = await shop.pay()
    assert down.error["decline_code"] == "issuer_not_available"
    assert (await shop.pay(payment_method="pm_card_mastercard")).status == 200


async def test_the_issuer_s_mix_is_kept() -> None:
    shop = merchant()
    await shop.control("POST", "issuer", {"approve_rate": 0.8})
    approved = sum([(await shop.pay()).status == 200 for _ in range(500)])
    assert 365 < approved < 435


async def test_settings_change_while_it_runs() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"rate_limit_per_second": 1})
    assert [(await shop.get("/v1/account")).status for _ in range(2)] == [200, 429]
    assert (await shop.control("POST", "settings", {"colour": 1})).status == 422
    assert (await shop.control("POST", "settings", {"latency_seconds": "x"})).status == 422


async def test_an_unknown_control_is_not_found() -> None:
    shop = merchant()
    assert (await shop.control("GET", "nothing")).status == 404
    assert (await shop.control("POST", "charges/ch_nobody/refund")).status == 404
    assert (await shop.control("GET", "health")).json["ok"]


@pytest.mark.parametrize(("where", "body"), [(where, body) for _, where, body in EXAMPLES])
async def test_every_example_of_the_reference_is_accepted(where: str, body: str) -> None:
    answer = await merchant().control("POST", where, json.loads(body))
    assert answer.status == 200, answer.json


@pytest.mark.parametrize("route", ROUTES)
def test_every_control_says_what_it_does(route: tuple[str, str]) -> None:
    assert (ROUTES[route].__doc__ or "").strip()
