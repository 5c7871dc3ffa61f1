"""Failover in the simulated world: every decision is checked as an auditor would check it.

The checks read records, trials and payments. They share with the controller the rule alone.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollkeeper.failover import rule
from tollkeeper.failover.state import Kind, Record, Watch
from tollkeeper.flows.ports import TrialRow
from tollkeeper.payments.invariants import Violation
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.routing.routes import follow_up_key
from tollkeeper.routing.rules import EVERYBODY, in_words
from tollkeeper.simulator.core.faults import FaultRule, When
from tollkeeper.store import failovers as stored
from tollkeeper.store import rollouts as stored_rollouts
from tollkeeper.testing import failovers_held, strange
from tollkeeper.testing.shoppers import Caller
from tollkeeper.testing.world import Simulation

NOTICE_MS: Final = 3_000
"""By when every replica must act on a move."""

CROWD: Final = 100
"""Shoppers more than usual: a move takes some 30 failing payments, and they come apart."""

CROWD_SECONDS: Final = 30.0
"""Over how much longer than others they come: a payment that hangs holds up what is counted."""

CROWD_FROM: Final = 500
"""Numbers of shoppers of the crowd begin here."""

OFTEN_BROKEN: Final = 0.8
REFUSED: Final = ("sunset", "require_parameter")
"""Faults by which a version is refused, with no effect."""

OUTAGES: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "refused": ({"effect": "require_parameter", "when": "before", "parameter": "x"},),
    "hangs": ({"effect": "drop", "when": "before", "seconds": 60.0},),
    "errors": ({"effect": "error", "when": "before", "status": 503},),
    "brown_out": (
        {"effect": "require_parameter", "when": "before", "parameter": "x", "probability": 0.5},
    ),
}
"""How all versions fail alike: nothing may move."""

ENOUGH_FAILED: Final = 30
"""Refused payments after which it must have been said that no version works."""

AT_ONCE: Final = frozenset({"", "reply", "reread"})
"""What settled an attempt whose own answer did. A decline that settling heard of later, after a
refusal that no table knows, is another answer than the one that counted."""

MOST: Final = 100_000
_trial: Final = msgspec.json.Decoder(TrialRow).decode


def attach(simulation: Simulation) -> None:
    """Adds the checks of failover to a world's own. Where one version carries everything, a crowd
    comes, and mostly that version stays broken."""
    simulation.quiet_checks.append(lambda payments: check_quiet(simulation, payments))
    if not simulation.temper.carrier:
        return
    for number in range(CROWD):
        caller = Caller(simulation, CROWD_FROM + number)
        simulation.loop.outside(_come(caller, number * CROWD_SECONDS / CROWD))
    if simulation.temper.outage:
        for fault in OUTAGES[simulation.temper.outage]:
            lasting = FaultRule(**fault, operation="payment_intents.create")
            simulation.lasting.append(simulation.core.faults.add(lasting))
        return
    if simulation.temper.pair:
        unreadable = failovers_held.unreadable_for(simulation.temper.carrier)
        simulation.lasting.append(simulation.core.faults.add(unreadable))
        return
    temper = simulation.temper
    two_read = temper.liar or temper.checks_later
    if two_read or temper.vetoed or simulation.loop.chance.random() < OFTEN_BROKEN:
        broken = strange.breaking(simulation.temper.carrier)
        if two_read:  # the carrier still reads, so that it can look payments up
            broken = [rule for rule in broken if rule["effect"] == "require_parameter"]
        rule = simulation.loop.chance.choice(broken)
        when: When = "before" if rule["effect"] in REFUSED else "after"
        simulation.core.faults.add(FaultRule(**rule, operation="*", when=when))


async def _come(caller: Caller, after_seconds: float) -> None:
    await asyncio.sleep(after_seconds)
    await caller.shop()


def check_quiet(simulation: Simulation, payments: Mapping[str, Books]) -> Iterator[Violation]:
    """Every decision computes again, was made on what happened, and is what happened since."""
    watches = simulation.driver.now(stored.list_watches())
    yield from _check_routed(watches, payments)
    for watch in watches:
        if watch.is_waiting:
            yield Violation("I12", watch.provider, "a payment that was drawn is waited for forever")
        records = simulation.driver.now(stored.list_failover_records(watch.provider, MOST))
        moves = [record for record in records if record.kind == "moved"]
        kinds = {record.kind for record in records if not record.operation}
        yield from _check_outage(simulation, kinds, payments)
        yield from _check_liar(simulation, watch, kinds)
        yield from failovers_held.check_held(simulation, watch, records, payments)
        simulation.coverage.count("failover.watched")
        yield from _check_records(watch.provider, records)
        yield from _check_trials(simulation, records, payments)
        carried = {stream.carrying for stream in watch.streams}
        whole = {move.carrying for move in moves if move.condition == EVERYBODY}
        forgotten = whole - {*watch.taken_out, *carried}
        if forgotten:
            yield Violation("I12", watch.provider, f"{sorted(forgotten)} may be moved to again")
        for move in moves:
            simulation.coverage.count("failover.moved")
            if not simulation.temper.carrier or simulation.temper.outage:
                yield Violation("I12", watch.provider, f"moved, and nothing broke: {move.reason}")
            yield from _check_moved(simulation, move, _given_back_ms(move, records), payments)


def _check_outage(
    simulation: Simulation, kinds: set[Kind], payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """Where every version is refused, operators hear of it."""
    if simulation.temper.outage:
        simulation.coverage.count("failover.outage", simulation.temper.outage)
    if simulation.temper.outage != "refused":
        return
    refused = sum(b.attempts[0].result_class == "B1" for b in payments.values())
    if refused >= ENOUGH_FAILED and "none_works" not in kinds:
        yield Violation("I12", "failover", f"{refused} refused, and no word that none works")


def _check_liar(simulation: Simulation, watch: Watch, kinds: set[Kind]) -> Iterator[Violation]:
    """A version that was seen to misread carries nothing that another one can take."""
    liar = simulation.temper.liar
    if not liar or not (liar in watch.checks and watch.checks[liar].disagreed):
        return
    simulation.coverage.count("failover.misread")
    if liar not in watch.taken_out or "misread" not in kinds:
        yield Violation("I12", liar, "misreads, which was seen, and traffic may go to it")


def _check_records(provider: str, records: list[Record]) -> Iterator[Violation]:
    for record in records:
        if record.kind == "none_works" and sum(record.counted.recent) < rule.SELDOM:
            yield Violation("I12", provider, f"record {record.seq}: payments went well before it")
        if not record.is_same:
            yield Violation("I12", provider, f"record {record.seq} computes to another state")
    numbers = [record.seq for record in reversed(records)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Violation("I12", provider, f"records {numbers[:20]} are not one after the other")


def _check_trials(
    simulation: Simulation, records: list[Record], payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """What was counted is what came of first attempts, each once."""
    rows = simulation.connection.execute("SELECT body FROM failover_trials ORDER BY at_ms, id")
    every = [_trial(body) for (body,) in rows.fetchall()]
    trials = [row for row in every if row.is_trial]
    for stream, counted in _counted(records).items():
        made = sum(row.is_trial or bool(row.operation) for row in every)
        yield from _check_order(stream, records, every)
        if counted > made:
            yield Violation("I12", stream, f"{counted} trials counted, {made} were made")
    for row in trials:
        first = payments[row.payment_id].attempts[0]
        if row.id != first.id:
            yield Violation("I12", row.payment_id, f"{row.id} counts as an authorization")
        declined = first.result_class == "B2" and first.settled_by in AT_ONCE
        if row.trial.first == "refused" and declined:
            yield Violation("I12", row.payment_id, "a decline counts as a failure of the version")
        if row.trial.second == "other" and row.trial.second_ok:
            yield from _check_second(row, payments[row.payment_id].attempts)


def _check_routed(watches: list[Watch], payments: Mapping[str, Books]) -> Iterator[Violation]:
    """A follow-up goes through another version at once only where an operator has said so."""
    routes = {key: to for watch in watches for key, to in watch.follow_up_routes.items()}
    for books in payments.values():
        for attempt in books.attempts:
            key = follow_up_key(books.payment.integration, attempt.operation)
            if attempt.routed and routes.get(key) != attempt.integration:
                yield Violation("I12", books.payment.id, f"{attempt.id} strayed from its version")


def _check_order(stream: str, records: list[Record], rows: list[TrialRow]) -> Iterator[Violation]:
    """Drawn payments count in the order in which they began."""
    began = {row.begins: (row.at_ms, row.id) for row in rows if row.begins}
    mine = [record for record in reversed(records) if _name(record) == stream]
    drawn = [step.drawn for record in mine for step in record.steps if step.drawn]
    if undrawn := sorted(set(drawn) - set(began)):
        yield Violation("I12", stream, f"{undrawn[0]} counts as drawn, and was not")
        return
    if drawn != sorted(drawn, key=lambda id_: began[id_]):
        yield Violation("I12", stream, "drawn payments count in another order than they began")


def _name(record: Record) -> str:
    return f"{record.carrying} {in_words(record.condition)} {record.operation}".strip()


def _counted(records: list[Record]) -> Counter[str]:
    """How many trials were counted, by stream."""
    found: Counter[str] = Counter()
    for record in records:
        stream = _name(record)
        found[stream] += sum(s.trial is not None and s.bad is None for s in record.steps)
    return found


def _check_second(row: TrialRow, attempts: tuple[Attempt, ...]) -> Iterator[Violation]:
    sent = [a for a in attempts if a.operation == "authorize"]
    if len(sent) < 2 or sent[1].integration == row.version:
        yield Violation("I12", row.payment_id, "no other version succeeded in its second attempt")


def _given_back_ms(move: Record, records: list[Record]) -> float:
    """When the version that was moved from got its payments back, because what was in its place
    was seen to misread and there was no other refuge; infinite where it never did."""
    later = (r for r in reversed(records) if r.seq > move.seq and failovers_held.is_refuge(r))
    return next((r.at_ms for r in later if r.candidate == move.carrying), math.inf)


def _check_moved(
    simulation: Simulation, move: Record, back_ms: float, payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """After a move no new payment goes to the version that was moved from, until it is the only
    refuge from one that misreads."""
    rules = simulation.driver.now(stored_rollouts.routing()).rules
    if rules and rules[-1].weights.get(move.carrying) and back_ms == math.inf:
        yield Violation("I12", move.carrying, "moved from, and it has traffic by the rules")
    for books in payments.values():
        first = books.attempts[0]
        late = move.at_ms + NOTICE_MS < books.payment.created_ms < back_ms
        if late and first.integration == move.carrying:
            yield Violation("I12", books.payment.id, f"through {move.carrying} after the move")
