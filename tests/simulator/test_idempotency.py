"""Idempotency as the provider documents it."""

import asyncio

from tests.simulator.stage import OLD, Answer, Merchant, merchant, settle

from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig


async def test_a_key_replays_its_first_answer_byte_for_byte() -> None:
    shop = merchant()
    first = await shop.pay(idempotency_key="k")
    await shop.post("/v1/refunds", {"payment_intent": first.json["id"]})
    again = await shop.pay(idempotency_key="k")
    assert again.reply.body == first.reply.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert "idempotent-replayed" not in first.headers
    assert len(shop.core.ledger().charges) == 1


async def test_parameters_may_come_in_another_order_but_not_with_other_values() -> None:
    shop = merchant()
    first = await shop.post("/v1/payment_intents", "amount=500&currency=usd", idempotency_key="k")
    same = await shop.post("/v1/payment_intents", "currency=usd&amount=500", idempotency_key="k")
    assert same.json["id"] == first.json["id"]
    other = await shop.post("/v1/payment_intents", "amount=501&currency=usd", idempotency_key="k")
    assert (other.status, other.error["type"]) == (400, "idempotency_error")


async def test_a_decline_is_replayed_too() -> None:
    shop = merchant()
    first = await shop.pay(payment_method="pm_card_visa_chargeDeclined", idempotency_key="k")
    again = await shop.pay(payment_method="pm_card_visa_chargeDeclined", idempotency_key="k")
    assert (first.status, again.status) == (402, 402)
    assert again.reply.body == first.reply.body
    assert len(shop.core.ledger().charges) == 1


async def test_a_replay_keeps_the_form_of_the_first_version() -> None:
    shop = merchant()
    first = await shop.pay(idempotency_key="k", capture_method="automatic")
    shop.version = OLD
    again = await shop.pay(idempotency_key="k", capture_method="automatic")
    assert again.reply.body == first.reply.body


async def test_what_is_refused_before_execution_is_not_stored() -> None:
    shop = merchant()
    for wrong in ({"amount": "ten", "currency": "usd"}, {"amount": 1, "currency": "usd"}):
        refused = await shop.post("/v1/payment_intents", wrong, idempotency_key="k")
        assert refused.status == 400
    right = await shop.post(
        "/v1/payment_intents", {"amount": 500, "currency": "usd"}, idempotency_key="k"
    )
    assert right.status == 200


async def test_two_requests_at_once_with_one_key_make_one_payment() -> None:
    shop = merchant(config=SimulatorConfig(latency_seconds=1.0))
    first = asyncio.ensure_future(shop.pay(idempotency_key="k"))
    await settle()
    second = asyncio.ensure_future(shop.pay(idempotency_key="k"))
    await shop.clock.advance(1)
    refused = await second
    assert (refused.status, refused.error["code"]) == (409, "idempotency_key_in_use")
    assert (await first).status == 200
    assert len(shop.core.ledger().charges) == 1


async def test_a_client_that_gives_up_undoes_nothing() -> None:
    shop = merchant(config=SimulatorConfig(latency_seconds=1.0))
    attempt = asyncio.ensure_future(shop.pay(idempotency_key="k"))
    await settle()
    attempt.cancel()
    await shop.clock.advance(2)
    assert len(shop.core.ledger().charges) == 1
    again = asyncio.ensure_future(shop.pay(idempotency_key="k"))
    await shop.clock.advance(1)
    assert (await again).headers["idempotent-replayed"] == "true"


async def test_a_key_is_forgotten_a_day_after_execution_began() -> None:
    shop = merchant()
    first = await shop.pay(idempotency_key="k")
    await shop.clock.advance(24 * 3600 - 1)
    assert (await shop.pay(idempotency_key="k")).json["id"] == first.json["id"]
    await shop.clock.advance(2)
    assert (await shop.pay(idempotency_key="k")).json["id"] != first.json["id"]


async def test_keys_belong_to_an_account() -> None:
    config = SimulatorConfig(
        accounts=[AccountConfig("acct_a", "sk_test_a"), AccountConfig("acct_b", "sk_test_b")]
    )
    shop = merchant(config=config)
    mine = Merchant(shop.core, shop.clock, key="sk_test_a")
    yours = Merchant(shop.core, shop.clock, key="sk_test_b")
    first = await mine.pay(idempotency_key="k")
    second = await yours.pay(idempotency_key="k")
    assert first.json["id"] != second.json["id"]
    hidden = await yours.get(f"/v1/payment_intents/{first.json['id']}")
    assert (hidden.status, hidden.error["code"]) == (404, "resource_missing")


async def test_a_provider_that_ignores_keys_charges_twice() -> None:
    shop = merchant(config=SimulatorConfig(honors_idempotency=False))
    await shop.pay(idempotency_key="k")
    await shop.pay(idempotency_key="k")
    assert len(shop.core.ledger().charges) == 2


async def test_a_get_takes_no_key() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    for _ in range(2):
        answer: Answer = await shop.get(f"/v1/payment_intents/{paid['id']}", idempotency_key="k")
        assert "idempotent-replayed" not in answer.headers
