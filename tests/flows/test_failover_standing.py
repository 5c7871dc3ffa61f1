"""What failover proposes, and what stands as a warning until a person acts."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import NEW, OLD, Stage, stage
from tests.flows.test_failover import BROKEN, watched
from tests.flows.test_failover_streams import refusing, rest, shop, work
from tests.flows.test_no_version_works import broken_for_all, policy

from tollkeeper.failover import checks
from tollkeeper.failover.checks import Checks
from tollkeeper.failover.rule import begin
from tollkeeper.failover.state import Watch, in_words
from tollkeeper.failover.streams import Stream
from tollkeeper.flows import routes
from tollkeeper.flows.operations.doctor import examine
from tollkeeper.testing.misread import misreading


def two_versions(s: Stage) -> dict[str, Any]:
    both = {name: s.runtime.installed[name] for name in (OLD, NEW)}
    alter(s.runtime, installed=both)
    return both


async def warnings(s: Stage) -> list[str]:
    return (await examine(s.store, None, quiet=False)).warnings


async def test_what_the_candidate_alone_reads_is_proposed_and_a_person_moves_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        two_versions(s)
        BROKEN["renames a field"](s)
        bought = await shop(s, 40)
        watch = await watched(s)
        (stream, *_) = watch.wholes
        assert (watch.carrying, stream.proposed, stream.state.share) == (OLD, True, 0.0)
        assert "no other version could confirm" in in_words(stream)
        assert f"routes set {NEW}=100" in in_words(stream)
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 500)
        assert "failover.proposed" in {event.type for event in told}
        assert any("no other version could confirm" in said for said in await warnings(s))
        kinds = [r.kind for r in await s.store.list_failover_records("stripe", 999)]
        assert kinds.count("proposed") == 1, "once"
        await routes.set_weights(s.runtime, {OLD: 0.0, NEW: 100.0}, reason="seen", actor="test")
        await work(s)
        after = await shop(s, 5)
        assert {p["integration"] for p in after} == {NEW}
        assert {p["status"] for p in (*bought, *after)} == {"succeeded"}
        assert await warnings(s) == [], "at once, and not with the next failure"
        assert not any(one.proposed for one in (await watched(s)).streams)
        await s.agreed()


async def test_where_a_third_version_confirms_nothing_waits_for_a_person(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        BROKEN["renames a field"](s)
        await shop(s, 50)
        records = await s.store.list_failover_records("stripe", 999)
        assert {r.kind for r in records} >= {"share", "moved"}
        assert "proposed" not in {r.kind for r in records}


async def test_a_quarter_that_is_read_over_is_proposed_and_gets_no_share(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(
            "rename_field", object="payment_intent", path="status", to="renamed",
            probability=0.25, operation="payment_intents.create", api_version=OLD[7:],
        )  # fmt: skip
        bought = await shop(s, 150)
        assert {p["status"] for p in bought} == {"succeeded"}
        assert {p["integration"] for p in bought} == {OLD}
        (stream, *_) = (await watched(s)).wholes
        assert (stream.proposed, stream.state.share) == (True, 0.0)


async def test_a_version_that_misreads_and_has_no_refuge_is_a_standing_warning(
    tmp_path: Path,
) -> None:
    stream = Stream(carrying=NEW, candidate="", state=begin(0.001, per_second=1))
    refuted = {NEW: Checks(asked=3, agreed=2, disagreed=1, is_out=True)}
    watch = Watch(provider="stripe", salt="x", streams=(stream,), revision=1, checks=refuted)
    async with stage(tmp_path, weights={NEW: 100.0}) as s:
        assert await s.store.save_watch(None, watch, rerouted=True)
        await routes.refresh(s.runtime)
        (said,) = await warnings(s)
        assert f"{NEW} carries traffic and misreads payments (2 of 3" in said
        assert s.runtime.live.routes.shares[NEW][0].is_alarmed, "the metric says so"
        left = replace(watch, checks={}, revision=2)
        assert await s.store.save_watch(None, left)
        assert await warnings(s) == []


async def test_doctor_warns_while_a_version_fails_and_no_longer(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        assert await warnings(s) == []
        s.fault("require_parameter", when="before", parameter="x", operation="*.create")
        await shop(s, 30)
        (said, *_) = await warnings(s)
        assert said.startswith("stripe: no installed version works")
        assert "parameter_missing" in said


async def test_a_few_later_payments_are_looked_up_and_one_that_differs_takes_the_version_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LATER", 3)
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(**refusing(OLD))
        await shop(s, 100)
        await rest(s, 60)
        before = await watched(s)
        assert not before.checks[before.carrying].goes_on
        await shop(s, 20)
        await rest(s, 30)
        later = (await watched(s)).checks[before.carrying]
        assert later.agreed > before.checks[before.carrying].agreed
        liar = before.carrying
        alter(s.runtime, installed=misreading(s.runtime.installed, liar, "captured"))
        await shop(s, 20, capture_method="manual")
        await rest(s, 60)
        watch = await watched(s)
        assert liar in watch.taken_out
        assert watch.carrying != liar
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 900)
        assert "failover.misread" in {event.type for event in told}


def test_later_lookups_are_one_in_a_hundred() -> None:
    drawn = sum(checks.is_looked_up_later(f"pay_{number}") for number in range(20_000))
    assert 150 < drawn < 250


async def test_later_lookups_are_bounded_a_minute(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        live = s.runtime.live
        assert sum(live.may_look_up_later(float(n)) for n in range(50)) == checks.MOST_LATER
        assert live.may_look_up_later(62.0)


async def test_a_replay_uses_up_no_probe(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "pause")
        key = s.key("mine")
        made = await s.create(key=key)
        await broken_for_all(s)
        for _ in range(3):
            again = await s.create(key=key)
            assert (again["id"], again["_replayed"]) == (made["id"], True)
        assert (await s.create())["status"] == "failed", "the probe was left for a new payment"
