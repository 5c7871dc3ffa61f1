"""A rollout while its baseline fails: cross-reads, waiting, and the cure, over the real store."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, SETTINGS, Stage, stage, version_of
from tests.flows.test_rollouts import PLAN, running, shop

from tollkeeper.failover import rule
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.rollouts import commands, explain
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.testing.misread import misreading

ASKED = {"stripe": replace(SETTINGS.providers["stripe"], failover="ask")}
"""Failover watches and moves nothing."""

STAYS = replace(PLAN, dwell_seconds=100_000.0, most_outstanding=500)
BROKEN = MIDDLE.partition("@")[2]


async def found(at: Stage, made: Rollout) -> Rollout:
    return await commands.load_rollout(at.runtime, made.id)


def break_baseline(at: Stage) -> None:
    at.fault("sunset", when="before", status=410, operation="*", api_version=BROKEN)


def looks(at: Stage) -> list[str]:
    """The versions that asked the provider for a payment."""
    return [version_of(request) for request in at.wire.sent if request.method == "GET"]


async def rounds(at: Stage, made: Rollout, count: int) -> list[Any]:
    paid = []
    for number in range(1, count + 1):
        paid += await shop(at, 10, first=number * 100)
        at.clock.now += 2
        if (await found(at, made)).status != "running":
            break
    return paid


async def test_cross_reads_go_through_another_version_and_the_candidate_is_promoted(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, providers=ASKED) as at:
        made = await running(at, STAYS)
        break_baseline(at)
        await rounds(at, made, 3)
        watch = await at.store.load_watch("stripe")
        assert watch is not None
        assert (watch.carrying, watch.is_alarmed) == (MIDDLE, True)
        at.wire.sent.clear()
        paid = await rounds(at, made, 60)
        now = await found(at, made)
        assert now.status == "promoted", now.waiting
        assert {p["status"] for p in paid} == {"succeeded"}
        books = [await at.store.load_books(p["id"]) for p in paid]
        mine = {b.payment.provider_id for b in books if b and b.attempts[0].integration == NEW}
        asked = [r for r in at.wire.sent if r.method == "GET" and r.path.split("/")[-1] in mine]
        assert {version_of(request) for request in asked} == {OLD.partition("@")[2]}
        explained = await explain.explain(at.runtime, made.id)
        assert explained.same
        assert any(record.baseline_fails and record.tallies for record in explained.records)


async def test_without_another_version_cross_reads_wait_and_the_reason_says_why(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, providers=ASKED) as at:
        two = {name: v for name, v in at.runtime.installed.items() if name != OLD}
        alter(at.runtime, installed=two)
        made = await running(at, STAYS)
        break_baseline(at)
        await rounds(at, made, 3)
        at.wire.sent.clear()
        await rounds(at, made, 12)
        now = await found(at, made)
        assert now.status == "running"
        assert "no canary payment was read through another version yet" in now.waiting
        assert f"the baseline {MIDDLE} fails itself, and failover decides" in now.waiting
        assert "`tollkeeper failover explain stripe`" in now.waiting
        assert looks(at) == []
        records = await explain.all_records(at.runtime, made.id)
        assert records[-1].baseline_fails
        jobs = await at.store.count_jobs()
        assert jobs["cross_read"][0] > 10, "they wait"


async def test_a_misreading_is_found_through_the_other_version(tmp_path: Path) -> None:
    async with stage(tmp_path, providers=ASKED) as at:
        made = await running(at, STAYS)
        break_baseline(at)
        await rounds(at, made, 3)
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW, "declined"))
        paid = await rounds(at, made, 20)
        now = await found(at, made)
        assert (now.status, "cross-read" in now.reason) == ("rolled_back", True)
        for _ in range(8):
            await shop(at, 0)
            await at.clock.advance(3)
        wrong = [p["id"] for p in paid if p["integration"] == NEW]
        books = [await at.store.load_books(id_) for id_ in wrong]
        assert {b.payment.status for b in books if b is not None} == {"succeeded"}
        assert {b.payment.integration for b in books if b is not None} == {OLD}


async def test_a_baseline_that_is_well_is_asked_as_ever(tmp_path: Path) -> None:
    """A watch on another version, or one that does not alarm, changes nothing."""
    async with stage(tmp_path, providers=ASKED) as at:
        state = replace(rule.begin(0.01, per_second=1), alarmed=False)
        stream = Stream(carrying=MIDDLE, candidate=OLD, state=state)
        watch = Watch(provider="stripe", streams=(stream,), salt="s", revision=1)
        await at.store.save_watch(None, watch)
        made = await running(at, STAYS)
        await rounds(at, made, 3)
        assert set(looks(at)) == {BROKEN}
        records = await explain.all_records(at.runtime, made.id)
        assert not any(record.baseline_fails for record in records)


async def test_a_baseline_that_is_well_again_answers_what_waited(tmp_path: Path) -> None:
    async with stage(tmp_path, providers=ASKED) as at:
        two = {name: v for name, v in at.runtime.installed.items() if name != OLD}
        alter(at.runtime, installed=two)
        made = await running(at, replace(STAYS, dwell_seconds=0))
        break_baseline(at)
        await rounds(at, made, 8)
        assert (await found(at, made)).baseline_fails
        at.core.faults.clear()
        await at.store.add_counts(at.store.now_ms() // 1000, {MIDDLE: 900})
        at.clock.now += 2
        at.fault("sunset", when="before", status=410, api_version=BROKEN, count=1)
        for number in range(1, 8):  # the next trial counts all that was well before it
            await shop(at, 10, first=number * 1_000)
            at.clock.now += 5
        now = await found(at, made)
        assert not now.baseline_fails, now.waiting
        assert now.crossings.agreed > 40
        assert now.crossings.unanswered == 0
        assert "fails itself" not in now.waiting
        assert (await explain.explain(at.runtime, made.id)).same
