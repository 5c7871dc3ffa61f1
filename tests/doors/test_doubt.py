"""Payments that are not decided at once: a silent provider, and a shopper at the bank's page."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.wire.provider import HttpWire

THREE_D = "pm_card_threeDSecure2Required"


async def test_a_charge_that_can_be_seen_is_told_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        it.simulator.core.faults.add(
            FaultRule(effect="drop", operation="payment_intents.create", when="after", count=1)
        )
        reply = await it.post("/v1/payments", PAYMENT, key="a")
        assert (reply.status, reply.body["status"]) == (201, "succeeded")
        assert (await it.post("/v1/payments", PAYMENT, key="a")).body == reply.body
        assert len(it.simulator.core.ledger().charges) == 1


async def test_a_silent_provider_means_accepted_and_is_settled_afterwards(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as it:
        it.simulator.core.faults.add(
            FaultRule(effect="drop", operation="payment_intents.create", when="after", count=1)
        )
        reply = await it.post("/v1/payments", PAYMENT, key="a")
        assert (reply.status, reply.body["outcome"]) == (202, "unknown")
        assert reply.headers["retry-after"] == "1"
        path = reply.headers["location"]
        assert path == f"/v1/payments/{reply.body['id']}"
        settled = await it.until(path, lambda body: body["outcome"] == "known")
        assert settled["status"] == "succeeded"
        (charge,) = it.simulator.core.ledger().charges
        assert charge.reference == reply.body["id"]
        again = await it.post("/v1/payments", PAYMENT, key="a")
        assert (again.status, again.body["status"]) == (200, "succeeded")
        assert len(it.simulator.core.ledger().charges) == 1


async def test_a_provider_that_never_saw_it_means_failed_in_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path, shopper_deadline_seconds=0.5) as it:
        it.simulator.core.faults.add(
            FaultRule(effect="drop", operation="payment_intents.create", when="before", count=1)
        )
        reply = await it.post("/v1/payments", PAYMENT)
        assert reply.status == 202
        path = reply.headers["location"]
        settled = await it.until(path, lambda body: body["outcome"] == "known", 20.0)
        assert settled["status"] == "failed"
        assert it.simulator.core.ledger().charges == []


async def test_a_refund_in_doubt_is_accepted_and_settled(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as it:
        paid = await it.pay()
        it.simulator.core.faults.add(
            FaultRule(effect="reset", operation="refunds.create", when="after", count=1)
        )
        reply = await it.post(f"/v1/payments/{paid['id']}/refunds", {"amount_minor": 34})
        assert (reply.status, reply.body["outcome"]) == (202, "unknown")
        settled = await it.until(reply.headers["location"], lambda it: it["outcome"] == "known")
        assert (settled["id"], settled["status"]) == (reply.body["id"], "succeeded")
        assert it.simulator.core.ledger().charges[0].amount_refunded_minor == 34


async def test_an_unreachable_provider_fails_at_once_and_moves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        held = await it.pay(capture_method="manual")
        it.simulator._server.close()  # nobody listens there any more
        wire = it.service.runtime.wire
        assert isinstance(wire, HttpWire)
        await wire.close()  # nor is a connection kept
        await wire.start()
        refused = await it.post(f"/v1/payments/{held['id']}/capture", {}, key="a")
        assert (refused.status, refused.body["code"]) == (503, "provider_unreachable")
        again = await it.post(f"/v1/payments/{held['id']}/capture", {}, key="a")
        assert (again.status, again.body["code"]) == (503, "provider_unreachable")
        failed = await it.pay()
        assert (failed["status"], failed["outcome"]) == ("failed", "known")
        assert len(it.simulator.core.ledger().charges) == 1


async def _at_the_bank(it: Stage, **fields: Any) -> tuple[str, str]:
    """A payment that waits for its shopper: its path and the bank's page."""
    made = await it.pay(payment_method=THREE_D, **fields)
    assert (made["status"], made["next_action"]["type"]) == ("requires_action", "redirect")
    return f"/v1/payments/{made['id']}", made["next_action"]["url"]


async def _authenticate(it: Stage, page: str, outcome: str) -> str:
    """What the shopper's browser is told to open next."""
    async with it.session.get(f"{page}?outcome={outcome}", allow_redirects=False) as answer:
        assert answer.status == 303
        return answer.headers["location"]


async def test_a_shopper_who_authenticated_comes_back_to_the_shop(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        shop = "https://shop.example/thanks?order=7&status=old#top"
        path, page = await _at_the_bank(it, return_url=shop)
        back = await _authenticate(it, page, "success")
        assert back.startswith(f"{it.url}/v1/return/")
        reply = await it.get(back.removeprefix(it.url), role=None)
        assert reply.status == 303
        goal = urlsplit(reply.headers["location"])
        assert (goal.netloc, goal.path, goal.fragment) == ("shop.example", "/thanks", "top")
        assert parse_qs(goal.query) == {
            "order": ["7"],
            "payment": [path.rpartition("/")[2]],
            "status": ["succeeded"],
        }
        assert (await it.get(path)).body["status"] == "succeeded"


async def test_a_shopper_who_failed_comes_back_to_a_failed_payment(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        path, page = await _at_the_bank(it, return_url="https://shop.example/thanks")
        back = await _authenticate(it, page, "fail")
        reply = await it.get(back.removeprefix(it.url), role=None)
        told = parse_qs(urlsplit(reply.headers["location"]).query)
        payment = (await it.get(path)).body
        assert told["status"] == [payment["status"]]
        assert payment["status"] in {"failed", "requires_action"}
        assert payment["amount_captured_minor"] == 0


async def test_without_a_shop_the_shopper_reads_a_sentence(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        _, page = await _at_the_bank(it)
        back = await _authenticate(it, page, "success")
        reply = await it.get(back.removeprefix(it.url), role=None)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"Your payment was made." in reply.raw
        assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_a_slow_provider_is_waited_for_and_no_longer_than_its_budget(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as it:
        it.simulator.core.faults.add(
            FaultRule(effect="delay", operation="payment_intents.create", seconds=0.5, count=1)
        )
        assert (await it.post("/v1/payments", PAYMENT)).status == 201
        it.simulator.core.faults.add(
            FaultRule(effect="delay", operation="payment_intents.create", seconds=9.0, count=1)
        )
        async with asyncio.timeout(8.5):  # before the reply
            assert (await it.post("/v1/payments", PAYMENT)).status == 202
