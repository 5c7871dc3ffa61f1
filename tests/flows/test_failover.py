"""Failover on the running flows: traffic moves by proof, and only by proof."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import NEW, OLD, Stage, stage

from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import replayed
from tollkeeper.routing.rules import EVERYBODY
from tollkeeper.signals.verdict import Look, RunnerUp, Verdict
from tollkeeper.signals.weights import Domain

CARRIES_ALL = {OLD: 100.0}


async def shop(s: Stage, count: int) -> list[Any]:
    """Payments of `count` customers, one each two seconds."""
    bought = []
    for _ in range(count):
        bought.append(await s.create())
        await s.work(2)
    return bought


async def watched(s: Stage) -> Watch:
    found = await s.store.load_watch("stripe")
    assert found is not None
    return found


BROKEN = {
    "requires a parameter": lambda s: s.fault(
        "require_parameter", when="before", parameter="x", operation="*.create",
        api_version=OLD[7:]),
    "switched off": lambda s: s.fault("sunset", when="before", status=410, api_version=OLD[7:]),
    "renames a field": lambda s: s.fault(
        "rename_field", object="payment_intent", path="status", to="renamed",
        api_version=OLD[7:]),
}  # fmt: skip


@pytest.mark.parametrize("way", BROKEN)
async def test_the_traffic_moves_and_nobody_is_told_failed(tmp_path: Path, way: str) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        BROKEN[way](s)
        bought = await shop(s, 50)
        assert Counter(p["status"] for p in bought) == {"succeeded": 50}
        tries = [len((await s.books(p["id"])).attempts) for p in bought]
        assert max(tries) <= 3, "the coin costs one attempt more at most"
        assert max(tries[:2]) <= 2, "and nothing before two payments have failed"
        watch = await watched(s)
        assert (watch.carrying, watch.taken_out) == (NEW, (OLD,))
        assert bought[-1]["integration"] == NEW
        books = await s.books(bought[-1]["id"])
        assert [a.integration for a in books.attempts] == [NEW]
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 50)
        assert "failover.moved" in {event.type for event in told}
        await s.agreed()


async def test_every_decision_can_be_computed_again(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        BROKEN["switched off"](s)
        await shop(s, 40)
        records = await s.store.list_failover_records("stripe", 1_000)
        assert "moved" in {record.kind for record in records}
        for record in records:
            again = replayed(record.before, record.steps)
            assert again == record.counted


async def test_what_hits_every_version_moves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("require_parameter", when="before", parameter="x", operation="*.create")
        await shop(s, 60)
        watch = await watched(s)
        assert (watch.carrying, watch.streams[0].state.share) == (OLD, 0.0)
        assert watch.streams[0].state.none_works


async def test_declines_move_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        for _ in range(40):
            await s.create(payment_method="pm_card_visa_chargeDeclined")
            await s.work(2)
        assert await s.store.load_watch("stripe") is None


@pytest.mark.parametrize("policy", ["ask", "off"])
async def test_the_policy_keeps_the_traffic_where_it_is(tmp_path: Path, policy: str) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        mine = replace(s.settings.providers["stripe"], failover=policy)
        alter(s.runtime, settings=replace(s.settings, providers={"stripe": mine}))
        BROKEN["switched off"](s)
        bought = await shop(s, 40)
        assert Counter(p["status"] for p in bought) == {"succeeded": 40}
        assert s.runtime.live.routes.rules[-1].weights[OLD] == 100


async def test_a_trial_that_comes_while_a_look_ends_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        BROKEN["switched off"](s)
        await shop(s, 3)
        await s.work(60)
        assert "failover" not in await s.store.count_jobs()
        (last,) = await s.store.list_failover_records("stripe", 1)
        (row,) = await s.store.list_trials("stripe", 0, "", 1)
        late = replace(row, id="att_~late", at_ms=s.clock.now_ms())
        await s.store.enqueue_job("failover", "stripe", s.clock.now_ms())
        finish = s.store.finish_job

        async def finished(job: Any) -> None:
            if job.kind == "failover":
                monkeypatch.undo()
                await s.store.note_trial(late)
            await finish(job)

        monkeypatch.setattr(s.store, "finish_job", finished)
        await s.work(10)
        (newest,) = await s.store.list_failover_records("stripe", 1)
        assert newest.seq == last.seq + 1
        assert [step.trial for step in newest.steps] == [late.trial]


def said(s: Stage, domain: Domain, vetoes: frozenset[str], provider: str = "stripe") -> None:
    """The newest look says `domain`, at every moment of the stage."""
    verdict = Verdict(
        domain=domain, likeliest=domain, confidence=0.9, since_ms=0, earliest_ms=0, latest_ms=0,
        slice={}, provider=provider, integration="", operation="", pointer="", bad=9, of=10,
        evidence_for=(), evidence_against=(), runner_up=RunnerUp("provider_down", 0.1),
        would_change="", wants=(), vetoes=vetoes, fingerprint="",
    )  # fmt: skip
    s.runtime.live.look = Look(at_ms=s.clock.now_ms() + 10_000_000, verdicts=(verdict,))


@pytest.mark.parametrize("way", BROKEN)
async def test_a_verdict_with_named_evidence_holds_a_move_and_says_why(
    tmp_path: Path, way: str
) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        said(s, "bad_traffic", frozenset({"bad_traffic"}))
        BROKEN[way](s)
        await shop(s, 50)
        watch = await watched(s)
        assert watch.carrying == OLD
        (stream,) = watch.wholes
        assert stream.proposed
        assert stream.state.share == 0
        records = await s.store.list_failover_records("stripe", 1_000)
        reasons = [record.reason for record in records if record.kind == "proposed"]
        assert reasons
        assert "not moved, because the verdict is bad traffic" in reasons[-1]


async def test_a_verdict_without_named_evidence_or_of_another_provider_holds_nothing(
    tmp_path: Path,
) -> None:
    for number, (vetoes, provider) in enumerate(
        [(frozenset[str](), "stripe"), (frozenset({"issuer"}), "stripe"),
         (frozenset({"bad_traffic"}), "other")]
    ):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        async with stage(folder, weights=CARRIES_ALL) as s:
            said(s, "bad_traffic", vetoes, provider)
            BROKEN["switched off"](s)
            await shop(s, 50)
            assert (await watched(s)).carrying == NEW


async def test_a_move_carries_the_verdict(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        said(s, "provider_changed", frozenset())
        BROKEN["renames a field"](s)
        await shop(s, 50)
        events = await s.store.list_events(s.settings.watch_account, "evt_~", 1_000)
        (moved,) = [e for e in events if e.type == "failover.moved"]
        assert msgspec.json.decode(moved.data)["verdict"]["domain"] == "provider_changed"


async def test_what_no_version_reads_counts_against_each_of_them(tmp_path: Path) -> None:
    async with stage(tmp_path, weights=CARRIES_ALL) as s:
        s.fault("rename_field", object="payment_intent", path="status", to="renamed")
        await shop(s, 24)
        records = await s.store.list_failover_records("stripe", 1_000)
        steps = [step for record in records for step in record.steps if step.trial is not None]
        whole = [record for record in records if record.condition == EVERYBODY]
        trials = [step.trial for step in steps if step.trial is not None]
        assert {trial.read_over for trial in trials} == {False}
        assert len({record.candidate for record in whole}) == 2, "each candidate had its turn"
        assert "none_works" in {record.kind for record in whole}
