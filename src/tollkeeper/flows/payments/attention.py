"""Attention ends when a person says so, with a reason that stays in the audit trail."""

from typing import Final

from msgspec.structs import replace

from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import CardNumberRefused, Conflict, Fault, Invalid
from tollkeeper.payments.cards import find_card_numbers
from tollkeeper.payments.payment import Books, Payment

MOST_REASON: Final = 300
"""Characters of a reason."""


async def clear(
    runtime: Runtime, payment_id: str, *, account: str | None, reason: str, actor: str
) -> Payment:
    """Takes the mark of attention from a payment. `account`: whose it must be, `None` for any.
    Raises `NotFound`, `Conflict` for a payment that needs no attention, and `Invalid` or
    `CardNumberRefused` for a reason that cannot be kept."""
    _check(reason)
    books = await load(runtime, payment_id, account)
    if books.payment.attention is None:
        raise Conflict(f"payment {payment_id} needs no attention")

    def decide(current: Books) -> Books:
        if current.payment.attention is None:
            return current
        payment = replace(current.payment, attention=None, attention_until="settled")
        return replace(current, payment=payment)

    after = await record(runtime, books, decide, cause=f"attention.cleared: {reason}", actor=actor)
    return after.payment


def _check(reason: str) -> None:
    if not reason.strip() or len(reason) > MOST_REASON or not reason.isprintable():
        detail = f"a reason is 1 to {MOST_REASON} printable characters on one line"
        raise Invalid(detail, faults=(Fault("/reason", detail),))
    if find_card_numbers(reason):
        fault = Fault("/reason", "looks like a card number")
        raise CardNumberRefused("a card number must never be stored", faults=(fault,))
