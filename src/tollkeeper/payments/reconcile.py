"""Books against what the provider shows now: settles what is open and records external changes.

It is the one place where a reading of the provider's state changes a payment, whoever asked:
settling, a webhook, a shopper's return. So any order and any repetition of readings that are each
true when made gives the same books. Nothing here concludes from absence; that is the ladder's.
"""

from msgspec.structs import replace

from tollkeeper.payments import moves
from tollkeeper.payments.judging import charge_mismatch
from tollkeeper.payments.outcome import Charge, DisputeSeen, OutcomeKind, RefundSeen
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.payments.results import (
    captured,
    charged,
    moved,
    refund_as_seen,
    totals,
    voided,
    with_attempt,
    with_refund,
)


def reconcile_charge(books: Books, charge: Charge, now_ms: int, *, by: str, asked_ms: int) -> Books:
    """The books after `charge` was seen; unchanged where it tells nothing new or is not ours.

    `asked_ms` is when the question was put, by the store's clock: an answer that may be older than
    what ended the payment brings nothing back to life.
    """
    if charge_mismatch(books.payment, charge) is not None:
        return books
    before = books
    books = _settle_void(books, charge, now_ms, by)
    books = _settle_authorize(books, charge, by)
    books = _settle_capture(books, charge, by)
    books = _external(books, charge, now_ms, asked_ms)
    return _touched(before, books, now_ms)


def is_overtaken(books: Books, charge: Charge) -> bool:
    """Whether `charge`, after it was reconciled, shows life in a payment that has ended: a reading
    that was overtaken, so that the question must be put again."""
    ended = books.payment.status in {"failed", "canceled"}
    return ended and charge.state in _LATE and charge_mismatch(books.payment, charge) is None


def reconcile_refunds(
    books: Books, seen: tuple[RefundSeen, ...], new_ids: tuple[str, ...], now_ms: int, *, by: str
) -> Books:
    """The books after the provider's refunds of this charge were seen, complete or in part.

    `new_ids` are fresh refund ids, at least one for each refund that we may not know.
    """
    before = books
    spare = iter(new_ids)
    released = _released(books, seen)
    for item in seen:
        if item.currency != books.payment.currency or item is released:
            continue
        ours = _refund_of(books, item)
        if ours is None and not _may_be_external(books, item):
            continue
        if ours is None:
            books = with_refund(books, _external_refund(books.payment, item, next(spare), now_ms))
        else:
            books = _settle_refund(books, ours, item, now_ms, by)
    return _touched(before, books, now_ms)


def reconcile_dispute(books: Books, seen: DisputeSeen, new_id: str, now_ms: int) -> Books:
    """The books after a dispute was seen; a closed dispute never opens again."""
    known = next((d for d in books.disputes if d.provider_id == seen.provider_id), None)
    if known is None:
        dispute = Dispute(
            id=new_id,
            payment_id=books.payment.id,
            provider_id=seen.provider_id,
            state=seen.state,
            amount_minor=seen.amount_minor,
            reason=seen.reason,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        disputes = (*books.disputes, dispute)
    elif known.state != "open" or seen.state == "open":
        return books
    else:
        closed = replace(known, state=seen.state, updated_ms=now_ms)
        disputes = tuple(closed if d.id == known.id else d for d in books.disputes)
    payment = replace(books.payment, disputed=True, updated_ms=now_ms)
    return replace(books, disputes=disputes, payment=payment)


def _touched(before: Books, after: Books, now_ms: int) -> Books:
    after = totals(after)
    if after == before:
        return before
    return replace(after, payment=replace(after.payment, updated_ms=now_ms))


def _open_attempt(books: Books, operation: str) -> Attempt | None:
    return next((a for a in books.open_attempts() if a.operation == operation), None)


def _settle_void(books: Books, charge: Charge, now_ms: int, by: str) -> Books:
    attempt = _open_attempt(books, "void")
    if attempt is None:
        return books
    if charge.state == "canceled":
        done = replace(attempt, outcome="approved", settled_by=by)
        return voided(with_attempt(books, done), done, now_ms)
    if charge.state in {"captured", "declined"}:
        failed = replace(attempt, outcome="failed", settled_by=by, detail=f"is {charge.state}")
        return with_attempt(books, failed)
    return books


def _settle_authorize(books: Books, charge: Charge, by: str) -> Books:
    attempt = _open_attempt(books, "authorize")
    undecided = books.payment.status in {"processing", "requires_action"}
    if not undecided or (attempt is not None and charge.attempt_id != attempt.id):
        return books
    kind = _AUTHORIZE_KIND.get(charge.state)
    if kind is None:
        return books
    if attempt is not None:
        settled = replace(attempt, outcome=kind, settled_by=by, provider_id=charge.provider_id)
        books = with_attempt(books, settled)
    return replace(books, payment=_decided(books.payment, charge))


def _decided(payment: Payment, charge: Charge) -> Payment:
    if charge.state == "declined":
        return replace(
            moved(payment, "declined"),
            decline_reason=charge.decline.reason if charge.decline else "declined",
            failure_code="declined",
            provider_id=charge.provider_id,
            redirect_url=None,
        )
    if charge.state == "canceled":
        return replace(
            moved(payment, "canceled_externally"),
            provider_id=charge.provider_id,
            redirect_url=None,
        )
    return charged(payment, charge)


def _settle_capture(books: Books, charge: Charge, by: str) -> Books:
    attempt = _open_attempt(books, "capture")
    if attempt is None:
        return books
    expected = books.payment.captured_minor + attempt.amount_minor
    if charge.captured_minor == expected and charge.state in {"captured", "authorized"}:
        done = replace(attempt, outcome="approved", settled_by=by)
        left = charge.capturable_minor
        return replace(with_attempt(books, done), payment=captured(books.payment, attempt, left))
    # captured, but not what we asked: no reading that we may believe; the ladder calls a person
    if charge.state == "canceled":
        failed = replace(attempt, outcome="failed", settled_by=by, detail=f"is {charge.state}")
        return with_attempt(books, failed)
    return books


def _external(books: Books, charge: Charge, now_ms: int, asked_ms: int) -> Books:
    """Changes that none of our attempts made. Waits while one of ours could still explain them."""
    payment = books.payment
    if any(a.operation != "refund" for a in books.open_attempts()):
        return books
    if payment.status == "requires_capture" and charge.state == "canceled":
        due = payment.authorization_expires_ms
        move: moves.Move = "expired" if due is not None and now_ms >= due else "canceled_externally"
        return replace(books, payment=replace(moved(payment, move), capturable_minor=0))
    if payment.status == "requires_capture" and charge.state == "captured":
        return replace(
            books,
            payment=replace(
                moved(payment, "captured_externally"),
                captured_minor=charge.captured_minor,
                capturable_minor=0,
            ),
        )
    return _found_late(books, charge, asked_ms)


def _found_late(books: Books, charge: Charge, asked_ms: int) -> Books:
    payment = books.payment
    if not is_overtaken(books, charge) or asked_ms <= payment.updated_ms:
        return books
    return replace(
        books,
        payment=replace(
            moved(payment, _LATE[charge.state]),
            provider_id=charge.provider_id,
            capturable_minor=charge.capturable_minor,
            captured_minor=charge.captured_minor,
            failure_code=None,
            decline_reason=None,
            attention=f"a live charge {charge.provider_id} was found after the payment had ended "
            f"as {payment.status}: void or refund it, or tell the shopper that it stands",
        ),
    )


def _refund_of(books: Books, seen: RefundSeen) -> Refund | None:
    for refund in books.refunds:
        if refund.provider_id == seen.provider_id:
            return refund
    attempt = books.attempt(seen.attempt_id or "")
    return books.refund(attempt.refund_id or "") if attempt is not None else None


def _may_be_external(books: Books, seen: RefundSeen) -> bool:
    """Whether a refund that we did not make is money given back. Where nothing was captured, or a
    capture or a cancellation is not settled yet, it may be an authorization that was released; and
    more than was captured and not given back yet is a misreading."""
    open_operations = {a.operation for a in books.open_attempts()}
    payment = totals(books).payment
    left = payment.captured_minor - payment.refunded_minor
    possible = seen.state == "failed" or 0 < seen.amount_minor <= left
    return payment.captured_minor > 0 and possible and not open_operations - {"refund"}


def _released(books: Books, seen: tuple[RefundSeen, ...]) -> RefundSeen | None:
    """The rest of an authorization that a partial capture released: providers list it as a refund.
    It is the oldest one (listings are newest first) of exactly that amount that is not ours."""
    payment = books.payment
    rest = payment.amount_minor - payment.captured_minor
    if rest == 0 or payment.captured_minor == 0:
        return None
    for item in reversed(seen):
        if item.amount_minor == rest and _refund_of(books, item) is None:
            return item
        if item.amount_minor == rest and item.attempt_id is None:
            return None  # it was taken for an external refund before, and stays one
    return None


def _settle_refund(books: Books, ours: Refund, seen: RefundSeen, now_ms: int, by: str) -> Books:
    if seen.amount_minor != ours.amount_minor:
        return books
    attempt = next((a for a in books.open_attempts() if a.refund_id == ours.id), None)
    if attempt is not None:
        kind = "declined" if seen.state == "failed" else "approved"
        settled = replace(attempt, outcome=kind, settled_by=by, provider_id=seen.provider_id)
        books = with_attempt(books, settled)
    if ours.status == "failed" or (ours.status == "succeeded" and seen.state == "pending"):
        # a failed refund stays failed, and an older reading does not undo a newer one
        return (
            books
            if ours.provider_id
            else with_refund(books, replace(ours, provider_id=seen.provider_id))
        )
    if (ours.status, ours.provider_id) == (seen.state, seen.provider_id):
        return books
    updated = refund_as_seen(ours, seen, now_ms)
    if seen.state == "failed":
        updated = replace(updated, failure_code="failed_at_provider")
    return with_refund(books, updated)


def _external_refund(payment: Payment, seen: RefundSeen, new_id: str, now_ms: int) -> Refund:
    return Refund(
        id=new_id,
        payment_id=payment.id,
        amount_minor=seen.amount_minor,
        status=seen.state,
        origin="external",
        created_ms=now_ms,
        updated_ms=now_ms,
        provider_id=seen.provider_id,
        reason="made at the provider",
    )


_AUTHORIZE_KIND: dict[str, OutcomeKind] = {
    "authorized": "approved",
    "captured": "approved",
    "requires_action": "pending",
    "processing": "pending",
    "declined": "declined",
    "canceled": "failed",
}
_LATE: dict[str, moves.Move] = {"authorized": "found_authorized", "captured": "found_paid"}
