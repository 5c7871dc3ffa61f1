"""Attention ends when a person says so, with a reason that stays in the audit trail."""

from msgspec.structs import replace

from tollkeeper.flows.recording import load, record
from tollkeeper.flows.world import World
from tollkeeper.kernel.errors import Conflict
from tollkeeper.payments.payment import Books, Payment


async def clear(
    world: World, payment_id: str, *, account: str | None, reason: str, actor: str
) -> Payment:
    """Takes the mark of attention from a payment. `account`: whose it must be, `None` for any.
    Raises `NotFound`, and `Conflict` for a payment that needs no attention."""
    books = await load(world, payment_id, account)
    if books.payment.attention is None:
        raise Conflict(f"payment {payment_id} needs no attention")

    def decide(current: Books) -> Books:
        if current.payment.attention is None:
            return current
        payment = replace(current.payment, attention=None, attention_until="settled")
        return replace(current, payment=payment)

    after = await record(world, books, decide, cause=f"attention.cleared: {reason}", actor=actor)
    return after.payment
