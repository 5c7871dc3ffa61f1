"""Webhooks: signed, in the endpoint's own version, repeated until accepted, broken on demand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stripe
from tests.simulator.stage import MIDDLE, NEW, OLD, Merchant, merchant, settle

from tollkeeper.simulator.stripe.config import SimulatorConfig

URL = "https://shop.example/hooks"


class Receiver:
    """An endpoint with a lever: `statuses` are given in turn, then 200."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.silent = False

    async def __call__(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        if self.silent:
            raise ConnectionRefusedError
        self.received.append((url, dict(headers), body))
        return self.statuses.pop(0) if self.statuses else 200

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, _, body in self.received]


@asynccontextmanager
async def _shop(**config: Any) -> AsyncIterator[tuple[Merchant, Receiver]]:
    receiver = Receiver()
    shop = merchant(config=SimulatorConfig(**config), deliver=receiver)
    running = asyncio.ensure_future(shop.core.run())
    yield shop, receiver
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _listen(shop: Merchant, *events: str, **params: Any) -> Any:
    body = {"url": URL, "enabled_events[]": events or ("*",), **params}
    return (await shop.post("/v1/webhook_endpoints", body)).json


async def test_a_delivery_is_signed_as_the_official_library_expects() -> None:
    async with _shop() as (shop, receiver):
        endpoint = await _listen(shop)
        await shop.pay(capture_method="automatic")
        await settle()
        assert receiver.types == [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        ]
        for url, headers, body in receiver.received:
            assert url == URL
            event = stripe.Webhook.construct_event(
                body, headers["Stripe-Signature"], endpoint["secret"], tolerance=10**9
            )
            assert event.api_version == NEW
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(
                    body + b" ", headers["Stripe-Signature"], endpoint["secret"], tolerance=10**9
                )


async def test_each_endpoint_hears_in_its_own_version() -> None:
    async with _shop() as (shop, receiver):
        await _listen(shop, "payment_intent.succeeded", api_version=OLD)
        await _listen(shop, "payment_intent.succeeded", api_version=MIDDLE)
        await shop.pay()
        await settle()
        old, middle = (json.loads(body) for _, _, body in receiver.received)
        assert (old["api_version"], middle["api_version"]) == (OLD, MIDDLE)
        assert "charges" in old["data"]["object"]
        assert "latest_charge" in middle["data"]["object"]


async def test_an_event_shows_its_object_as_it_was_then() -> None:
    async with _shop() as (shop, receiver):
        await _listen(shop, "payment_intent.created", api_version=OLD)
        await shop.pay()
        await settle()
        intent = json.loads(receiver.received[0][2])["data"]["object"]
        assert intent["status"] == "requires_payment_method"
        assert intent["charges"]["data"] == []


async def test_an_event_names_the_request_that_caused_it() -> None:
    async with _shop() as (shop, receiver):
        await _listen(shop, "payment_intent.succeeded")
        paid = await shop.pay(idempotency_key="k")
        await settle()
        event = json.loads(receiver.received[0][2])
        assert event["request"] == {"id": paid.headers["request-id"], "idempotency_key": "k"}


async def test_an_event_s_object_may_have_null_where_the_provider_says_so() -> None:
    async with _shop() as (shop, receiver):
        await _listen(shop, "refund.created")
        await shop.fault("nulls", operation="webhooks.deliver", path="status")
        paid = (await shop.pay()).json
        await shop.post("/v1/refunds", {"payment_intent": paid["id"]})
        await settle()
        [refund] = [json.loads(body)["data"]["object"] for _, _, body in receiver.received]
        assert (refund["status"], refund["amount"]) == (None, 1000)


async def test_a_refused_delivery_is_repeated_with_growing_pauses() -> None:
    async with _shop(webhook_backoff_seconds=(1.0, 10.0, 100.0)) as (shop, receiver):
        await _listen(shop, "payment_intent.succeeded")
        receiver.statuses = [500, 404]
        await shop.pay()
        await settle()
        assert len(receiver.received) == 1
        await shop.clock.advance(1)
        assert len(receiver.received) == 2
        await shop.clock.advance(9)
        assert len(receiver.received) == 2
        await shop.clock.advance(1)
        assert len(receiver.received) == 3
        assert len({body for _, _, body in receiver.received}) == 1
        assert (await shop.control("GET", "outbox")).json == {"pending": [], "abandoned": []}


async def test_an_endpoint_that_never_answers_is_given_up() -> None:
    async with _shop(webhook_backoff_seconds=(1.0, 1.0)) as (shop, receiver):
        await _listen(shop, "payment_intent.succeeded")
        receiver.silent = True
        await shop.pay()
        await settle()
        [waiting] = (await shop.control("GET", "outbox")).json["pending"]
        assert (waiting["attempts"], waiting["status"]) == (1, 0)
        await shop.clock.advance(5)
        outbox = (await shop.control("GET", "outbox")).json
        assert outbox["pending"] == []
        assert len(outbox["abandoned"]) == 1


async def test_a_deleted_endpoint_hears_nothing_more() -> None:
    async with _shop() as (shop, receiver):
        endpoint = await _listen(shop)
        assert (await shop.get("/v1/webhook_endpoints")).json["data"][0]["id"] == endpoint["id"]
        gone = await shop.delete(f"/v1/webhook_endpoints/{endpoint['id']}")
        assert gone.json["deleted"]
        await shop.pay()
        await settle()
        assert receiver.received == []


async def test_webhooks_are_lost_doubled_delayed_and_missigned_on_demand() -> None:
    async with _shop() as (shop, receiver):
        endpoint = await _listen(shop, "payment_intent.succeeded", "charge.succeeded")
        lost = await shop.fault("webhook_lost", event_type="charge.*")
        await shop.pay()
        await settle()
        assert receiver.types == ["payment_intent.succeeded"]
        await shop.control("DELETE", f"faults/{lost}")

        await shop.fault("webhook_twice", event_type="payment_intent.*", count=1)
        await shop.fault("webhook_delay", event_type="charge.*", seconds=60, count=1)
        receiver.received.clear()
        await shop.pay()
        await settle()
        assert receiver.types == ["payment_intent.succeeded"] * 2
        await shop.clock.advance(60)
        assert receiver.types[2:] == ["charge.succeeded"]

        await shop.fault("webhook_signature", count=1)
        await shop.pay()
        await settle()
        _, headers, body = receiver.received[3]
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(
                body, headers["Stripe-Signature"], endpoint["secret"], tolerance=10**9
            )


async def test_a_payload_changes_like_a_reply_when_the_rule_names_webhooks() -> None:
    async with _shop() as (shop, receiver):
        await _listen(shop, "payment_intent.succeeded")
        await shop.fault(
            "rename_field", operation="webhooks.deliver", object="payment_intent", path="status",
            to="state",
        )  # fmt: skip
        paid = await shop.pay()
        await settle()
        assert paid.json["status"] == "succeeded"
        intent = json.loads(receiver.received[0][2])["data"]["object"]
        assert intent["state"] == "succeeded"


@pytest.mark.parametrize(
    "params",
    [
        {"url": "ftp://a", "enabled_events[]": "*"},
        {"url": URL},
        {"url": URL, "enabled_events[]": "*", "api_version": "2000-01-01"},
    ],
)
async def test_an_endpoint_that_makes_no_sense_is_refused(params: dict[str, str]) -> None:
    assert (await merchant().post("/v1/webhook_endpoints", params)).status == 400
