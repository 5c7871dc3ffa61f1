"""Failover beside rollouts, between several candidates, and of a part of the traffic."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage
from tests.flows.test_failover import BROKEN, watched

from tollkeeper.app import handlers
from tollkeeper.failover.rule import Trial
from tollkeeper.failover.streams import replayed
from tollkeeper.flows import routes
from tollkeeper.flows.failover import commands as failovers
from tollkeeper.flows.ports import TrialRow
from tollkeeper.flows.rollouts import commands as rollouts
from tollkeeper.flows.rollouts import controller, starting
from tollkeeper.rollouts.rollout import Plan
from tollkeeper.routing.routes import Condition
from tollkeeper.testing.misread import misreading

PLAN = Plan(steps_percent=(20, 100), dwell_seconds=3600, shadow_payments=1, floor_percent=20)


def broken(version: str) -> dict[str, Any]:
    return {"effect": "sunset", "when": "before", "status": 410, "api_version": version[7:]}


def refusing(version: str) -> dict[str, Any]:
    """It takes no payments, and looks them up."""
    return broken(version) | {"operation": "*.create"}


async def shop(s: Stage, count: int, **fields: Any) -> list[Any]:
    """Payments of as many customers, one each two seconds."""
    bought = []
    for number in range(count):
        bought.append(await s.create(customer=f"c{s.clock.now_ms()}-{number}", **fields))
        for _ in range(4):
            await work(s)
            await s.clock.advance(0.5)
    return bought


async def work(s: Stage) -> None:
    """Everything that is due; the controller of a rollout looks once."""
    run = handlers(s.runtime)
    for job in await s.store.claim_jobs(s.clock.now_ms(), 90_000, 100):
        if job.kind != "advance":
            await run[job.kind](job)
            continue
        found = await controller.look(s.runtime, job)
        if found is not None and found.is_active:
            await s.store.postpone_job(job, s.clock.now_ms() + 1)
        else:
            await controller.advance(s.runtime, job)


async def promoted(s: Stage, candidate: str) -> str:
    made = await starting.begin_rollout(s.runtime, candidate, PLAN, override="a test", actor="test")
    await rollouts.promote(s.runtime, made.id, reason="a test", actor="test")
    return made.id


async def test_a_promoted_version_that_fails_late_is_left(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        await promoted(s, MIDDLE)
        await shop(s, 5)
        s.fault(**broken(MIDDLE))
        bought = await shop(s, 60)
        assert Counter(p["status"] for p in bought) == {"succeeded": 60}
        watch = await watched(s)
        assert MIDDLE in watch.taken_out
        assert bought[-1]["integration"] != MIDDLE
        await s.agreed()


async def test_a_rollout_does_not_keep_its_broken_baseline(tmp_path: Path) -> None:
    """The other two are there; the candidate of the rollout is not proved, and the third is."""
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        made = await starting.begin_rollout(s.runtime, NEW, PLAN, override="a test", actor="test")
        await shop(s, 3)
        s.fault(**broken(OLD))
        bought = await shop(s, 60)
        assert Counter(p["status"] for p in bought) == {"succeeded": 60}
        watch = await watched(s)
        assert (watch.carrying, watch.taken_out) == (MIDDLE, (OLD,))
        assert bought[-1]["integration"] == MIDDLE
        ended = await rollouts.load_rollout(s.runtime, made.id)
        assert (ended.status, OLD in ended.reason) == ("aborted", True)
        await s.agreed()


async def test_the_candidate_of_a_rollout_takes_over_where_nothing_else_is_left(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        both = {name: s.runtime.installed[name] for name in (OLD, NEW)}
        alter(s.runtime, installed=both)
        made = await starting.begin_rollout(s.runtime, NEW, PLAN, override="a test", actor="test")
        await shop(s, 3)
        s.fault(**broken(OLD))
        bought = await shop(s, 120)
        watch = await watched(s)
        assert (watch.carrying, watch.taken_out) == (NEW, (OLD,))
        assert {p["status"] for p in bought[-20:]} == {"succeeded"}
        ended = await rollouts.load_rollout(s.runtime, made.id)
        assert ended.status == "aborted"
        assert s.runtime.live.routes.is_proved(NEW, None)


async def test_where_the_first_candidate_does_not_help_the_next_is_tried(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(**broken(OLD))
        s.fault(**broken(NEW))
        bought = await shop(s, 60)
        assert {p["status"] for p in bought} == {"succeeded"}
        watch = await watched(s)
        assert watch.carrying == MIDDLE
        assert bought[-1]["integration"] == MIDDLE
        await s.agreed()


async def test_every_version_that_carries_traffic_is_watched(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 70.0, MIDDLE: 30.0}) as s:
        s.fault(**broken(MIDDLE))
        await shop(s, 120)
        watch = await watched(s)
        weights = s.runtime.live.routes.rules[-1].weights
        assert weights[MIDDLE] == 0
        assert MIDDLE in watch.taken_out
        assert sum(weights.values()) == 100


async def currencies(s: Stage, count: int) -> list[Any]:
    bought = []
    for number in range(count):
        usd = number % 4 == 0
        method = "pm_card_mastercard" if usd else "pm_card_visa"
        bought += await shop(s, 1, currency="USD" if usd else "EUR", payment_method=method)
    return bought


async def test_a_fault_of_one_currency_moves_that_currency_alone(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(
            "rename_field", object="payment_intent", path="status", to="renamed",
            payment_method="pm_card_mastercard", api_version=OLD[7:],
        )  # fmt: skip
        bought = await currencies(s, 240)
        assert {p["status"] for p in bought} == {"succeeded"}
        rules = s.runtime.live.routes.rules
        assert [rule.condition for rule in rules] == [Condition(currency="USD"), Condition()]
        assert rules[0].weights[OLD] == 0
        assert rules[1].weights == {OLD: 100.0}
        last = bought[-4:]
        assert last[0]["integration"] != OLD
        assert {p["integration"] for p in last[1:]} == {OLD}
        watch = await watched(s)
        assert watch.taken_out == ()
        for record in await s.store.list_failover_records("stripe", 1_000):
            assert replayed(record.before, record.steps) == record.counted


async def test_a_fault_of_everything_moves_everything(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        BROKEN["renames a field"](s)
        await currencies(s, 60)
        assert s.runtime.live.routes.rules[-1].weights[OLD] == 0
        assert len(s.runtime.live.routes.rules) == 1


async def test_where_all_payments_are_of_one_account_it_is_no_slice(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        for _ in range(30):
            await s.create()  # healthy ones before, in the same minute
        s.clock.now += 1.0
        s.runtime.live.flushed_at = 0.0
        await routes.flush(s.runtime)
        s.fault(**broken(OLD))
        await shop(s, 50)
        assert [rule.condition for rule in s.runtime.live.routes.rules] == [Condition()]
        assert s.runtime.live.routes.rules[-1].weights[OLD] == 0


async def test_after_a_move_a_partial_fault_is_proposed_and_a_whole_one_moves(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(**broken(OLD))
        await shop(s, 50)
        first = (await watched(s)).carrying
        s.fault(
            "rename_field", object="payment_intent", path="status", to="renamed",
            probability=0.4, api_version=first[7:],
        )  # fmt: skip
        await shop(s, 120)
        watch = await watched(s)
        assert watch.carrying == first
        assert "proposed" in {r.kind for r in await s.store.list_failover_records("stripe", 999)}
        s.core.faults.clear()
        s.fault(**broken(OLD))
        s.fault(**broken(first))
        await shop(s, 60)
        watch = await watched(s)
        assert watch.carrying not in {OLD, first}
        assert set(watch.taken_out) == {OLD, first}


@pytest.mark.parametrize("policy", ["off", "ask"])
async def test_the_policy_said_by_hand_counts_before_the_settings(
    tmp_path: Path, policy: str
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        await failovers.set_policy(s.runtime, "stripe", policy, reason="a test", actor="test")
        s.fault(**broken(OLD))
        await shop(s, 40)
        assert s.runtime.live.routes.rules[-1].weights[OLD] == 100
        await failovers.set_policy(s.runtime, "stripe", "automatic", reason="on", actor="test")
        await shop(s, 40)
        assert s.runtime.live.routes.rules[-1].weights[OLD] == 0


async def test_a_stop_takes_the_candidate_out_until_it_is_cleared(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        mine = replace(s.settings.providers["stripe"], failover="ask")
        alter(s.runtime, settings=replace(s.settings, providers={"stripe": mine}))
        s.fault(**broken(OLD))
        await shop(s, 30)
        watch = await watched(s)
        assert watch.streams[0].proposed
        first = watch.streams[0].candidate
        stopped = await failovers.stop(s.runtime, "stripe", reason="not now", actor="test")
        assert stopped.taken_out == (first,)
        await shop(s, 30)
        watch = await watched(s)
        assert watch.streams[0].candidate not in {first, OLD}
        cleared = await failovers.clear(s.runtime, "stripe", first, reason="well", actor="test")
        assert cleared.taken_out == ()
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 200)
        assert {"failover.stopped", "failover.cleared"} <= {event.type for event in told}


# The cross-check


async def rest(s: Stage, seconds: int) -> None:
    for _ in range(seconds):
        await work(s)
        await s.clock.advance(1)


async def test_the_first_payments_of_the_new_version_are_looked_up(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(**broken(OLD))
        await shop(s, 100)
        await rest(s, 60)
        watch = await watched(s)
        checks = watch.checks[watch.carrying]
        assert (checks.disagreed, checks.unanswered, checks.goes_on) == (0, 0, False)
        assert 50 <= checks.agreed < 60
        sent = len(s.wire.sent)
        await shop(s, 5)
        await rest(s, 30)
        assert len(s.wire.sent) == sent + 5, "after that no more are"


@pytest.mark.parametrize(("kind", "method"), [("declined", "automatic"), ("captured", "manual")])
async def test_a_version_that_misreads_is_taken_out_and_its_payments_are_corrected(
    tmp_path: Path, kind: str, method: str
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        alter(s.runtime, installed=misreading(s.runtime.installed, NEW, kind))
        s.fault(**refusing(OLD))
        await shop(s, 80, capture_method=method)
        await rest(s, 120)
        watch = await watched(s)
        assert {OLD, NEW} <= set(watch.taken_out)
        assert watch.carrying == MIDDLE
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 500)
        assert "failover.misread" in {event.type for event in told}
        (checks,) = [found for name, found in watch.checks.items() if name == NEW]
        assert checks.disagreed >= 1
        assert watch.checks[MIDDLE].disagreed == 0
        await s.agreed()


async def note_misread(s: Stage, *versions: str) -> None:
    """Lookups that saw a payment otherwise than each of these."""
    for number, version in enumerate(versions):
        row = TrialRow(
            id=f"check_{number}", provider="stripe", version=version, checked=version,
            payment_id="pay_1", at_ms=s.store.now_ms(), trial=Trial(first="later"),
            verdict="disagreed",
        )  # fmt: skip
        await s.store.note_trial(row)


async def refuted(s: Stage, *versions: str) -> None:
    """Versions that were seen to misread, counted in one look."""
    await shop(s, 1)
    await note_misread(s, *versions)
    await rest(s, 30)


@pytest.mark.parametrize("liar", [NEW, MIDDLE])
async def test_people_are_told_of_a_version_that_misreads_while_it_carries_nothing(
    tmp_path: Path, liar: str
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        await refuted(s, liar)
        watch = await watched(s)
        assert (watch.carrying, watch.taken_out) == (OLD, (liar,))
        records = await s.store.list_failover_records("stripe", 99)
        said = [record for record in records if record.kind == "misread"]
        assert [record.candidate for record in said] == [liar]
        assert said[0].reason.startswith(f"{liar} misreads")
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 500)
        assert [event.type for event in told].count("failover.misread") == 1


@pytest.mark.parametrize(
    ("others", "refuge"), [([OLD], NEW), ([NEW], OLD), ([OLD, NEW], MIDDLE), ([NEW, OLD], MIDDLE)]
)
async def test_a_version_that_is_refuted_in_the_same_look_is_no_refuge(
    tmp_path: Path, others: list[str], refuge: str
) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        await refuted(s, MIDDLE, *others)
        watch = await watched(s)
        assert watch.carrying == refuge
        assert set(watch.taken_out) == {MIDDLE, *others}


@pytest.mark.parametrize("decision", ["share", "moved"])
async def test_nothing_goes_to_a_version_that_is_refuted_in_the_same_look(
    tmp_path: Path, decision: str
) -> None:
    async def decided(s: Stage) -> set[str]:
        records = await s.store.list_failover_records("stripe", 999)
        return {record.kind for record in records if record.candidate == NEW}

    (tmp_path / "again").mkdir()
    count = 0
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(**refusing(OLD))
        while decision not in await decided(s):
            await shop(s, 1)
            count += 1
    async with stage(tmp_path / "again", weights={OLD: 100.0}) as s:
        s.fault(**refusing(OLD))
        await shop(s, count - 1)
        assert decision not in await decided(s)
        await note_misread(s, NEW)
        await shop(s, 1)
        assert decision not in await decided(s), "the payment that decides is in the same look"
        watch = await watched(s)
        assert (watch.carrying, watch.taken_out) == (OLD, (NEW,))
        assert NEW not in {stream.candidate for stream in watch.streams}
        assert "misread" in await decided(s)


async def test_where_it_is_one_against_one_neither_is_believed(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        alter(s.runtime, installed=misreading(s.runtime.installed, NEW, "declined"))
        s.fault(**broken(OLD))  # it cannot look anything up either
        bought = await shop(s, 20)
        await rest(s, 30)
        watch = await watched(s)
        assert (watch.carrying, set(watch.taken_out)) == (OLD, {NEW, MIDDLE})
        books = [await s.books(p["id"]) for p in bought]
        asked = [b.payment for b in books if b.payment.attention]
        assert asked
        assert "sees it otherwise" in (asked[0].attention or "")


async def test_where_nothing_else_works_the_payments_go_back_to_the_version_that_fails(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        both = {name: s.runtime.installed[name] for name in (OLD, NEW)}
        alter(s.runtime, installed=both)
        s.fault(**refusing(OLD))
        await shop(s, 45)
        assert s.runtime.live.routes.rules[-1].weights == {OLD: 0.0, NEW: 100.0}
        alter(s.runtime, installed=misreading(both, NEW, "declined"))
        await shop(s, 5)
        await rest(s, 60)
        watch = await watched(s)
        assert (watch.carrying, NEW in watch.taken_out) == (OLD, True)
        assert s.runtime.live.routes.rules[-1].weights == {OLD: 100.0, NEW: 0.0}
        assert not s.runtime.live.routes.is_proved(NEW, None)
