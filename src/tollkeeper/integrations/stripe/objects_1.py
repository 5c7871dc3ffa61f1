"""A charge, a refund and a dispute of Stripe's, in our words.

Law: frozen versions import this file. It never changes by a byte; a change is `objects_2`, for new
revisions only.
"""

import msgspec

from tollkeeper.integrations.parts.amounts_1 import read_amount
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import (
    ChargePart,
    Dispute,
    Error,
    LastPaymentError,
    PaymentIntent,
    Refund,
)
from tollkeeper.integrations.stripe.words_1 import (
    DECLINE_REASONS,
    DISPUTE_STATES,
    INTENT_STATES,
    REFUND_STATES,
    UNITS,
)
from tollkeeper.payments.outcome import (
    Charge,
    ChargeState,
    Decline,
    DisputeSeen,
    Outcome,
    ProviderError,
    RefundSeen,
    unknown,
)


def read_intent(shape: Shape, body: bytes) -> Outcome:
    """What a PaymentIntent says, in whatever state it is."""
    return charge_outcome(shape, msgspec.json.decode(body, type=shape.intent))


def charge_outcome(shape: Shape, intent: PaymentIntent) -> Outcome:
    state = INTENT_STATES.get(intent.status)
    if state is None:
        return unknown("contract", "status word not known", "/status", intent.status)
    decline = None
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        state, decline = "declined", declined(intent.last_payment_error)
    redirect = _redirect(intent)
    if state == "requires_action" and redirect is None:
        return unknown("contract", "no redirect to send the shopper to", "/next_action")
    shown, details, received = shape.charge_of(intent)
    if state in {"authorized", "captured"} and not shown:
        return unknown("contract", "no charge in the intent", shape.charge_at)
    captured = _captured(intent.amount, details) if details else received
    if state in {"authorized", "captured"} and captured is None:
        return unknown("contract", "no captured amount", shape.captured_at)
    charge = Charge(
        provider_id=intent.id,
        state=state,
        amount_minor=ours(intent.amount, intent.currency),
        currency=intent.currency.upper(),
        capturable_minor=ours(_capturable(intent, state, captured), intent.currency),
        captured_minor=ours(captured if captured and state != "canceled" else 0, intent.currency),
        refunded_minor=ours(
            details.amount_refunded if details and state == "captured" else 0, intent.currency
        ),
        payment_id=intent.metadata.tollkeeper_payment if intent.metadata else None,
        attempt_id=intent.metadata.tollkeeper_attempt if intent.metadata else None,
        redirect_url=redirect,
        decline=decline,
        disputed=details.disputed if details else None,
    )
    return Outcome(kind="approved", charge=charge, decline=decline)


def ours(amount: int, currency: str) -> int:
    """An amount as Stripe counts it, in our minor units; ValueError where it is none."""
    return read_amount(UNITS, currency.upper(), amount)


def _captured(amount_minor: int, charge: ChargePart) -> int | None:
    """What was captured. Where the sum is left out, only what follows for certain: nothing of what
    is not captured, and all of what is captured with nothing given back."""
    if charge.amount_captured is not None or charge.captured is None:
        return charge.amount_captured
    if not charge.captured:
        return 0
    return amount_minor if charge.amount_refunded == 0 else None


def _capturable(intent: PaymentIntent, state: ChargeState, captured: int | None) -> int:
    """What can be captured; where the sum is left out, all that an authorization still holds."""
    if intent.amount_capturable is not None:
        return intent.amount_capturable
    return intent.amount - (captured or 0) if state == "authorized" else 0


def _redirect(intent: PaymentIntent) -> str | None:
    action = intent.next_action
    return action.redirect_to_url.url if action and action.redirect_to_url else None


def read_authorize(shape: Shape, body: bytes) -> Outcome:
    said = read_intent(shape, body)
    if said.charge is None:
        return said
    match said.charge.state:
        case "authorized" | "captured":
            return said
        case "requires_action" | "processing":
            return msgspec.structs.replace(said, kind="pending")
        case "declined":
            return msgspec.structs.replace(said, kind="declined")
        case state:
            return unknown(
                "contract", "a confirmed intent cannot be in this state", "/status", state
            )


def read_refund(shape: Shape, body: bytes) -> Outcome:
    refund = msgspec.json.decode(body, type=Refund)
    seen = _refund_seen(refund)
    if seen is None:
        return unknown("contract", "refund status word not known", "/status", refund.status)
    if seen.state == "failed":
        decline = Decline("declined", refund.status or "")
        return Outcome(kind="declined", refund=seen, decline=decline)
    return Outcome(kind="pending" if seen.state == "pending" else "approved", refund=seen)


def _refund_seen(refund: Refund) -> RefundSeen | None:
    state = REFUND_STATES.get(refund.status or "")
    if state is None:
        return None
    return RefundSeen(
        provider_id=refund.id,
        state=state,
        amount_minor=ours(refund.amount, refund.currency),
        currency=refund.currency.upper(),
        charge_id=refund.payment_intent,
        attempt_id=refund.metadata.tollkeeper_attempt if refund.metadata else None,
        referenced=refund.metadata is not None,
    )


def provider_error(error: Error) -> ProviderError:
    """Stripe's own words, for people."""
    return ProviderError(error.code or "", error.param or "", error.message or "")


def declined(error: Error | LastPaymentError) -> Decline:
    """Why the issuer said no, from its own word or from Stripe's code."""
    word = error.decline_code or error.code or ""
    reason = DECLINE_REASONS.get(word) or DECLINE_REASONS.get(error.code or "", "declined")
    shown = provider_error(error) if isinstance(error, Error) else None
    return Decline(reason, word, shown)


def dispute_seen(dispute: Dispute, told_s: int) -> DisputeSeen:
    """A dispute in our words; `told_s` is when Stripe said so, 0 for a listing."""
    return DisputeSeen(
        provider_id=dispute.id,
        state=DISPUTE_STATES.get(dispute.status, "open"),
        amount_minor=ours(dispute.amount, dispute.currency),
        currency=dispute.currency.upper(),
        reason=dispute.reason,
        told_s=told_s,
    )
