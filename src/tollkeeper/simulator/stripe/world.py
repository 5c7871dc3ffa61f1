"""The provider's memory and what every effect on it needs: time, identifiers, events, the books."""

from collections.abc import Callable
from typing import Any

import msgspec

from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.simulator.core.collections import Shelf
from tollkeeper.simulator.core.identifiers import new_identifier
from tollkeeper.simulator.core.scheduler import Agenda
from tollkeeper.simulator.stripe import ledger as ledger_of
from tollkeeper.simulator.stripe.cards import CARDS, TOKENS
from tollkeeper.simulator.stripe.config import KeyConfig, SimulatorConfig
from tollkeeper.simulator.stripe.records import (
    Account,
    Charge,
    Customer,
    Dispute,
    Endpoint,
    Event,
    Intent,
    Key,
    Method,
    Origin,
    Record,
    Refund,
)
from tollkeeper.simulator.stripe.rendering import RENDERERS, render_charge, render_refund
from tollkeeper.simulator.stripe.versions import NEWEST, Document, take_back

Journal = Callable[[ledger_of.LedgerCharge], None]
Announce = Callable[[Event, Endpoint], None]


class Shelves:
    """Everything that one account owns."""

    def __init__(self) -> None:
        self.intents: Shelf[Intent] = Shelf()
        self.charges: Shelf[Charge] = Shelf()
        self.refunds: Shelf[Refund] = Shelf()
        self.disputes: Shelf[Dispute] = Shelf()
        self.customers: Shelf[Customer] = Shelf()
        self.endpoints: dict[str, Endpoint] = {}
        self.events: dict[str, Event] = {}


class World:
    """All accounts' records. Every method is one step of one effect; none waits."""

    def __init__(
        self,
        config: SimulatorConfig,
        clock: Clock,
        chance: Chance,
        agenda: Agenda,
        journal: Journal | None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.chance = chance
        self.agenda = agenda
        self.issuer = config.issuer
        self.accounts: dict[str, Account] = {}
        self.shelves: dict[str, Shelves] = {}
        self.keys: dict[str, Key] = {}
        for account in config.accounts:
            self.open_account(account.id, account.api_version)
            self.keys[account.key] = Key(account.id)
        for key in config.keys:
            self.put_key(key)
        self.methods: dict[str, Method] = {}
        self.announce: Announce | None = None
        self._journal = journal
        self._touched: dict[str, Charge] = {}

    # Accounts and keys

    def open_account(self, identifier: str, api_version: str) -> None:
        """An account that owns nothing yet; one that exists stays as it is."""
        if identifier not in self.accounts:
            self.accounts[identifier] = Account(identifier, api_version)
            self.shelves[identifier] = Shelves()

    def put_key(self, key: KeyConfig) -> None:
        """From now on `key` is what it says; an account that is new is opened."""
        self.open_account(key.account, NEWEST)
        self.keys[key.key] = Key(key.account, key.expired, key.allowed)

    # Time and names

    def now_ms(self) -> int:
        """The true time: of the books, of keys, of deliveries."""
        return self.clock.now_ms()

    def now(self) -> int:
        """The time that the provider believes it is, in Unix seconds: what the wire shows."""
        return (self.clock.now_ms() + round(self.config.clock_offset_seconds * 1000)) // 1000

    def new_id(self, prefix: str) -> str:
        return new_identifier(prefix, self.chance)

    # Payment methods

    def make_method(self, name: str) -> str | None:
        """A payment method of its own for a published test name (each use makes a new one, as at
        the provider), the same identifier for one that exists, None for an unknown one."""
        if name in self.methods:
            return name
        card = CARDS.get(TOKENS.get(name, name))
        if card is None:
            return None
        identifier = self.new_id("pm")
        self.methods[identifier] = Method(card)
        return identifier

    # Looking up across accounts (control, challenge pages)

    def find_intent(self, identifier: str) -> Intent | None:
        return self._find(lambda shelves: shelves.intents.get(identifier))

    def find_charge(self, identifier: str) -> Charge | None:
        return self._find(lambda shelves: shelves.charges.get(identifier))

    def find_refund(self, identifier: str) -> Refund | None:
        return self._find(lambda shelves: shelves.refunds.get(identifier))

    def find_dispute(self, identifier: str) -> Dispute | None:
        return self._find(lambda shelves: shelves.disputes.get(identifier))

    def _find[R](self, look: Callable[[Shelves], R | None]) -> R | None:
        for shelves in self.shelves.values():
            found = look(shelves)
            if found is not None:
                return found
        return None

    # The library of versions.Library

    def charges_of(self, intent_id: str) -> list[Document]:
        intent = self.find_intent(intent_id)
        identifiers = intent.charges[::-1] if intent else []
        charges = [self.find_charge(identifier) for identifier in identifiers]
        return [render_charge(c, self.config.public_url) for c in charges if c is not None]

    def refunds_of(self, charge_id: str) -> list[Document]:
        charge = self.find_charge(charge_id)
        identifiers = charge.refunds[::-1] if charge else []
        refunds = [self.find_refund(identifier) for identifier in identifiers]
        return [render_refund(r, self.config.public_url) for r in refunds if r is not None]

    def render(self, record: Record) -> Document:
        """A record in the newest form of the wire."""
        return RENDERERS[type(record)](record, self.config.public_url)

    # Events

    def emit(
        self,
        kind: str,
        record: Intent | Charge | Refund | Dispute,
        origin: Origin,
        previous: dict[str, Any] | None = None,
    ) -> None:
        """Record that `kind` happened to `record`, and announce it to whoever listens."""
        account = self.accounts[record.account]
        shelves = self.shelves[record.account]
        listeners = [e for e in shelves.endpoints.values() if _hears(e, kind)]
        event = Event(
            id=self.new_id("evt"),
            account=account.id,
            created=self.now(),
            type=kind,
            api_version=account.api_version,
            origin=origin,
            documents=self._documents(record, account, listeners),
            previous=previous,
            pending_webhooks=len(listeners),
        )
        self._keep(shelves, event)
        for endpoint in listeners:
            if self.announce is not None:
                self.announce(event, endpoint)

    def _documents(
        self, record: Record, account: Account, listeners: list[Endpoint]
    ) -> dict[str, bytes]:
        documents: dict[str, bytes] = {}
        for version in (account.api_version, *(e.api_version for e in listeners)):
            if version is not None and version not in documents:
                form = take_back(self.render(record), version, self)
                documents[version] = msgspec.json.encode(form)
        return documents

    def _keep(self, shelves: Shelves, event: Event) -> None:
        shelves.events[event.id] = event
        if len(shelves.events) > self.config.events_kept:
            del shelves.events[next(iter(shelves.events))]

    # The books

    def touch(self, charge: Charge) -> None:
        """`charge` changed; the journal hears of it when the effect is complete."""
        charge.updated_ms = self.now_ms()
        if self._journal is not None:
            self._touched[charge.id] = charge

    def close_books(self) -> None:
        """An effect is complete: write the charges that it changed to the journal."""
        if self._journal is None or not self._touched:
            return
        for charge in self._touched.values():
            self._journal(self.charge_entry(charge))
        self._touched.clear()

    def charge_entry(self, charge: Charge) -> ledger_of.LedgerCharge:
        shelves = self.shelves[charge.account]
        refunds = [shelves.refunds.get(identifier) for identifier in charge.refunds]
        disputes = [shelves.disputes.get(identifier) for identifier in charge.disputes]
        return ledger_of.charge_entry(
            charge,
            [refund for refund in refunds if refund is not None],
            [dispute for dispute in disputes if dispute is not None],
            self.config.reference_key,
        )

    def ledger(self) -> ledger_of.Ledger:
        key = self.config.reference_key
        charges = [c for s in self.shelves.values() for c in s.charges.records]
        intents = [i for s in self.shelves.values() for i in s.intents.records]
        return ledger_of.Ledger(
            charges=[self.charge_entry(c) for c in sorted(charges, key=lambda c: c.created_ms)],
            intents=[
                ledger_of.intent_entry(i, key) for i in sorted(intents, key=lambda i: i.created)
            ],
        )


def _hears(endpoint: Endpoint, kind: str) -> bool:
    wanted = endpoint.enabled_events
    return endpoint.status == "enabled" and ("*" in wanted or kind in wanted)
