"""How what only operators and admins see looks from outside; payments have `payments/view.py`."""

from typing import Literal

import msgspec

from tollkeeper.flows.ports import Delivery, Endpoint
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.payment import Attempt
from tollkeeper.payments.view import (
    DisputeView,
    ErrorView,
    EventView,
    PaymentView,
    RefundView,
    error_view,
)
from tollkeeper.rollouts.evidence import part_of_wealth, whole_wealth
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.routing.routes import PPM


class PaymentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Payments, newest first. Cursors go into `cursor`; `None`: there is nothing on that side."""

    data: list[PaymentView]
    has_more: bool
    next_cursor: str | None
    previous_cursor: str | None


class RefundList(msgspec.Struct, frozen=True, kw_only=True):
    """All refunds of one payment, oldest first."""

    data: list[RefundView]


class DisputeList(msgspec.Struct, frozen=True, kw_only=True):
    """All disputes of one payment, oldest first."""

    data: list[DisputeView]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events, newest first."""

    data: list[EventView]
    has_more: bool
    next_cursor: str | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try at one operation. `outcome` is null while it is being sent; `result_class` is A (not
    sent), B1 (refused), B2 (declined) or C (unknown). `corrected_at`: when a later fact showed that
    an attempt which was taken for not executed had taken effect."""

    object: Literal["attempt"] = "attempt"
    id: str
    payment: str
    operation: str
    integration: str
    amount_minor: int
    outcome: str | None
    result_class: str | None
    refund: str | None
    provider_id: str | None
    purpose: str
    final: bool
    replays: int
    looks: int
    settled_by: str
    detail: str
    provider_error: ErrorView | None
    corrected_at: str | None
    first_sent_at: str
    sent_at: str


class AttemptList(msgspec.Struct, frozen=True, kw_only=True):
    """All attempts of one payment, oldest first."""

    data: list[AttemptView]


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one payment. `hash` chains it to the row before, whose hash is `previous`."""

    seq: int
    at: str
    actor: str
    change: msgspec.Raw
    previous: str
    hash: str


class AuditList(msgspec.Struct, frozen=True, kw_only=True):
    """All audit rows of one payment, in order."""

    data: list[AuditView]


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint. `secret` is shown once, when it is made or rotated."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    url: str
    description: str
    created_at: str
    secrets_active: int
    secret: str | None = None


class EndpointList(msgspec.Struct, frozen=True, kw_only=True):
    """The account's webhook endpoints, oldest first."""

    data: list[EndpointView]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event at one endpoint: `pending`, `delivered` or `undeliverable`."""

    event: str
    state: str
    tries: int
    last_status: int | None
    last_error: str | None
    updated_at: str


class DeliveryList(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint's newest deliveries, newest event first."""

    data: list[DeliveryView]


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a provider's webhook: `applied`, `queued`, `unmatched`, `unknown_type`,
    `unread` (signed, and no event that we can read) or `duplicate`."""

    fate: str


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`ok`, or why not. `degraded`: it serves, and a provider refuses our key or account, for the
    reason that `providers` has by name."""

    status: str
    providers: dict[str, str] = {}


def attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView(
        id=attempt.id,
        payment=attempt.payment_id,
        operation=attempt.operation,
        integration=attempt.integration,
        amount_minor=attempt.amount_minor,
        outcome=attempt.outcome,
        result_class=attempt.result_class,
        refund=attempt.refund_id,
        provider_id=attempt.provider_id,
        purpose=attempt.purpose,
        final=attempt.final,
        replays=attempt.replays,
        looks=attempt.looks,
        settled_by=attempt.settled_by,
        detail=attempt.detail,
        provider_error=error_view(attempt.error),
        corrected_at=rfc3339(attempt.corrected_ms) if attempt.corrected_ms is not None else None,
        first_sent_at=rfc3339(attempt.first_sent_ms),
        sent_at=rfc3339(attempt.sent_ms),
    )


def audit_view(row: AuditRow) -> AuditView:
    return AuditView(
        seq=row.seq,
        at=rfc3339(row.at_ms),
        actor=row.actor,
        change=msgspec.Raw(row.body),
        previous=row.previous,
        hash=row.hash,
    )


def endpoint_view(endpoint: Endpoint, secret: str | None = None) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        created_at=rfc3339(endpoint.created_ms),
        secrets_active=len(endpoint.secrets),
        secret=secret,
    )


def delivery_view(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        event=delivery.event_id,
        state=delivery.state,
        tries=delivery.tries,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        updated_at=rfc3339(delivery.updated_ms),
    )


class GuardrailView(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail's counts, and its part of the evidence; together they are compared with
    `boundary`."""

    name: str
    canary_bad: int
    canary_seen: int
    baseline_bad: int
    baseline_seen: int
    evidence: float


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout. `share_percent` is in force now, `step_percent` what the step aims at; the
    candidate is taken out where `evidence` reaches `boundary`, or one cross-read disagrees."""

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
    alarmed: bool
    created_at: str
    updated_at: str


class RolloutList(msgspec.Struct, frozen=True, kw_only=True):
    """Rollouts, newest first."""

    data: list[RolloutView]


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """One look of the controller, or one command of an operator, with the numbers that it saw."""

    seq: int
    at: str
    actor: str
    status: str
    share_percent: float
    evidence: float
    decision: str | None
    reason: str


class RecordList(msgspec.Struct, frozen=True, kw_only=True):
    """Records of a rollout, oldest first; `has_more`: ask again with the last one's `seq`
    as `cursor`."""

    data: list[RecordView]
    has_more: bool


def rollout_view(rollout: Rollout) -> RolloutView:
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
        alarmed=rollout.alarmed,
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
        decision=decision.kind if decision is not None else None,
        reason=decision.reason if decision is not None else record.detail,
    )
