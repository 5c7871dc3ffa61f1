"""A window unrolled: for each slice, how many good and bad ones started in each second.

Law: an attempt counts in the second in which it started, so that one short disturbance whose
victims time out at different times remains one event.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final

import msgspec

from tollkeeper.signals.counts import EDGES_MS, Batch, Cell, Counted, Tally, Waiting, Window
from tollkeeper.signals.history import (
    OF,
    Measure,
    Of,
    Slice,
    Usual,
    late_count,
    measures_of,
    of_what,
    slices_of,
)

WINDOW_S: Final = 300
"""How far back a look reaches, in seconds."""

WITHOUT_WITNESSES: Final[frozenset[Measure]] = frozenset({"guessing", "repeating"})
"""Measures whose point is that one customer appears again and again."""

BY_SECOND: Final[frozenset[Measure]] = frozenset({"failing", "not_now", "internal", "erring"})
"""Measures of banks that count one failure for each provider and second."""

LATE_DIMENSIONS: Final = frozenset({"provider", "operation", "integration", "host"})
"""Dimensions whose slices are watched for late ones."""

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


STALL_MS: Final = 300.0
"""From which delay on an event loop stood still: four times the delay at which it lags (60 ms, by
ATTRIBUTION.md's program), and more than a pause for collecting garbage takes."""

NO_DESCRIPTORS: Final = 0.97
"""The share of descriptors in use from which on a process cannot open what it needs."""


class Series(msgspec.Struct):
    """Counts by second since `first`. `good` by what they are one of, `bad` by measure (one for
    each customer and minute), `who` the providers that failed in a second, `late` slow ones, `paid`
    approved authorizations, `hooked` webhooks that came, both by provider; `stalled` seconds in
    which a host's event loop stood still, beside its other ones in `awake`; `lagging` webhooks that
    came late, by provider."""

    first: int
    size: int
    good: dict[tuple[Of, Slice], Row] = {}
    bad: dict[tuple[Measure, Slice], dict[int, int]] = {}
    who: dict[tuple[Measure, Slice], dict[int, set[str]]] = {}
    late: dict[Slice, dict[int, float]] = {}
    paid: dict[str, Row] = {}
    hooked: dict[str, Row] = {}
    stalled: dict[str, dict[int, int]] = {}
    awake: dict[str, Row] = {}
    lagging: dict[str, dict[int, float]] = {}


def unroll(window: Window, usual: Usual) -> Series:
    """The series of a window. Lines that started before it, or after its end, are left out."""
    batches = batches_of(window)
    counting = Counting(_blank(_last_of(batches, window)), usual)
    for batch in batches:
        counting.count(batch.counted)
        counting.gauge(batch)
    for waiting in waiting_of(batches):
        counting.wait(waiting)
    return counting.series


def _blank(last: int) -> Series:
    return Series(first=last - WINDOW_S + 1, size=WINDOW_S)


def _last_of(batches: tuple[Batch, ...], window: Window) -> int:
    return max((batch.second for batch in batches), default=window.at_ms // 1000 - 1)


class Rolling:
    """Series that go on from look to look, so that a look costs its new batches alone.

    Law: `series_of(window)` is what `unroll` makes of the window, only sooner. A replica writes one
    batch a second; one that arrives late is counted late.
    """

    def __init__(self, usual: Usual) -> None:
        self.usual = usual
        self._counting: Counting | None = None
        self._taken: set[tuple[int, str]] = set()

    def series_of(self, window: Window) -> Series:
        """The series of a window. An earlier window than the last one begins again."""
        batches = batches_of(window)
        last = _last_of(batches, window)
        counting = self._counting
        if counting is None or not 0 <= last - WINDOW_S + 1 - counting.series.first < WINDOW_S:
            counting = self._counting = Counting(_blank(last), self.usual)
            self._taken = set()
        counting.go_on(last - WINDOW_S + 1)
        for batch in batches:
            key = (batch.second, batch.replica)
            if key not in self._taken:
                self._taken.add(key)
                counting.count(batch.counted)
                counting.gauge(batch)
        if len(self._taken) > 2 * len(batches) + WINDOW_S:
            self._taken = {(batch.second, batch.replica) for batch in batches}
        now = counting.copied()
        for waiting in waiting_of(batches):
            now.wait(waiting)
        return now.series


class _Plan(msgspec.Struct):
    """The rows that a good attempt is added to, those that a late one is, and which part of each
    bucket of durations is late."""

    rows: list[Row]
    late: list[dict[int, float]]
    parts: tuple[float, ...]


class _Mark(msgspec.Struct):
    """The rows of one measure that a bad one is added to, and where its provider is noted."""

    by_witness: bool
    rows: list[dict[int, int]]
    who: list[dict[int, set[str]]]


class Counting:
    """Series while lines are counted. Rows are found once for each combination of values. `ahead`
    are lines of seconds that the series does not reach yet: clocks differ by a little."""

    def __init__(self, series: Series, usual: Usual) -> None:
        self.series = series
        self.usual = usual
        self.plans: dict[object, _Plan] = {}
        self.answers: dict[object, list[Row]] = {}
        self.others: dict[object, list[Row]] = {}
        self.marks: dict[Cell, list[_Mark]] = {}
        self.ahead: list[Counted] = []

    def count(self, lines: list[Counted]) -> None:
        """Adds the lines of a batch."""
        first, size, plans = self.series.first, self.series.size, self.plans
        for line in lines:
            second = line.started_s - first
            if not 0 <= second < size:
                if second >= size:
                    self.ahead.append(line)
                continue
            cell, tally = line.cell, line.tally
            if cell.kind != "attempt":
                self._other(second, cell, tally)
                continue
            key = _ATTEMPT(cell)
            plan = plans.get(key)
            if plan is None:
                plan = plans[key] = self._plan(cell)
            for bucket, took in tally.took.items():
                if part := plan.parts[bucket if 0 <= bucket < LAST else LAST]:
                    for late in plan.late:
                        late[second] = late.get(second, 0.0) + took * part
            self._attempt(second, cell, tally, plan)

    def gauge(self, batch: Batch) -> None:
        """Adds the second of one process: whether its event loop stood still in it, or it had no
        descriptor left."""
        second, gauges = batch.second - self.series.first, batch.gauges
        if gauges.lag_ms is None or not 0 <= second < self.series.size:
            return
        if gauges.lag_ms >= STALL_MS or (gauges.descriptors or 0.0) >= NO_DESCRIPTORS:
            stalled = self.series.stalled.setdefault(batch.host, {})
            stalled[second] = stalled.get(second, 0) + 1
        else:
            awake = self.series.awake.setdefault(batch.host, [0] * self.series.size)
            awake[second] += 1

    def go_on(self, first: int) -> None:
        """Moves on to a later first second, and forgets those before."""
        series, by = self.series, first - self.series.first
        if by <= 0:
            return
        series.first = first
        for rows in (series.good, series.paid, series.hooked, series.awake):
            for row in rows.values():
                del row[:by]
                row.extend([0] * by)
        for sparse in (series.bad, series.who, series.late, series.stalled, series.lagging):
            for counts in sparse.values():
                _shift(counts, by)
        ahead, self.ahead = self.ahead, []
        self.count(ahead)

    def copied(self) -> "Counting":
        """A copy whose sparse counts may be added to; the others are shared."""
        series = self.series
        return Counting(
            msgspec.structs.replace(
                series,
                bad={key: dict(counts) for key, counts in series.bad.items() if counts},
                late={key: dict(counts) for key, counts in series.late.items() if counts},
            ),
            self.usual,
        )

    def _attempt(self, second: int, cell: Cell, tally: Tally, plan: _Plan) -> None:
        result, count = cell.result, tally.n
        if result != "failed":
            for row in plan.rows:
                row[second] += count
        if cell.repeat >= 2 or result != "ok":
            self._bad(second, cell, tally)
        if result == "ok" and cell.operation == "authorize":
            key = _ANSWER(cell)
            rows = self.answers.get(key)
            if rows is None:
                paid = self.series.paid.setdefault(cell.provider, [0] * self.series.size)
                rows = self.answers[key] = [*self._rows("answers", cell), paid]
            for row in rows:
                row[second] += count

    def _plan(self, cell: Cell) -> _Plan:
        return _Plan(
            rows=self._rows("attempts", cell),
            late=[
                self.series.late.setdefault(slice_, {})
                for slice_ in slices_of(cell, "attempts")
                if not slice_ or slice_[-1][0] in LATE_DIMENSIONS
            ],
            parts=self.usual.late_parts(cell.provider, cell.operation),
        )

    def _other(self, second: int, cell: Cell, tally: Tally) -> None:
        if cell.kind not in {"webhook_in", "api"}:
            return
        key = (cell.kind, cell.provider, cell.host, cell.operation, cell.result == "failed")
        rows = self.others.get(key)
        if rows is None:
            rows = self.others[key] = self._of_other(cell)
        for row in rows:
            row[second] += tally.n
        if cell.result == "failed":
            self._bad(second, cell, tally)
        elif cell.kind == "webhook_in":
            late = late_count(tally.took, self.usual.lag_parts(cell.provider))
            if late > 0:
                lagging = self.series.lagging.setdefault(cell.provider, {})
                lagging[second] = lagging.get(second, 0.0) + late

    def _of_other(self, cell: Cell) -> list[Row]:
        """The rows of a webhook or a request. A webhook that we rejected did come."""
        rows = self._rows(of_what(cell)[0], cell) if cell.result != "failed" else []
        if cell.kind == "webhook_in":
            rows.append(self.series.hooked.setdefault(cell.provider, [0] * self.series.size))
        return rows

    def _rows(self, of: Of, cell: Cell) -> list[Row]:
        good, size, rows = self.series.good, self.series.size, []
        for slice_ in slices_of(cell, of):
            row = good.get((of, slice_))
            if row is None:
                row = good[of, slice_] = [0] * size
            rows.append(row)
        return rows

    def _bad(self, second: int, cell: Cell, tally: Tally) -> None:
        marks = self.marks.get(cell)
        if marks is None:
            found = measures_of(cell)
            marks = self.marks[cell] = [self._mark(cell, measure) for measure in found]
        for mark in marks:
            count = tally.witnesses if mark.by_witness else tally.n
            if count > 0:
                _note(mark, second, count, cell.provider)

    def _mark(self, cell: Cell, measure: Measure) -> _Mark:
        slices = list(slices_of(cell, OF[measure]))
        bad, who = self.series.bad, self.series.who
        return _Mark(
            measure not in WITHOUT_WITNESSES,
            [bad.setdefault((measure, slice_), {}) for slice_ in slices],
            [who.setdefault((measure, slice_), {}) for slice_ in slices]
            if measure in BY_SECOND
            else [],
        )

    def wait(self, waiting: Waiting) -> None:
        """Counts attempts that have waited for more than three seconds as silent so far, and
        operations of our store that have as requests that fail."""
        second = waiting.started_s - self.series.first
        if 0 <= second < self.series.size:
            cell = cell_of(waiting)
            if cell.kind == "api":
                _note(self._mark(cell, "erring"), second, waiting.n, cell.provider)
                return
            plan = self._plan(cell)
            _note(self._mark(cell, "silent"), second, waiting.n, cell.provider)
            for late in plan.late:
                late[second] = late.get(second, 0.0) + waiting.n


def _shift(counts: dict[int, Any], by: int) -> None:
    """Counts by seconds that are so many later now, in place: plans refer to them."""
    left = {second - by: count for second, count in counts.items() if second >= by}
    counts.clear()
    counts.update(left)


def _note(mark: _Mark, second: int, count: int, provider: str) -> None:
    for row in mark.rows:
        row[second] = row.get(second, 0) + count
    for who in mark.who:
        found = who.get(second)
        if found is None:
            who[second] = {provider}
        else:
            found.add(provider)


def cell_of(waiting: Waiting) -> Cell:
    """What waits as a cell: it shows where it stands and nothing else."""
    return Cell(
        kind="attempt" if waiting.provider else "api",
        provider=waiting.provider,
        integration=waiting.integration,
        operation=waiting.operation,
        result="failed",
        stage=waiting.stage or "wait",
    )
