"""A rollout: the candidate, its plan, how far it is, and the evidence so far: one value."""

from typing import Any, Final, Literal

import msgspec

from tollkeeper.rollouts.afterwards import Watch
from tollkeeper.rollouts.certificate import LEAST_DECLINES, Certificate
from tollkeeper.rollouts.evidence import (
    BY_NAME,
    FIRST_ORDER,
    GUARDRAILS,
    Evidence,
    Guardrail,
    begin,
)
from tollkeeper.rollouts.tally import Tally
from tollkeeper.routing.routes import PPM, Condition, Rule

Status = Literal[
    "shadow",
    "running",
    "promoted",
    "rolled_back",
    "aborted",
    "stopped",
    "inconclusive",
]

STATUSES: Final[dict[str, str]] = {
    "shadow": "the candidate re-reads the baseline's live replies; it sends nothing",
    "running": "the candidate takes its share, and its evidence is looked at after every payment",
    "promoted": "the candidate takes everything, and is watched for faults that start late",
    "rolled_back": "the evidence, or an operator after promotion, took the candidate out",
    "aborted": "an operator ended it",
    "stopped": "an operator pulled the kill switch",
    "inconclusive": "time was up and nothing was shown; the candidate carries nothing",
}
"""Every status of a rollout and what it means."""

ACTIVE: Final = frozenset({"shadow", "running"})

HARM: Final = 0.005
"""Of all payments, the excess failures that the next step may cost: a step up to the share s needs
a certificate of `HARM / s`; for the whole traffic that is half a point."""

LEAST_MARGIN: Final = 0.005
MOST_MARGIN: Final = 0.2


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the candidate may earn its traffic.

    `steps_percent` rise; 100 is promotion and can only be the last. `dwell_seconds`: the least
    time at each step; `limit_seconds`: after which an undecided rollout ends. `alpha`: the
    probability of rolling back a candidate that is no worse, over all guardrails and all time.
    `pause_at`: steps at whose end an operator must approve. `floor_percent`: the share while there
    is reason to suspect. `most_outstanding`: canary payments without a result that one replica
    allows, beside one in a hundred of what was counted. `orphaned`: what replicas do when no
    controller has renewed the share in time. `shadow_payments`: replies that the candidate
    re-reads before step one. `cross_read_percent`: of canary payments after step one.
    `watch_seconds`: how long a promoted version is watched.
    """

    steps_percent: tuple[float, ...]
    dwell_seconds: float = 60.0
    limit_seconds: float = 604_800.0
    alpha: float = 0.01
    pause_at: tuple[float, ...] = ()
    floor_percent: float = 1.0
    most_outstanding: int = 3
    orphaned: Literal["baseline", "keep"] = "baseline"
    shadow_payments: int = 20
    shadow_seconds: float = 60.0
    cross_read_percent: float = 10.0
    watch_seconds: float = 604_800.0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, by whom, and why. `reason` is a sentence with the numbers in it."""

    kind: Literal["advance", "hold", "roll_back", "promote", "inconclusive"]
    reason: str

    @property
    def is_hold(self) -> bool:
        """Whether nothing changes."""
        return self.kind == "hold"

    @property
    def is_promotion(self) -> bool:
        """Whether the candidate is to carry everything."""
        return self.kind == "promote"

    @property
    def moves_on(self) -> bool:
        """Whether the candidate is to get more."""
        return self.kind in {"advance", "promote"}


class Crossings(msgspec.Struct, frozen=True, kw_only=True):
    """Cross-reads so far: canary payments that were looked up through the baseline. `unanswered`
    ones were given up; of `nothing` there was nothing to compare with."""

    agreed: int = 0
    disagreed: int = 0
    unanswered: int = 0
    nothing: int = 0
    asked: int = 0

    @property
    def open(self) -> int:
        """Asked, and not answered yet or never."""
        return self.asked - self.agreed - self.disagreed - self.nothing


class Shadows(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate made of the baseline's live replies, where it could compute anything."""

    computed: int = 0
    differing: int = 0


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate's way. `share_ppm` is the share in force, which suspicion may hold below the
    step; `rules_before` the routing rules that a rollback after promotion restores; `seq` the
    newest record; `gate`: why the newest description keeps it from advancing; `considered_ms`: up
    to when the controller has looked at results; `adopts_since_ms`: payments that the candidate
    took since then are looked up after a late rollback, of which those up to `adopts_after` are
    written down; `certificates` are of failures, `declines` of declines, one a step.
    `baseline_fails`: more than its history, as the watch of failover says; `alone`: watches on the
    candidate's failures and declines meanwhile. `paused`: why an operator lets it go no step
    further; `remembered`: what became of the candidate before this rollout."""

    id: str
    provider: str
    candidate: str
    baseline: str
    salt: str
    condition: Condition
    plan: Plan
    status: Status
    actor: str
    created_ms: int
    updated_ms: int
    valid_until_ms: int
    step: int = 0
    step_began_ms: int = 0
    share_ppm: int = 0
    cautious: bool = True
    approved_steps: tuple[int, ...] = ()
    revision: int = 1
    seq: int = 0
    override: str = ""
    reason: str = ""
    waiting: str = ""
    evidence: dict[str, Evidence] = {}
    certificates: tuple[Certificate, ...] = ()
    declines: tuple[Certificate, ...] = ()
    crossings: Crossings = Crossings()
    shadows: Shadows = Shadows()
    history: tuple[int, ...] = ()
    limits_ms: tuple[int, ...] = ()
    watch: Watch | None = None
    decline_watch: Watch | None = None
    gate: str = ""
    considered_ms: int = 0
    adopts_since_ms: int = 0
    adopts_after: str = ""
    alarmed: bool = False
    baseline_fails: bool = False
    alone: tuple[Watch, ...] = ()
    paused: str = ""
    remembered: tuple[str, ...] = ()
    rules_before: tuple[Rule, ...] = ()

    @property
    def is_shadow(self) -> bool:
        """Whether the candidate only re-reads."""
        return self.status == "shadow"

    @property
    def is_running(self) -> bool:
        """Whether the candidate takes its share."""
        return self.status == "running"

    @property
    def is_promoted(self) -> bool:
        """Whether the candidate carries everything."""
        return self.status == "promoted"

    @property
    def may_be_rolled_back(self) -> bool:
        """Whether the candidate has traffic, or carries everything."""
        return self.status in ACTIVE or self.status == "promoted"

    @property
    def is_active(self) -> bool:
        """Whether its payments are counted and its controller looks at them."""
        return self.status in ACTIVE or (self.status == "promoted" and self.watch is not None)

    @property
    def promoted_once(self) -> bool:
        """Whether it ever carried everything."""
        return self.status == "promoted" or bool(self.rules_before)

    @property
    def step_percent(self) -> float:
        """The share that the present step aims at, in percent."""
        return self.plan.steps_percent[self.step]

    @property
    def next_percent(self) -> float | None:
        """The next step's share, or `None` at the last one."""
        following = self.step + 1
        steps = self.plan.steps_percent
        return steps[following] if following < len(steps) else None

    @property
    def cross_ppm(self) -> int:
        """How many of a million canary payments are looked up through the baseline: all in step
        one, none while nobody counts."""
        if self.status != "running":
            return 0
        return PPM if self.step == 0 else ppm(self.plan.cross_read_percent)

    def watched(self) -> list[tuple[Guardrail, Evidence]]:
        """Each guardrail with its evidence; none before the rollout began."""
        return [(rail, self.evidence[rail.name]) for rail in GUARDRAILS if self.evidence]

    @property
    def canary_seen(self) -> int:
        """Counted canary units."""
        seen = self.evidence.get("failure")
        return seen.canary_ok + seen.canary_bad if seen is not None else 0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a rollout's own history: what was counted, what was decided upon it, by whom.

    `tallies` and `parts` are by guardrail's name. From the records alone the evidence can be
    computed again. `wealth` and `parts` are what the decision saw; `capped`: guardrails whose
    canary had no bad unit counted at most their wealth at the start, as since 0.1.0;
    `baseline_fails`: the baseline failed more than its history.
    """

    seq: int
    at_ms: int
    actor: str
    cause: Literal["evidence", "command"]
    status: Status
    step: int
    share_ppm: int
    tallies: dict[str, tuple[Tally, ...]] = {}
    crossings: Crossings = Crossings()
    wealth: float = 0.0
    parts: dict[str, float] = {}
    decision: Decision | None = None
    detail: str = ""
    capped: bool = False
    baseline_fails: bool = False

    @property
    def is_promoted(self) -> bool:
        """Whether the candidate carried everything when this was written."""
        return self.status == "promoted"


def start(rollout: Rollout) -> Rollout:
    """A new rollout with its evidence at the start, one certificate a step."""
    return msgspec.structs.replace(
        rollout,
        evidence={rail.name: begin(rail) for rail in GUARDRAILS},
        certificates=tuple(
            Certificate(margin=margin_for(following))
            for following in rollout.plan.steps_percent[1:]
        ),
        declines=tuple(
            Certificate(margin=max(margin_for(following), LEAST_DECLINES))
            for following in rollout.plan.steps_percent[1:]
        ),
    )


def of_any_release(rollout: Rollout) -> Rollout:
    """A stored rollout as this release reads it: guardrails that came since begin anew."""
    known = rollout.evidence
    if not known or (known.keys() == BY_NAME.keys() and rollout.declines):
        return rollout
    evidence = {rail.name: known.get(rail.name) or begin(rail) for rail in GUARDRAILS}
    declines = rollout.declines or start(rollout).declines
    return msgspec.structs.replace(rollout, evidence=evidence, declines=declines)


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    """A rollout or a record, decoded as plain JSON, as releases before 0.1.0 stored it: what they
    had in the order of their guardrails is by name here."""
    positional = {
        name: dict(zip(FIRST_ORDER, value, strict=False))
        for name in ("evidence", "tallies", "parts")
        if isinstance(value := document.get(name), list)
    }
    return document | positional


def margin_for(share_percent: float) -> float:
    """The excess failure rate that must be excluded before `share_percent` may be taken."""
    return min(max(HARM / (share_percent / 100), LEAST_MARGIN), MOST_MARGIN)


def ppm(percent: float) -> int:
    """Percent as millionths."""
    return round(percent * PPM / 100)
