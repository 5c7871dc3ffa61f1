"""Correcting a payment that its own version has misread, by what another version sees.

It happens where a canary's payment is looked up through the baseline and they disagree. From then
on the payment belongs to the version that reads it rightly; what no move expresses needs a person.
"""

from msgspec.structs import replace

from tollkeeper.payments.judging import charge_mismatch
from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Books, Payment
from tollkeeper.payments.reconcile import reconcile_charge
from tollkeeper.payments.results import moved


def corrected(
    books: Books, charge: Charge, reader: str, why: str, now_ms: int, *, asked_ms: int
) -> Books:
    """The books after the version `reader` has seen `charge`, which disagrees with them for the
    reason `why`. Its follow-ups go to `reader`, which is the audited move that this needs."""
    return reassign(_as_seen(books, charge, why, now_ms, asked_ms=asked_ms), reader, now_ms)


def _as_seen(books: Books, charge: Charge, why: str, now_ms: int, *, asked_ms: int) -> Books:
    payment = books.payment
    if charge_mismatch(payment, charge) is not None:
        return replace(books, payment=_for_a_person(payment, why))
    if payment.status in {"succeeded", "requires_capture"} and charge.state == "declined":
        reason = charge.decline.reason if charge.decline else "declined"
        return replace(
            books,
            payment=replace(
                moved(payment, "misread_approval"),
                decline_reason=reason,
                failure_code="declined",
                captured_minor=0,
                capturable_minor=0,
            ),
        )
    if payment.status == "succeeded" and charge.state == "authorized":
        return replace(
            books,
            payment=replace(
                moved(payment, "misread_capture"),
                captured_minor=charge.captured_minor,
                capturable_minor=charge.capturable_minor,
            ),
        )
    after = reconcile_charge(books, charge, now_ms, by="cross_read", asked_ms=asked_ms)
    if after is books:
        return replace(books, payment=_for_a_person(payment, why))
    return after


def reassign(books: Books, reader: str, now_ms: int) -> Books:
    """The books with their follow-ups moved to the version `reader`, as an audited move."""
    payment = books.payment
    if payment.integration == reader:
        return books
    return replace(
        books,
        payment=replace(
            payment,
            integration=reader,
            moved_from=payment.integration,
            moved_ms=now_ms,
            updated_ms=now_ms,
        ),
    )


def _for_a_person(payment: Payment, why: str) -> Payment:
    return replace(payment, attention=f"cross-read: {why}"[:1000], attention_until="cleared")
