"""What shows up late: a conclusion that a fact contradicts, and a charge that nobody waits for.

Law: a corrected conclusion is told to the shop and to a person. Money is given back only where the
account asked for it beforehand; a hold that our own late repetition made is always released.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment, Refund
from tollkeeper.payments.reservation import open_refund, open_void, refundable_minor
from tollkeeper.payments.results import with_attempt

MAX_REVERSALS: Final = 3
"""Attempts at reversing one charge; then a person must act."""

REASON: Final = "the charge showed up after the payment had failed"


def came_to_life(before: Books, after: Books) -> bool:
    """Whether a payment that the shop knows as failed turned out to hold money."""
    return before.payment.status == "failed" and after.payment.status in {
        "requires_capture",
        "succeeded",
    }


def made_too_late(payment: Payment, attempt: Attempt, said: Outcome, now_ms: int) -> bool:
    """Whether a repetition, which was to ask the key, made a hold whose shopper has left."""
    made = said.kind == "approved" and not said.replayed and attempt.operation == "authorize"
    return made and now_ms >= payment.deadline_ms


def to_be_undone(books: Books) -> Books:
    """The books, with their hold to be given back."""
    if books.payment.status != "requires_capture":
        return books
    return replace(books, payment=replace(books.payment, reversing=True))


def still_reversible(books: Books) -> bool:
    """Whether something of the charge is left to reverse, and another attempt may be made."""
    if any(a.purpose == "reverse" for a in books.open_attempts()):
        return True
    made = sum(a.purpose == "reverse" for a in books.attempts)
    return made < MAX_REVERSALS and not is_given_back(books)


def is_partly_captured(books: Books) -> bool:
    """Whether a part of a hold was captured, here or at the provider: somebody wants the money, and
    no provider cancels such a hold."""
    return books.payment.status == "requires_capture" and books.payment.captured_minor > 0


def is_given_back(books: Books) -> bool:
    """Whether nothing of the charge is left to give back."""
    if books.payment.status == "requires_capture":
        return False
    return books.payment.status != "succeeded" or refundable_minor(books) == 0


def open_reversal(books: Books, attempt_id: str, refund_id: str, now_ms: int) -> Books:
    """Starts giving back the whole charge: a void before the capture, a refund after it."""
    if books.payment.status == "requires_capture":
        opened = open_void(books, attempt_id, now_ms)
    else:
        opened = open_refund(books, attempt_id, refund_id, now_ms, amount_minor=None, reason=REASON)
    attempt = opened.attempt(attempt_id)
    assert attempt is not None, "a reversal has an attempt"
    return with_attempt(opened, replace(attempt, purpose="reverse"))


def corrected_attempts(before: Books | None, after: Books) -> Iterator[Attempt]:
    """Attempts whose conclusion this change corrects."""
    for attempt in after.attempts:
        old = before.attempt(attempt.id) if before is not None else None
        if attempt.corrected_ms is not None and (old is None or old.corrected_ms is None):
            yield attempt


def corrected_refunds(before: Books | None, after: Books) -> Iterator[Refund]:
    """Refunds whose conclusion this change corrects."""
    for attempt in corrected_attempts(before, after):
        refund = after.refund(attempt.refund_id or "")
        if refund is not None:
            yield refund
