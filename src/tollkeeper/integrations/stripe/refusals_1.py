"""Stripe's replies that are no success: a decline, a refusal that executed nothing, or unknown.

Law: frozen versions import this file. It never changes by a byte; a change is `refusals_2`, for new
revisions only.
"""

import msgspec

from tollkeeper.integrations.stripe.objects_1 import charge_outcome, declined, provider_error
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import (
    Error,
    ErrorReply,
    PaymentIntent,
)
from tollkeeper.integrations.stripe.words_1 import (
    INTENT_STATES,
    LATER_STATUS,
    MESSAGE_REASONS,
    OURS_STATUSES,
    PARAMETER_REASONS,
    REFUSAL_REASONS,
    REFUSED_STATUSES,
    RETRY_AFTER_MOST_S,
)
from tollkeeper.integrations.version import WireReply
from tollkeeper.payments.outcome import (
    FailureCode,
    Operation,
    Outcome,
    Refusal,
    unknown,
)


def refusal(shape: Shape, operation: Operation, reply: WireReply) -> Outcome:
    """A reply that is not 200: a decline, a proof that nothing was executed, or unknown."""
    error = _error(reply.body)
    if reply.status == 402 and error is not None and error.type == "card_error":
        intent = _shown_intent(shape, error)
        said = charge_outcome(shape, intent) if intent is not None else None
        if said is not None and said.charge is None:
            return said  # its intent cannot be read, so neither can what it says about it
        charge = said.charge if said is not None else None
        return Outcome(kind="declined", decline=declined(error), charge=charge)
    if reply.status in REFUSED_STATUSES:
        return Outcome(kind="failed", refusal=_refused(reply, error, certain=True))
    if error is not None and _is_refusal(shape, operation, reply.status, error):
        certain = error.code in REFUSAL_REASONS
        return Outcome(kind="failed", refusal=_refused(reply, error, certain=certain))
    in_use = error is not None and error.code == "idempotency_key_in_use"
    word = f"{error.type} {error.code}" if error is not None else reply.body[:60]
    return unknown("in_use" if in_use else "status", f"status {reply.status}", "", word)


def _is_refusal(shape: Shape, operation: Operation, status: int, error: Error) -> bool:
    """Whether a 400 or 402 proves that the request was refused: Stripe calls it unacceptable, and
    what it shows has moved no money."""
    unacceptable = status in {400, 402} and error.type == "invalid_request_error"
    if not unacceptable and not (status == 400 and error.code in REFUSAL_REASONS):
        return False
    shown = _shown_intent(shape, error)
    return operation != "authorize" or shown is None or INTENT_STATES.get(shown.status) == "open"


def _shown_intent(shape: Shape, error: Error) -> PaymentIntent | None:
    """The intent that an error shows; raises msgspec.MsgspecError where it cannot be read."""
    if bytes(error.payment_intent) in {b"", b"null"}:
        return None
    return msgspec.json.decode(error.payment_intent, type=shape.intent)


def _refused(reply: WireReply, error: Error | None, *, certain: bool) -> Refusal:
    code = error.code if error is not None and error.code else f"http_{reply.status}"
    ours = reply.status in OURS_STATUSES
    later = reply.status == LATER_STATUS or code == "lock_timeout"
    reason = _reason(code, error)
    if ours or later:
        reason = "provider_configuration" if ours else "try_again"
    return Refusal(
        code,
        f"status {reply.status}" if error is None or certain else error.type,
        later=later,
        ours=ours or REFUSAL_REASONS.get(code) == "provider_configuration",
        certain=certain,
        retry_after_s=min(reply.wait_s(), RETRY_AFTER_MOST_S),
        reason=reason,
        error=provider_error(error) if error is not None else None,
    )


def _reason(code: str, error: Error | None) -> FailureCode:
    """What the shop is told: from the code, where it says enough, or else from the parameter that
    it is about, and without a code from the text."""
    if code in REFUSAL_REASONS:
        parameter = (error.param if error is not None else None) or ""
        return PARAMETER_REASONS.get((code, parameter), REFUSAL_REASONS[code])
    text = ((error.message if error is not None else None) or "").lower()
    return next((reason for part, reason in MESSAGE_REASONS if part in text), "refused")


def _error(body: bytes) -> Error | None:
    try:
        return msgspec.json.decode(body, type=ErrorReply).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
