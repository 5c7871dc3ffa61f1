"""What is watched of a provider's versions, its records, and what policy makes of the rule."""

from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.failover import checks, rule
from tollkeeper.failover.checks import Checks
from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import State
from tollkeeper.failover.streams import NEXT_AT, Stream, replayed
from tollkeeper.routing import rules as routing_rules
from tollkeeper.routing.routes import Condition, Rule
from tollkeeper.routing.rules import EVERYBODY
from tollkeeper.settings import Policy

type Kind = Literal[
    "alarm", "share", "moved", "stopped", "none_works", "works_again", "quiet", "proposed",
    "misread", "next", "counted", "cleared", "policy", "follow_ups",
]  # fmt: skip

QUIETLY: Final[frozenset[Kind]] = frozenset({"counted", "next"})
"""Kinds that nobody is told of."""


EARLY: Final[frozenset[Kind]] = frozenset({"alarm", "quiet"})
"""What a slice does not say besides the whole."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched of one provider. `streams`: what each version carries, the heaviest first,
    and slices of it. `taken_out`: versions that failed and were left; traffic moves to them again
    only after an operator has cleared them. `considered_ms` and `considered_id`: the last trial
    that was counted. `moved_ms`: when traffic moved last. `policy`: an
    operator's word, before that of the settings. `checks`: of versions that traffic was given to.
    `moved_from`: the version that was left last. `follow_ups`: streams of captures, voids and
    refunds that failed, which move nothing by themselves; `follow_up_routes`: the version that an
    operator sends an operation through, by `follow_up_key`."""

    provider: str
    salt: str
    streams: tuple[Stream, ...] = ()
    revision: int = 0
    seq: int = 0
    considered_ms: int = 0
    considered_id: str = ""
    moved_ms: int = 0
    taken_out: tuple[str, ...] = ()
    policy: Policy | None = None
    checks: dict[str, Checks] = {}
    moved_from: str = ""
    follow_ups: tuple[Stream, ...] = ()
    follow_up_routes: dict[str, str] = {}

    @property
    def wholes(self) -> tuple[Stream, ...]:
        """One stream for each version that carries traffic, the heaviest first."""
        return tuple(stream for stream in self.streams if stream.is_whole)

    @property
    def slices(self) -> tuple[Stream, ...]:
        """The slices that are watched as well."""
        return tuple(stream for stream in self.streams if not stream.is_whole)

    @property
    def carrying(self) -> str:
        """The version that carries most; empty where none does."""
        return self.streams[0].carrying if self.streams else ""

    @property
    def is_alarmed(self) -> bool:
        """Whether any version fails more than its history."""
        return any(stream.state.alarmed for stream in (*self.streams, *self.follow_ups))

    @property
    def misreads(self) -> tuple[str, ...]:
        """Versions that carry traffic and were seen to misread: no other one could take it."""
        carrying = dict.fromkeys(stream.carrying for stream in self.streams)
        return tuple(name for name in carrying if name in checks.refuted(self.checks))

    @property
    def is_waiting(self) -> bool:
        """Whether a payment that was drawn is not over: it counts as bad when it is late."""
        return any(stream.pending for stream in self.streams)

    def is_failing(self, version: str) -> bool:
        """Whether a version fails more than its history."""
        mine = (stream for stream in self.wholes if stream.carrying == version)
        return any(stream.state.alarmed for stream in mine)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One look that counted something: the state before it, the steps that it counted, what they
    gave (`counted`), and what was kept of that by policy (`after`); the sentence for people. From
    state and steps `counted` can be computed again."""

    seq: int
    at_ms: int
    kind: Kind
    carrying: str
    candidate: str
    before: State
    counted: State
    after: State
    condition: Condition = EVERYBODY
    steps: tuple[Step, ...] = ()
    actor: str = "failover"
    reason: str = ""
    operation: str = ""

    @property
    def is_same(self) -> bool:
        """Whether what was counted gives the record's numbers again."""
        return not self.steps or replayed(self.before, self.steps) == self.counted


def of_any_release(document: dict[str, Any]) -> dict[str, Any]:
    """A stored watch as this release reads it: before, it was one stream's alone."""
    if "streams" in document:
        return document
    mine = {name: document[name] for name in ("carrying", "candidate", "state")}
    return document | {"streams": [mine]}


def kind_of(before: State, after: State) -> Kind:
    """What a look decided, in one word."""
    if after.phase != before.phase and after.phase in {"moved", "stopped"}:
        return "moved" if after.phase == "moved" else "stopped"
    if after.none_works != before.none_works:
        return "none_works" if after.none_works else "works_again"
    if after.share != before.share:
        return "share"
    if after.alarmed != before.alarmed:
        return "alarm" if after.alarmed else "quiet"
    return "counted"


def sentence(stream: Stream, kind: Kind, state: State) -> str:
    """What a look decided, for people, with its numbers."""
    numbers = (
        f"R {state.wealth_r:.3g} of {rule.ALARM:.0e}, "
        f"S {state.wealth_s:.3g} of {state.a_start:.0e}, "
        f"T {state.wealth_t:.3g} of {rule.A_FULL:.0e}"
    )
    v, w = stream.carrying, stream.candidate
    of = f" for {stream.meant}" if stream.meant else ""
    why = f": {stream.cause}" if stream.cause else ""
    said: dict[Kind, str] = {
        "alarm": f"{v} fails more than its history{of}{why}",
        "quiet": f"{v} is as before{of}",
        "share": f"{state.share:.0%} of first attempts{of} go to {w}",
        "moved": f"all traffic of {v}{of} goes to {w}{why}",
        "stopped": f"{w} is worse than {v}{of}: its share ends until an operator clears it",
        "none_works": f"no installed version works{of}{why}",
        "works_again": f"{v} works again{of}",
        "proposed": _proposed(stream, state),
        "misread": f"{w} misreads payments{of}",
        "next": f"{w} does not help either{of}: the next version is tried",
        "counted": f"{v} is watched{of}",
        "cleared": "a version may take traffic again",
        "policy": "another policy",
        "follow_ups": "another route of follow-ups",
    }
    return f"{said[kind]} ({numbers})"


def _proposed(stream: Stream, state: State) -> str:
    """What is proposed, why no more than that, and the command that does it."""
    v, w = stream.carrying, stream.candidate
    of = f" for {stream.meant}" if stream.meant else ""
    if not state.is_read_alone or state.wealth_s >= state.a_start:
        return f"{w} would take over from {v}{of}: {_by_hand(stream)}"
    return (
        f"{w} reads {state.read_alone} replies that {v} cannot{of}, and no other version could "
        f"confirm it by a lookup: check some of them at the provider, then {_by_hand(stream)}"
    )


def _by_hand(stream: Stream) -> str:
    if not stream.operation:
        return f"start a rollout, or `tollkeeper routes set {stream.candidate}=100`"
    through = f" --through {stream.candidate}" if stream.candidate != stream.owner else ""
    return f"`tollkeeper failover follow-ups {stream.owner} {stream.operation}{through}` moves them"


def misread(stream: Stream, version: str, found: Checks) -> str:
    """What is said of a version that another one has refuted."""
    of = f" for {stream.meant}" if stream.meant else ""
    goes = f"; its payments{of} go to {stream.candidate}" if stream.carrying == version else ""
    to = goes if stream.candidate else f"; no other version can take its payments{of}"
    return f"{version} misreads: another version sees a payment otherwise ({found.in_words}){to}"


def standing(watch: Watch) -> list[str]:
    """What goes wrong at a provider now, a sentence each: until it is over, or a person acts."""
    found = [
        in_words(stream)
        for stream in (*watch.streams, *watch.follow_ups)
        if stream.state.alarmed and (stream.is_whole or stream.goes_on or stream.operation)
    ]
    return found + [
        f"{version} carries traffic and misreads payments ({watch.checks[version].in_words}): no "
        "other version could take it. Next: install one that reads them, or move by hand"
        for version in watch.misreads
    ]


def in_words(stream: Stream) -> str:
    """Where a stream stands, in a sentence with its numbers."""
    state = stream.state
    if state.none_works:
        return sentence(stream, "none_works", state)
    if state.phase in rule.LIVE:
        return sentence(stream, "share", state)
    if stream.proposed:
        return sentence(stream, "proposed", state)
    return sentence(stream, "alarm" if state.alarmed else "counted", state)


def moved_rules(
    rules: tuple[Rule, ...], carrying: str, candidate: str, condition: Condition = EVERYBODY
) -> tuple[Rule, ...]:
    """The routing rules with what `carrying` had of the payments of `condition` given to
    `candidate`, and 0 for it."""

    def change(weights: dict[str, float]) -> dict[str, float]:
        given = weights.get(carrying, 0.0)
        if not given:
            return weights
        mine = {carrying: 0.0, candidate: weights.get(candidate, 0.0) + given}
        return weights | mine

    return routing_rules.changed(rules, condition, change)


def decided(
    stream: Stream,
    state: State,
    policy: Policy,
    *,
    may_start: bool,
    has_moved: bool,
    more: bool,
    veto: str = "",
) -> tuple[Stream, Kind]:
    """The stream with `state`, as far as the policy allows it, and what that is. `may_start`:
    whether it is this stream that the failures are confined to; `has_moved`: whether traffic
    moved a short time ago; `more`: whether another candidate is left. A start by failures that are
    all rescued or read over, while the version takes more than a quarter of its payments, is a
    proposal: no shopper is hurt, and another version's own faults would hurt some. So is one by
    replies that the candidate alone reads: no version can confirm what it reads. `veto`: why a
    verdict forbids a start; what has begun goes on by its own evidence."""
    before = stream.state
    if not stream.candidate and state.alarmed and state.fails_mostly:
        state = replace(state, none_works=True)  # there is no other one
    if state.none_works and not may_start:
        state = replace(state, none_works=False)  # elsewhere a version works
    kind = kind_of(before, state)
    if not stream.is_whole and kind in EARLY:
        kind = "counted"  # it is told of the whole
    held = at_rest(state)
    if before.share == 0 and state.share > 0:
        exploring_unasked = state.phase == "explore" and (policy == "ask" or bool(veto))
        if not stream.candidate or not may_start or exploring_unasked:
            left = kind_of(before, held)
            quiet = not stream.is_whole and left in EARLY
            return replace(stream, state=held), "counted" if quiet else left
        only_proposed = (
            policy == "ask"
            or bool(veto)
            or _helps_alone(stream, state)
            or (has_moved and not state.fails_mostly)
        )
        if state.phase != "explore" and only_proposed:
            told: Kind = "counted" if stream.proposed else "proposed"
            return replace(stream, state=held, proposed=True), told
    if stream.candidate and may_start and state.is_read_alone:
        said: Kind = kind if stream.proposed or kind != "counted" else "proposed"
        is_proposed = stream.proposed or said == "proposed"
        return replace(stream, state=state, proposed=is_proposed), said
    if more and state.phase == "watch" and (state.none >= NEXT_AT or state.none_works):
        tried = (*stream.tried, stream.candidate)
        return replace(stream, state=replace(state, none_works=False), tried=tried), "next"
    return replace(stream, state=state, proposed=stream.proposed and state.is_open), kind


def at_rest(state: State) -> State:
    """What was counted, with no traffic for the candidate."""
    return replace(state, phase="watch", share=0.0)


def _helps_alone(stream: Stream, state: State) -> bool:
    """Whether second tries and readings by W are all that a move could save: V takes payments, and
    no shopper is told to wait for want of W. A first look at unreadable replies needs less."""
    if state.works_seldom or state.unhelped >= rule.READ_OVER:
        return False
    is_first = state.read_over >= rule.READ_OVER and not stream.proposed
    return not (is_first and state.has_failed_lately)


def is_told(kind: Kind) -> bool:
    """Whether people are told of it."""
    return kind not in QUIETLY


def takes_out(kind: Kind) -> bool:
    """Whether the candidate was worse, and gets no traffic until a person clears it."""
    return kind == "stopped"
