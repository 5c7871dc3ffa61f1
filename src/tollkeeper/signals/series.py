"""A window unrolled: for each slice, how many good and bad ones started in each second.

Law: an attempt counts in the second in which it started, so that one short disturbance whose
victims time out at different times remains one event.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

import msgspec

from tollkeeper.signals.counts import EDGES_MS, Batch, Cell, Counted, Tally, Waiting, Window
from tollkeeper.signals.history import (
    OF,
    Measure,
    Of,
    Slice,
    Usual,
    measures_of,
    slices_of,
)

WINDOW_S: Final = 300
"""How far back a look reaches, in seconds."""

WITHOUT_WITNESSES: Final[frozenset[Measure]] = frozenset({"guessing", "repeating"})
"""Measures whose point is that one customer appears again and again."""

_ATTEMPT: Final = attrgetter("provider", "integration", "operation", "host", "account", "settings")
_ANSWER: Final = attrgetter("provider", "method", "issuer", "country", "account")

LAST: Final = len(EDGES_MS)
"""The bucket of all that took longer."""

type Row = list[int]


def batches_of(window: Window) -> tuple[Batch, ...]:
    """The batches that were whole at the window's moment."""
    return tuple(batch for batch in window.batches if batch.second * 1000 < window.at_ms)


def lines_of(batches: tuple[Batch, ...]) -> Iterator[Counted]:
    """All their lines."""
    for batch in batches:
        yield from batch.counted


def waiting_of(batches: tuple[Batch, ...]) -> list[Waiting]:
    """What was still waiting in the newest batch of each replica, if that is no more than ten
    seconds older than the newest of all."""
    newest: dict[str, Batch] = {}
    for batch in batches:
        known = newest.get(batch.replica)
        if known is None or batch.second >= known.second:
            newest[batch.replica] = batch
    last = max((batch.second for batch in newest.values()), default=0)
    return [
        waiting
        for batch in newest.values()
        if batch.second >= last - 10
        for waiting in batch.waiting
        if waiting.n > 0
    ]


class Series(msgspec.Struct):
    """Counts by second since `first`. `good` by what they are one of, `bad` by measure (one for
    each customer and minute), `who` the providers that failed in a second, `late` slow ones, `paid`
    approved authorizations, `hooked` webhooks that were taken, both by provider."""

    first: int
    size: int
    good: dict[tuple[Of, Slice], Row] = {}
    bad: dict[tuple[Measure, Slice], dict[int, int]] = {}
    who: dict[tuple[Measure, Slice], dict[int, set[str]]] = {}
    late: dict[Slice, dict[int, float]] = {}
    paid: dict[str, Row] = {}
    hooked: dict[str, Row] = {}


def unroll(window: Window, usual: Usual) -> Series:
    """The series of a window. Lines that started before it, or after its end, are left out."""
    batches = batches_of(window)
    last = max((batch.second for batch in batches), default=window.at_ms // 1000 - 1)
    made = _Unrolled(Series(first=last - WINDOW_S + 1, size=WINDOW_S), usual)
    for line in lines_of(batches):
        made.note(line.started_s, line.cell, line.tally)
    for waiting in waiting_of(batches):
        made.wait(waiting)
    return made.series


class _Unrolled:
    """The rows that each line is added to, found once for each combination of values."""

    def __init__(self, series: Series, usual: Usual) -> None:
        self.series = series
        self.usual = usual
        self.attempts: dict[object, tuple[list[Row], tuple[float, ...]]] = {}
        self.answers: dict[object, list[Row]] = {}
        self.others: dict[object, list[Row]] = {}
        self.marks: dict[Cell, tuple[Measure, ...]] = {}

    def note(self, started_s: int, cell: Cell, tally: Tally) -> None:
        second = started_s - self.series.first
        if not 0 <= second < self.series.size:
            return
        if cell.kind == "attempt":
            self._attempt(second, cell, tally)
        elif cell.kind in {"webhook_in", "api"}:
            self._other(second, cell, tally)

    def _attempt(self, second: int, cell: Cell, tally: Tally) -> None:
        key = _ATTEMPT(cell)
        found = self.attempts.get(key)
        if found is None:
            found = self.attempts[key] = (
                self._rows("attempts", cell), self.usual.late_parts(cell.provider, cell.operation),
            )  # fmt: skip
        rows, parts = found
        late = 0.0
        for bucket, count in tally.took.items():
            late += count * parts[bucket if 0 <= bucket < LAST else LAST]
        if late > 0:
            self._late(second, cell, late)
        if cell.result == "failed":
            self._bad(second, cell, tally)
            return
        count = tally.n
        for row in rows:
            row[second] += count
        if cell.operation == "authorize":
            self._answer(second, cell, tally)
        if cell.repeat >= 2:
            self._bad(second, cell, tally)

    def _answer(self, second: int, cell: Cell, tally: Tally) -> None:
        if cell.result != "ok":
            self._bad(second, cell, tally)
            return
        key = _ANSWER(cell)
        rows = self.answers.get(key)
        if rows is None:
            rows = self.answers[key] = [*self._rows("answers", cell), self._paid(cell.provider)]
        for row in rows:
            row[second] += tally.n

    def _other(self, second: int, cell: Cell, tally: Tally) -> None:
        if cell.result == "failed":
            self._bad(second, cell, tally)
            return
        key = (cell.kind, cell.provider, cell.host, cell.operation)
        rows = self.others.get(key)
        if rows is None:
            of: Of = "webhooks" if cell.kind == "webhook_in" else "requests"
            rows = self.others[key] = self._rows(of, cell)
            if cell.kind == "webhook_in":
                hooked = self.series.hooked.setdefault(cell.provider, [0] * self.series.size)
                rows.append(hooked)
        for row in rows:
            row[second] += tally.n

    def _paid(self, provider: str) -> Row:
        row = self.series.paid.get(provider)
        if row is None:
            row = self.series.paid[provider] = [0] * self.series.size
        return row

    def _rows(self, of: Of, cell: Cell) -> list[Row]:
        good, size = self.series.good, self.series.size
        rows = []
        for slice_ in slices_of(cell, of):
            row = good.get((of, slice_))
            if row is None:
                row = good[of, slice_] = [0] * size
            rows.append(row)
        return rows

    def _late(self, second: int, cell: Cell, late: float) -> None:
        for slice_ in slices_of(cell, "attempts"):
            row = self.series.late.setdefault(slice_, {})
            row[second] = row.get(second, 0.0) + late

    def _bad(self, second: int, cell: Cell, tally: Tally) -> None:
        marks = self.marks.get(cell)
        if marks is None:
            marks = self.marks[cell] = measures_of(cell)
        for measure in marks:
            count = tally.n if measure in WITHOUT_WITNESSES else tally.witnesses
            if count > 0:
                self._mark(second, cell, measure, count)

    def _mark(self, second: int, cell: Cell, measure: Measure, count: int) -> None:
        for slice_ in slices_of(cell, OF[measure]):
            row = self.series.bad.setdefault((measure, slice_), {})
            row[second] = row.get(second, 0) + count
            who = self.series.who.setdefault((measure, slice_), {})
            who.setdefault(second, set()).add(cell.provider)

    def wait(self, waiting: Waiting) -> None:
        """Counts attempts that have waited for more than three seconds as silent so far."""
        second = waiting.started_s - self.series.first
        if 0 <= second < self.series.size:
            cell = cell_of(waiting)
            self._rows("attempts", cell)
            self._mark(second, cell, "silent", waiting.n)
            self._late(second, cell, waiting.n)


def cell_of(waiting: Waiting) -> Cell:
    """A waiting attempt as a cell: it shows where it stands and nothing else."""
    return Cell(
        kind="attempt",
        provider=waiting.provider,
        integration=waiting.integration,
        operation=waiting.operation,
        result="failed",
        stage=waiting.stage or "wait",
    )
