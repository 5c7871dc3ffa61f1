"""A watch on the version that carries a provider's traffic, and its records."""

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.failover import rule
from tollkeeper.failover.rule import State, Trial
from tollkeeper.routing.routes import Rule

type Policy = Literal["automatic", "ask", "off"]
"""`automatic`: traffic moves on proof. `ask`: a person moves it. `off`: nothing is watched."""

type Kind = Literal[
    "alarm", "share", "moved", "stopped", "none_works", "quiet", "counted", "command", "proposed"
]


class Step(msgspec.Struct, frozen=True):
    """`healthy` first attempts of V that did not fail, and the payment after them."""

    healthy: int
    trial: Trial | None = None


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """`carrying` is V and `candidate` W, empty where no other version may take its payments.
    `taken_out`: versions that failed and were left; nobody moves to them again without a person.
    `considered_ms` and `considered_id`: the last trial that was counted."""

    provider: str
    carrying: str
    candidate: str
    state: State
    salt: str
    revision: int = 0
    seq: int = 0
    considered_ms: int = 0
    considered_id: str = ""
    since_ms: int = 0
    moved_ms: int = 0
    taken_out: tuple[str, ...] = ()
    proposed: bool = False


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
    steps: tuple[Step, ...] = ()
    counted: State
    after: State
    actor: str = "failover"
    reason: str = ""


def replayed(before: State, steps: tuple[Step, ...]) -> State:
    """The state after `steps`."""
    state = before
    for step in steps:
        state = rule.healthy(state, step.healthy)
        if step.trial is not None:
            state = rule.counted(state, step.trial)
    return state


def kind_of(before: State, after: State) -> Kind:
    """What a look decided, in one word."""
    if after.phase != before.phase and after.phase in {"moved", "stopped"}:
        return "moved" if after.phase == "moved" else "stopped"
    if after.share != before.share:
        return "share"
    if after.none_works and not before.none_works:
        return "none_works"
    if after.alarmed != before.alarmed:
        return "alarm" if after.alarmed else "quiet"
    return "counted"


def sentence(watch: Watch, kind: Kind, state: State) -> str:
    """What a look decided, for people, with its numbers."""
    numbers = (
        f"R {state.wealth_r:.3g} of {rule.ALARM:.0e}, "
        f"S {state.wealth_s:.3g} of {state.a_start:.0e}, "
        f"T {state.wealth_t:.3g} of {rule.A_FULL:.0e}"
    )
    v, w = watch.carrying, watch.candidate
    said = {
        "alarm": f"{v} fails more than its history",
        "quiet": f"{v} is as before",
        "share": f"{state.share:.0%} of first attempts go to {w}",
        "moved": f"all traffic of {v} goes to {w}",
        "stopped": f"{w} is worse than {v}: its share ends until a person looks at it",
        "none_works": f"no installed version works: {w} does not help either",
        "proposed": f"{w} would take over from {v}: start a rollout, or move by hand",
        "counted": f"{v} is watched",
        "command": "by hand",
    }[kind]
    return f"{said} ({numbers})"


def in_words(watch: Watch) -> str:
    """Where a watch stands, in a sentence with its numbers."""
    state = watch.state
    if state.none_works:
        return sentence(watch, "none_works", state)
    if state.phase in {"ramp", "explore"}:
        return sentence(watch, "share", state)
    return sentence(watch, "alarm" if state.alarmed else "counted", state)


def moved_rules(rules: tuple[Rule, ...], carrying: str, candidate: str) -> tuple[Rule, ...]:
    """The routing rules with what `carrying` had given to `candidate`, and 0 for it."""
    after = []
    for one in rules:
        weights = dict(one.weights)
        given = weights.get(carrying, 0.0)
        if given:
            weights[carrying] = 0.0
            weights[candidate] = weights.get(candidate, 0.0) + given
        after.append(replace(one, weights=weights))
    return tuple(after)


def heaviest(rules: tuple[Rule, ...], provider: str) -> str | None:
    """The version of `provider` with the greatest weight in the last rule, which is everybody's."""
    weights = {
        name: weight
        for name, weight in rules[-1].weights.items()
        if name.partition("@")[0] == provider and weight > 0
    }
    return max(weights, key=lambda name: weights[name]) if weights else None


def candidate_of(others: Sequence[str], taken_out: Collection[str]) -> str:
    """W: the first of the other versions that was not taken out; empty where there is none."""
    return next((name for name in others if name not in taken_out), "")


def decided(watch: Watch, state: State, policy: Policy) -> tuple[Watch, Kind]:
    """The watch with `state`, as far as the policy allows it, and what that is. A start by refusals
    that are all rescued, while the version still works for more than half, is a proposal: nobody is
    hurt, and another version's own faults would hurt somebody."""
    before = watch.state
    kind = kind_of(before, state)
    rescued_only = state.read_over < rule.READ_OVER and state.by_told
    begins = before.share == 0 and state.share > 0 and state.phase == "ramp"
    if begins and (policy == "ask" or rescued_only or not watch.candidate):
        kept = replace(state, phase="watch", share=0.0)
        proposed = not watch.proposed and bool(watch.candidate)
        return replace(watch, state=kept, proposed=True), "proposed" if proposed else "counted"
    if state.phase == "explore" and policy == "ask":
        return replace(watch, state=replace(state, phase="watch", share=0.0)), "counted"
    ended = not state.is_open
    return replace(watch, state=state, proposed=watch.proposed and not ended), kind


def is_told(kind: Kind) -> bool:
    """Whether people are told of it."""
    return kind not in {"counted", "command"}


def takes_out(kind: Kind) -> bool:
    """Whether the candidate was worse, and gets no traffic until a person clears it."""
    return kind == "stopped"
