"""How rollouts look from outside: themselves, their records, and what is left of them."""

from typing import Literal

import msgspec

from tollkeeper.flows.rollouts.starting import Rehearsal
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.rollouts.estimate import Estimate, in_words
from tollkeeper.rollouts.evidence import part_of_wealth, whole_wealth
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.rollouts.wrong import what_is_wrong
from tollkeeper.routing.routes import PPM


class GuardrailView(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail's counts, and its part of the evidence; together they are compared with
    `boundary`."""

    name: str
    canary_bad: int
    canary_seen: int
    baseline_bad: int
    baseline_seen: int
    evidence: float


class StepLeftView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left at one step, 0 % for the shadow. `seconds` is null where no payments came in the
    last ten minutes; `by`: what takes longest; `approval`: an operator must approve at its end."""

    percent: float
    payments: int
    canary_payments: int
    seconds: float | None
    by: Literal["shadow", "suspicion", "dwell", "failures", "declines"]
    approval: bool


class EstimateView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left until the plan's end, for a candidate that is as good as the baseline, at
    `payments_per_second`. `in_time`: before the rollout's time is up."""

    payments: int
    seconds: float | None
    payments_per_second: float
    in_time: bool
    steps: list[StepLeftView]
    in_words: str


class RehearsalView(msgspec.Struct, frozen=True, kw_only=True):
    """What a start with `dry_run` would come to; nothing was written. `refusals`: none where it
    would start. `remembered`: what became of the candidate before, which refuses nothing."""

    object: Literal["rollout_rehearsal"] = "rollout_rehearsal"
    candidate: str
    baseline: str
    refusals: list[str]
    remembered: list[str]
    estimate: EstimateView | None


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout. `share_percent` is in force now, `step_percent` what the step aims at; the
    candidate is taken out where `evidence` reaches `boundary`, or one cross-read disagrees.
    `paused`: why an operator lets it go no step further. `remembered`: what became of the candidate
    before. `wrong`: an alarm, a pause, a failing baseline, or a suspicion. `estimate`: what is left
    until its end, null in lists."""

    object: Literal["rollout"] = "rollout"
    id: str
    provider: str
    candidate: str
    baseline: str
    status: str
    steps_percent: list[float]
    step_percent: float
    share_percent: float
    held_back: bool
    evidence: float
    boundary: float
    guardrails: list[GuardrailView]
    cross_read_agreed: int
    cross_read_disagreed: int
    shadow_computed: int
    shadow_differing: int
    next: str
    reason: str
    started_by: str
    override: str
    paused: str
    remembered: list[str]
    baseline_fails: bool
    alarmed: bool
    wrong: str
    estimate: EstimateView | None
    created_at: str
    updated_at: str


class RolloutList(msgspec.Struct, frozen=True, kw_only=True):
    """Rollouts, newest first."""

    data: list[RolloutView]


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """One look of the controller, or one command of an operator, with the numbers that it saw.
    `baseline_fails`: the baseline failed more than its history, and declines were not compared."""

    seq: int
    at: str
    actor: str
    status: str
    share_percent: float
    evidence: float
    baseline_fails: bool
    decision: str | None
    reason: str


class RecordList(msgspec.Struct, frozen=True, kw_only=True):
    """Records of a rollout, oldest first; `has_more`: ask again with the last one's `seq`
    as `cursor`."""

    data: list[RecordView]
    has_more: bool


def rehearsal_view(found: Rehearsal) -> RehearsalView:
    """A rehearsal for the API."""
    return RehearsalView(
        candidate=found.candidate,
        baseline=found.baseline,
        refusals=list(found.refusals),
        remembered=list(found.remembered),
        estimate=_estimate_view(found.estimate),
    )


def _estimate_view(found: Estimate | None) -> EstimateView | None:
    if found is None:
        return None
    return EstimateView(
        payments=found.payments,
        seconds=found.seconds,
        payments_per_second=found.per_second,
        in_time=found.in_time,
        steps=[
            StepLeftView(
                percent=step.percent,
                payments=step.payments,
                canary_payments=step.canary_payments,
                seconds=step.seconds,
                by=step.by,
                approval=step.approval,
            )
            for step in found.steps
        ],
        in_words=in_words(found),
    )


def rollout_view(rollout: Rollout, left: Estimate | None = None) -> RolloutView:
    """A rollout for the API."""
    return RolloutView(
        id=rollout.id,
        provider=rollout.provider,
        candidate=rollout.candidate,
        baseline=rollout.baseline,
        status=rollout.status,
        steps_percent=list(rollout.plan.steps_percent),
        step_percent=rollout.step_percent,
        share_percent=rollout.share_ppm / PPM * 100,
        held_back=rollout.status == "running" and rollout.cautious,
        evidence=whole_wealth(rollout.evidence),
        boundary=1 / rollout.plan.alpha,
        guardrails=[
            GuardrailView(
                name=rail.name,
                canary_bad=seen.canary_bad,
                canary_seen=seen.canary_bad + seen.canary_ok,
                baseline_bad=seen.baseline_bad,
                baseline_seen=seen.baseline_bad + seen.baseline_ok,
                evidence=part_of_wealth(rail, seen),
            )
            for rail, seen in rollout.watched()
        ],
        cross_read_agreed=rollout.crossings.agreed,
        cross_read_disagreed=rollout.crossings.disagreed,
        shadow_computed=rollout.shadows.computed,
        shadow_differing=rollout.shadows.differing,
        next=rollout.waiting,
        reason=rollout.reason,
        started_by=rollout.actor,
        override=rollout.override,
        paused=rollout.paused,
        remembered=list(rollout.remembered),
        baseline_fails=rollout.baseline_fails,
        alarmed=rollout.alarmed,
        wrong=what_is_wrong(rollout),
        estimate=_estimate_view(left),
        created_at=rfc3339(rollout.created_ms),
        updated_at=rfc3339(rollout.updated_ms),
    )


def record_view(record: Record) -> RecordView:
    """A record for the API."""
    decision = record.decision
    return RecordView(
        seq=record.seq,
        at=rfc3339(record.at_ms),
        actor=record.actor,
        status=record.status,
        share_percent=record.share_ppm / PPM * 100,
        evidence=record.wealth,
        baseline_fails=record.baseline_fails,
        decision=decision.kind if decision is not None else None,
        reason=decision.reason if decision is not None else record.detail,
    )
