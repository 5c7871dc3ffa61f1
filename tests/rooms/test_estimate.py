"""How long a promotion takes: the estimate beside seeded streams of payments.

Stated: the mean of several runs is within a factor of 2 of the estimate, each run within 4. Before
the start the rate of declines is a guess, which alone makes a factor of 1.3 here.
"""

import random
import statistics

import pytest
from msgspec.structs import replace
from tests.rooms.test_rollouts import rollout

from tollkeeper.rollouts import deciding
from tollkeeper.rollouts.counting import Counted
from tollkeeper.rollouts.estimate import Traffic, estimate, in_words, lasting
from tollkeeper.rollouts.rollout import Crossings, Plan, Rollout, Shadows, start
from tollkeeper.rollouts.units import Seen

DEFAULT = Plan(steps_percent=(1, 5, 25, 50, 100))
QUICK = Plan(steps_percent=(25, 50, 100), dwell_seconds=10, floor_percent=5)
MEAN, EACH = 2.0, 4.0
RUNS = 4


def shadowing(plan: Plan) -> Rollout:
    return start(rollout(plan=plan, status="shadow"))


def units(
    now: Rollout, count: int, failing: float, declining: float, chance: random.Random
) -> tuple[Seen, ...]:
    share = now.share_ppm
    return tuple(
        Seen(
            share_ppm=share,
            canary=chance.random() < share / 1e6,
            failed=(failed := chance.random() < failing),
            unreadable=False,
            declined=not failed and chance.random() < declining,
            latency_ms=round(chance.lognormvariate(5, 0.3)),
        )
        for _ in range(count)
    )


def lived(
    now: Rollout, per_second: int, seed: int, *, failing: float = 0.004, declining: float = 0.08
) -> list[tuple[float, Rollout]]:
    """A sound candidate's rollout, second by second, until it ends."""
    chance = random.Random(seed)  # noqa: S311 - a seeded stream
    seen: list[tuple[float, Rollout]] = []
    for second in range(1, 30_000):
        at_ms = second * 1_000
        batch = units(now, per_second, failing, declining, chance) if now.is_running else ()
        counted = Counted(
            units=batch,
            crossings=Crossings(agreed=50, asked=50),
            shadows=Shadows(computed=min(per_second * second, 20)),
        )
        now, _ = deciding.advance(now, counted, at_ms)
        seen.append((float(second), now))
        if not now.is_running and not now.is_shadow:
            break
    return seen


@pytest.mark.parametrize(
    ("plan", "per_second"),
    [(DEFAULT, 20), (QUICK, 20)],
    ids=["default", "quick"],
)
def test_the_estimate_before_the_start_is_what_healthy_rollouts_take(
    plan: Plan, per_second: int
) -> None:
    told = estimate(shadowing(plan), Traffic(per_second=per_second), 0)
    assert told.seconds is not None
    runs = [lived(shadowing(plan), per_second, seed) for seed in range(1, RUNS + 1)]
    taken = [run[-1][0] for run in runs if run[-1][1].status == "promoted"]
    assert len(taken) == RUNS
    assert told.seconds / MEAN <= statistics.fmean(taken) <= told.seconds * MEAN
    assert all(told.seconds / EACH <= one <= told.seconds * EACH for one in taken)
    assert told.payments == pytest.approx(told.seconds * per_second, rel=0.05)


def test_the_estimate_while_it_runs_counts_what_is_left() -> None:
    run = lived(shadowing(QUICK), 20, 3)
    end = run[-1][0]
    last = len(run) // 4
    for second, now in (run[last], run[2 * last]):
        told = estimate(now, Traffic(per_second=20), round(second * 1000))
        assert told.seconds is not None
        left = end - second
        assert left / EACH <= told.seconds <= left * EACH
    assert estimate(run[-1][1], Traffic(per_second=20), 0).steps == ()


def test_a_second_as_long_needs_twice_the_traffic() -> None:
    whole = estimate(shadowing(QUICK), Traffic(per_second=10), 0)
    half = estimate(shadowing(QUICK), Traffic(per_second=10, counted=0.5), 0)
    assert whole.seconds is not None
    assert half.seconds is not None
    assert half.seconds == pytest.approx(2 * whole.seconds, rel=0.15)
    assert half.payments == pytest.approx(2 * whole.payments, rel=0.15)


def test_without_traffic_the_payments_are_known_and_the_time_is_not() -> None:
    told = estimate(shadowing(DEFAULT), Traffic(per_second=0), 0)
    assert told.seconds is None
    assert told.payments > 1_000
    assert "unknown, no payments in the last ten minutes" in in_words(told)


def test_dwell_approvals_and_the_time_limit_are_told() -> None:
    plan = replace(QUICK, dwell_seconds=3_600, pause_at=(25,), limit_seconds=600)
    told = estimate(shadowing(plan), Traffic(per_second=50), 0)
    assert [step.by for step in told.steps] == ["shadow", "dwell", "dwell"]
    assert [step.approval for step in told.steps] == [False, True, False]
    assert told.seconds == pytest.approx(7_200, rel=0.01)
    assert not told.in_time
    words = in_words(told)
    assert "25 % 60 min (dwell) and an approval" in words
    assert "its time is up before that" in words


def test_a_plan_that_promotes_nothing_says_where_it_ends() -> None:
    plan = Plan(steps_percent=(5, 25))
    told = estimate(shadowing(plan), Traffic(per_second=50), 0)
    assert in_words(told).startswith("the plan's end at 25 % in about")
    at_its_end = replace(start(rollout(plan=plan)), step=1)
    told = estimate(at_its_end, Traffic(per_second=50), 0)
    assert in_words(told) == "nothing is left: the plan ends at 25 %"


def test_beside_a_failing_baseline_neither_dwell_nor_declines_are_waited_for() -> None:
    now = start(rollout(plan=replace(QUICK, dwell_seconds=3_600)))
    now = replace(now, baseline_fails=True, cautious=False)
    told = estimate(now, Traffic(per_second=50), 0)
    assert {step.by for step in told.steps} == {"failures"}
    units = tuple(
        Seen(share_ppm=250_000, canary=n % 4 == 0, failed=n % 4 != 0, unreadable=False,
             declined=False, latency_ms=1)
        for n in range(40)
    )  # fmt: skip
    seen = Counted(units=units, crossings=Crossings(agreed=9, asked=9), baseline_fails=True)
    broken, _ = deciding.advance(now, seen, 1_000)
    assert estimate(broken, Traffic(per_second=50), 0).payments < told.payments / 4


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (90, "90 s"), (1_250, "20.8 min"), (10_000, "2.78 h"), (400_000, "4.63 days")],
)
def test_a_duration_is_told_in_its_unit(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
