"""After a restore from a backup: what a charge at the provider shows that our books do not have.

Law: nothing is decided here about money. A known payment is looked at again, as settling always
does; what no payment explains is for a person.
"""

from typing import Final

from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Books

HOLDING: Final = frozenset({"authorized", "captured", "processing", "requires_action"})
"""States in which a charge has taken money, holds it, or may still take it."""

STATUSES: Final[dict[str, frozenset[str]]] = {
    "authorized": frozenset({"requires_capture"}),
    "captured": frozenset({"succeeded"}),
    "canceled": frozenset({"canceled", "failed"}),
    "declined": frozenset({"failed"}),
    "processing": frozenset({"processing"}),
    "requires_action": frozenset({"requires_action", "processing"}),
}


def unexplained(charge: Charge) -> str | None:
    """What a charge of no payment of ours holds, or `None` where it holds nothing."""
    if charge.state not in HOLDING:
        return None
    if charge.state != "captured":
        return f"{charge.state} {charge.amount_minor}"
    left = charge.captured_minor - (charge.refunded_minor or 0)
    return f"captured {charge.captured_minor}, not given back {left}" if left else None


def difference(books: Books, charge: Charge, released_minor: int = 0) -> str | None:
    """What the charge shows that the books do not, or `None`. Amounts are minor units.

    The refunded sum is compared where the provider shows it. `released_minor`: how much of it was
    never captured, where the provider counts the rest of an authorization as refunded.
    """
    payment = books.payment
    if charge.attempt_id is not None and books.attempt(charge.attempt_id) is None:
        return f"no attempt {charge.attempt_id} is in our books"
    if payment.provider_id not in {None, charge.provider_id}:
        return f"our books know {payment.provider_id}" if charge.state in HOLDING else None
    if payment.status not in STATUSES.get(charge.state, frozenset({payment.status})):
        return f"{charge.state} there, {payment.status} here"
    if charge.state != "captured":
        return None
    if charge.captured_minor != payment.captured_minor:
        return f"captured {charge.captured_minor} there, {payment.captured_minor} here"
    shown = charge.refunded_minor
    if shown not in {None, payment.refunded_minor, payment.refunded_minor + released_minor}:
        return f"refunded {shown} there, {payment.refunded_minor} here"
    return None
