"""Reading payments: one, a page of them, and one with all that belongs to it."""

from tollkeeper.flows.ports import Store
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.payment import Books, Payment


async def one(store: Store, payment_id: str, account: str) -> Payment:
    """The payment of `account`; raises `NotFound`, also for another account's."""
    payment = await store.load_payment(payment_id)
    if payment is None or payment.account != account:
        raise NotFound(f"no payment {payment_id}")
    return payment


async def page(
    store: Store,
    account: str,
    filters: dict[str, str],
    cursor: str,
    limit: int,
    *,
    backwards: bool = False,
) -> list[Payment]:
    """At most `limit` payments below `cursor` (an id), newest first; above it, oldest first, when
    `backwards`. `filters`: any of status, customer, reference, and needs_attention ("true")."""
    return await store.list_payments(account, filters, cursor, limit, backwards=backwards)


async def trail(store: Store, payment_id: str) -> list[AuditRow]:
    """The payment's audit rows in order."""
    return await store.load_audit(payment_id)


async def whole(store: Store, payment_id: str) -> tuple[Books, list[AuditRow]]:
    """A payment of any account with all that belongs to it, and its audit rows; raises
    `NotFound`."""
    books = await store.load_books(payment_id)
    if books is None:
        raise NotFound(f"no payment {payment_id}")
    return books, await store.load_audit(payment_id)
