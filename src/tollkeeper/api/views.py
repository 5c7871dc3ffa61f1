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
