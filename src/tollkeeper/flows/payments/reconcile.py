"""Reconciling after a restore: the provider's charges of a time, against our books.

Reads at the provider and moves nothing there. A payment that differs is looked at at once, and its
books are corrected; a charge that no payment explains is reported.
"""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from tollkeeper.flows.payments.settle import look_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask
from tollkeeper.integrations.version import Integration, OperationInput
from tollkeeper.kernel.errors import NotSent
from tollkeeper.payments.outcome import Charge, Outcome
from tollkeeper.payments.reconcile import released_minor
from tollkeeper.payments.restoring import difference, unexplained

MAX_PAGES: Final = 100_000
"""Ten million charges: more than any interval that a backup loses."""


class Entry(msgspec.Struct, frozen=True):
    """One charge that is not as our books have it."""

    charge: str
    payment: str
    amount_minor: int
    currency: str
    detail: str


class Reconciled(msgspec.Struct, frozen=True):
    """`charges` of ours were listed. `mended` differed, and the books were corrected; `differing`
    still differ, and settling goes on looking; `unexplained` belong to no payment that we have;
    `unread` rows of the list could not be read."""

    charges: int
    differing: list[Entry]
    unexplained: list[Entry]
    mended: list[Entry] = []
    unread: int = 0

    @property
    def agreed(self) -> bool:
        return not self.differing and not self.unexplained and not self.unread


async def reconcile(
    runtime: Runtime, integration: Integration, since_ms: int, until_ms: int | None = None
) -> Reconciled:
    """Compares every charge with a reference of ours that was made in the interval (Unix
    milliseconds; until now for `None`), and corrects the books where they differ. Raises `NotSent`
    where the provider does not list them to the end."""
    until_ms = runtime.store.now_ms() if until_ms is None else until_ms
    found = Reconciled(0, [], [])
    count = unread = 0
    async for page in _pages(runtime, integration, since_ms, until_ms):
        unread += len(page.unread)
        count += len(page.charges)
        for charge in page.charges:
            await _compare(runtime, charge, found)
    return msgspec.structs.replace(found, charges=count, unread=unread)


async def _compare(runtime: Runtime, charge: Charge, found: Reconciled) -> None:
    """Compares one charge; looks at its payment at once where they differ."""
    books = await runtime.store.load_books(charge.payment_id or "")
    if books is None:
        detail = unexplained(charge)
        if detail is not None:
            found.unexplained.append(_entry(charge, detail))
        return
    detail = difference(books, charge, released_minor(books, runtime.releases))
    if detail is None:
        return
    # durable first: what cannot be mended now is looked at again by the running service
    await runtime.store.hint(books.payment.id, charge.provider_id, runtime.store.now_ms())
    after = await look_now(runtime, books, charge.provider_id)
    mended = difference(after, charge, released_minor(after, runtime.releases)) is None
    (found.mended if mended else found.differing).append(_entry(charge, detail))


def _entry(charge: Charge, detail: str) -> Entry:
    return Entry(
        charge.provider_id, charge.payment_id or "", charge.amount_minor, charge.currency, detail
    )


async def _pages(
    runtime: Runtime, integration: Integration, since_ms: int, until_ms: int
) -> AsyncIterator[Outcome]:
    order = OperationInput(
        payment_id="",
        attempt_id="",
        amount_minor=0,
        currency="",
        created_from_s=since_ms // 1000,
        created_to_s=until_ms // 1000 + 1,
    )
    for _ in range(MAX_PAGES):
        said = await ask(runtime, integration, "find", order)
        if not said.is_answer:
            why = said.doubt or said.refusal
            raise NotSent(f"{integration.name} does not list its charges: {why}")
        yield said
        if said.next_cursor is None:
            return
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    raise NotSent(f"{integration.name} lists more than {MAX_PAGES} pages")
