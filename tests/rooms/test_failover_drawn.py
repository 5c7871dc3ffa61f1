"""Drawn payments count in the order in which they began, whichever version answers sooner."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.drawn import SLOW_MS, Begun, Happened, Over, Step, counted
from tollkeeper.failover.rule import State, Trial, begin
from tollkeeper.failover.streams import replayed


def ramping(share: float = 0.5) -> State:
    state = begin(0.01, per_second=5)
    high = (rule.MOST_R,) * len(state.r)
    return replace(state, phase="ramp", share=share, alarmed=True, r=high, by_told=False)


def began(number: int, *, w: bool, at_ms: int = 0) -> Begun:
    return Begun(f"p{number}", at_ms, 0.5, through_w=w)


def over(number: int, *, w: bool, bad: bool, at_ms: int = 1) -> Over:
    first = "dead" if bad else "ok"
    return Over(f"p{number}", at_ms, 0, Trial(first=first, through_w=w, told_bad=bad))  # type: ignore[arg-type]


def test_what_answers_sooner_waits_for_what_began_before() -> None:
    happened: list[Happened] = [began(n, w=n % 2 == 0) for n in range(40)]
    soon = [over(n, w=False, bad=True) for n in range(1, 40, 2)]
    made = counted(ramping(), (), [*happened, *soon], 10)
    assert made.state.t == ramping().t, "payment 0 is not over"
    assert len(made.pending) == 40
    late = [over(n, w=True, bad=True, at_ms=4_000) for n in range(0, 40, 2)]
    after = counted(made.state, made.pending, late, 4_000)
    assert not after.pending
    assert after.state.wealth_t < rule.A_HALF, "both fail alike"
    assert after.state.none_works


def test_a_payment_that_is_late_is_bad_whatever_comes_of_it() -> None:
    made = counted(ramping(), (), [began(0, w=True)], SLOW_MS)
    assert len(made.pending) == 1
    late = counted(made.state, made.pending, [], SLOW_MS + 1)
    bad = Trial(first="dead", share=0.5, through_w=True, told_bad=True)
    assert late.steps == (Step(0, bad, bad=True, drawn="p0"),)
    came = counted(made.state, made.pending, [over(0, w=True, bad=False, at_ms=SLOW_MS + 1)], 0)
    assert came.steps[-1] == late.steps[0]


def late_in_both(*, w_ends_bad: bool) -> tuple[State, State]:
    """Forty payments, every second through W: V's fail at once, and W's are late, then end."""
    state = replace(ramping(), recent=(True,) * rule.KEPT)
    drawn: list[Happened] = [began(n, w=n % 2 == 0) for n in range(40)]
    soon = [over(n, w=False, bad=True) for n in range(1, 40, 2)]
    made = counted(state, (), [*drawn, *soon], SLOW_MS + 1)
    ends = [over(n, w=True, bad=w_ends_bad, at_ms=30_000) for n in range(0, 40, 2)]
    return made.state, counted(made.state, made.pending, ends, 30_000).state


def test_what_is_late_and_succeeds_is_no_word_that_no_version_works() -> None:
    made, after = late_in_both(w_ends_bad=False)
    assert (made.w_seen, made.w_over) == (20, 0)
    assert (after.w_over, after.w_failed, after.none_works) == (20, 0, False)
    assert after.wealth_t < rule.A_HALF, "five seconds are bad for a shopper"


def test_what_hangs_says_that_no_version_works_once_it_has_failed() -> None:
    made, after = late_in_both(w_ends_bad=True)
    assert (made.none_works, after.none_works) == (False, True)


def test_not_now_is_no_evidence_and_holds_nothing_up() -> None:
    later = Over("p0", 1, 0, Trial(first="later", through_w=True, told_bad=True))
    made = counted(ramping(), (), [began(0, w=True), began(1, w=False), later], 2)
    assert [one.id for one in made.pending] == ["p1"]
    assert made.state.t == ramping().t


def test_what_a_share_drew_says_nothing_about_the_next_one() -> None:
    made = counted(ramping(), (), [began(0, w=True)], 1)
    again = counted(replace(ramping(), share=0.0, phase="watch"), made.pending, [], 1)
    assert again.pending == ()


def test_what_t_counts_of_a_payment_is_said_when_it_begins() -> None:
    told = replace(ramping(), by_told=True)
    rescued = Over("p0", 1, 0, Trial(first="refused", second="other", second_ok=True))
    made = counted(told, (), [began(0, w=False)], 0)
    after = counted(replace(made.state, by_told=False), made.pending, [rescued], 1)
    assert after.steps[-1].bad is False


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 4_900)), max_size=30),
       st.integers(1, 4_900))  # fmt: skip
def test_t_is_the_same_whenever_it_is_looked_at(
    payments: list[tuple[bool, bool, int]], look_ms: int
) -> None:
    """T after all payments does not depend on who answered sooner, nor on looks between."""
    begins: list[Happened] = [began(n, w=w) for n, (w, _, _) in enumerate(payments)]
    ends = [over(n, w=w, bad=bad, at_ms=at) for n, (w, bad, at) in enumerate(payments)]
    ends.sort(key=lambda one: one.at_ms)
    in_turn = [over(n, w=w, bad=bad) for n, (w, bad, _) in enumerate(payments)]
    once = counted(ramping(), (), [*begins, *in_turn], 4_901)
    first = counted(ramping(), (), [*begins, *(e for e in ends if e.at_ms <= look_ms)], look_ms)
    twice = counted(first.state, first.pending, [e for e in ends if e.at_ms > look_ms], 4_901)
    if "stopped" in {once.state.phase, twice.state.phase} or once.state.phase == "moved":
        assert (once.state.phase, once.state.t) == (twice.state.phase, twice.state.t)
        return
    assert (once.state.t, once.state.u) == (twice.state.t, twice.state.u)
    assert replayed(ramping(), (*first.steps, *twice.steps)) == twice.state
