"""What a simulation watches over time: when effects took place, what webhooks told, what it covers.

The laws stand in `payments.invariants`; this gathers what they need.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from tollkeeper.integrations.stripe.words_1 import DISPUTE_STATES
from tollkeeper.payments import invariants
from tollkeeper.payments.change import Change
from tollkeeper.payments.invariants import Violation
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.settings import Settings
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.store import payments
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.loop import VirtualLoop
from tollkeeper.testing.network import SimulatedWire
from tollkeeper.testing.ports import EPOCH_MS, VirtualClock
from tollkeeper.testing.storage import SimulatedDriver
from tollkeeper.testing.temper import ACCOUNT, WINDOW_SECONDS, Temper

WINDOW_MS: Final = int(WINDOW_SECONDS * 1000)
LEAVING_MS: Final = 1_500
"""The longest that a request takes from its commit to the wire."""

HOURS_MS: Final = 300_000
"""From this lateness on an effect is beyond any window that a provider's library waits for."""

MARGIN_S: Final = 300
"""How far the provider's clock may be off before our listings prove nothing."""

RETRY_SECONDS: Final = 75.0
"""A look that was not answered is taken again within 60 s, and then takes a moment."""

GRACE_SECONDS: Final = 40.0
"""After the last fault: within it the leases of jobs run out whose process was killed."""

CLOCK_SECONDS: Final = 15.0
"""After so long every process has seen the provider's new time; no older answer is under way."""

WAIT_MS: Final = 5_000
"""How long a payment's settling may be due and not started, whatever another account does."""

UNLISTED: Final = "a refusal of tomorrow"
"""The message of refusals that no table knows."""

SELECT_OVERDUE: Final = (
    "SELECT subject, ? - run_at_ms FROM jobs JOIN payments ON payments.id = jobs.subject "
    "WHERE kind IN ('settle', 'refresh') AND run_at_ms < ? AND lease_until_ms < ? AND account = ?"
)


class Watched(Protocol):
    """What is asked of the simulation that is watched."""

    @property
    def loop(self) -> VirtualLoop: ...
    @property
    def clock(self) -> VirtualClock: ...
    @property
    def coverage(self) -> Coverage: ...
    @property
    def temper(self) -> Temper: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def driver(self) -> SimulatedDriver: ...
    @property
    def connection(self) -> sqlite3.Connection: ...
    @property
    def wire(self) -> SimulatedWire: ...
    @property
    def core(self) -> SimulatorCore: ...

    def part(self, payment_id: str) -> invariants.Ledger:
        """What the provider's ledger has about one payment."""
        ...

    def all_books(self) -> dict[str, Books]:
        """Every payment in the store, by id."""
        ...


class Watch:
    """One simulation's memory of effects and facts."""

    def __init__(self, simulation: Watched) -> None:
        self._simulation = simulation
        self._intents: dict[str, str] = {}
        self._facts: dict[str, float] = {}
        self._excused: set[str] = set()
        self._said: set[tuple[str, str]] = set()
        self.effects_ms: dict[str, int] = {}
        self.landing = asyncio.Event()
        self.calm_since = 0.0
        self.awake_since = 0.0
        self.bank_since = 0.0
        self.clock_since = 0.0
        self.corrected: list[str] = []
        self.returns = 0

    # What happens

    def effect(self, entry: Any, payment_id: str, books: Books) -> Iterator[Violation]:
        """An effect at the provider, in the step in which it took place."""
        self._intents[entry.payment_intent_id] = payment_id
        now_ms = self._simulation.clock.now_ms()
        keys = [entry.idempotency_key] if entry.live else []
        keys += [capture.idempotency_key for capture in entry.captures]
        keys += [r.idempotency_key for r in entry.refunds if r.kind == "refund"]
        for key in keys:
            if not key or key in self.effects_ms:
                continue
            self.effects_ms[key] = now_ms
            self._note_landing(books.attempt(key), now_ms)
        yield from self._evidence(books)

    def _note_landing(self, attempt: Attempt | None, now_ms: int) -> None:
        if attempt is None or now_ms - attempt.sent_ms <= WINDOW_MS:
            return
        self.landing.set()
        if now_ms - attempt.first_sent_ms > HOURS_MS:
            self._simulation.coverage.count("effect.hours_late")

    def commit(self, change: Change, books: Books) -> Iterator[Violation]:
        """A commit, in the step in which it became durable."""
        self._cover(change)
        for attempt in change.attempts:
            concluded = attempt.concluded_ms is not None and self._is_news("concluded", attempt)
            if concluded and (self._is_misread(attempt) or not self._knows_account(books)):
                self._excused.add(attempt.id)
            if concluded and self._simulation.wire.is_running(attempt.id):
                detail = f"{attempt.id} was concluded, and the provider says that it is running"
                yield Violation("I4", books.payment.id, detail)
        if any(a.concluded_ms is not None for a in change.attempts):
            yield from self._evidence(books)
        if change.expected_seq is None and change.payment.unique_reference:
            yield from invariants.check_references(self._simulation.all_books().values())

    def _evidence(self, books: Books) -> Iterator[Violation]:
        """Whether what was concluded could have been known better: the provider's lists were true
        but for a clock that was minutes off and is right again, and an account that nothing tells
        from ours."""
        temper = self._simulation.temper
        if abs(temper.clock_offset_s) > MARGIN_S and not self._is_clock_off():
            return
        # a send leaves a moment after its commit, by which the service measures
        sends = self._simulation.wire.sent_s.items()
        sent_ms = {key: EPOCH_MS + int(at * 1000) - LEAVING_MS for key, at in sends}
        effects_ms = {k: at for k, at in self.effects_ms.items() if k not in self._excused}
        yield from invariants.check_evidence(books, effects_ms, WINDOW_MS, sent_ms)

    def _is_clock_off(self) -> bool:
        offset_s = self._simulation.core.config.clock_offset_seconds
        return bool(offset_s) and self._simulation.loop.now > self.clock_since + CLOCK_SECONDS

    def _is_misread(self, attempt: Attempt) -> bool:
        """Whether a candidate that misreads money was asked: a cross-read corrects it."""
        temper = self._simulation.temper
        candidate = temper.candidate if temper.misreads else ""
        return attempt.integration in {candidate, temper.liar}

    def _knows_account(self, books: Books) -> bool:
        """Whether an earlier charge tells our account from another that our key may open."""
        if not self._simulation.temper.has("keys"):
            return True
        earlier = payments.earlier_charge("stripe", books.payment.id)
        return self._simulation.driver.now(earlier) is not None

    def told(self, body: bytes) -> None:
        """A webhook that was answered 2xx: its payment must be right soon."""
        item = msgspec.json.decode(body)["data"]["object"]
        payment_id = self._intents.get(item.get("payment_intent") or item["id"])
        if payment_id is not None:
            self._facts[payment_id] = self._simulation.loop.now

    # What must hold

    def tick(self) -> Iterator[Violation]:
        """Called again and again once the faults have stopped."""
        now = self._simulation.loop.now
        since = max(self.calm_since, self.awake_since)
        ripe = [id_ for id_, at in self._facts.items() if now - max(at, since) > RETRY_SECONDS]
        yield from self._contradicted(ripe)
        if self._simulation.temper.has("neighbor") and now - since > GRACE_SECONDS:
            yield from self._waits()

    def rest(self) -> Iterator[Violation]:
        """Nothing is due any more: whatever a webhook told is booked."""
        yield from self._contradicted(list(self._facts))

    def _contradicted(self, ids: list[str]) -> Iterator[Violation]:
        for payment_id in ids:
            told_ms = EPOCH_MS + int(self._facts.pop(payment_id) * 1000)
            books = self._simulation.driver.now(payments.load_books(payment_id))
            if books is None or self._newest_effect_ms(books) > told_ms:
                continue  # what has landed since has a webhook of its own
            part = self._simulation.part(payment_id)
            yield from invariants.check_contradictions(books, part)

    def _newest_effect_ms(self, books: Books) -> int:
        return max((self.effects_ms.get(attempt.id, 0) for attempt in books.attempts), default=0)

    def _waits(self) -> Iterator[Violation]:
        now_ms = self._simulation.clock.now_ms()
        rows = self._simulation.connection.execute(
            SELECT_OVERDUE, (now_ms, now_ms, now_ms, ACCOUNT)
        )
        yield from invariants.check_waits(dict(rows.fetchall()), WAIT_MS)

    def quiet(self, payments: Mapping[str, Books]) -> Iterator[Violation]:
        """What holds at the end, beside what every store must satisfy."""
        for books in payments.values():
            told = self._events_of(books.payment.id)
            yield from invariants.check_corrections(books, told, cleared=False)
            yield from invariants.check_reversals(books, wanted=self._reverses(books))
        yield from invariants.check_references(payments.values())

    def rest_of_disputes(self) -> Iterator[Violation]:
        """Before hours pass, in which webhooks are lost: every dispute is what was said last."""
        if self._told_in_order():
            for payment_id, books in self._simulation.all_books().items():
                yield from invariants.check_disputes(books, self._disputes(payment_id))

    def _told_in_order(self) -> bool:
        """Whether we were told everything. What a provider says after its clock was put right bears
        an earlier time than what it said before: then no order is left."""
        simulation, outbox = self._simulation, self._simulation.core.outbox
        lost = bool(outbox.pending or outbox.abandoned) or not simulation.temper.webhooks
        return not lost and not simulation.temper.has("clock")

    def _events_of(self, payment_id: str) -> set[str]:
        rows = self._simulation.connection.execute(
            "SELECT type FROM events WHERE payment_id = ?", (payment_id,)
        )
        return {name for (name,) in rows}

    def _reverses(self, books: Books) -> bool:
        mine = self._simulation.settings.accounts.get(books.payment.account)
        return mine is not None and mine.late_charges == "reverse"

    def _disputes(self, payment_id: str) -> dict[str, str]:
        charges: list[Any] = self._simulation.part(payment_id).charges
        return {
            dispute.dispute_id: DISPUTE_STATES[dispute.status]
            for charge in charges
            for dispute in charge.disputes
        }

    # What is covered

    def _cover(self, change: Change) -> None:
        count = self._simulation.coverage.count
        for attempt in change.attempts:
            if attempt.corrected_ms is not None and self._is_news("corrected", attempt):
                count("corrected", attempt.operation)
                self.corrected.append(change.payment.id)
            if attempt.purpose == "reverse" and attempt.outcome == "approved":
                count("reversal")
            if attempt.error is not None and attempt.error.message == UNLISTED:
                count("refusal.unlisted")
        self._cover_sends(change)

    def _is_news(self, what: str, attempt: Attempt) -> bool:
        """Whether this is said of the attempt for the first time."""
        fresh = (what, attempt.id) not in self._said
        self._said.add((what, attempt.id))
        return fresh

    def _cover_sends(self, change: Change) -> None:
        count = self._simulation.coverage.count
        tries = [a for a in change.attempts if a.operation == "authorize"]
        if len(tries) > 1 and tries[-2].integration == tries[-1].integration:
            count("retry.paced")
        elif len(tries) > 1:
            count("failover.taken")
            if not self._simulation.settings.weights.get(tries[-1].integration):
                count("failover.weightless")
        elif any(a.result_class in {"A", "B1"} for a in tries):
            count("failover.refused")
        if self._answered(change):
            self._cover_look(change.attempts[0])

    def _answered(self, change: Change) -> bool:
        cause: str = msgspec.json.decode(change.audit.body)["cause"]
        return cause.endswith(".answered") and bool(change.attempts)

    def _cover_look(self, attempt: Attempt) -> None:
        if attempt.settled_by == "lookup":
            self._simulation.coverage.count("look.rescued")
        unlisted = attempt.error is not None and attempt.error.message == UNLISTED
        if unlisted and attempt.result_class == "B1":
            self._simulation.coverage.count("look.confirmed")
