"""A rollout whose baseline fails itself: what is compared with it, and what is not."""

import random

from msgspec.structs import replace
from tests.rooms.test_rollouts import OLD, rollout

from tollkeeper.failover import rule
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.rollouts import counting, deciding
from tollkeeper.rollouts.counting import Counted
from tollkeeper.rollouts.failing import distrusted, is_failing
from tollkeeper.rollouts.rollout import Crossings, Decision, Plan, Rollout
from tollkeeper.rollouts.units import Seen

HALF = Plan(steps_percent=(50, 100), dwell_seconds=1e6, floor_percent=50)
AGREED = Crossings(agreed=50, asked=50)


def watch(carrying: str, *, alarmed: bool, taken_out: tuple[str, ...] = ()) -> Watch:
    state = replace(rule.begin(0.01, per_second=1), alarmed=alarmed)
    stream = Stream(carrying=carrying, candidate="", state=state)
    return Watch(provider="stripe", streams=(stream,), salt="s", taken_out=taken_out)


def fate(canary: bool, *, failed: bool = False, declined: bool = False) -> Seen:
    return Seen(
        share_ppm=500_000, canary=canary, failed=failed, unreadable=False, declined=declined,
        latency_ms=1 if failed else 100,
    )  # fmt: skip


def looks(
    now: Rollout, count: int, *, baseline: float, canary: float, declined: float, fails: bool = True
) -> tuple[Rollout, Decision]:
    """`count` looks at ten units each: the rates at which the arms fail, and a candidate's
    declines, which a failing baseline does not have."""
    chance = random.Random(7)  # noqa: S311 - a seeded stream
    decision = Decision(kind="hold", reason="")
    for number in range(count):
        units = []
        for _ in range(10):
            on_canary = chance.random() < 0.5
            failed = chance.random() < (canary if on_canary else baseline)
            refused = not failed and chance.random() < declined
            units.append(fate(on_canary, failed=failed, declined=refused))
        seen = Counted(units=tuple(units), crossings=AGREED, baseline_fails=fails)
        now, decision = deciding.advance(now, seen, 1_000 + number)
        if decision.kind != "hold":
            break
    return now, decision


def test_only_the_version_that_carries_and_alarms_fails() -> None:
    assert is_failing(watch(OLD, alarmed=True), OLD)
    assert not is_failing(watch(OLD, alarmed=False), OLD)
    assert not is_failing(watch("stripe@1", alarmed=True), OLD)
    assert not is_failing(None, OLD)
    assert distrusted(watch(OLD, alarmed=True, taken_out=("b",))) == {OLD, "b"}
    assert distrusted(watch(OLD, alarmed=False, taken_out=("b",))) == {"b"}
    assert distrusted(None) == frozenset()


def test_declines_are_not_compared_with_a_baseline_that_fails() -> None:
    """Its declines vanish, because its payments fail: a usual rate looks like a bad candidate."""
    now, decision = looks(
        rollout(plan=replace(HALF, steps_percent=(50,))), 60, baseline=1, canary=0, declined=0.1
    )
    assert (now.status, decision.kind) == ("running", "hold")
    assert not now.cautious
    believed, decision = looks(
        rollout(plan=replace(HALF, steps_percent=(50,))),
        60, baseline=1, canary=0, declined=0.1, fails=False,
    )  # fmt: skip
    assert believed.status == "rolled_back"
    assert decision.reason.startswith(("decline", "slower"))


def test_a_failing_baseline_does_not_keep_its_cure_waiting() -> None:
    """Neither dwell nor declines hold a candidate that works."""
    now, decision = looks(rollout(plan=HALF), 60, baseline=1, canary=0, declined=0.1)
    assert (now.status, decision.kind) == ("promoted", "promote")
    assert "the baseline stripe@2022-08-01 fails itself" in decision.reason
    assert now.watch is not None
    assert now.watch.rate < 0.01, "compares with what the candidate did, not with the failures"


def test_a_candidate_that_fails_less_than_a_failing_baseline_is_not_promoted_for_it() -> None:
    now, decision = looks(rollout(plan=HALF), 100, baseline=1, canary=0.3, declined=0)
    assert (now.status, decision.kind) == ("running", "hold")
    assert "canary payments failed, more than before" in decision.reason
    now, decision = looks(rollout(plan=HALF), 100, baseline=1, canary=0, declined=0.9)
    assert (now.status, decision.kind) == ("running", "hold")
    assert "canary payments were declined, more than before" in decision.reason


def test_a_candidate_that_fails_more_than_a_failing_baseline_is_taken_out() -> None:
    now, decision = looks(rollout(plan=HALF), 100, baseline=0.3, canary=1, declined=0)
    assert (now.status, decision.kind) == ("rolled_back", "roll_back")
    assert decision.reason.startswith("failure")


def test_a_disagreement_counts_beside_a_failing_baseline() -> None:
    seen = Counted(crossings=Crossings(agreed=1, disagreed=1, asked=2), baseline_fails=True)
    _, decision = deciding.advance(rollout(plan=HALF), seen, 1)
    assert decision.kind == "roll_back"


def test_cross_reads_that_wait_for_a_failing_baseline_say_so() -> None:
    trusted = replace(rollout(plan=HALF), cautious=False)
    units = tuple(fate(n % 2 == 0) for n in range(100))
    seen = Counted(units=units, crossings=Crossings(agreed=10, asked=90), baseline_fails=True)
    now, _ = deciding.advance(trusted, seen, 1)
    assert "80 of 90 cross-reads are not answered" in now.waiting
    assert "fails itself, and failover decides" in now.waiting
    assert "`tollkeeper failover explain stripe`" in now.waiting
    seen = replace(seen, baseline_fails=False)
    now, decision = deciding.advance(now, seen, 1_100_000)
    assert "to stay" in decision.reason
    assert "fails itself" not in now.waiting
    assert now.alone == ()


def test_a_shadow_beside_a_failing_baseline_says_so_as_well() -> None:
    shadowing = rollout(plan=HALF, status="shadow")
    now, decision = deciding.advance(shadowing, Counted(baseline_fails=True), 61_000)
    assert (now.status, decision.kind, now.baseline_fails) == ("running", "advance", True)


def test_what_was_not_counted_computes_again_from_the_records() -> None:
    first = now = rollout(plan=replace(HALF, steps_percent=(50,)))
    told = []
    for number, fails in enumerate((False, True, True, False)):
        units = tuple(fate(n % 2 == 0, declined=n % 5 == 0) for n in range(40))
        seen = Counted(units=units, baseline_fails=fails)
        told.append(counting.tallies_of(now, seen))
        now, _ = deciding.advance(now, seen, number)
    assert [bool(tallies["decline"]) for tallies in told] == [True, False, False, True]
    assert [counting.ALONE in tallies for tallies in told] == [False, True, True, False]
    again = first
    for tallies in told:
        again = counting.count(again, tallies)
    assert again.evidence == now.evidence
    assert again.declines == now.declines
