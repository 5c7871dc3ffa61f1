"""Refusals as a real provider words them: without a code, for now, for good, for this key."""

from typing import Any

import pytest
from tests.simulator.stage import KEY, NEW, OLD, Merchant, merchant

from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.config import AccountConfig, KeyConfig, SimulatorConfig

CREATE = {"operation": "payment_intents.create"}


async def test_a_refusal_may_come_without_a_code() -> None:
    shop = merchant()
    await shop.fault("refuse", message="Your account cannot make live charges.", **CREATE)
    answer = await shop.pay(idempotency_key="k")
    assert answer.status == 400
    assert {k: v for k, v in answer.error.items() if k != "request_log_url"} == {
        "message": "Your account cannot make live charges.",
        "type": "invalid_request_error",
    }
    assert shop.core.ledger().intents == []


async def test_a_refusal_says_what_its_rule_says() -> None:
    shop = merchant()
    fields: dict[str, Any] = {
        "status": 402,
        "code": "payment_intent_of_tomorrow",
        "param": "payment_method",
        "type": "invalid_request_error",
        "headers": {"Stripe-Should-Retry": "false", "Retry-After": "7"},
    }
    await shop.fault("refuse", **fields, **CREATE)
    answer = await shop.pay()
    assert (answer.status, answer.error["code"]) == (402, "payment_intent_of_tomorrow")
    assert (answer.error["param"], answer.error["type"]) == (
        "payment_method",
        "invalid_request_error",
    )
    assert answer.headers["stripe-should-retry"] == "false"
    assert answer.headers["retry-after"] == "7"


async def test_a_refusal_is_for_one_version_or_account_and_so_often() -> None:
    shop = merchant()
    await shop.fault("refuse", api_version=OLD, count=1)
    assert (await shop.pay()).status == 200
    assert [(await shop.pay(idempotency_key=str(n))).status for n in range(1)] == [200]
    shop.version = OLD
    assert [(await shop.pay()).status for _ in range(2)] == [400, 200]


async def test_a_refusal_that_execution_came_to_is_replayed() -> None:
    shop = merchant()
    await shop.fault("refuse", stored=True, count=1, message="No.", **CREATE)
    first = await shop.pay(idempotency_key="k")
    again = await shop.pay(idempotency_key="k")
    assert again.reply.body == first.reply.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["stripe-should-retry"] == "false"
    assert shop.core.ledger().charges == []


async def test_a_refusal_before_execution_leaves_the_key_free() -> None:
    shop = merchant()
    await shop.fault("refuse", count=1, **CREATE)
    assert (await shop.pay(idempotency_key="k")).status == 400
    assert (await shop.pay(idempotency_key="k")).status == 200


async def test_a_stored_refusal_does_not_overwrite_an_answer() -> None:
    shop = merchant()
    assert (await shop.pay(idempotency_key="k")).status == 200
    await shop.fault("refuse", stored=True, **CREATE)
    assert (await shop.pay(idempotency_key="k")).status == 200


@pytest.mark.parametrize(
    ("effect", "seconds", "status", "code", "retry_after", "should_retry"),
    [
        ("rate_limited", 0, 429, "rate_limit", "1", None),
        ("rate_limited", 4, 429, "rate_limit", "4", None),
        ("lock_timeout", 0, 429, "lock_timeout", None, "true"),
        ("lock_timeout", 2, 429, "lock_timeout", "2", "true"),
        ("conflict", 0, 409, "idempotency_key_in_use", None, "true"),
        ("maintenance", 0, 503, None, "60", None),
        ("maintenance", 1800, 503, None, "1800", None),
    ],
)
async def test_not_now_says_when_to_come_again(
    effect: str,
    seconds: float,
    status: int,
    code: str | None,
    retry_after: str | None,
    should_retry: str | None,
) -> None:
    shop = merchant()
    await shop.fault(effect, seconds=seconds, **CREATE)
    answer = await shop.pay(idempotency_key="k")
    assert (answer.status, answer.error.get("code")) == (status, code)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers.get("stripe-should-retry") == should_retry
    assert shop.core.ledger().intents == []


async def test_the_real_rate_limit_says_when_to_come_again() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"rate_limit_per_second": 1})
    await shop.pay()
    assert (await shop.pay()).headers["retry-after"] == "1"


async def test_a_key_may_expire() -> None:
    shop = merchant()
    await shop.control("POST", "keys", {"key": KEY, "expired": True})
    answer = await shop.pay()
    assert (answer.status, answer.error["code"]) == (401, "api_key_expired")
    assert KEY not in answer.error["message"]


async def test_a_restricted_key_may_do_what_it_is_allowed() -> None:
    shop = merchant()
    body = {"key": "rk_test_1", "allowed": ["payment_intents.*", "charges.*"]}
    assert (await shop.control("POST", "keys", body)).status == 200
    restricted = Merchant(shop.core, shop.clock, key="rk_test_1")
    paid = await restricted.pay()
    refused = await restricted.post("/v1/refunds", {"payment_intent": paid.json["id"]})
    assert (refused.status, refused.error["type"]) == (403, "invalid_request_error")
    assert "code" not in refused.error
    assert (await shop.get("/v1/refunds")).json["data"] == []


async def test_a_key_may_turn_out_to_be_of_another_account() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    await shop.control("POST", "keys", {"key": KEY, "account": "acct_other"})
    assert (await shop.get("/v1/payment_intents")).json["data"] == []
    gone = await shop.get(f"/v1/payment_intents/{paid['id']}")
    assert (gone.status, gone.error["code"]) == (404, "resource_missing")
    await shop.control("POST", "keys", {"key": KEY, "account": "acct_simulator"})
    assert len((await shop.get("/v1/payment_intents")).json["data"]) == 1


async def test_keys_stand_in_the_configuration() -> None:
    config = SimulatorConfig(
        accounts=[AccountConfig("acct_a", KEY)],
        keys=[KeyConfig("sk_test_old", "acct_a", expired=True)],
    )
    shop = merchant(config=config)
    assert (await Merchant(shop.core, shop.clock, key="sk_test_old").pay()).status == 401
    assert (await shop.pay()).status == 200


async def test_a_key_that_makes_no_sense_is_refused() -> None:
    assert (await merchant().control("POST", "keys", {"colour": 1})).status == 422


@pytest.mark.parametrize(("strict", "status"), [(True, 400), (False, 200)])
async def test_a_used_payment_method_is_refused_where_the_provider_is_strict(
    strict: bool, status: int
) -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"refuses_used_methods": strict})
    first = (await shop.pay()).json
    again = await shop.pay(payment_method=first["payment_method"], idempotency_key="k")
    assert again.status == status
    if strict:
        assert again.error["message"] == problems.METHOD_USED
        assert "code" not in again.error
        replay = await shop.pay(payment_method=first["payment_method"], idempotency_key="k")
        assert replay.headers["idempotent-replayed"] == "true"
    assert (await shop.pay()).status == 200


async def test_a_payment_method_may_be_made_used_up() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"refuses_used_methods": True})
    made = (await shop.control("POST", "payment_methods", {"used": True})).json
    assert (await shop.pay(payment_method=made["id"])).error["message"] == problems.METHOD_USED
    assert (await shop.control("POST", "payment_methods", {"card": "pm_x"})).status == 422


async def test_a_declined_payment_method_is_not_used_up() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"refuses_used_methods": True})
    body = {"card": "pm_card_visa_chargeDeclined"}
    made = (await shop.control("POST", "payment_methods", body)).json
    assert [(await shop.pay(payment_method=made["id"])).status for _ in range(2)] == [402, 402]


async def test_a_customer_s_payment_method_needs_the_customer() -> None:
    shop = merchant(NEW)
    await shop.control("POST", "settings", {"refuses_used_methods": True})
    mine, other = [(await shop.post("/v1/customers")).json["id"] for _ in range(2)]
    made = (await shop.control("POST", "payment_methods", {"customer": mine})).json["id"]
    alone = await shop.pay(payment_method=made)
    assert (alone.status, alone.error["message"]) == (400, problems.CUSTOMER_MISSING)
    assert "code" not in alone.error
    wrong = await shop.pay(payment_method=made, customer=other)
    assert (wrong.status, wrong.error["code"]) == (400, "resource_missing")
    for _ in range(2):
        assert (await shop.pay(payment_method=made, customer=mine)).status == 200
