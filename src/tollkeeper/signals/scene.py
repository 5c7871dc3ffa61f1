"""The scene of a disturbance: what went bad since it began, beside what did not.

Law: what history expects is taken away before anything is compared, so that usual failures are
evidence of nothing.
"""

from collections.abc import Iterable
from math import log
from typing import Final, Literal

import msgspec

from tollkeeper.signals.counts import Batch, Cell, Counted, Tally, Waiting, Window
from tollkeeper.signals.detectors import (
    BANKS,
    LATE_MATTERS,
    LATE_USUAL,
    LATE_WEBHOOKS,
    LATE_WEBHOOKS_USUAL,
    LATENCY,
    NO_WEBHOOKS,
    NO_WEBHOOKS_USUAL,
    STALLS,
    STALLS_USUAL,
    Alarm,
    Family,
    bank_rates,
    promised,
)
from tollkeeper.signals.history import Slice, Usual, late_count
from tollkeeper.signals.series import Series, batches_of, cell_of, lines_of, waiting_of
from tollkeeper.signals.words import LATE, MISSING, WRONG_NUMBERS, Trouble, trouble_of

type Subject = Literal[
    "attempts", "answers", "webhooks", "absences", "requests", "durations", "repeats", "seconds"
]  # fmt: skip
"""What is bad: attempts that failed, authorizations that were declined, webhooks that we rejected,
webhooks that did not come or came late, requests to our API that failed, attempts that took long,
attempts after others, seconds in which our event loop stood still."""

INTERVAL_NATS: Final = 2.0
"""How much less likely than the likeliest the ends of the onset's interval are: about 95 %."""

FEW_FAILURES: Final = 4
LATELY_S: Final = 15
"""Slow answers look missing first: with fewer failures than these in the last seconds, attempts
that wait are slow and not lost."""

GONE_PARTS: Final = 0.4
"""The part of all bad ones from which on attempts are looked at, and not webhooks or requests."""


class Onset(msgspec.Struct, frozen=True):
    """The second in which it began, with an interval that has it."""

    second: int
    earliest: int
    latest: int


class Pile(msgspec.Struct):
    """Lines of one cell since the onset: how many, how many of them bad, how many usually are."""

    cell: Cell
    n: float = 0.0
    bad: float = 0.0
    usual: float = 0.0
    trouble: Trouble | None = None


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that evidence is read from. `piles` are of the subject; `lines` all since the onset."""

    window: Window
    usual: Usual
    series: Series
    alarms: tuple[Alarm, ...]
    family: Family
    subject: Subject
    onset: Onset
    batches: tuple[Batch, ...]
    lines: tuple[Counted, ...]
    waiting: tuple[Waiting, ...]
    piles: tuple[Pile, ...]

    @property
    def bad(self) -> float:
        """How many are bad."""
        return sum(pile.bad for pile in self.piles)

    @property
    def excess(self) -> float:
        """How many more are bad than usual."""
        return max(self.bad - sum(pile.usual for pile in self.piles), 0.0)

    @property
    def of(self) -> float:
        """How many could have been."""
        return sum(pile.n for pile in self.piles)

    @property
    def seconds(self) -> int:
        """How long it has lasted."""
        return max(self.series.first + self.series.size - self.onset.second, 1)


def scene_of(window: Window, usual: Usual, series: Series, alarms: tuple[Alarm, ...]) -> Scene:
    """The scene behind these alarms, of which there is at least one."""
    batches = batches_of(window)
    waiting = tuple(waiting_of(batches))
    family = family_of(alarms, series)
    subject = _subject(alarms, family)
    first = _first_of(alarms, family)
    onset = onset_of(series, usual, first, subject)
    lines = tuple(line for line in lines_of(batches) if line.started_s >= onset.second)
    return Scene(
        window=window,
        usual=usual,
        series=series,
        alarms=alarms,
        family=family,
        subject=subject,
        onset=onset,
        batches=batches,
        lines=lines,
        waiting=waiting,
        piles=_special(series, usual, onset, subject) or _piles(lines, waiting, usual, subject),
    )


def family_of(alarms: tuple[Alarm, ...], series: Series) -> Family:
    """Failures before declines before slowness; but slow answers look missing first."""
    families = {alarm.family for alarm in alarms}
    names = {alarm.bank for alarm in alarms if alarm.family == "failures"}
    if "failures" in families:
        only_missing = names <= {"missing"} and "slowness" in families
        if not only_missing or _lately_failed(series) >= FEW_FAILURES:
            return "failures"
    return "declines" if "declines" in families else "slowness"


def _lately_failed(series: Series) -> int:
    counts = series.bad.get(("failing", ()), {})
    return sum(count for second, count in counts.items() if second >= series.size - LATELY_S)


def _subject(alarms: tuple[Alarm, ...], family: Family) -> Subject:
    if family == "declines":
        return "answers"
    if family == "slowness":
        return "durations" if any(alarm.bank == LATENCY for alarm in alarms) else "seconds"
    names = {alarm.bank for alarm in alarms}
    if names & {"fail", "sustained", "contract", "not_now", "internal", "build", "missing"}:
        return _loudest(alarms)
    if "webhooks" in names:
        return "webhooks"
    if names & {NO_WEBHOOKS, LATE_WEBHOOKS}:
        return "absences"
    return "requests" if "api" in names else "repeats"


def _loudest(alarms: tuple[Alarm, ...]) -> Subject:
    """Attempts, where they are not few beside requests of our own API that fail."""
    inside = max((alarm.bad for alarm in alarms if alarm.bank == "api"), default=0.0)
    beside = {"api", "webhooks", "storm", NO_WEBHOOKS, LATE_WEBHOOKS}
    others = max(alarm.bad for alarm in alarms if alarm.bank not in beside)
    return "attempts" if others >= GONE_PARTS * inside else "requests"


def _first_of(alarms: tuple[Alarm, ...], family: Family) -> Alarm:
    return next((alarm for alarm in alarms if alarm.family == family), alarms[0])


# onset


def onset_of(series: Series, usual: Usual, alarm: Alarm, subject: Subject) -> Onset:
    """The split of the window into before and after that is likeliest: a binomial log-likelihood
    ratio, in the slice that alarmed, with the usual rate before and any higher one after."""
    slice_ = tuple(alarm.slice.items())
    bad, good, rate = _counts(series, usual, alarm, slice_)
    if sum(bad.values()) < 2:
        second = alarm.since_ms // 1000
        return Onset(second, second, alarm.at_ms // 1000)
    scores, all_bad, all_n = [0.0] * series.size, 0.0, 0.0
    for second in range(series.size - 1, -1, -1):
        here = bad.get(second, 0.0)
        all_bad += here
        all_n += here + good[second]
        scores[second] = raised(all_bad, all_n, rate) if here else 0.0
    best = max(scores)
    likely = [second for second, score in enumerate(scores) if score >= best - INTERVAL_NATS]
    found = scores.index(best)
    return Onset(series.first + found, series.first + likely[0], series.first + likely[-1])


def _counts(
    series: Series, usual: Usual, alarm: Alarm, slice_: Slice
) -> tuple[dict[int, float], list[int], float]:
    if alarm.bank == STALLS:
        host = alarm.slice.get("host", "")
        stalled = {second: float(n) for second, n in series.stalled.get(host, {}).items()}
        return stalled, series.awake.get(host) or [0] * series.size, STALLS_USUAL
    if alarm.bank == LATE_WEBHOOKS:
        provider = alarm.slice["provider"]
        hooked = series.hooked.get(provider) or [0] * series.size
        return series.lagging.get(provider, {}), hooked, LATE_WEBHOOKS_USUAL
    if alarm.bank in {LATENCY, NO_WEBHOOKS}:
        late = series.late.get(slice_, {}) if alarm.bank == LATENCY else {}
        good = series.good.get(("attempts", slice_)) or [0] * series.size
        return late, good, (LATE_USUAL + LATE_MATTERS) / 4
    bank = next(bank for bank in BANKS if bank.name == alarm.bank)
    of: Literal["attempts", "answers", "webhooks", "requests"] = "attempts"
    if bank.family == "declines":
        of = "answers"
    elif bank.measure in {"rejecting", "erring"}:
        of = "webhooks" if bank.measure == "rejecting" else "requests"
    good = series.good.get((of, slice_)) or [0] * series.size
    bad = {s: float(n) for s, n in series.bad.get((bank.measure, slice_), {}).items()}
    if bank.measure == "failing":
        for second, count in series.bad.get(("silent", slice_), {}).items():
            bad[second] = bad.get(second, 0.0) + count
    return bad, good, bank_rates(bank, usual, slice_)[0]


def raised(bad: float, of: float, rate: float) -> float:
    """The log-likelihood ratio of the rate that is seen against a lower one; 0 where it is not."""
    if of <= 0 or bad <= 0 or bad / of <= rate:
        return 0.0
    seen = min(bad / of, 1.0)
    good = of - bad
    return bad * log(seen / rate) + (good * log((1 - seen) / (1 - rate)) if good > 0 else 0.0)


# piles


EVENT_LOOP_LAG: Final = "event_loop_lag"


def _seconds(series: Series, onset: Onset) -> tuple[Pile, ...]:
    """Seconds of each host since the onset, and those in which its event loop stood still."""
    since = max(onset.second - series.first, 0)
    piles = []
    for host in sorted({*series.stalled, *series.awake}):
        stalled = sum(n for second, n in series.stalled.get(host, {}).items() if second >= since)
        n = stalled + sum(series.awake.get(host, [])[since:])
        cell = Cell(kind="api", host=host, result="failed", error=EVENT_LOOP_LAG)
        piles.append(Pile(cell, n, stalled, STALLS_USUAL * n))
    return tuple(piles)


def _special(
    series: Series, usual: Usual, onset: Onset, subject: Subject
) -> tuple[Pile, ...] | None:
    """The piles of what no line counts; `None` for other subjects."""
    if subject == "seconds":
        return _seconds(series, onset)
    return _absences(series, usual, onset) if subject == "absences" else None


def _absences(series: Series, usual: Usual, onset: Onset) -> tuple[Pile, ...]:
    """Webhooks that payments promised since the onset, and those of them that are missing or came
    late."""
    piles, since = [], max(onset.second - series.first, 0)
    for provider in sorted(series.paid.keys() | series.hooked.keys()):
        paid = series.paid.get(provider) or [0] * series.size
        each = NO_WEBHOOKS_USUAL * usual.hooks_each(provider)
        due = each * sum(promised(paid, second) for second in range(since, series.size))
        came = sum(series.hooked.get(provider, [])[since:])
        missing = max(due - came, 0.0)
        late = sum(n for at, n in series.lagging.get(provider, {}).items() if at >= since)
        for error, n, bad in ((MISSING, missing, missing), (LATE, float(came), late)):
            cell = Cell(
                kind="webhook_in", provider=provider, result="failed", stage="webhook", error=error
            )
            pile = Pile(cell, n, bad, LATE_WEBHOOKS_USUAL * n)
            pile.trouble = trouble_of(cell)
            piles.append(pile)
    return tuple(piles)


def _piles(
    lines: Iterable[Counted], waiting: Iterable[Waiting], usual: Usual, subject: Subject
) -> tuple[Pile, ...]:
    piles: dict[Cell, Pile] = {}
    for line in lines:
        counted = _weighed(line.cell, line.tally, usual, subject)
        if counted is not None:
            _pile(piles, line.cell, *counted)
    for one in waiting if subject in WAITED else ():
        if (cell := cell_of(one)).kind == _KIND[subject]:
            _pile(piles, cell, float(one.n), float(one.n))
    for cell, pile in piles.items():
        pile.usual = pile.n * _usual_rate(cell, usual, subject)
        if pile.bad and cell.result == "failed":
            pile.trouble = trouble_of(cell)
    return tuple(piles.values())


def _pile(piles: dict[Cell, Pile], cell: Cell, n: float, bad: float) -> None:
    pile = piles.get(cell)
    if pile is None:
        pile = piles[cell] = Pile(cell)
    pile.n += n
    pile.bad += bad


def _weighed(
    cell: Cell, tally: Tally, usual: Usual, subject: Subject
) -> tuple[float, float] | None:
    """How many a line counts for, and how many of them are bad; `None` where it is not of the
    subject. Failures and declines count once for each customer and minute."""
    if cell.kind != _KIND[subject]:
        return None
    failed = cell.result == "failed"
    if subject == "durations":
        parts = usual.late_parts(cell.provider, cell.operation)
        return tally.n, min(late_count(tally.took, parts), tally.n)
    if subject == "repeats":
        return tally.n, tally.n if cell.repeat >= 2 else 0
    if subject == "answers":
        if cell.operation != "authorize" or failed:
            return None
        if cell.result == "ok":
            return tally.n, 0
        count = tally.n if cell.error in WRONG_NUMBERS else tally.witnesses
        return count, count
    return (tally.witnesses, tally.witnesses) if failed else (tally.n, 0)


WAITED: Final[frozenset[Subject]] = frozenset({"attempts", "durations", "requests"})
"""What can wait, and is bad as long as it does."""

_KIND: Final[dict[Subject, str]] = {
    "attempts": "attempt", "answers": "attempt", "durations": "attempt", "repeats": "attempt",
    "webhooks": "webhook_in", "absences": "", "requests": "api", "seconds": "",
}  # fmt: skip


def _usual_rate(cell: Cell, usual: Usual, subject: Subject) -> float:
    if subject == "durations":
        return 0.06
    if subject == "answers":
        issuer = (("issuer", cell.issuer),) if cell.issuer else ()
        return min(1.1 * (usual.rate("declining", issuer) + usual.rate("guessing")), 0.9)
    if subject == "webhooks":
        return usual.rate("rejecting")
    if subject == "requests":
        return usual.rate("erring")
    if subject == "repeats":
        return usual.rate("repeating")
    account = (("account", cell.account),) if cell.account else ()
    return usual.rate("failing", account)
