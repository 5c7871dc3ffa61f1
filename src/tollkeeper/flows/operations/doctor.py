"""Examining a store: every payment against the invariants, and a provider's ledger if given.

Only reads. On a live service the ledger must be read before the store is, so that whatever it shows
was caused by something that is committed by then; sums are compared only where asked (`quiet`).
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from tollkeeper.failover.state import standing
from tollkeeper.flows.ports import Store
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.payments import invariants
from tollkeeper.payments.invariants import Audited, Given, Ledger, SealCheck, Violation
from tollkeeper.payments.payment import Books
from tollkeeper.providers.card import Book, findings

PAGE = 500
HANDLES = {name: version.handles for name, version in INSTALLED.items()}
"""Which version may follow up which one's payments."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was examined and what is wrong. `open_attempts` are not settled yet; `attention` counts
    payments that wait for a person; `warnings` say what goes wrong outside of the books."""

    payments: int
    charges: int
    open_attempts: int
    attention: int
    statuses: dict[str, int]
    violations: list[Violation]
    warnings: list[str] = []

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
    # bound before the payments are read: every key's payment is among them
    keys = (await store.holdings()).keys
    seen = _Seen(parts=_by_payment(ledger) if ledger is not None else None, quiet=quiet)
    now_ms = store.now_ms()
    async for audited in _all(store):
        seen.look(audited, now_ms)
    found = seen.found
    if ledger is not None:
        found += invariants.check_orphans(seen.payments, ledger)
    holdings = await store.holdings()
    found += invariants.check_answers(given, holdings, seen.payments)
    found += invariants.check_keys(keys, seen.claims, seen.accounts)
    found += invariants.check_claims(holdings.keys, seen.claims)
    found += invariants.check_orphaned(holdings)
    found += invariants.check_holdings(holdings, store.now_ms(), slack_ms)
    found += [violation async for violation in _seals(store)]
    payments = seen.payments.values()
    return Report(
        payments=len(seen.accounts),
        charges=len(ledger.charges) if ledger is not None else 0,
        open_attempts=sum(len(b.open_attempts()) for b in payments),
        attention=sum(b.payment.attention is not None for b in payments),
        statuses=dict(sorted(Counter(b.payment.status for b in payments).items())),
        violations=found,
        warnings=await _warnings(store),
    )


async def _warnings(store: Store) -> list[str]:
    """Versions that fail more than their history or misread, promotions that have alarmed, and
    providers' contacts that are stale."""
    found = [
        f"{watch.provider}: {sentence}"
        for watch in await store.list_watches()
        for sentence in standing(watch)
    ]
    rollouts = await store.list_rollouts(PAGE)
    known = await store.load_book()
    if known is not None:
        found += findings(msgspec.json.decode(known.shown, type=Book), store.now_ms())
    return found + [
        f"{rollout.id}: {rollout.candidate} was promoted, and its watch has alarmed: roll it back"
        for rollout in rollouts
        if rollout.is_promoted and rollout.alarmed
    ]


@dataclass(kw_only=True)
class _Seen:
    """What was gathered from the payments so far. An unreadable one has no books."""

    parts: dict[str, Ledger] | None
    quiet: bool
    found: list[Violation] = field(default_factory=list)
    payments: dict[str, Books] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str | None] = field(default_factory=dict)

    def look(self, audited: Audited, now_ms: int) -> None:
        id_, books = audited.payment_id, audited.books
        self.claims |= dict.fromkeys(invariants.claims_of(audited.audit), id_)
        self.found += [Violation("I7", id_, detail) for detail in audited.faults]
        self.accounts[id_] = books.payment.account if books is not None else None
        if books is None:
            return
        self.payments[id_] = books
        self.found += invariants.check_books(books, audited.audit, HANDLES)
        if self.parts is None:
            return
        part = self.parts.get(id_, Ledger(charges=[], intents=[]))
        self.found += invariants.check_effects(books, part)
        if self.quiet:
            self.found += invariants.check_quiet(books, part, now_ms)


async def _all(store: Store) -> AsyncIterator[Audited]:
    after = ""
    while ids := await store.page_ids(after, PAGE):
        for id_ in ids:
            found = await store.load_audited(id_)
            if found is not None:
                yield found
        after = ids[-1]


async def _seals(store: Store) -> AsyncIterator[Violation]:
    """Every seal still covers what it covered."""
    check = SealCheck(await store.seals())
    after = ("", 0)
    while heads := await store.page_sealed(after, PAGE):
        for head in heads:
            for violation in check.look(head):
                yield violation
        after = (heads[-1].payment_id, heads[-1].audit_seq)
    for violation in check.finish([seal.seq for seal in await store.seals()]):
        yield violation


def _by_payment(ledger: Ledger) -> dict[str, Ledger]:
    parts: dict[str, Ledger] = {}
    for charge in ledger.charges:
        name = charge.metadata.get(invariants.PAYMENT_KEY, "")
        parts.setdefault(name, Ledger(charges=[], intents=[])).charges.append(charge)
    for intent in ledger.intents:
        name = intent.metadata.get(invariants.PAYMENT_KEY, "")
        parts.setdefault(name, Ledger(charges=[], intents=[])).intents.append(intent)
    return parts
