"""May this follow-up start? Amounts are reserved here, in the books, before anything is sent.

Two follow-ups that race are decided by the store: both change the payment, one finds that it
changed, reads again and is judged by what is left.
"""

from typing import Final

from msgspec.structs import replace

from tollkeeper.kernel.errors import Conflict, Fault, Invalid
from tollkeeper.kernel.money import display
from tollkeeper.payments.payment import Attempt, Books, MoneyOperation, Payment, Refund
from tollkeeper.payments.results import totals, with_attempt, with_refund

MAY_BE_ABANDONED: Final = frozenset({"processing", "requires_action", "failed", "canceled"})
"""Statuses in which no money is held for us, so that the intent may be cancelled."""


def open_capture(
    books: Books, attempt_id: str, now_ms: int, *, amount_minor: int | None, final: bool
) -> Books:
    """Starts a capture of `amount_minor` (default: all that is capturable). What the shop captures
    it wants to keep: a hold that was to be given back is not, from then on."""
    payment = books.payment
    _require(payment, "capture", ("requires_capture",))
    _alone(books, "capture")
    amount = payment.capturable_minor if amount_minor is None else amount_minor
    if amount == 0 and not (final and payment.captured_minor):
        raise Invalid(
            "a capture of nothing releases the rest after a part was captured",
            faults=(Fault("/amount_minor", "0 needs `final` true and an earlier capture"),),
        )
    if amount > payment.capturable_minor:
        raise _too_much("amount_minor", amount, payment.capturable_minor, payment, "capturable")
    if not final and not payment.multicapture:
        raise Invalid(
            "this payment was not authorized for several captures",
            faults=(Fault("/final", "false needs a payment created with multicapture"),),
        )
    attempt = _attempt(payment, attempt_id, "capture", amount, now_ms)
    kept = replace(books, payment=replace(payment, reversing=False))
    return _opened(kept, replace(attempt, final=final), now_ms)


def open_void(books: Books, attempt_id: str, now_ms: int) -> Books:
    """Starts the cancellation of an authorization or of an intent that waits for the shopper."""
    payment = books.payment
    _require(payment, "void", ("requires_capture", "requires_action"))
    _alone(books, "void")
    if payment.captured_minor:
        raise Conflict(
            "a part was captured: release the rest with a capture of 0 that is final, or refund"
        )
    attempt = _attempt(payment, attempt_id, "void", payment.capturable_minor, now_ms)
    return _opened(books, attempt, now_ms)


def open_abandon(books: Books, attempt_id: str, provider_id: str, now_ms: int) -> Books:
    """Starts the cancellation of an intent that could still be confirmed: before its payment is
    failed, or after that where the intent landed late."""
    assert books.payment.status in MAY_BE_ABANDONED, books.payment.status
    attempt = _attempt(books.payment, attempt_id, "void", books.payment.amount_minor, now_ms)
    attempt = replace(attempt, purpose="abandon", provider_id=provider_id)
    return _opened(books, attempt, now_ms)


def open_refund(
    books: Books,
    attempt_id: str,
    refund_id: str,
    now_ms: int,
    *,
    amount_minor: int | None,
    reason: str | None,
) -> Books:
    """Starts a refund of `amount_minor` (default: all that is left)."""
    payment = books.payment
    if payment.captured_minor == 0:
        raise Conflict(f"nothing was captured; the payment is {payment.status}")
    left = refundable_minor(books)
    amount = left if amount_minor is None else amount_minor
    if amount > left or amount == 0:
        raise _too_much("amount_minor", amount, left, payment, "refundable")
    refund = Refund(
        id=refund_id,
        payment_id=payment.id,
        amount_minor=amount,
        status="pending",
        origin="api",
        created_ms=now_ms,
        updated_ms=now_ms,
        reason=reason,
    )
    attempt = _attempt(payment, attempt_id, "refund", amount, now_ms)
    attempt = replace(attempt, refund_id=refund_id)
    return _opened(with_refund(books, refund), attempt, now_ms)


def sent_by(books: Books, attempt_id: str, sender: str) -> Books:
    """The books with the process noted that is about to send the attempt."""
    attempt = books.attempt(attempt_id)
    assert attempt is not None, f"no attempt {attempt_id}"
    return with_attempt(books, replace(attempt, sender=sender))


def routed_through(books: Books, attempt_id: str, integration: str) -> Books:
    """The books with the follow-up going through another version, as an operator's route says."""
    attempt = books.attempt(attempt_id)
    assert attempt is not None, f"no attempt {attempt_id}"
    assert attempt.operation != "authorize", "routes of follow-ups move no authorization"
    return with_attempt(books, replace(attempt, integration=integration, routed=True))


def sent_through(books: Books, attempt_id: str, integration: str) -> Books:
    """The books with the version noted that the attempt goes through."""
    attempt = books.attempt(attempt_id)
    assert attempt is not None, f"no attempt {attempt_id}"
    return with_attempt(books, replace(attempt, integration=integration))


def refundable_minor(books: Books) -> int:
    """What may still be refunded: captured, less refunds made and refunds in flight."""
    holding = sum(a.amount_minor for a in books.open_attempts() if a.operation == "refund")
    return books.payment.captured_minor - books.payment.refunded_minor - holding


def _opened(books: Books, attempt: Attempt, now_ms: int) -> Books:
    books = with_attempt(books, attempt)
    return totals(replace(books, payment=replace(books.payment, updated_ms=now_ms)))


def _attempt(
    payment: Payment, attempt_id: str, operation: MoneyOperation, amount_minor: int, now_ms: int
) -> Attempt:
    return Attempt(
        id=attempt_id,
        payment_id=payment.id,
        operation=operation,
        integration=payment.integration,
        amount_minor=amount_minor,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
    )


def _require(payment: Payment, operation: str, statuses: tuple[str, ...]) -> None:
    if payment.status not in statuses:
        raise Conflict(f"{operation} needs {' or '.join(statuses)}; it is {payment.status}")


def _alone(books: Books, operation: str) -> None:
    for attempt in books.open_attempts():
        if attempt.operation != "refund":
            raise Conflict(f"{operation} must wait: a {attempt.operation} is not settled yet")


def _too_much(field: str, amount: int, left: int, payment: Payment, what: str) -> Invalid:
    currency = payment.currency
    detail = f"{display(amount, currency)} asked, {display(left, currency)} {what}"
    return Invalid(detail, faults=(Fault(f"/{field}", detail),))
