"""Webhooks both ways: the provider's come in once, ours go out signed until they are taken."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from tests.doors.stage import WEBHOOK_SECRET, Reply, Stage, stage

VERSION = "2022-11-15"


class Receiver:
    """A shop's endpoint with a lever: `statuses` are answered in turn, then 204."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.received: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)

    async def wait(self, count: int, seconds: float = 15.0) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                await asyncio.sleep(0.02)
        return self.received


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    shop = Receiver()
    application = web.Application()
    application.router.add_post("/hooks", shop.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield shop
    finally:
        await runner.cleanup()


async def _listen(it: Stage, url: str) -> Any:
    made = await it.post("/v1/webhook_endpoints", {"url": url}, role="admin")
    assert made.status == 201, made
    assert made.headers["location"] == f"/v1/webhook_endpoints/{made.body['id']}"
    return made.body


async def test_events_reach_the_shop_signed_as_the_standard_says(tmp_path: Path) -> None:
    async with stage(tmp_path) as it, receiver() as shop:
        endpoint = await _listen(it, shop.url)
        paid = await it.pay()
        ((headers, body),) = await shop.wait(1)
        told = Webhook(endpoint["secret"]).verify(body, headers)
        assert (told["type"], told["data"]["id"]) == ("payment.succeeded", paid["id"])
        assert headers["webhook-id"] == told["id"]
        with pytest.raises(WebhookVerificationError):
            Webhook(endpoint["secret"]).verify(body.replace(b"succeeded", b"failed"), headers)
        event = await it.get(f"/v1/events/{told['id']}")
        assert event.raw == body
        path = f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"
        listed = await it.until(path, lambda page: page["data"][0]["state"] == "delivered")
        assert [(row["event"], row["tries"]) for row in listed["data"]] == [(told["id"], 1)]


async def test_a_secret_is_shown_once_and_rotates_without_losing_an_event(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it, receiver() as shop:
        endpoint = await _listen(it, shop.url)
        path = f"/v1/webhook_endpoints/{endpoint['id']}"
        assert (await it.get(path, role="admin")).body["secret"] is None
        rotated = (await it.post(f"{path}/rotate_secret", role="admin")).body
        assert (rotated["secret"] != endpoint["secret"], rotated["secrets_active"]) == (True, 2)
        await it.pay()
        ((headers, body),) = await shop.wait(1)
        for secret in (endpoint["secret"], rotated["secret"]):
            Webhook(secret).verify(body, headers)
        last = (await it.post(f"{path}/rotate_secret", {"keep_previous": False}, role="admin")).body
        await it.pay()
        headers, body = (await shop.wait(2))[1]
        Webhook(last["secret"]).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(rotated["secret"]).verify(body, headers)


async def test_an_event_that_was_refused_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.flows.webhooks.deliver.RETRY_SECONDS", (0.2, 0.2))
    async with stage(tmp_path) as it, receiver() as shop:
        endpoint = await _listen(it, shop.url)
        shop.statuses = [500, 503]
        await it.pay()
        received = await shop.wait(3)
        assert len({headers["webhook-id"] for headers, _ in received}) == 1
        path = f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"
        listed = await it.until(path, lambda page: page["data"][0]["state"] == "delivered")
        assert (listed["data"][0]["tries"], listed["data"][0]["last_status"]) == (3, 204)


async def test_an_event_that_is_never_taken_is_shown_as_undeliverable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.flows.webhooks.deliver.RETRY_SECONDS", (0.1,))
    async with stage(tmp_path) as it, receiver() as shop:
        endpoint = await _listen(it, shop.url)
        shop.statuses = [500, 500]
        await it.pay()
        path = f"/v1/webhook_endpoints/{endpoint['id']}/deliveries"
        listed = await it.until(path, lambda page: page["data"][0]["state"] == "undeliverable")
        assert (listed["data"][0]["tries"], listed["data"][0]["last_status"]) == (2, 500)


async def test_an_endpoint_that_was_ended_hears_nothing_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as it, receiver() as shop:
        endpoint = await _listen(it, shop.url)
        path = f"/v1/webhook_endpoints/{endpoint['id']}"
        ended = await it.send("DELETE", path, role="admin")
        assert (ended.status, ended.raw) == (204, b"")
        assert (await it.get(path, role="admin")).status == 404
        assert (await it.send("DELETE", path, role="admin")).status == 404
        await it.pay()
        await asyncio.sleep(0.5)
        assert shop.received == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/x",
        "ftp://shop.example/",
        "https://user:pw@shop.example/",
        "https://",
        "x",
    ],
)
async def test_an_endpoint_must_be_a_place_that_may_be_called(tmp_path: Path, url: str) -> None:
    async with stage(tmp_path, webhooks_to_loopback=False) as it:
        reply = await it.post("/v1/webhook_endpoints", {"url": url}, role="admin")
        assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/url")


async def test_an_account_has_so_many_endpoints_and_no_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for number in range(16):
            await _listen(it, f"https://shop.example/{number}")
        reply = await it.post("/v1/webhook_endpoints", {"url": "https://a.example"}, role="admin")
        assert (reply.status, reply.body["code"]) == (409, "state_conflict")


AT_THE_PROVIDER = {"Authorization": "Bearer sk_test_tollkeeper", "Stripe-Version": VERSION}


async def _intent(it: Stage, identifier: str) -> Any:
    """The provider's own words for a payment."""
    async with it.session.get(
        f"{it.simulator.url}/v1/payment_intents/{identifier}", headers=AT_THE_PROVIDER
    ) as answer:
        return await answer.json()


def _event(name: str, item: Any, number: int = 1) -> bytes:
    return json.dumps(
        {"id": f"evt_{number}", "object": "event", "type": name, "data": {"object": item}}
    ).encode()


async def _send(it: Stage, body: bytes, *, age: int = 0, secret: str = WEBHOOK_SECRET) -> Reply:
    stamp = str(int(time.time()) - age)
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={stamp},v1={signed}", "Content-Type": "application/json"}
    return await it.send(
        "POST", f"/v1/inbound/stripe/{VERSION}", data=body, headers=headers, role=None
    )


async def test_a_webhook_settles_what_the_provider_did_on_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        hook = {
            "url": f"{it.url}/v1/inbound/stripe/{VERSION}",
            "enabled_events[]": "*",
            "api_version": VERSION,
        }
        async with it.session.post(
            f"{it.simulator.url}/v1/webhook_endpoints", data=hook, headers=AT_THE_PROVIDER
        ) as answer:
            secret = (await answer.json())["secret"]
        it.trust(secret)
        paid = await it.pay()
        refund = {"payment_intent": paid["provider_id"], "amount": "234"}
        async with it.session.post(
            f"{it.simulator.url}/v1/refunds", data=refund, headers=AT_THE_PROVIDER
        ) as answer:
            assert answer.status == 200
        path = f"/v1/payments/{paid['id']}"
        await it.until(path, lambda body: body["amount_refunded_minor"] == 234)
        (seen,) = (await it.get(f"{path}/refunds")).body["data"]
        assert seen["origin"] == "external"


async def test_a_webhook_is_taken_once_whatever_its_type(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        intent = await _intent(it, paid["provider_id"])
        known = _event("payment_intent.succeeded", intent)
        strange = intent | {"id": "pi_other", "metadata": {}}
        fates = [
            (await _send(it, known)).body["fate"],
            (await _send(it, known)).body["fate"],
            (await _send(it, _event("payment_intent.succeeded", strange, 2))).body["fate"],
            (await _send(it, _event("moon.rose", {"id": "moon"}, 3))).body["fate"],
            (await _send(it, _event("moon.rose", {"id": "moon"}, 3))).body["fate"],
        ]
        assert fates == ["queued", "duplicate", "unmatched", "unknown_type", "duplicate"]


async def test_a_webhook_that_a_change_made_unreadable_is_still_a_reason_to_look(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        paid = await it.pay()
        bare = {"id": paid["provider_id"], "object": "payment_intent", "status": ["new shape"]}
        assert (await _send(it, _event("payment_intent.succeeded", bare))).body["fate"] == "queued"
        dispute = {"id": "dp_1", "payment_intent": paid["provider_id"], "amount": "12"}
        told = await _send(it, _event("charge.dispute.created", dispute, 2))
        assert told.body["fate"] == "queued"
        odd = await _send(it, _event("payment_intent.succeeded", {"id": 7}, 3))
        assert (odd.status, odd.body["fate"]) == (200, "unknown_type")


async def test_a_webhook_without_a_good_signature_is_refused(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = _event("payment_intent.succeeded", {"id": "pi_1"})
        other = "whsec_" + base64.b64encode(b"another").decode()
        refused = [
            await _send(it, body, secret=other),
            await _send(it, body, age=3600),
            await it.send("POST", f"/v1/inbound/stripe/{VERSION}", data=body, role=None),
        ]
        assert [(r.status, r.body["code"]) for r in refused] == [(400, "bad_signature")] * 3
        for path in ("stripe/1999-01-01", "nobody/1"):
            reply = await it.send("POST", f"/v1/inbound/{path}", data=body, role=None)
            assert (reply.status, reply.body["code"]) == (404, "not_found")
        assert (await _send(it, b"x" * 600_000)).status == 413


async def test_a_signed_body_that_nobody_can_read_is_kept_and_not_sent_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        for body in (b"{}", b'{"id": 7}', b"[]", b"\xff no JSON"):
            first, again = await _send(it, body), await _send(it, body)
            assert (first.status, again.status) == (200, 200), first.body
            assert (first.body["fate"], again.body["fate"]) == ("unread", "duplicate")
