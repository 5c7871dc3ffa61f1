"""Streams: what one version carries, whole or a slice of it, and what is known of that.

Law: a slice takes the traffic of its payments alone, and only where the failures are confined to
it; all traffic moves only by what is known of all of it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.drawn import Drawn, Step, stepped
from tollkeeper.failover.rule import State
from tollkeeper.routing.routes import Condition, RoutingContext
from tollkeeper.routing.rules import EVERYBODY, in_words

MOST_SLICES: Final = 20
"""Slices of one provider that are watched at a time."""

OUTSIDE: Final = 8
"""Payments outside of a slice that must have been seen before failures count as confined to it."""

INSIDE: Final = 0.95
"""The part of a version's failures that must be inside."""

QUIETER: Final = 10
"""How many times seldomer the version must fail outside than inside."""

NEXT_AT: Final = 100.0
"""N at which the next candidate is tried, where there is one."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Payments of `condition` that `carrying` (V) takes first. `candidate` is W, empty where no
    other version may take its payments; `tried` are candidates that did not help in this episode,
    and `helped_by` the version that ended the last payment which V could not, of which `cause` says
    what was wrong. `handled` and
    `failed` count V's first attempts that were told one by one since the episode began;
    `healthy_until_s`: the second up to which those that were not told are counted. `pending`:
    drawn payments that T and U have not counted. `operation`: the follow-ups of payments of the
    version `owner` that are meant, instead of authorizations."""

    carrying: str
    candidate: str
    state: State
    condition: Condition = EVERYBODY
    tried: tuple[str, ...] = ()
    helped_by: str = ""
    cause: str = ""
    handled: int = 0
    failed: int = 0
    since_ms: int = 0
    healthy_until_s: int = 0
    proposed: bool = False
    pending: tuple[Drawn, ...] = ()
    operation: str = ""
    owner: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is everything that the version carries."""
        return self.condition == EVERYBODY and not self.operation

    @property
    def meant(self) -> str:
        """Which payments or follow-ups it is about, for people; empty for all of the version."""
        said = f"{self.operation}s of payments of {self.owner}" if self.operation else ""
        return said or in_words(self.condition)

    @property
    def goes_on(self) -> bool:
        """Whether traffic has moved by it, or would."""
        return self.state.share > 0 or self.proposed

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing goes on."""
        return not self.state.is_open and self.state.share == 0


def replayed(before: State, steps: Iterable[Step]) -> State:
    """The state after `steps`."""
    state = before
    for step in steps:
        state = stepped(state, step)
    return state


def tallied(
    stream: Stream, state: State, steps: Iterable[Step], helped_by: str, cause: str
) -> Stream:
    """The stream with the payments of `steps` in its counts; they begin anew with an episode."""
    if not state.is_open:
        return replace(stream, handled=0, failed=0, tried=(), helped_by="", cause="")
    handled, failed = stream.handled, stream.failed
    for step in steps:
        trial = step.trial  # those before it are not known by slice
        is_first = trial is not None and step.bad is None and not trial.through_w
        if trial is not None and is_first and trial.first != "later":
            handled, failed = handled + 1, failed + trial.is_failure
    return replace(
        stream,
        handled=handled,
        failed=failed,
        helped_by=helped_by or stream.helped_by,
        cause=cause or stream.cause,
    )


def kept(streams: Sequence[Stream]) -> tuple[Stream, ...]:
    """The streams without slices of which nothing is to be known. While an episode of the whole is
    open they stay: what they counted is compared with what the whole did."""
    open_ = {stream.carrying for stream in streams if stream.is_whole and stream.state.is_open}
    return tuple(s for s in streams if s.is_whole or not s.is_at_rest or s.carrying in open_)


def slices_of(
    whole: Stream, failing: Iterable[RoutingContext], known: Collection[Stream]
) -> list[Stream]:
    """New streams for the slices of `whole` in which a payment failed, beside those `known`."""
    seen = {s.condition for s in known if s.carrying == whole.carrying}
    made: list[Stream] = []
    for facts in failing:
        for condition in _narrow(facts):
            if condition in seen or len(known) + len(made) >= MOST_SLICES:
                continue
            seen.add(condition)
            number = len(known) + len(made) + 1
            state = State(rate=whole.state.rate, a_start=whole.state.a_start * number)
            made.append(
                Stream(
                    carrying=whole.carrying,
                    candidate=whole.candidate,
                    condition=condition,
                    state=replace(state, explore_at=whole.state.explore_at),
                    since_ms=whole.since_ms,
                )
            )
    return made


def _narrow(facts: RoutingContext) -> list[Condition]:
    found = [Condition(currency=facts.currency), Condition(account=facts.account)]
    if facts.country is not None:
        found.append(Condition(country=facts.country))
    return found


def confined(whole: Stream, slices: Sequence[Stream]) -> Stream | None:
    """The slice that the failures of `whole` are confined to, if any: nearly all of them are
    inside, and outside the version was seen to work."""
    found = [s for s in slices if s.carrying == whole.carrying and _holds_all(whole, s)]
    return max(found, key=lambda s: (s.failed / s.handled, s.failed), default=None)


def _holds_all(whole: Stream, inner: Stream) -> bool:
    if not inner.failed:
        return False
    if not whole.state.is_open:
        return True  # all of it together does not fail more than before
    outside, failed = whole.handled - inner.handled, whole.failed - inner.failed
    if outside < OUTSIDE or inner.failed < INSIDE * whole.failed:
        return False
    return failed / outside * QUIETER <= inner.failed / inner.handled


def next_candidate(
    stream: Stream, sound: Sequence[str], unproved: Sequence[str], taken_out: Collection[str]
) -> str:
    """W. The present one stays while it is of use, or nothing else may take its place. Else it is,
    of the versions in `sound` that were not taken out or tried, the one that helped last, or the
    first; where there is none, a candidate of a running rollout; else nothing."""
    out = {*taken_out, *stream.tried, stream.carrying}
    left = [name for name in sound if name not in out]
    others = [name for name in unproved if name not in out]
    state, present = stream.state, stream.candidate
    useful = state.phase != "watch" or state.rescued or state.read_over
    if present in {*left, *others} and useful:
        return present
    if stream.helped_by in left:
        return stream.helped_by
    if present in left:
        return present
    return next(iter(left), "") or next(iter(others), "")


def with_candidate(stream: Stream, candidate: str, *, is_proved: bool) -> Stream:
    """The stream with its candidate; what was shown of another one is forgotten. A version that is
    not proved takes nobody's second attempts, so that only new first attempts can show anything:
    exploring begins with the alarm."""
    explore_at = rule.EXPLORE_AFTER if is_proved else 0
    if candidate == stream.candidate:
        # a try makes the next one dearer, and an end of the episode makes it as it was
        fresh = stream.state.explore_at in {0, rule.EXPLORE_AFTER}
        if not fresh or stream.state.explore_at == explore_at:
            return stream
        return replace(stream, state=replace(stream.state, explore_at=explore_at))
    before = stream.state
    after = State(
        rate=before.rate,
        a_start=before.a_start,
        r=before.r,
        recent=before.recent,
        alarmed=before.alarmed,
        explore_at=explore_at,
    )
    return replace(stream, candidate=candidate, state=after)
