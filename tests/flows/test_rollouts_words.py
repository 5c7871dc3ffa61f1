"""Operators' words to a rollout: memory, rehearsal, the time left, pause, resume, one step."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage
from tests.flows.test_rollouts import PLAN, begin, running, shop

from tollkeeper.failover import rule
from tollkeeper.failover.state import Record, Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.rollouts import commands, explain, starting
from tollkeeper.flows.rollouts.forecast import forecast
from tollkeeper.kernel.errors import Conflict, Forbidden, Invalid
from tollkeeper.rollouts.rollout import Plan, Rollout
from tollkeeper.rollouts.wrong import what_is_wrong
from tollkeeper.routing.routes import Condition

FAR = Plan(
    steps_percent=(5, 20, 50, 100), dwell_seconds=0, shadow_payments=2, floor_percent=50
)  # fmt: skip


async def found(at: Stage, made: Rollout) -> Rollout:
    return await commands.load_rollout(at.runtime, made.id)


async def events(at: Stage, kind: str) -> list[dict[str, Any]]:
    account = at.settings.watch_account
    told = await at.store.list_events(account, "z", 100)
    return [msgspec.json.decode(event.data) for event in told if event.type == kind]


async def fail(at: Stage) -> Rollout:
    """A rollout of NEW that its evidence took out."""
    made = await running(at)
    at.fault("sunset", when="before", status=410, api_version=NEW.partition("@")[2])
    for number in range(1, 30):
        await shop(at, 4, first=number * 100)
        if (await found(at, made)).status == "rolled_back":
            break
    return await found(at, made)


def taken_out(*names: str, carrying: str = MIDDLE) -> Watch:
    stream = Stream(carrying=carrying, candidate="", state=rule.begin(0.01, per_second=1))
    return Watch(provider="stripe", streams=(stream,), salt="s", revision=1, seq=1, taken_out=names)


# memory


async def test_a_candidate_that_was_rolled_back_is_remembered_and_not_refused(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        first = await fail(at)
        assert first.status == "rolled_back", first.waiting
        again = await begin(at)
        (sentence,) = again.remembered
        assert sentence.startswith(f"rollout {first.id} of {NEW} was rolled back at 2023-")
        assert first.reason in sentence
        (record,) = await explain.all_records(at.runtime, again.id)
        assert sentence in record.detail
        newest, *_ = await events(at, "rollout.started")
        assert newest["remembered"] == [sentence]
        assert sentence in newest["reason"]


async def test_what_was_promoted_since_is_forgotten(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        await commands.roll_back(at.runtime, (await begin(at)).id, reason="slow", actor="test")
        at.clock.now += 1
        second = await begin(at)
        assert len(second.remembered) == 1
        await commands.promote(at.runtime, second.id, reason="mended", actor="test")
        third = await starting.rehearse(at.runtime, NEW, PLAN)
        assert third.remembered == ()
        other = await starting.rehearse(at.runtime, OLD, PLAN)
        assert other.remembered == ()


async def test_what_failover_took_out_is_remembered_with_its_time(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        state = rule.begin(0.01, per_second=1)
        record = Record(
            seq=1, at_ms=1_700_000_000_000, kind="moved", carrying=NEW, candidate=MIDDLE,
            before=state, counted=state, after=state, reason="all traffic goes to the other one",
        )  # fmt: skip
        await at.store.save_watch(None, taken_out(NEW), records=(record,))
        made = await begin(at)
        (sentence,) = made.remembered
        assert sentence == (
            f"failover took {NEW} out at 2023-11-14T22:13:20.000Z: all traffic goes to the other "
            "one; `tollkeeper failover explain stripe`"
        )


# dry run, and how long it takes


async def test_a_rehearsal_says_what_would_refuse_and_starts_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as at:
        closed = await starting.rehearse(at.runtime, NEW, PLAN)
        assert closed.refusals == ("no description of stripe was ever checked",)
        assert closed.baseline == MIDDLE
        wrong = await starting.rehearse(
            at.runtime, NEW, replace(PLAN, steps_percent=(5, 5), alpha=7), override="known"
        )
        assert [fault.partition(":")[0] for fault in wrong.refusals] == ["/steps_percent", "/alpha"]
        assert wrong.estimate is None
        carries = await starting.rehearse(at.runtime, MIDDLE, PLAN, override="known")
        assert "carries 100 %" in carries.refusals[0]
        with pytest.raises(Forbidden):
            await starting.rehearse(at.runtime, NEW, PLAN, owner="acme")
        assert await at.store.list_rollouts(10) == []
        assert "advance" not in await at.store.count_jobs()
        assert await events(at, "rollout.started") == []
        fine = await starting.rehearse(at.runtime, NEW, PLAN, override="known")
        assert fine.refusals == ()
        await begin(at)
        busy = await starting.rehearse(at.runtime, NEW, PLAN, override="known")
        assert busy.refusals == ("another rollout of stripe is running; end it first",)
        apart = await starting.rehearse(
            at.runtime, NEW, PLAN, override="known", condition=Condition(account="acme")
        )
        assert len(apart.refusals) == 1, "the running one is everybody's"


async def test_the_time_that_is_left_follows_the_traffic(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await begin(at)
        idle = await forecast(at.store, made)
        assert (idle.per_second, idle.seconds) == (0, None)
        now_s = at.store.now_ms() // 1000
        await at.store.add_counts(now_s - 300, {MIDDLE: 600})
        slow = await forecast(at.store, made)
        assert slow.per_second == 1
        await at.store.add_counts(now_s - 30, {MIDDLE: 600})
        busy = await forecast(at.store, made)
        assert busy.per_second == 10
        assert slow.seconds is not None
        assert busy.seconds is not None
        assert busy.seconds < slow.seconds


async def test_payments_that_do_not_count_make_it_longer(tmp_path: Path) -> None:
    """Customers who come back: at a small share most of their payments are not counted."""
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, dwell_seconds=0))
        for number in range(1, 16):
            await shop(at, 10, first=number * 100)
            await at.store.add_counts(at.store.now_ms() // 1000, {MIDDLE: 20, NEW: 20})
            at.clock.now += 1
        now = await found(at, made)
        left = await forecast(at.store, now)
        counted = left.per_second * left.seconds if left.seconds is not None else 0
        assert left.payments == pytest.approx(counted, rel=0.01)
        alone = replace(now, created_ms=at.store.now_ms())  # nothing to compare with
        assert (await forecast(at.store, alone)).payments < left.payments / 2


async def test_payments_that_a_condition_excludes_do_not_count_for_its_time(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        for number in range(8):
            await at.create(customer=f"c{number}", currency="EUR" if number < 2 else "USD")
        now_s = at.store.now_ms() // 1000
        await at.store.add_counts(now_s - 30, {MIDDLE: 600})
        at.clock.now += 1
        narrow = await starting.rehearse(
            at.runtime, NEW, PLAN, override="known", condition=Condition(currency="EUR")
        )
        assert narrow.estimate is not None
        assert narrow.estimate.per_second == pytest.approx(2.5)


# pause, resume, one step


async def test_a_paused_rollout_keeps_its_share_and_goes_no_step_further(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        with pytest.raises(Invalid):
            await commands.pause(at.runtime, made.id, reason=" ", actor="test")
        held = await commands.pause(at.runtime, made.id, reason="a sale", actor="test")
        assert held.share_ppm == made.share_ppm > 0
        assert what_is_wrong(held) == "paused: a sale"
        for number in range(1, 90):
            await shop(at, 20, first=number * 100)
            at.clock.now += 5
        now = await found(at, made)
        assert (now.status, now.step, now.share_ppm) == ("running", 0, made.share_ppm)
        assert now.certificates[0].granted
        assert "paused by an operator: a sale" in now.waiting
        await commands.resume(at.runtime, made.id, reason="over", actor="test")
        for number in range(100, 200):
            await shop(at, 20, first=number * 100)
            at.clock.now += 5
            if (await found(at, made)).status == "promoted":
                break
        assert (await found(at, made)).status == "promoted"
        assert (await events(at, "rollout.paused"))[0]["reason"] == "paused: a sale"
        assert (await events(at, "rollout.resumed"))[0]["reason"] == "resumed: over"
        explained = await explain.explain(at.runtime, made.id)
        assert explained.same
        with pytest.raises(Conflict):
            await commands.pause(at.runtime, made.id, reason="late", actor="test")


async def test_a_paused_rollout_is_rolled_back_all_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        await commands.pause(at.runtime, made.id, reason="a sale", actor="test")
        at.fault("sunset", when="before", status=410, api_version=NEW.partition("@")[2])
        for number in range(1, 30):
            await shop(at, 4, first=number * 100)
        assert (await found(at, made)).status == "rolled_back"
        assert (await found(at, made)).paused == ""
        with pytest.raises(Conflict):
            await commands.resume(at.runtime, made.id, actor="test")


async def test_a_paused_rollout_still_ends_when_its_time_is_up(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await begin(at, replace(PLAN, limit_seconds=60))
        await commands.pause(at.runtime, made.id, reason="a sale", actor="test")
        at.clock.now += 61
        await shop(at, 1)
        assert (await found(at, made)).status == "inconclusive"


async def test_a_shadow_that_is_paused_stays_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await begin(at)
        await commands.pause(at.runtime, made.id, reason="not yet", actor="test")
        await shop(at, 6)
        assert (await found(at, made)).status == "shadow"
        await commands.resume(at.runtime, made.id, actor="test")
        with pytest.raises(Conflict, match="not paused"):
            await commands.resume(at.runtime, made.id, actor="test")
        await shop(at, 2, first=50)
        assert (await found(at, made)).status == "running"


async def test_one_step_is_taken_on_an_operators_word_and_no_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await begin(at, replace(FAR, dwell_seconds=1e6))
        with pytest.raises(Invalid):
            await commands.step(at.runtime, made.id, reason="", actor="test")
        shares: list[tuple[str, float]] = []
        for _ in range(3):
            now = await commands.step(at.runtime, made.id, reason="the bank said so", actor="me")
            await shop(at, 4, first=len(shares) * 10)
            shares.append(((await found(at, made)).status, now.step_percent))
        assert shares == [("running", 5), ("running", 20), ("running", 50)]
        with pytest.raises(Conflict, match="rollout promote"):
            await commands.step(at.runtime, made.id, reason="on", actor="me")
        told = [r for r in await explain.all_records(at.runtime, made.id) if r.actor == "me"]
        assert [record.detail for record in told] == ["one step: the bank said so"] * 3
        assert len(await events(at, "rollout.advanced")) >= 3
        assert (await explain.explain(at.runtime, made.id)).same


async def test_a_step_by_hand_does_not_lift_a_share_that_is_held_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(FAR, dwell_seconds=1e6, floor_percent=2))
        now = await found(at, made)
        assert now.cautious
        after = await commands.step(at.runtime, made.id, reason="on", actor="me")
        assert (after.step_percent, after.share_ppm) == (20, 20_000)
        assert "held back by" in what_is_wrong(after)


async def test_a_plan_that_has_ended_takes_no_step(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, steps_percent=(50,)))
        with pytest.raises(Conflict, match="the plan ends at 50 %"):
            await commands.step(at.runtime, made.id, reason="on", actor="me")
