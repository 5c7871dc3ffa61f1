"""Recording a decision: commit, and when the payment has moved on, read and decide again.

A lost acknowledgement is answered by committing the same change again, which never writes twice.
"""

from collections.abc import Callable
from typing import Final

from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound, StoreDoubt, Unavailable
from tollkeeper.payments.change import Change, committed
from tollkeeper.payments.closing import build_change
from tollkeeper.payments.commit import Committed, Recorded
from tollkeeper.payments.payment import Books

COMMIT_PAUSES_SECONDS: Final = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Pauses between tries of one commit: a failover of the database takes seconds."""

MAX_DECISIONS: Final = 12
"""How often one decision is made anew because others changed the payment meanwhile."""


async def commit_surely(runtime: Runtime, change: Change) -> Recorded:
    """Commits `change`; repeats it while the store is in doubt or away. Raises `StoreDoubt` or
    `Unavailable` when that goes on for longer than a failover takes."""
    for pause in COMMIT_PAUSES_SECONDS:
        try:
            return await runtime.store.commit(change)
        except (StoreDoubt, Unavailable):
            await runtime.clock.sleep(pause)
    return await runtime.store.commit(change)


async def load(runtime: Runtime, payment_id: str, account: str | None = None) -> Books:
    """The payment's books; `NotFound` where there are none or they are another account's."""
    books = await runtime.store.load_books(payment_id)
    if books is None or (account is not None and books.payment.account != account):
        raise NotFound(f"no payment {payment_id}")
    return books


async def record(
    runtime: Runtime,
    books: Books,
    decide: Callable[[Books], Books],
    *,
    cause: str,
    actor: str,
    complete: Callable[[Change, Books], Change] = lambda change, _: change,
) -> Books:
    """Applies `decide` to the books and commits what follows; gives the books as committed.

    `decide` is called again on fresh books when others were faster. It may give back what it was
    given, which commits nothing. `complete` adds to the change what is not books.
    """
    for _ in range(MAX_DECISIONS):
        after = decide(books)
        if after is books:
            return books
        change = complete(_closed(runtime, books, after, cause, actor), after)
        result = await commit_surely(runtime, change)
        if isinstance(result, Committed):
            return committed(after, change)
        books = await load(runtime, books.payment.id)
    raise Unavailable(f"payment {books.payment.id} is being changed by too many at once")


def _closed(runtime: Runtime, before: Books, after: Books, cause: str, actor: str) -> Change:
    return build_change(
        before,
        after,
        runtime.policy(after.payment.integration),
        cause=cause,
        actor=actor,
        now_ms=runtime.store.now_ms(),
        event_ids=runtime.event_ids(),
    )
