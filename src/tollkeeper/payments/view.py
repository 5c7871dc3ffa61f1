"""How payments, refunds and events look from outside: the public representation, made in one place.

Answers of the API, stored answers of idempotency keys and outgoing events all carry these shapes.
"""

from typing import Any, Literal

import msgspec

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.payments.outcome import ProviderError
from tollkeeper.payments.payment import Books, Dispute, Payment, Refund

_ENCODER = msgspec.json.Encoder()


class NextAction(msgspec.Struct, frozen=True):
    """What the shopper must do. `redirect`: send the shopper's browser to `url`."""

    type: Literal["redirect"]
    url: str


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's own words about a failure: for people. They are masked, cut, and may change
    at any time; programs read `failure_code`."""

    code: str
    parameter: str
    message: str


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. `status` is `pending`, `succeeded` or `failed`; `outcome` is `unknown` while
    nobody can say whether it took effect."""

    object: Literal["refund"] = "refund"
    id: str
    payment: str
    amount_minor: int
    currency: str
    status: str
    outcome: Literal["known", "unknown"]
    origin: str
    reason: str | None
    failure_code: str | None
    provider_error: ErrorView | None
    created_at: str

    @property
    def is_doubtful(self) -> bool:
        """Whether callers are told to wait."""
        return self.outcome == "unknown"


class DisputeView(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as the provider tells it. `state` is `open`, `won`, `lost`, `prevented`, `inquiry`
    or `inquiry_closed`."""

    object: Literal["dispute"] = "dispute"
    id: str
    payment: str
    state: str
    amount_minor: int
    currency: str
    reason: str
    provider_id: str
    created_at: str
    updated_at: str


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. Amounts are integers of the currency's minor unit."""

    object: Literal["payment"] = "payment"
    id: str
    amount_minor: int
    currency: str
    status: str
    outcome: Literal["known", "unknown"]
    capture_method: str
    amount_capturable_minor: int
    amount_captured_minor: int
    amount_refunded_minor: int
    integration: str
    provider_id: str | None
    customer: str | None
    reference: str | None
    description: str | None
    metadata: dict[str, str]
    next_action: NextAction | None
    decline_reason: str | None
    failure_code: str | None
    provider_error: ErrorView | None
    disputed: bool
    needs_attention: bool
    attention: str | None
    created_at: str
    updated_at: str


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An outgoing event. `data` is the payment, refund or dispute after the change."""

    object: Literal["event"] = "event"
    id: str
    type: str
    created_at: str
    data: msgspec.Raw


def payment_view(payment: Payment) -> PaymentView:
    """The public representation of `payment`."""
    action = NextAction("redirect", payment.redirect_url) if payment.redirect_url else None
    return PaymentView(
        id=payment.id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        status=payment.status,
        outcome="known" if payment.outcome_known else "unknown",
        capture_method=payment.capture_method,
        amount_capturable_minor=payment.capturable_minor,
        amount_captured_minor=payment.captured_minor,
        amount_refunded_minor=payment.refunded_minor,
        integration=payment.integration,
        provider_id=payment.provider_id,
        customer=payment.customer,
        reference=payment.reference,
        description=payment.description,
        metadata=payment.metadata,
        next_action=action,
        decline_reason=payment.decline_reason,
        failure_code=payment.failure_code,
        provider_error=error_view(payment.provider_error),
        disputed=payment.disputed,
        needs_attention=payment.attention is not None,
        attention=payment.attention,
        created_at=rfc3339(payment.created_ms),
        updated_at=rfc3339(payment.updated_ms),
    )


def refund_view(books: Books, refund: Refund) -> RefundView:
    """The public representation of `refund`; its outcome is read off its attempt."""
    doubtful = any(a.refund_id == refund.id for a in books.open_attempts())
    return RefundView(
        id=refund.id,
        payment=refund.payment_id,
        amount_minor=refund.amount_minor,
        currency=books.payment.currency,
        status=refund.status,
        outcome="unknown" if doubtful else "known",
        origin=refund.origin,
        reason=refund.reason,
        failure_code=refund.failure_code,
        provider_error=error_view(refund.provider_error),
        created_at=rfc3339(refund.created_ms),
    )


def dispute_view(dispute: Dispute, currency: str) -> DisputeView:
    """The public representation of `dispute`, whose amount is in `currency`."""
    return DisputeView(
        id=dispute.id,
        payment=dispute.payment_id,
        state=dispute.state,
        amount_minor=dispute.amount_minor,
        currency=currency,
        reason=dispute.reason,
        provider_id=dispute.provider_id,
        created_at=rfc3339(dispute.created_ms),
        updated_at=rfc3339(dispute.updated_ms),
    )


def error_view(error: ProviderError | None) -> ErrorView | None:
    """The public representation of the provider's words."""
    if error is None:
        return None
    return ErrorView(code=error.code, parameter=error.parameter, message=error.message)


def encode(view: Any) -> bytes:
    """A view, or a dict that holds views, as JSON bytes."""
    return _ENCODER.encode(view)
