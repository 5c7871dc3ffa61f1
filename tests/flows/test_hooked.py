"""Incoming webhooks as signals see them: how late they come, and what contradicts the books."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage

from tollkeeper.flows.payments import webhook
from tollkeeper.flows.signals import studying
from tollkeeper.flows.signals.collecting import Collector
from tollkeeper.integrations.version import WireReply
from tollkeeper.kernel.errors import BadSignature
from tollkeeper.signals.counts import EDGES_MS, Cell, Gauges
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.simulator.stripe.webhooks import sign

VERSION = "2022-11-15"


async def registered(s: Stage, version: str = VERSION) -> None:
    """The provider sends webhooks from now on, rendered at a version."""
    body = f"url=https%3A%2F%2Fours.example%2F&enabled_events[]=*&api_version={version}".encode()
    headers = [
        ("authorization", "Bearer sk_test_flows"),
        ("content-type", "application/x-www-form-urlencoded"),
    ]
    answer = await s.core.handle(SimRequest("POST", "/v1/webhook_endpoints", "", headers, body))
    assert answer.status == 200, answer.body


async def passed(s: Stage, seconds: float) -> None:
    """Time passes, and the provider sends what is due: it looks when it is asked something."""
    await s.clock.advance(seconds)
    await s.core.handle(SimRequest("GET", "/_control/health", "", [], b""))
    for _ in range(20):
        await asyncio.sleep(0)


async def test_versions_that_do_not_fit_are_a_finding_with_their_share(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await registered(s, "2022-08-01")
        collector = Collector(runtime=s.runtime)
        s.wire.pull("POST /v1/payment_intents", "as 2022-08-01")
        for _ in range(3):
            await s.create()
            await passed(s, 1)
            await arrive(s)
            await collector.tick()
        found = {one.operation: one for one in await studying.drift(s.store, 1) if one.version}
        assert {one.version for one in found.values()} == {"2022-08-01"}
        assert {one.integration for one in found.values()} == {MIDDLE}
        hooks_, replies = found["webhook"], found["authorize"]
        assert (hooks_.count, replies.count) == (hooks_.of, 1)
        assert replies.of == 3


async def arrive(s: Stage, *, secret: str = "whsec_1") -> None:
    """What the provider has sent arrives now."""
    sent, s.webhooks[:] = list(s.webhooks), []
    for _, body in sent:
        headers = {"stripe-signature": sign(secret, body, int(s.clock.now))}
        try:
            await webhook.webhook(s.runtime, "stripe", VERSION, body, headers)
        except BadSignature:
            assert secret != "whsec_1"


def hooks(s: Stage) -> list[tuple[Cell, dict[int, int]]]:
    """The webhooks counted since the last batch, with their durations by bucket."""
    lines = s.runtime.live.counting.take(2**40, "test", Gauges()).counted
    return [(line.cell, line.tally.took) for line in lines if line.cell.kind == "webhook_in"]


def buckets(found: list[tuple[Cell, dict[int, int]]]) -> set[int]:
    return {bucket for _, took in found for bucket in took}


SLOW = EDGES_MS.index(30_000)
QUICK = EDGES_MS.index(5_000)


async def test_how_late_a_webhook_comes_is_counted(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await registered(s)
        await s.create()
        await passed(s, 3)
        await arrive(s)  # the first ones may have waited for us
        hooks(s)
        await s.create()
        await passed(s, 3)
        await arrive(s)
        assert max(buckets(hooks(s))) <= QUICK
        await s.create()
        await passed(s, 20)
        await arrive(s)
        found = hooks(s)
        assert found
        assert buckets(found) == {SLOW}


async def test_a_webhook_that_we_had_refused_is_not_late(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await registered(s)
        await s.create()
        await passed(s, 3)
        await arrive(s)
        await s.create()
        await passed(s, 3)
        kept = list(s.webhooks)
        await arrive(s, secret="whsec_of_somebody_else")
        assert {cell.error for cell, _ in hooks(s)} >= {"bad_signature"}
        await passed(s, 20)
        s.webhooks += kept
        await arrive(s)
        found = hooks(s)
        assert found
        assert SLOW not in buckets(found)


async def test_a_webhook_that_comes_again_is_not_late(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await registered(s)
        await s.create()
        await passed(s, 3)
        await arrive(s)
        await s.create()
        await passed(s, 3)
        kept = list(s.webhooks)
        await arrive(s)
        hooks(s)
        await passed(s, 20)
        s.webhooks += kept
        await arrive(s)
        found = hooks(s)
        assert {cell.operation for cell, _ in found} == {"duplicate"}
        assert SLOW not in buckets(found)


def declined(reply: WireReply) -> WireReply:
    """The provider took the money, and its reply says that the bank declined."""
    if reply.status != 200:
        return reply
    intent: Any = msgspec.json.decode(reply.body)
    error = {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor",
             "message": "declined", "payment_intent": intent | {
                 "status": "requires_payment_method", "amount_received": 0,
                 "charges": {"data": []}, "latest_charge": None}}  # fmt: skip
    return msgspec.structs.replace(reply, status=402, body=msgspec.json.encode({"error": error}))


async def test_a_webhook_that_contradicts_the_reply_is_counted_as_such(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await registered(s)
        await s.create()
        await passed(s, 3)
        await arrive(s)
        assert {cell.error for cell, _ in hooks(s)} == {""}
        s.wire.pull("POST /v1/payment_intents", declined)
        told = await s.create()
        assert told["status"] == "failed"
        await passed(s, 3)
        await arrive(s)
        assert "contradicted" in {cell.error for cell, _ in hooks(s)}
        await s.work(60)


@pytest.mark.parametrize("version", [OLD, MIDDLE, NEW])
async def test_the_brand_of_the_card_is_counted_of_payments_and_declines(
    tmp_path: Path, version: str
) -> None:
    async with stage(tmp_path, weights={version: 100.0}) as s:
        await s.create(payment_method="pm_card_amex")
        await s.create(payment_method="pm_card_visa_chargeDeclined")
        lines = s.runtime.live.counting.take(2**40, "test", Gauges()).counted
        found = {(line.cell.result, line.cell.method) for line in lines}
        assert found == {("ok", "amex"), ("declined", "visa")}
