"""Simulated failovers that a verdict forbids, that no version can confirm, or that are over long
ago, and what must hold then.

The draws are beside the loop's own, so that worlds without this stay as they were.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import msgspec

from tollkeeper.failover import checks
from tollkeeper.failover.rule import ALARM, READ_OVER
from tollkeeper.failover.state import Record, Watch
from tollkeeper.flows.ports import TrialRow
from tollkeeper.payments.invariants import Violation
from tollkeeper.payments.payment import Books
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.testing.planting import Bug
from tollkeeper.testing.ports import EPOCH_MS
from tollkeeper.testing.temper import Temper
from tollkeeper.testing.world import Simulation

CHECKED_FIRST: Final = 6
ONE_IN: Final = 3
"""In a world of later lookups: payments that must agree first, and of which so many one is looked
up. A real number of payments takes thousands of shoppers."""

SOON_MS: Final = 5_000
"""By when every replica must know that a version was looked at enough."""

DUE: Final = 5
"""So many payments must be due for a later lookup before the lack of any is a violation. The first
may be lost with a process, or while the store is away."""

PROPOSED_BY: Final = 3
"""Records in a row in which a proposal is due, by the last of which it must have been made."""

_trial: Final = msgspec.json.Decoder(TrialRow).decode


@contextmanager
def small_numbers(temper: Temper) -> Iterator[None]:
    """In a world of later lookups the cross-check works with small numbers."""
    with ExitStack() as stack:
        if temper.checks_later:
            small = [(checks, "ENOUGH", CHECKED_FIRST), (checks, "LATER", ONE_IN)]
            stack.enter_context(Bug("small_numbers", "", lambda: [*small]).planted())
        yield


def unreadable_for(carrier: str) -> FaultRule:
    """The provider renames a field that only this version needs."""
    return FaultRule(
        effect="rename_field", path="charges", to="renamed", operation="*", when="after",
        api_version=carrier.partition("@")[2],
    )  # fmt: skip


def check_held(
    simulation: Simulation, watch: Watch, records: list[Record], payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """What must hold in such worlds, by the records of one provider, the newest first."""
    told = [record for record in reversed(records) if not record.operation]
    if simulation.temper.vetoed:
        yield from _check_vetoed(simulation, told)
    if simulation.temper.pair:
        yield from _check_unconfirmed(simulation, told)
    if simulation.temper.checks_later:
        yield from _check_later(simulation, watch, told, payments)
        yield from _check_ended(simulation.temper.carrier, told, payments)


def _check_vetoed(simulation: Simulation, records: list[Record]) -> Iterator[Violation]:
    """While a verdict forbids it no share starts and nothing moves."""
    for record in records:
        simulation.coverage.count("failover.vetoed")
        if record.after.share > 0:
            detail = f"record {record.seq}: a share began though a verdict forbids it"
            yield Violation("I12", record.carrying, detail)
            return


def _check_unconfirmed(simulation: Simulation, records: list[Record]) -> Iterator[Violation]:
    """What the only other version reads counts for no move while the first one, which alone could
    confirm it, reads nothing. It is proposed."""
    calm_ms = EPOCH_MS + int(simulation.watch.calm_since * 1000)
    before = [record for record in records if record.at_ms < calm_ms]
    trials = [step.trial for record in before for step in record.steps if step.trial is not None]
    if sum(trial.read_over is True for trial in trials) >= READ_OVER:
        yield Violation("I12", "failover", "readings count that no version could confirm")
    due = 0
    for record in before:
        due = due + 1 if _is_proposal_due(record) else 0
        if due >= PROPOSED_BY:
            simulation.coverage.count("failover.read_alone")
            if not any(r.kind == "proposed" for r in records if r.at_ms <= record.at_ms):
                detail = f"record {record.seq}: what {record.candidate} alone reads is not proposed"
                yield Violation("I12", record.carrying, detail)
            return


def _is_proposal_due(record: Record) -> bool:
    state = record.counted
    alone = state.alone >= state.a_start and max(state.r) >= ALARM
    return alone and record.after.phase == "watch" and bool(record.candidate)


def _check_later(
    simulation: Simulation, watch: Watch, records: list[Record], payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """Once enough payments of a version agreed, some of the later ones are looked up still."""
    rows = simulation.connection.execute("SELECT body FROM failover_trials ORDER BY at_ms, id")
    trials = [_trial(body) for (body,) in rows.fetchall()]
    for stream in watch.wholes:
        version = stream.carrying
        enough_ms = _enough_ms(version, records, trials)
        if enough_ms is None:
            continue
        due = {id_ for id_, b in payments.items() if _is_due(b, version, enough_ms + SOON_MS)}
        done = {t.payment_id for t in trials if t.checked == version and t.verdict is None}
        if due & done:
            simulation.coverage.count("failover.looked_up_later")
        if len(due) >= DUE and not due & done:
            detail = f"{len(due)} payments should be looked up later, and none was"
            yield Violation("I12", version, detail)


def _enough_ms(version: str, records: list[Record], trials: list[TrialRow]) -> int | None:
    """When enough payments had agreed since the version was given traffic."""
    mine = [r for r in records if r.candidate == version]
    given = [r.at_ms for r in mine if r.before.share == 0 and r.after.share > 0]
    began_ms = max(given, default=0)
    agreed = [t.at_ms for t in trials if t.checked == version and t.verdict == "agreed"]
    since = [at_ms for at_ms in agreed if at_ms > began_ms]
    return since[CHECKED_FIRST - 1] if len(since) >= CHECKED_FIRST else None


def _is_due(books: Books, version: str, after_ms: int) -> bool:
    payment = books.payment
    through = {attempt.integration for attempt in books.attempts}
    is_mine = through == {version} and payment.provider_id is not None
    return is_mine and payment.created_ms > after_ms and checks.is_looked_up_later(payment.id)


def _check_ended(
    carrier: str, records: list[Record], payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """Once a share has ended, no process gives its version a new payment."""
    for books in payments.values():
        version, at_ms = books.attempts[0].integration, books.payment.created_ms
        if version != carrier and not _may_take(version, at_ms, records):
            detail = f"through {version}, whose share had ended"
            yield Violation("I12", books.payment.id, detail)


def _may_take(version: str, at_ms: int, records: list[Record]) -> bool:
    """Whether the version had a share, or everything, at that time or a moment before; of all
    payments, or of a part of them, which has a share of its own."""
    parts = set()
    for record in records:
        if record.at_ms > at_ms:
            break
        mine = record.candidate == version
        if mine and (record.kind == "moved" or is_refuge(record)):
            return True
        if mine and record.before.share == 0 and record.after.share > 0:
            parts.add(record.condition)
        ends = record.kind in {"misread", "stopped"} or record.after.share == 0
        if mine and ends and record.at_ms < at_ms - SOON_MS:
            parts.discard(record.condition)
    return bool(parts)


def is_refuge(record: Record) -> bool:
    """Whether what a version carried went to the candidate, because that version misreads."""
    return record.kind == "misread" and f"go to {record.candidate}" in record.reason
