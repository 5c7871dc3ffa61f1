"""What is usual: rates, durations and volumes of the time before, which excess is measured against.

Law: without history there is a prior, never a division by zero and never a rate of zero. A rate of
a small part is drawn to that of the whole, so that ten payments do not make a history.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from tollkeeper.signals.counts import EDGES_MS, Cell, Counted, Tally
from tollkeeper.signals.words import INSIDE, UNAVAILABLE, WRONG_NUMBERS, Trouble, trouble_of

type Slice = tuple[tuple[str, str], ...]
"""Pairs of a dimension (a field of a cell) and its value; empty for everything."""

type Measure = Literal[
    "failing", "unreadable", "not_now", "internal", "building", "repeating", "silent",
    "declining", "unavailable", "guessing", "rejecting", "erring",
]  # fmt: skip
"""What is counted as bad, of all that could have been."""

type Of = Literal["attempts", "answers", "webhooks", "requests"]
"""What a measure is a share of. `answers`: authorizations that were approved or declined."""

OF: Final[dict[Measure, Of]] = {
    "failing": "attempts", "unreadable": "attempts", "not_now": "attempts",
    "internal": "attempts", "building": "attempts", "repeating": "attempts",
    "silent": "attempts",
    "declining": "answers", "unavailable": "answers", "guessing": "answers",
    "rejecting": "webhooks", "erring": "requests",
}  # fmt: skip

PRIOR: Final[dict[Measure, float]] = {
    "failing": 0.01, "unreadable": 1e-4, "not_now": 0.002, "internal": 0.002, "building": 1e-4,
    "repeating": 0.01,
    "silent": 0.005, "declining": 0.12, "unavailable": 0.005, "guessing": 0.02,
    "rejecting": 0.002, "erring": 0.002,
}  # fmt: skip
"""Rates of a fresh installation: ATTRIBUTION.md's laboratory draws failures from 0.1 to 2 % and
declines from 5 to 15 %, of which 15 % are mistyped and 3 % unavailable banks."""

PRIOR_COUNT: Final = 200.0
"""How many attempts the prior weighs: a day of a small shop overrules it."""

PART_COUNT: Final = 50.0
"""How many attempts the rate of the whole weighs against that of a part."""

LATE_SHARE: Final = 0.05
PRIOR_LATE_MS: Final = 2_250.0
"""The 95 % point of durations where there is no history: twice a slow provider's usual second."""

LATE_LEAST_MS: Final = 300.0
"""A reply is not late before that, however quick replies usually are: where they take 50 ms, a busy
machine of ours triples them, and no shopper notices (Nielsen, 1993: one second)."""

LATE_HOOK_MS: Final = 5_000.0
PRIOR_LATE_HOOK_MS: Final = 15_000.0
"""A webhook is not late before the first, however quick webhooks usually are: its event is dated in
whole seconds, by another clock. The second is the 95 % point where there is no history."""

LEAST_PAID: Final = 30.0
"""Payments below which it is not known how many webhooks each of them brings."""

LEAST_TIMES: Final = 60
"""Durations below which an operation has no 95 % point of its own."""


def slices_of(cell: Cell, of: Of) -> Iterator[Slice]:
    """The slices that a cell is counted in. A slice with an unknown value is none."""
    yield ()
    provider = ("provider", cell.provider)
    if cell.provider:
        yield (provider,)
    if of == "attempts":
        if cell.provider and cell.operation:
            yield (provider, ("operation", cell.operation))
        names: tuple[str, ...] = ("integration", "host", "account", "settings")
    elif of == "answers":
        names = ("method", "issuer", "country", "account")
    else:
        names = ("host", "operation") if of == "requests" else ()
    for name in names:
        if value := getattr(cell, name):
            yield ((name, value),)


def of_what(cell: Cell) -> tuple[Of, ...]:
    """What a cell is one of."""
    if cell.kind == "attempt":
        if cell.operation == "authorize" and cell.result != "failed":
            return ("attempts", "answers")
        return ("attempts",)
    if cell.kind == "webhook_in":
        return ("webhooks",)
    return ("requests",) if cell.kind == "api" else ()


def measures_of(cell: Cell) -> tuple[Measure, ...]:
    """The measures by which a cell is bad."""
    if cell.kind == "attempt":
        found = _of_failure(cell) if cell.result == "failed" else _of_decline(cell)
        return (*found, "repeating") if cell.repeat >= 2 else found
    if cell.result != "failed":
        return ()
    if cell.kind == "webhook_in":
        return ("rejecting",)
    return ("erring",) if cell.kind == "api" else ()


def _of_failure(cell: Cell) -> tuple[Measure, ...]:
    trouble = trouble_of(cell)
    if trouble == "unreadable":
        return ("failing", "unreadable")
    if trouble in {"limited", "key_refused"}:
        return ("failing", "not_now")
    if trouble == "build":
        return ("failing", "internal", "building")
    return ("failing", "internal") if trouble in INSIDE else ("failing",)


def _of_decline(cell: Cell) -> tuple[Measure, ...]:
    if cell.result != "declined" or cell.operation != "authorize":
        return ()
    if cell.error in WRONG_NUMBERS:
        return ("guessing",)
    return ("declining", "unavailable") if cell.error in UNAVAILABLE else ("declining",)


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """History, summed up. `of` and `bad` count by slice; `troubles` failures by kind; `late` the
    part of each bucket of durations beyond the 95 % point and `LATE_LEAST_MS`, by provider and
    operation, with the point itself in `late_ms`; `long` attempts over three seconds; `phases`
    seconds of connecting, TLS and waiting by provider, as counts and sums. `lags`: the part of each
    bucket in which webhooks of a provider are late."""

    seconds: int = 0
    of: dict[tuple[Of, Slice], float] = {}
    bad: dict[tuple[Measure, Slice], float] = {}
    troubles: dict[Trouble, float] = {}
    late: dict[tuple[str, str], tuple[float, ...]] = {}
    late_ms: dict[tuple[str, str], float] = {}
    long: float = 0.0
    phases: dict[str, tuple[float, ...]] = {}
    first: float = 0.0
    paid: dict[str, float] = {}
    hooks: dict[str, float] = {}
    lags: dict[str, tuple[float, ...]] = {}
    settings: frozenset[str] = frozenset()

    def rate(self, measure: Measure, slice_: Slice = ()) -> float:
        """The usual share of bad ones in a slice, drawn to that of the whole."""
        of = OF[measure]
        whole = (self.bad.get((measure, ()), 0.0) + PRIOR[measure] * PRIOR_COUNT) / (
            self.of.get((of, ()), 0.0) + PRIOR_COUNT
        )
        if not slice_:
            return min(whole, 0.9)
        count = self.of.get((of, slice_), 0.0)
        bad = self.bad.get((measure, slice_), 0.0)
        return min((bad + whole * PART_COUNT) / (count + PART_COUNT), 0.9)

    def trouble_rate(self, trouble: Trouble) -> float:
        """The usual share of attempts that fail with one kind of trouble."""
        return self.troubles.get(trouble, 0.0) / (self.of.get(("attempts", ()), 0.0) + PRIOR_COUNT)

    def late_parts(self, provider: str, operation: str) -> tuple[float, ...]:
        """Which part of each bucket of durations is late."""
        return self.late.get((provider, operation), PRIOR_PARTS)

    @property
    def long_share(self) -> float:
        """The usual share of attempts that take more than three seconds."""
        return (self.long + 0.005 * PRIOR_COUNT) / (
            self.of.get(("attempts", ()), 0.0) + PRIOR_COUNT
        )

    @property
    def first_rate(self) -> float:
        """First authorizations a second; 0 where it is not known."""
        return self.first / self.seconds if self.seconds > 0 else 0.0

    def hooks_each(self, provider: str) -> float:
        """Webhooks for each approved authorization of a provider; 0 where it is not known."""
        paid = self.paid.get(provider, 0.0)
        return min(self.hooks.get(provider, 0.0) / paid, 3.0) if paid >= LEAST_PAID else 0.0

    def lag_parts(self, provider: str) -> tuple[float, ...]:
        """Which part of each bucket of webhooks is late."""
        return self.lags.get(provider, PRIOR_LAGS)


def parts_beyond(point_ms: float) -> tuple[float, ...]:
    """The part of each bucket that lies beyond a point, with durations spread evenly inside."""
    parts, low = [], 0.0
    for high in EDGES_MS:
        parts.append(min(max((high - point_ms) / (high - low), 0.0), 1.0))
        low = high
    return (*parts, 1.0)


PRIOR_PARTS: Final = parts_beyond(PRIOR_LATE_MS)
PRIOR_LAGS: Final = parts_beyond(PRIOR_LATE_HOOK_MS)


def late_count(took: dict[int, int], parts: tuple[float, ...]) -> float:
    """How many of these durations are late. A bucket that does not exist counts as the last."""
    last = len(parts) - 1
    return sum(
        count * parts[bucket if 0 <= bucket < last else last] for bucket, count in took.items()
    )


def usual_of(lines: Iterable[Counted], seconds: int) -> Usual:
    """History from folded lines of so many seconds. A caller that looks each second makes it once
    for each fold."""
    book = _Book()
    for line in lines:
        book.note(line.cell, line.tally)
    return book.usual(seconds)


class _Book:
    """Sums while history is read."""

    def __init__(self) -> None:
        self.of: dict[tuple[Of, Slice], float] = {}
        self.bad: dict[tuple[Measure, Slice], float] = {}
        self.troubles: dict[Trouble, float] = {}
        self.took: dict[tuple[str, str], dict[int, int]] = {}
        self.lags: dict[str, dict[int, int]] = {}
        self.phases: dict[str, list[float]] = {}
        self.paid: dict[str, float] = {}
        self.hooks: dict[str, float] = {}
        self.settings: set[str] = set()
        self.first = 0.0

    def note(self, cell: Cell, tally: Tally) -> None:
        bad = measures_of(cell)
        for of in of_what(cell):
            marks = [measure for measure in bad if OF[measure] == of]
            for slice_ in slices_of(cell, of):
                self.of[of, slice_] = self.of.get((of, slice_), 0.0) + tally.n
                for measure in marks:
                    key = (measure, slice_)
                    self.bad[key] = self.bad.get(key, 0.0) + tally.n
        if cell.settings:
            self.settings.add(cell.settings)
        if cell.kind == "attempt":
            self._attempt(cell, tally)
        elif cell.kind == "webhook_in":
            self.hooks[cell.provider] = self.hooks.get(cell.provider, 0.0) + tally.n
            _add(self.lags.setdefault(cell.provider, {}), tally.took)

    def _attempt(self, cell: Cell, tally: Tally) -> None:
        _add(self.took.setdefault((cell.provider, cell.operation), {}), tally.took)
        if cell.operation == "authorize" and not cell.repeat:
            self.first += tally.n
        if cell.operation == "authorize" and cell.result == "ok":
            self.paid[cell.provider] = self.paid.get(cell.provider, 0.0) + tally.n
        if cell.result == "failed":
            trouble = trouble_of(cell)
            self.troubles[trouble] = self.troubles.get(trouble, 0.0) + tally.n
        sums = self.phases.setdefault(cell.provider, [0.0] * 6)
        for place, value in enumerate(phases_of(tally)):
            sums[place] += value

    def usual(self, seconds: int) -> Usual:
        points, lags = _points(self.took), _points(self.lags)
        beyond = parts_beyond(3_000.0)
        return Usual(
            seconds=max(seconds, 0),
            of=self.of,
            bad=self.bad,
            troubles=self.troubles,
            late={key: parts_beyond(max(point, LATE_LEAST_MS)) for key, point in points.items()},
            late_ms=points,
            long=sum(late_count(took, beyond) for took in self.took.values()),
            phases={provider: tuple(sums) for provider, sums in self.phases.items()},
            first=self.first,
            paid=self.paid,
            hooks=self.hooks,
            lags={name: parts_beyond(max(point, LATE_HOOK_MS)) for name, point in lags.items()},
            settings=frozenset(self.settings),
        )


def _add(sums: dict[int, int], more: dict[int, int]) -> None:
    for bucket, count in more.items():
        sums[bucket] = sums.get(bucket, 0) + count


def _points[K](times: dict[K, dict[int, int]]) -> dict[K, float]:
    """The 95 % point of each, where there are enough durations."""
    found = ((key, point_of(took, 1 - LATE_SHARE)) for key, took in times.items())
    return {key: point for key, point in found if point is not None}


def phases_of(tally: Tally) -> tuple[float, ...]:
    """Counts and milliseconds of connecting, TLS and waiting."""
    return (
        tally.connect_n, tally.connect_ms, tally.tls_n, tally.tls_ms, tally.wait_n, tally.wait_ms,
    )  # fmt: skip


def point_of(took: dict[int, int], share: float) -> float | None:
    """The duration that this share of attempts stays below, in milliseconds, straight inside its
    bucket; `None` with too few durations. Beyond the last edge it is the last edge."""
    count = sum(took.values())
    if count < LEAST_TIMES:
        return None
    wanted, low, below = share * count, 0.0, 0.0
    for bucket, high in enumerate(EDGES_MS):
        here = took.get(bucket, 0)
        if here and below + here >= wanted:
            return low + (high - low) * (wanted - below) / here
        below += here
        low = high
    return float(EDGES_MS[-1])
