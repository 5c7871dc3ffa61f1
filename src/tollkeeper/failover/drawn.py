"""Payments that were drawn for V or for W, counted in the order in which they began.

Law: the n-th drawn payment counts after all that began before it. Which of two versions answers
sooner then says nothing, and the product of factors is of a sequence that no latency chose. A
payment that is not over in `SLOW_MS` is bad for its shopper, and counts as such, whatever comes
later: what a payment counts as never depends on when it is looked at.

Ville's inequality bounds the chance that the products of *any* beginning of that sequence reach
`A`, so that every look may act on as much of it as is known.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.rule import State, Trial

SLOW_MS: Final = 5_000
"""A shopper who has waited so long has been badly served. The patience of one request is 30 s by
default, and one that hangs holds up what T may count: at 20 payments a second, of which one in 200
hangs, T is nearly always so far behind. Where sound payments take longer than this, T sees both
versions as bad, and nothing moves."""

MOST_PENDING: Final = 2_000
"""Drawn payments that are remembered at a time. More are not counted, whatever becomes of them."""


class Step(msgspec.Struct, frozen=True):
    """`healthy` first attempts of V that did not fail, and the payment after them. `bad`: the
    payment, that of the trial `drawn`, counts in T and U alone, and was bad (T's word) or not."""

    healthy: int
    trial: Trial | None = None
    bad: bool | None = None
    drawn: str = ""

    @property
    def payments(self) -> int:
        """First attempts that it is about; one that was drawn has had a step before."""
        return self.healthy + (self.trial is not None and self.bad is None)


class Drawn(msgspec.Struct, frozen=True, array_like=True):
    """A drawn payment that T and U have not counted: when it began, the chance that it had to go
    through W, whether it does, and what T is to count of it, which was said when it began. `trial`
    is there once it is over."""

    id: str
    began_ms: int
    share: float
    through_w: bool
    by_told: bool = True
    trial: Trial | None = None


class Begun(msgspec.Struct, frozen=True):
    """A payment was drawn at `at_ms`."""

    id: str
    at_ms: int
    share: float
    through_w: bool


class Over(msgspec.Struct, frozen=True):
    """A payment was over at `at_ms`, after `healthy` first attempts of V that did not fail."""

    id: str
    at_ms: int
    healthy: int
    trial: Trial


type Happened = Begun | Over


class Counted(msgspec.Struct, frozen=True):
    """The state after what happened, the steps that gave it, and what is still to be counted."""

    state: State
    steps: tuple[Step, ...]
    pending: tuple[Drawn, ...]


def stepped(state: State, step: Step) -> State:
    """The state after one step."""
    state = rule.healthy(state, step.healthy)
    if step.trial is None:
        return state
    if step.bad is None:
        return rule.counted(state, step.trial)
    return rule.drawn(state, step.trial, bad=step.bad)


def counted(
    state: State, pending: tuple[Drawn, ...], happened: Iterable[Happened], now_ms: int
) -> Counted:
    """What `happened`, in its order, counted: V's own failures at once, and drawn payments in the
    order in which they began, those that are over or late by `now_ms`."""
    steps: list[Step] = []
    left = list(pending) if state.share > 0 else []
    for one in happened:
        if isinstance(one, Begun):
            if state.share > 0 and len(left) < MOST_PENDING:
                left.append(Drawn(one.id, one.at_ms, one.share, one.through_w, state.by_told))
            continue
        steps.append(Step(one.healthy, replace(one.trial, share=0.0)))
        state = stepped(state, steps[-1])
        left = _with_end(left, one)
        state, left = _released(state, left, steps, one.at_ms)
    state, left = _released(state, left, steps, now_ms)
    return Counted(state, tuple(steps), tuple(left))


def _with_end(pending: list[Drawn], over: Over) -> list[Drawn]:
    return [replace(one, trial=_judged(one, over)) if one.id == over.id else one for one in pending]


def _judged(drawn: Drawn, over: Over) -> Trial:
    """The trial of a drawn payment that is over, with the chance that it was drawn with."""
    if over.at_ms - drawn.began_ms > SLOW_MS:
        return _late(drawn)
    return replace(over.trial, share=drawn.share, through_w=drawn.through_w)


def _late(drawn: Drawn) -> Trial:
    return Trial(first="dead", share=drawn.share, through_w=drawn.through_w, told_bad=True)


def _released(
    state: State, pending: list[Drawn], steps: list[Step], now_ms: int
) -> tuple[State, list[Drawn]]:
    """The state after the payments of the beginning that are known, whose steps are added. Where
    the share has ended, what it drew says nothing about a later one."""
    known = 0
    for one in pending:
        trial = one.trial
        if trial is None and now_ms - one.began_ms > SLOW_MS:
            trial = _late(one)
        if trial is None or state.share <= 0:
            break
        known += 1
        if trial.first == "later":
            continue  # "not now" is no evidence
        bad = trial.told_bad if one.by_told else trial.is_failure
        steps.append(Step(0, trial, bad, one.id))
        state = stepped(state, steps[-1])
    return state, pending[known:] if state.share > 0 else []
