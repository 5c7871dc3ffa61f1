"""What Stripe's replies say, in our words.

Law: frozen versions import this file. It never changes by a byte; a change is `replies_2`, for new
revisions only.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from tollkeeper.integrations.parts.amounts_1 import read_amount
from tollkeeper.integrations.parts.reading_1 import pointer, storable
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import (
    ChargePart,
    Dispute,
    DisputeList,
    Error,
    ErrorReply,
    IntentList,
    LastPaymentError,
    Listed,
    PaymentIntent,
    Referenced,
    Refund,
    RefundList,
)
from tollkeeper.integrations.stripe.words_1 import (
    DECLINE_REASONS,
    DISPUTE_STATES,
    INTENT_STATES,
    LATER_STATUS,
    MESSAGE_REASONS,
    OURS_STATUSES,
    PARAMETER_REASONS,
    REFUND_STATES,
    REFUSAL_REASONS,
    REFUSED_STATUSES,
    RETRY_AFTER_MOST_S,
    UNITS,
)
from tollkeeper.integrations.version import WireReply
from tollkeeper.payments.outcome import (
    Charge,
    ChargeState,
    Decline,
    DisputeSeen,
    Doubt,
    FailureCode,
    Operation,
    Outcome,
    ProviderError,
    RefundSeen,
    Refusal,
    UnreadRow,
    unknown,
)


def outcome(shape: Shape, operation: Operation, reply: WireReply) -> Outcome:
    """What the reply says, in our words; `unknown` for whatever the tables do not know."""
    try:
        body = reply.body if operation in LISTINGS else storable(reply.body)
        ok = reply.status == 200
        said = _READERS[operation](shape, body) if ok else _refusal(shape, operation, reply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        at = pointer(str(error))
        said = unknown("decode", f"{operation}: {error}", at, reply.body[:80])
    return msgspec.structs.replace(
        said,
        provider_request_id=reply.header("request-id"),
        replayed=reply.header("idempotent-replayed") == "true",
        may_retry=_MAY_RETRY.get(reply.header("stripe-should-retry")),
    )


LISTINGS: Final = frozenset({"find", "list_refunds", "list_disputes"})
"""Their rows are read one by one: what is wrong with one hides no other."""

_MAY_RETRY: Final = {"true": True, "false": False}


def read_intent(shape: Shape, body: bytes) -> Outcome:
    """What a PaymentIntent says, in whatever state it is."""
    return _intent(shape, msgspec.json.decode(body, type=shape.intent))


def _intent(shape: Shape, intent: PaymentIntent) -> Outcome:
    state = INTENT_STATES.get(intent.status)
    if state is None:
        return unknown("contract", "status word not known", "/status", intent.status)
    decline = None
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        state, decline = "declined", _decline(intent.last_payment_error)
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


def _read_authorize(shape: Shape, body: bytes) -> Outcome:
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


def _read_refund(shape: Shape, body: bytes) -> Outcome:
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


def _read_list(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=IntentList)
    charges, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
        elif row.metadata is None:
            unread.append(_unreferenced(row, _row(partial(read_intent, shape), raw)))
        elif row.metadata.tollkeeper_payment is not None:
            said = _row(partial(read_intent, shape), raw)
            if said.charge is None:
                unread.append(_unread(row, said))
            else:
                charges.append(said.charge)
    return _page(page, tuple(unread), charges=tuple(charges))


def _read_refunds(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=RefundList)
    refunds, unread = [], []
    for raw in page.data:
        row = _listed(raw)
        if isinstance(row, UnreadRow):
            unread.append(row)
            continue
        said = _row(partial(_read_refund, shape), raw)
        if said.refund is None:
            unread.append(_unread(row, said))
        else:
            refunds.append(said.refund)
    return _page(page, tuple(unread), refunds=tuple(refunds))


def _read_disputes(shape: Shape, body: bytes) -> Outcome:
    page = msgspec.json.decode(body, type=DisputeList)
    disputes, unread = [], []
    for raw in page.data:
        try:
            text = storable(bytes(raw))
            disputes.append(dispute_seen(msgspec.json.decode(text, type=Dispute), 0))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            unread.append(UnreadRow(doubt=Doubt("decode", str(error)[:200]), may_be_ours=True))
    return _page(page, tuple(unread), disputes=tuple(disputes))


def _listed(raw: msgspec.Raw) -> Listed | UnreadRow:
    """A row's id and reference, which say whose it is, whatever else is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=Listed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        doubt = Doubt("decode", str(error)[:200], "/data/-")
    try:
        return Listed(metadata=msgspec.json.decode(raw, type=Referenced).metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return UnreadRow(doubt=doubt, may_be_ours=True)


def _row(read: Callable[[bytes], Outcome], raw: msgspec.Raw) -> Outcome:
    """One row, read by itself, so that its trouble is not that of the others."""
    try:
        return read(storable(bytes(raw)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return unknown("decode", str(error)[:200], pointer(str(error)))


def _unreferenced(row: Listed, said: Outcome) -> UnreadRow:
    """An intent without metadata, which Stripe always shows: it could be anybody's."""
    charge = said.charge
    return UnreadRow(
        doubt=Doubt("contract", "the row shows no metadata", "/data/-/metadata"),
        provider_id=row.id,
        may_be_ours=True,
        amount_minor=charge.amount_minor if charge is not None else None,
        currency=charge.currency if charge is not None else "",
    )


def _unread(row: Listed, said: Outcome) -> UnreadRow:
    doubt = said.doubt or Doubt("contract", "the row holds no charge")
    return UnreadRow(
        doubt=msgspec.structs.replace(doubt, pointer=f"/data/-{doubt.pointer}"),
        provider_id=row.id,
        payment_id=row.metadata.tollkeeper_payment if row.metadata else None,
        attempt_id=row.metadata.tollkeeper_attempt if row.metadata else None,
        may_be_ours=row.metadata is None,
    )


def _page(
    page: IntentList | RefundList | DisputeList, unread: tuple[UnreadRow, ...], **read: Any
) -> Outcome:
    """One page. A list goes on after its last row. Where that row shows no id, or is not there,
    what follows could be ours; what was read counts."""
    last = _listed(page.data[-1]) if page.data else Listed()
    cursor = last.id if isinstance(last, Listed) and page.has_more else ""
    if page.has_more and not cursor:
        doubt = Doubt("decode", "the list goes on, and its last row shows no id", "/data/-/id")
        unread = (*unread, UnreadRow(doubt=doubt, may_be_ours=True))
    return Outcome(kind="approved", unread=unread, next_cursor=cursor or None, **read)


def _refusal(shape: Shape, operation: Operation, reply: WireReply) -> Outcome:
    """A reply that is not 200: a decline, a proof that nothing was executed, or unknown."""
    error = _error(reply.body)
    if reply.status == 402 and error is not None and error.type == "card_error":
        intent = _shown_intent(shape, error)
        said = _intent(shape, intent) if intent is not None else None
        if said is not None and said.charge is None:
            return said  # its intent cannot be read, so neither can what it says about it
        charge = said.charge if said is not None else None
        return Outcome(kind="declined", decline=_decline(error), charge=charge)
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
        error=_provider_error(error) if error is not None else None,
    )


def _reason(code: str, error: Error | None) -> FailureCode:
    """What the shop is told: from the code, where it says enough, or else from the parameter that
    it is about, and without a code from the text."""
    if code in REFUSAL_REASONS:
        parameter = (error.param if error is not None else None) or ""
        return PARAMETER_REASONS.get((code, parameter), REFUSAL_REASONS[code])
    text = ((error.message if error is not None else None) or "").lower()
    return next((reason for part, reason in MESSAGE_REASONS if part in text), "refused")


def _provider_error(error: Error) -> ProviderError:
    return ProviderError(error.code or "", error.param or "", error.message or "")


def _error(body: bytes) -> Error | None:
    try:
        return msgspec.json.decode(body, type=ErrorReply).error
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _decline(error: Error | LastPaymentError) -> Decline:
    word = error.decline_code or error.code or ""
    reason = DECLINE_REASONS.get(word) or DECLINE_REASONS.get(error.code or "", "declined")
    shown = _provider_error(error) if isinstance(error, Error) else None
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


_READERS: Final[dict[Operation, Callable[[Shape, bytes], Outcome]]] = {
    "authorize": _read_authorize,
    "capture": read_intent,
    "void": read_intent,
    "refund": _read_refund,
    "lookup": read_intent,
    "find": _read_list,
    "list_refunds": _read_refunds,
    "list_disputes": _read_disputes,
}
