"""Reconciling after a restore: the provider's charges of a time, against our books.

Reads at the provider and moves nothing there. A payment that differs is looked at again by a
`refresh` job; a charge that no payment explains is reported.
"""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from tollkeeper.flows.sending import ask
from tollkeeper.flows.world import World
from tollkeeper.integrations.values import Integration, Order
from tollkeeper.kernel.errors import NotSent
from tollkeeper.payments.outcome import Charge
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
    """`charges` of ours were listed; `differing` are being looked at again; `unexplained` belong to
    no payment that we have."""

    charges: int
    differing: list[Entry]
    unexplained: list[Entry]

    @property
    def agreed(self) -> bool:
        return not self.differing and not self.unexplained


async def reconcile(
    world: World, integration: Integration, since_ms: int, until_ms: int
) -> Reconciled:
    """Compares every charge with a reference of ours that was made in the interval (Unix
    milliseconds). Raises `NotSent` where the provider does not list them to the end."""
    count = 0
    differing: list[Entry] = []
    strange: list[Entry] = []
    async for charge in _charges(world, integration, since_ms, until_ms):
        count += 1
        books = await world.store.load_books(charge.payment_id or "")
        detail = unexplained(charge) if books is None else difference(books, charge)
        if detail is None:
            continue
        (strange if books is None else differing).append(_entry(charge, detail))
        if books is not None:
            await world.store.enqueue_job("refresh", books.payment.id, world.store.now_ms())
    return Reconciled(count, differing, strange)


def _entry(charge: Charge, detail: str) -> Entry:
    return Entry(
        charge.provider_id, charge.payment_id or "", charge.amount_minor, charge.currency, detail
    )


async def _charges(
    world: World, integration: Integration, since_ms: int, until_ms: int
) -> AsyncIterator[Charge]:
    order = Order(
        payment_id="",
        attempt_id="",
        amount_minor=0,
        currency="",
        created_from_s=since_ms // 1000,
        created_to_s=until_ms // 1000 + 1,
    )
    for _ in range(MAX_PAGES):
        said = await ask(world, integration, "find", order)
        if said.kind != "approved":
            why = said.doubt or said.refusal
            raise NotSent(f"{integration.name} does not list its charges: {why}")
        for charge in said.charges:
            yield charge
        if said.next_cursor is None:
            return
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    raise NotSent(f"{integration.name} lists more than {MAX_PAGES} pages")
