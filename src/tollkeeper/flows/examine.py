"""Examining a store: every payment against the invariants, and a provider's ledger if given.

Only reads. On a live service the ledger must be read before the store is, so that whatever it shows
was caused by something that is committed by then; sums are compared only where asked (`quiet`).
"""

from collections.abc import AsyncIterator

import msgspec

from tollkeeper.flows.ports import Store
from tollkeeper.payments import invariants
from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.invariants import Given, Ledger, Violation
from tollkeeper.payments.payment import Books

PAGE = 500


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was examined and what is wrong. `open_attempts` are not settled yet; `attention` counts
    payments that wait for a person."""

    payments: int
    charges: int
    open_attempts: int
    attention: int
    statuses: dict[str, int]
    violations: list[Violation]

    @property
    def healthy(self) -> bool:
        return not self.violations


async def examine(
    store: Store,
    ledger: Ledger | None,
    *,
    quiet: bool,
    given: tuple[Given, ...] = (),
    slack_ms: int = 120_000,
) -> Report:
    """Checks every payment; with `quiet` also what must hold once nothing is under way."""
    found: list[Violation] = []
    payments: dict[str, Books] = {}
    statuses: dict[str, int] = {}
    parts = _by_payment(ledger) if ledger is not None else {}
    now_ms = store.now_ms()
    async for books, audit in _all(store):
        payment = books.payment
        payments[payment.id] = books
        statuses[payment.status] = statuses.get(payment.status, 0) + 1
        found += invariants.check_books(books, audit)
        if ledger is not None:
            part = parts.get(payment.id, Ledger(charges=[], intents=[]))
            found += invariants.check_effects(books, part)
            if quiet:
                found += invariants.check_quiet(books, part, now_ms)
    if ledger is not None:
        found += invariants.check_orphans(payments, ledger)
    holdings = await store.holdings()
    found += invariants.check_answers(given, holdings, payments)
    found += invariants.check_holdings(holdings, store.now_ms(), slack_ms)
    return Report(
        payments=len(payments),
        charges=len(ledger.charges) if ledger is not None else 0,
        open_attempts=sum(len(b.open_attempts()) for b in payments.values()),
        attention=sum(b.payment.attention is not None for b in payments.values()),
        statuses=dict(sorted(statuses.items())),
        violations=found,
    )


async def _all(store: Store) -> AsyncIterator[tuple[Books, list[AuditRow]]]:
    after = ""
    while ids := await store.page_ids(after, PAGE):
        for id_ in ids:
            found = await store.load_audited(id_)
            if found is not None:
                yield found
        after = ids[-1]


def _by_payment(ledger: Ledger) -> dict[str, Ledger]:
    parts: dict[str, Ledger] = {}
    for charge in ledger.charges:
        name = charge.metadata.get(invariants.PAYMENT_KEY, "")
        parts.setdefault(name, Ledger(charges=[], intents=[])).charges.append(charge)
    for intent in ledger.intents:
        name = intent.metadata.get(invariants.PAYMENT_KEY, "")
        parts.setdefault(name, Ledger(charges=[], intents=[])).intents.append(intent)
    return parts
