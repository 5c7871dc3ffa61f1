"""Detectors: banks of cumulative sums over one-second counts, which find that something began.

Each bank compares a usual rate p0 with a rate p1 that matters, by Page's cumulative sum (1954):

    S <- max(0, S + k log(p1/p0) + (n - k) log((1 - p1)/(1 - p0))),    alarm at S >= h

Three guards keep a burst from being an alarm. Measured in ATTRIBUTION.md, section 2:

1. One failure for each customer and minute (`Tally.witnesses`).
2. Fast banks: one failure for each provider and second of the start.
3. One second may add h/4 at most, in the sustained bank h/12.

Law: an alarm follows from the window alone, so that it computes again from stored counts.
"""

from collections.abc import Callable, Iterator, Mapping
from math import log
from typing import Final, Literal

import msgspec

from tollkeeper.signals.counts import Window
from tollkeeper.signals.history import OF, Measure, Slice, Usual, usual_of
from tollkeeper.signals.series import Row, Series, unroll

type Family = Literal["failures", "declines", "slowness"]

HOLD_S: Final = 30
"""How long an alarm stands after its statistic was last above the threshold: attempts of the last
seconds that will fail have not ended yet, and those that succeeded have."""

MOST: Final = 1.3
"""The statistic is held at this many thresholds, so that an alarm ends soon after its cause."""


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """One detector. `usual` is p0 and `matters` p1, each from the rate before; `threshold` is h,
    and one second adds `threshold / part` at most. `by_second`: guard 2. `only`: the dimensions
    whose slices are watched, all where it is empty."""

    name: str
    measure: Measure
    family: Family
    threshold: float
    usual: Callable[[float], float]
    matters: Callable[[float], float]
    part: int = 4
    by_second: bool = False
    only: frozenset[str] = frozenset()


def _at_least(floor: float, factor: float) -> Callable[[float], float]:
    return lambda rate: max(floor, factor * rate)


def _odds(rate: float) -> float:
    """2.6 times the odds: an issuer with 10 % declines matters at 22 %."""
    return 2.6 * rate / (1 + 1.6 * rate)


INTERNAL: Final = frozenset({"integration", "host"})

BANKS: Final = (
    Bank(
        name="fail", measure="failing", family="failures", threshold=10, by_second=True,
        usual=_at_least(0.01, 1.5), matters=_at_least(0.12, 6),
    ),
    Bank(
        name="sustained", measure="failing", family="failures", threshold=13, part=12,
        usual=_at_least(0.01, 1.5), matters=_at_least(0.10, 4),
    ),
    Bank(
        name="contract", measure="unreadable", family="failures", threshold=9,
        usual=_at_least(2e-4, 2), matters=_at_least(0.10, 8),
    ),
    Bank(
        name="not_now", measure="not_now", family="failures", threshold=8, by_second=True,
        usual=_at_least(0.003, 2), matters=_at_least(0.10, 8),
    ),
    Bank(
        name="internal", measure="internal", family="failures", threshold=8, by_second=True,
        usual=_at_least(0.003, 2), matters=_at_least(0.10, 8), only=INTERNAL,
    ),
    Bank(
        name="build", measure="building", family="failures", threshold=8, part=3,
        usual=_at_least(2e-4, 2), matters=_at_least(0.10, 8), only=INTERNAL,
    ),
    Bank(
        name="missing", measure="silent", family="failures", threshold=9, part=6,
        usual=_at_least(0.01, 2), matters=_at_least(0.30, 8),
    ),
    Bank(
        name="storm", measure="repeating", family="failures", threshold=10,
        usual=_at_least(0.04, 2), matters=_at_least(0.25, 5), only=frozenset({"integration"}),
    ),
    Bank(
        name="decline", measure="declining", family="declines", threshold=10,
        usual=lambda rate: 1.35 * rate + 0.025, matters=_odds,
    ),
    Bank(
        name="unavailable", measure="unavailable", family="declines", threshold=8,
        usual=_at_least(0.012, 2), matters=_at_least(0.20, 4),
    ),
    Bank(
        name="attack", measure="guessing", family="declines", threshold=8,
        usual=_at_least(0.08, 2), matters=_at_least(0.35, 3), only=frozenset({"account"}),
    ),
    Bank(
        name="webhooks", measure="rejecting", family="failures", threshold=8, part=8,
        usual=_at_least(0.01, 2), matters=_at_least(0.20, 8),
    ),
    Bank(
        name="api", measure="erring", family="failures", threshold=8, by_second=True,
        usual=_at_least(0.005, 2), matters=_at_least(0.10, 8),
    ),
)  # fmt: skip
"""Thresholds and rates are those of ATTRIBUTION.md, section 2, which measured 0.12 false alarms a
million payments with them. `storm`, `webhooks` and `api` are new, set like `internal`. `missing`
and `webhooks` count all in a second, so that they need more seconds than a blip has. `build` needs
three seconds alone: no network and no machine has a part in a request that cannot be built."""

LATENCY: Final = "latency"
LATE_USUAL: Final = 0.085
LATE_MATTERS: Final = 0.27
LATE_THRESHOLD: Final = 10.0
"""Of attempts beyond the 95 % point of their provider and operation: history is wrong by some, so
that 8.5 % is still usual."""

NO_WEBHOOKS: Final = "missing_webhooks"
NO_WEBHOOKS_THRESHOLD: Final = 10.0
NO_WEBHOOKS_USUAL: Final = 0.8
NO_WEBHOOKS_LEFT: Final = 0.3
"""Of the webhooks that payments of two to four seconds ago promise: 80 % are usual, and 30 % of
those matter (a Poisson count, so that a quiet night promises none)."""

LATE_WEBHOOKS: Final = "late_webhooks"
LATE_WEBHOOKS_USUAL: Final = 0.1
LATE_WEBHOOKS_MATTER: Final = 0.5
LATE_WEBHOOKS_PART: Final = 6
"""Of webhooks beyond the 95 % point of their provider: history is wrong by some, so that a tenth is
still usual. Half of them matters, in six seconds at least: a provider catches up with a burst."""

STALLS: Final = "stalls"
STALLS_USUAL: Final = 0.01
STALLS_MATTER: Final = 0.25
STALLS_THRESHOLD: Final = 8.0
STALLS_PART: Final = 3
"""Of a process's seconds: in one of a hundred its event loop may stand still, and one of four
matters. Three such seconds are the least, so that one long pause is no alarm."""

NAMES: Final = (*(bank.name for bank in BANKS), LATENCY, NO_WEBHOOKS, LATE_WEBHOOKS, STALLS)


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """A bank that stands above its threshold in a slice. The statistic left zero at `since_ms` and
    reached `threshold` at `at_ms`; `bad` of `of` were counted since."""

    bank: str
    family: Family
    slice: dict[str, str]
    since_ms: int
    at_ms: int
    statistic: float
    threshold: float
    bad: float
    of: float


class Climb(msgspec.Struct):
    """The walk of one statistic, in seconds from the first: its value at the end, its peak, when it
    left zero, first reached the threshold since, and was last above it."""

    value: float = 0.0
    peak: float = 0.0
    left: int = 0
    crossed: int | None = None
    above: int | None = None

    def step(self, second: int, add: float, threshold: float) -> None:
        """Adds one second's increment."""
        if self.value <= 0 < add:
            self.left, self.peak, self.crossed = second, 0.0, None
        self.value = value = min(max(0.0, self.value + add), MOST * threshold)
        self.peak = max(self.peak, value)
        if value >= threshold:
            self.above = second
            if self.crossed is None:
                self.crossed = second


def walk(
    bad: Mapping[int, float], good: Row, rates: tuple[float, float], threshold: float, part: int
) -> Climb:
    """The cumulative sum of a bank over one slice. Only seconds with a bad one can raise it, so
    that what the good ones in between take away is summed up."""
    usual, matters = rates
    up, down = log(matters / usual), log((1 - matters) / (1 - usual))
    most, climb, seen = threshold / part, Climb(), 0
    for second in sorted(bad):
        if climb.value > 0 and second > seen:
            climb.value = max(0.0, climb.value + sum(good[seen:second]) * down)
        add = bad[second] * up + good[second] * down
        if add > 0 or climb.value > 0:
            climb.step(second, min(add, most), threshold)
        seen = second + 1
    climb.value = max(0.0, climb.value + sum(good[seen:]) * down)
    return climb


def banks(window: Window, usual: Usual | None = None) -> tuple[Alarm, ...]:
    """The alarms that stand at the window's moment, the earliest first. `usual` is what
    `usual_of(window.usual, window.usual_seconds)` makes, for callers that look each second."""
    known = usual if usual is not None else usual_of(window.usual, window.usual_seconds)
    return alarms_in(unroll(window, known), known)


def alarms_in(series: Series, usual: Usual) -> tuple[Alarm, ...]:
    """The alarms that stand at the end of a series, the earliest first, strongest before others of
    the same second."""
    found = [*_counted(series, usual), *_slow(series), *_unhooked(series, usual)]
    found += [*_lagging(series), *_stalls(series)]
    return tuple(sorted(found, key=lambda alarm: (alarm.at_ms, -alarm.statistic, alarm.bank)))


def bank_rates(bank: Bank, usual: Usual, slice_: Slice) -> tuple[float, float]:
    """p0 and p1 of a bank in a slice."""
    known = usual.long_share if bank.measure == "silent" else usual.rate(bank.measure, slice_)
    low = min(max(bank.usual(known), 1e-5), 0.8)
    high = max(bank.matters(low), 1.5 * low)
    return low, min(high, 0.97, 1 - (1 - low) / 2)


def _counted(series: Series, usual: Usual) -> Iterator[Alarm]:
    for bank in BANKS:
        least = bank.part if bank.part < 12 else 6  # fewer seconds cannot reach the threshold
        for (measure, slice_), counts in series.bad.items():
            if (
                measure != bank.measure
                or len(counts) < min(least, 4)
                or _is_unwatched(bank, slice_)
            ):
                continue
            good = series.good.get((OF[measure], slice_)) or [0] * series.size
            bad = _bad_of(series, bank, measure, slice_, counts)
            climb = walk(bad, good, bank_rates(bank, usual, slice_), bank.threshold, bank.part)
            if (alarm := _alarm(series, bank, slice_, climb, bad, good)) is not None:
                yield alarm


def _is_unwatched(bank: Bank, slice_: Slice) -> bool:
    return bool(bank.only and slice_) and slice_[-1][0] not in bank.only


def _bad_of(
    series: Series, bank: Bank, measure: Measure, slice_: Slice, counts: dict[int, int]
) -> Mapping[int, float]:
    if not bank.by_second:
        return counts
    who = series.who[measure, slice_]
    return {second: min(count, len(who[second])) for second, count in counts.items()}


def _alarm(
    series: Series, bank: Bank, slice_: Slice, climb: Climb, bad: Mapping[int, float], good: Row
) -> Alarm | None:
    return alarm_of(series, (bank.name, bank.family, bank.threshold), slice_, climb, (bad, good))


def alarm_of(
    series: Series,
    bank: tuple[str, Family, float],
    slice_: Slice,
    climb: Climb,
    counts: tuple[Mapping[int, float], Row],
) -> Alarm | None:
    """The alarm of a walk, where it stands at the end."""
    name, family, threshold = bank
    if climb.above is None or climb.crossed is None:
        return None
    if climb.value < threshold and climb.above < series.size - HOLD_S:
        return None
    bad, good = counts
    failed = sum(count for second, count in bad.items() if second >= climb.left)
    return Alarm(
        bank=name,
        family=family,
        slice=dict(slice_),
        since_ms=(series.first + climb.left) * 1000,
        at_ms=(series.first + climb.crossed) * 1000,
        statistic=round(climb.peak, 2),
        threshold=threshold,
        bad=round(failed, 1),
        of=round(failed + sum(good[climb.left :]), 1),
    )


def _slow(series: Series) -> Iterator[Alarm]:
    for slice_, late in series.late.items():
        if len(late) < 4:
            continue
        rest = list(series.good.get(("attempts", slice_)) or [0] * series.size)
        for second, count in late.items():
            rest[second] = max(0, rest[second] - round(count))
        climb = walk(late, rest, (LATE_USUAL, LATE_MATTERS), LATE_THRESHOLD, 4)
        bank: tuple[str, Family, float] = (LATENCY, "slowness", LATE_THRESHOLD)
        if (alarm := alarm_of(series, bank, slice_, climb, (late, rest))) is not None:
            yield alarm


def _unhooked(series: Series, usual: Usual) -> Iterator[Alarm]:
    """Webhooks that payments promised and that did not come."""
    for provider, paid in series.paid.items():
        each = usual.hooks_each(provider)
        if not provider or each <= 0:
            continue
        hooked = series.hooked.get(provider) or [0] * series.size
        climb = Climb()
        for second in range(4, series.size):
            due = NO_WEBHOOKS_USUAL * each * promised(paid, second)
            add = hooked[second] * log(NO_WEBHOOKS_LEFT) + due * (1 - NO_WEBHOOKS_LEFT)
            climb.step(second, min(add, NO_WEBHOOKS_THRESHOLD / 4), NO_WEBHOOKS_THRESHOLD)
        bank: tuple[str, Family, float] = (NO_WEBHOOKS, "failures", NO_WEBHOOKS_THRESHOLD)
        counts = ({second: float(count) for second, count in enumerate(paid) if count}, hooked)
        slice_: Slice = (("provider", provider),)
        if (alarm := alarm_of(series, bank, slice_, climb, counts)) is not None:
            yield alarm


def promised(paid: Row, second: int) -> float:
    """Payments whose webhooks ought to come in a second: a third of those of two to four seconds
    before."""
    return sum(paid[max(second - 4, 0) : max(second - 1, 0)]) / 3


def _lagging(series: Series) -> Iterator[Alarm]:
    """Webhooks that come, and come late."""
    for provider, late in series.lagging.items():
        if len(late) < LATE_WEBHOOKS_PART:
            continue
        rest = list(series.hooked.get(provider) or [0] * series.size)
        for second, count in late.items():
            rest[second] = max(0, rest[second] - round(count))
        rates = (LATE_WEBHOOKS_USUAL, LATE_WEBHOOKS_MATTER)
        climb = walk(late, rest, rates, NO_WEBHOOKS_THRESHOLD, LATE_WEBHOOKS_PART)
        bank: tuple[str, Family, float] = (LATE_WEBHOOKS, "failures", NO_WEBHOOKS_THRESHOLD)
        slice_: Slice = (("provider", provider),)
        if (alarm := alarm_of(series, bank, slice_, climb, (late, rest))) is not None:
            yield alarm


def _stalls(series: Series) -> Iterator[Alarm]:
    """Our own event loop stands still again and again: seen before anyone's payment fails."""
    for host, stalled in series.stalled.items():
        awake = series.awake.get(host) or [0] * series.size
        rates = (STALLS_USUAL, STALLS_MATTER)
        climb = walk(stalled, awake, rates, STALLS_THRESHOLD, STALLS_PART)
        bank: tuple[str, Family, float] = (STALLS, "slowness", STALLS_THRESHOLD)
        slice_: Slice = (("host", host),) if host else ()
        if (alarm := alarm_of(series, bank, slice_, climb, (stalled, awake))) is not None:
            yield alarm
