"""Failover in the simulated world: every decision is checked as an auditor would check it.

The checks read records, trials and payments. They share with the controller the rule alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tollkeeper.failover.state import Record
from tollkeeper.flows.ports import TrialRow
from tollkeeper.payments.invariants import Violation
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.routing.rules import EVERYBODY, in_words
from tollkeeper.simulator.core.faults import FaultRule, When
from tollkeeper.store import failovers as stored
from tollkeeper.store import rollouts as stored_rollouts
from tollkeeper.testing import strange
from tollkeeper.testing.shoppers import Caller
from tollkeeper.testing.world import Simulation

NOTICE_MS: Final = 3_000
"""By when every replica must act on a move."""

CROWD: Final = 45
"""Shoppers more than usual: a move takes some 25 failing payments."""

CROWD_FROM: Final = 500
"""Numbers of shoppers of the crowd begin here."""

OFTEN_BROKEN: Final = 0.8
REFUSED: Final = ("sunset", "require_parameter")
"""Faults by which a version is refused, with no effect."""

MOST: Final = 100_000
_trial: Final = msgspec.json.Decoder(TrialRow).decode


def attach(simulation: Simulation) -> None:
    """Adds the checks of failover to a world's own. Where one version carries everything, a crowd
    comes, and mostly that version stays broken."""
    simulation.quiet_checks.append(lambda payments: check_quiet(simulation, payments))
    if not simulation.temper.carrier:
        return
    for number in range(CROWD):
        simulation.loop.outside(Caller(simulation, CROWD_FROM + number).shop())
    if simulation.loop.chance.random() < OFTEN_BROKEN:
        rule = simulation.loop.chance.choice(strange.breaking(simulation.temper.carrier))
        when: When = "before" if rule["effect"] in REFUSED else "after"
        simulation.core.faults.add(FaultRule(**rule, operation="*", when=when))


def check_quiet(simulation: Simulation, payments: Mapping[str, Books]) -> Iterator[Violation]:
    """Every decision computes again, was made on what happened, and is what happened since."""
    for watch in simulation.driver.now(stored.list_watches()):
        records = simulation.driver.now(stored.list_failover_records(watch.provider, MOST))
        moves = [record for record in records if record.kind == "moved"]
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
            if not simulation.temper.carrier:
                yield Violation("I12", watch.provider, f"moved, and nothing broke: {move.reason}")
            yield from _check_moved(simulation, move, payments)


def _check_records(provider: str, records: list[Record]) -> Iterator[Violation]:
    for record in records:
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
    trials = [_trial(body) for (body,) in rows.fetchall()]
    for stream, counted in _counted(records).items():
        if counted > len(trials):
            yield Violation("I12", stream, f"{counted} trials counted, {len(trials)} were made")
    for row in trials:
        first = payments[row.payment_id].attempts[0]
        if row.trial.first == "refused" and first.result_class == "B2":
            yield Violation("I12", row.payment_id, "a decline counts as a failure of the version")
        if row.trial.second == "other" and row.trial.second_ok:
            yield from _check_second(row, payments[row.payment_id].attempts)


def _counted(records: list[Record]) -> Counter[str]:
    """How many trials were counted, by stream."""
    found: Counter[str] = Counter()
    for record in records:
        stream = f"{record.carrying} {in_words(record.condition)}".strip()
        found[stream] += sum(step.trial is not None for step in record.steps)
    return found


def _check_second(row: TrialRow, attempts: tuple[Attempt, ...]) -> Iterator[Violation]:
    sent = [a for a in attempts if a.operation == "authorize"]
    if len(sent) < 2 or sent[1].integration == row.version:
        yield Violation("I12", row.payment_id, "no other version succeeded in its second attempt")


def _check_moved(
    simulation: Simulation, move: Record, payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """After a move no new payment goes to the version that was moved from."""
    rules = simulation.driver.now(stored_rollouts.routing()).rules
    if rules and rules[-1].weights.get(move.carrying):
        yield Violation("I12", move.carrying, "moved from, and it has traffic by the rules")
    for books in payments.values():
        first = books.attempts[0]
        late = books.payment.created_ms > move.at_ms + NOTICE_MS
        if late and first.integration == move.carrying:
            yield Violation("I12", books.payment.id, f"through {move.carrying} after the move")
