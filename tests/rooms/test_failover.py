"""The rule of failover: its wealths are fair bets, and it moves on proof alone."""

import random
from collections.abc import Callable
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.rule import State, Trial, begin, counted, healthy
from tollkeeper.failover.state import Kind, decided, is_told
from tollkeeper.failover.streams import Stream
from tollkeeper.payments.change import EVENT_TYPES
from tollkeeper.settings import Policy

RATES = st.floats(0.001, 0.2)
WEALTHS = st.floats(1e-3, 1e4)


def alarmed(state: State) -> State:
    """The state after V has failed beyond its history, with nothing staked."""
    return replace(state, r=(rule.ALARM,) * 3, alarmed=True)


# Fair bets: the mean of each factor is 1 while the null is true


@given(st.booleans(), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_s_is_fair_where_both_second_attempts_would_end_alike(
    ok: bool, before: list[tuple[bool, bool]]
) -> None:
    state = begin(0.01, per_second=5)
    for again, went in before:
        state = rule._staked(state, again=again, ok=went)
    ends = [rule._staked(state, again=again, ok=ok).wealth_s for again in (True, False)]
    assert sum(ends) / 2 == pytest.approx(state.wealth_s)


@given(st.floats(0.05, 0.95), st.booleans())
def test_t_and_u_are_fair_where_v_and_w_fail_alike(share: float, bad: bool) -> None:
    for wealths, pairs in ((begin(0.01, per_second=5).t, rule.UPWARD),
                           (begin(0.01, per_second=5).u, rule.DOWNWARD)):  # fmt: skip
        through_w = rule._arms(wealths, pairs, share, through_w=True, bad=bad)
        through_v = rule._arms(wealths, pairs, share, through_w=False, bad=bad)
        mean = share * sum(through_w) + (1 - share) * sum(through_v)
        assert mean == pytest.approx(sum(wealths))


@given(RATES, st.tuples(WEALTHS, WEALTHS, WEALTHS))
def test_r_grows_by_one_on_average_at_the_rate_of_the_history(
    rate: float, wealths: tuple[float, float, float]
) -> None:
    state = replace(begin(rate, per_second=5), r=wealths)
    failed = rule._stepped(state, failed=True).wealth_r
    passed = rule._stepped(state, failed=False).wealth_r
    assert rate * failed + (1 - rate) * passed == pytest.approx(1 + state.wealth_r)


# What moves, and what does not


def play(payment: Callable[[random.Random, State], Trial], most: int, seed: int = 1) -> State:
    """The state after `most` payments from the onset, or when it has moved or stopped."""
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    state = healthy(begin(0.005, per_second=5), 5_000)
    for _ in range(most):
        state = counted(state, payment(chance, state))
        if state.phase in {"moved", "stopped"}:
            break
    return state


def test_a_version_that_proves_of_no_use_after_the_start_is_left_though_all_is_rescued() -> None:
    """Healthy payments of before the fault may be counted late, so that V looked useful."""
    state = alarmed(begin(0.01, per_second=5))
    state = replace(state, phase="ramp", share=rule.SMALL, by_told=True, recent=(False,) * 16)
    chance = random.Random(3)  # noqa: S311 - seeded on purpose
    for _ in range(200):
        through_w = chance.random() < state.share
        first = "ok" if through_w else "unreadable"
        told = Trial(first=first, share=state.share, through_w=through_w)  # type: ignore[arg-type]
        state = counted(state, told)
        if state.phase == "moved":
            break
    assert (state.phase, state.by_told) == ("moved", False)


def refused(v_fails: float, w_fails: float) -> Callable[[random.Random, State], Trial]:
    def payment(chance: random.Random, state: State) -> Trial:
        through_w = chance.random() < state.share
        if chance.random() >= (w_fails if through_w else v_fails):
            return Trial(first="ok", through_w=through_w)
        if through_w:
            return Trial(first="refused", through_w=True, told_bad=True)
        again = chance.random() < 0.5
        second_ok = chance.random() >= (v_fails if again else w_fails)
        third_ok = chance.random() >= w_fails if again and not second_ok else None
        return Trial(
            first="refused",
            second="again" if again else "other",
            second_ok=second_ok,
            third_ok=third_ok,
            told_bad=not (second_ok or third_ok),
        )

    return payment


def unreadable(v_fails: float, *, w_reads: bool) -> Callable[[random.Random, State], Trial]:
    def payment(chance: random.Random, state: State) -> Trial:
        if chance.random() < state.share:
            return Trial(first="ok" if w_reads else "unreadable", through_w=True,
                         told_bad=not w_reads)  # fmt: skip
        if chance.random() >= v_fails:
            return Trial(first="ok")
        return Trial(first="unreadable", read_over=w_reads, told_bad=True)

    return payment


def dead(v_fails: float, w_fails: float) -> Callable[[random.Random, State], Trial]:
    def payment(chance: random.Random, state: State) -> Trial:
        through_w = chance.random() < state.share
        failed = chance.random() < (w_fails if through_w else v_fails)
        return Trial(first="dead" if failed else "ok", through_w=through_w, told_bad=failed)

    return payment


@pytest.mark.parametrize(
    "payment",
    [refused(1.0, 0.0), unreadable(1.0, w_reads=True), unreadable(0.25, w_reads=True),
     dead(1.0, 0.0)],
    ids=["refused", "unreadable", "unreadable 1 of 4", "dead"],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(5))
def test_what_is_v_alone_moves(payment: Callable[[random.Random, State], Trial], seed: int) -> None:
    assert play(payment, 500, seed).phase == "moved"


@pytest.mark.parametrize("seed", range(10))
def test_what_is_refused_in_part_and_rescued_begins_and_need_not_complete(seed: int) -> None:
    state = play(refused(0.75, 0.0), 500, seed)
    assert state.phase == "moved" or (state.phase == "ramp" and state.by_told)


@pytest.mark.parametrize("seed", range(10))
def test_a_useless_version_is_left_within_50_payments(seed: int) -> None:
    assert play(refused(1.0, 0.0), 50, seed).phase == "moved"
    assert play(unreadable(1.0, w_reads=True), 50, seed).phase == "moved"


@pytest.mark.parametrize(
    "payment",
    [refused(1.0, 1.0), unreadable(1.0, w_reads=False), dead(1.0, 1.0)],
    ids=["refused", "unreadable", "dead"],
)
@pytest.mark.parametrize("seed", range(5))
def test_what_hits_every_version_moves_nothing_and_is_said(
    payment: Callable[[random.Random, State], Trial], seed: int
) -> None:
    state = play(payment, 400, seed)
    assert (state.phase == "moved", state.none_works) == (False, True)


@pytest.mark.parametrize("seed", range(20))
def test_a_brown_out_that_second_tries_pass_moves_nothing(seed: int) -> None:
    def payment(chance: random.Random, state: State) -> Trial:
        if chance.random() < 0.5:
            return Trial(first="ok", through_w=chance.random() < state.share)
        again = chance.random() < 0.5
        return Trial(first="refused", second="again" if again else "other", second_ok=True)

    assert play(payment, 2_000, seed).phase == "watch"


def test_declines_and_later_are_no_evidence() -> None:
    state = begin(0.005, per_second=5)
    for _ in range(500):
        state = counted(state, Trial(first="later"))
    assert state == begin(0.005, per_second=5)
    for _ in range(500):
        state = counted(state, Trial(first="declined"))
    assert state.wealth_r < rule.QUIET


def test_an_episode_ends_when_v_is_well_again() -> None:
    state = play(refused(1.0, 1.0), 20)
    assert state.is_open
    after = healthy(state, 2_000)
    assert (after.phase, after.share, after.wealth_s, after.is_open) == ("watch", 0.0, 1.0, False)


def test_a_worse_w_is_stopped_and_stays_so() -> None:
    ramp = replace(alarmed(begin(0.005, per_second=5)), phase="ramp", share=0.25)
    state = ramp
    for _ in range(60):
        state = counted(state, Trial(first="refused", through_w=True, told_bad=True))
        state = counted(state, Trial(first="ok"))
        if state.phase == "stopped":
            break
    assert (state.phase, state.share) == ("stopped", 0.0)
    assert counted(state, Trial(first="refused")) is state


def test_a_w_of_which_nothing_is_heard_gets_no_more() -> None:
    ramp = replace(alarmed(begin(0.005, per_second=5)), phase="explore", share=0.1, by_told=False)
    state = ramp
    for _ in range(500):
        state = counted(state, Trial(first="dead", share=0.1, told_bad=True))
    assert (state.wealth_t > rule.A_FULL, state.phase, state.share) == (True, "explore", 0.1)
    for _ in range(500 // 9 // 2 + 1):
        state = counted(state, Trial(first="ok", share=0.1, through_w=True))
    assert state.phase == "moved"


def test_another_try_does_not_take_the_word_back_that_no_version_works() -> None:
    state = replace(alarmed(begin(0.005, per_second=5)), dead=32, explore_at=32, none_works=True)
    state = counted(state, Trial(first="dead", told_bad=True))
    assert (state.phase, state.none_works) == ("explore", True)
    well, helped = state, state
    for _ in range(rule.RECOVERED):
        well = counted(well, Trial(first="ok", share=0.1))
    assert (well.phase, well.none_works) == ("explore", False)
    while helped.phase == "explore":
        helped = counted(helped, Trial(first="ok", share=0.1, through_w=True))
    assert (helped.phase, helped.none_works) == ("ramp", False)


@pytest.mark.parametrize(("good", "none_works"), [(0, True), (1, False)])
def test_a_w_that_fails_now_and_then_is_not_said_to_fail(good: int, *, none_works: bool) -> None:
    explore = replace(alarmed(begin(0.001, per_second=5)), phase="explore", share=0.1)
    state = explore
    while state.phase == "explore":
        for _ in range(good):
            state = counted(state, Trial(first="ok", share=0.1, through_w=True))
        for number in range(10):
            bad = not good or number % 2 == 0
            trial = Trial(first="dead" if bad else "ok", share=0.1, told_bad=bad)
            state = counted(state, trial)
        state = counted(state, Trial(first="dead", share=0.1, through_w=True, told_bad=True))
    assert (state.phase, state.none_works) == ("watch", none_works)


def test_slow_traffic_needs_less_and_what_is_unseen_never_starts() -> None:
    assert begin(0.0, per_second=0.5).a_start == 100
    assert begin(0.0, per_second=20).a_start == 10_000
    rich = replace(alarmed(begin(0.005, per_second=5)), s=(1e9, 0.0, 0.0))
    assert counted(rich, Trial(first="refused")).phase == "watch"


@given(st.lists(st.sampled_from(["ok", "refused", "unreadable", "dead", "declined", "later"]),
                max_size=60), st.integers(0, 2**32))  # fmt: skip
def test_wealths_stay_numbers_whatever_comes(firsts: list[str], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    state = begin(0.001, per_second=5)
    for first in firsts:
        state = counted(state, Trial(
            first=first,  # type: ignore[arg-type]
            through_w=chance.random() < state.share,
            told_bad=chance.random() < 0.5,
            second=chance.choice(("", "again", "other")),
            second_ok=chance.random() < 0.5,
            third_ok=chance.choice((None, True, False)),
            read_over=chance.choice((None, True, False)),
        ))  # fmt: skip
        wealths = (state.wealth_r, state.wealth_s, state.wealth_t, state.wealth_u, state.none)
        assert all(0 <= wealth < float("inf") for wealth in wealths)
        assert 0 <= state.share <= 1


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_a_history_of_nothing_or_of_failures_alone_is_bounded(rate: float) -> None:
    state = begin(rate, per_second=5)
    assert rule.LEAST_RATE <= state.rate <= rule.MOST_RATE
    assert counted(state, Trial(first="refused")).wealth_r > state.wealth_r


def test_whatever_is_told_has_an_event_type() -> None:
    told = {f"failover.{kind}" for kind in get_args(Kind.__value__) if is_told(kind)}
    assert told == {name for name in EVENT_TYPES if name.startswith("failover.")}


@pytest.mark.parametrize(
    ("policy", "may_start", "kind"), [("ask", True, "proposed"), ("automatic", False, "counted")]
)
def test_what_moved_within_one_look_is_held_as_what_only_started(
    policy: Policy, may_start: bool, kind: Kind
) -> None:
    before = alarmed(begin(0.01, per_second=5))
    moved = replace(before, phase="moved", share=1.0, read_over=9, recent=(True,) * 16)
    stream = Stream(carrying="v", candidate="w", state=before)
    after, found = decided(stream, moved, policy, may_start=may_start, has_moved=False, more=False)
    assert (after.state.phase, after.state.share, found) == ("watch", 0.0, kind)


def test_wealths_stay_numbers_however_long_a_fault_lasts() -> None:
    unread = Trial(first="unreadable", read_over=False, told_bad=True)
    rescued = Trial(first="refused", second="other", second_ok=True)
    drawn = Trial(first="dead", told_bad=True, share=0.5)
    for trial in (unread, rescued, drawn):
        state = begin(0.001, per_second=5)
        for _ in range(3_000):
            state = counted(replace(state, phase="ramp" if trial.share else "watch"), trial)
        assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state
