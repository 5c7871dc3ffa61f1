"""Objectives and burn rates: how fast an error budget is used up, over two windows at once.

A burn rate of 1 uses the budget up exactly at the end of the objective's time. The rules are those
of Google's SRE Workbook, chapter 5 (multi-window, multi-burn-rate alerts), with its advice for low
traffic: a few failures are no trend, however few requests there are.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from tollkeeper.signals.counts import EDGES_MS, Counted, Kind, Result, Tally

type Severity = Literal["page", "ticket"]

LEAST_BAD: Final = 5
LEAST_BAD_SHORT: Final = 2
"""Bad ones, one a customer and minute, that the long and the short window must have: at ten
requests an hour, a single failure alone is a burn rate of 100."""

SHORT_PART: Final = 12
"""The short window is a twelfth of the long one (SRE Workbook, table 5-8)."""


class BurnRule(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts while both windows burn at `factor` or faster."""

    long_minutes: int
    short_minutes: int
    factor: float
    severity: Severity


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """One objective over what is counted. `where`: fields of a cell and the values that they may
    have. Good are those with one of `results`, within `within_ms` where that is given."""

    name: str
    kind: Kind
    where: dict[str, frozenset[str]]
    results: frozenset[Result]
    within_ms: int | None = None
    target: float
    days: float
    rules: tuple[BurnRule, ...]


class Share(msgspec.Struct, frozen=True):
    """Good and bad ones of one objective, as far as they are counted."""

    good: int = 0
    bad: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(self.good + other.good, self.bad + other.bad)


class Burning(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that holds: how fast the long and the short window burn."""

    objective: Objective
    rule: BurnRule
    long_rate: float
    short_rate: float


def usual_rules(days: float) -> tuple[BurnRule, ...]:
    """The rules of the SRE Workbook for an objective over so many days: 2 % of the budget within an
    hour and 5 % within six page, 10 % within three days are a ticket."""
    table: tuple[tuple[int, float, Severity], ...] = (
        (60, 0.02, "page"), (360, 0.05, "page"), (4_320, 0.10, "ticket"),
    )  # fmt: skip
    return tuple(
        BurnRule(
            long_minutes=minutes,
            short_minutes=minutes // SHORT_PART,
            factor=round(budget * days * 1_440 / minutes, 3),
            severity=severity,
        )
        for minutes, budget, severity in table
        if minutes <= days * 1_440
    )


def edge_of(milliseconds: float) -> int | None:
    """The edge of durations at or above a threshold; `None` above the last one."""
    return next((edge for edge in EDGES_MS if edge >= milliseconds), None)


def share_of(objective: Objective, lines: Iterable[Counted]) -> Share:
    """What some lines are for an objective. A failure counts once for a customer and minute."""
    good = bad = 0
    for line in lines:
        cell, tally = line.cell, line.tally
        if cell.kind != objective.kind or not _is_in(objective.where, cell):
            continue
        if cell.result not in objective.results:
            bad += min(tally.witnesses, tally.n) or tally.n
        elif objective.within_ms is None:
            good += tally.n
        else:
            quick = _within(tally, objective.within_ms)
            good, bad = good + quick, bad + tally.n - quick
    return Share(good, bad)


def _is_in(where: Mapping[str, frozenset[str]], cell: object) -> bool:
    return all(getattr(cell, name) in values for name, values in where.items())


def _within(tally: Tally, edge_ms: int) -> int:
    """Those that took no longer than an edge."""
    last = EDGES_MS.index(edge_ms)
    return sum(count for bucket, count in tally.took.items() if bucket <= last)


def rate(share: Share, target: float) -> float:
    """The burn rate of a share."""
    whole = share.good + share.bad
    return share.bad / whole / (1 - target) if whole else 0.0


def burning(objective: Objective, minutes: Mapping[int, Share], now_m: int) -> list[Burning]:
    """The rules of an objective that hold at a minute (of Unix time), which is not over."""
    found = []
    for rule in objective.rules:
        long = _sum(minutes, now_m - rule.long_minutes, now_m)
        short = _sum(minutes, now_m - rule.short_minutes, now_m)
        long_rate, short_rate = rate(long, objective.target), rate(short, objective.target)
        enough = long.bad >= LEAST_BAD and short.bad >= LEAST_BAD_SHORT
        if enough and min(long_rate, short_rate) >= rule.factor:
            found.append(
                Burning(objective=objective, rule=rule, long_rate=long_rate, short_rate=short_rate)
            )
    return found


def _sum(minutes: Mapping[int, Share], after: int, until: int) -> Share:
    return sum((minutes.get(m, Share()) for m in range(after + 1, until + 1)), Share())


def sentence(found: Burning) -> str:
    """A rule that holds, in words."""
    one, rule = found.objective, found.rule
    return (
        f"Objective {one.name} ({one.target:.6g} over {one.days:g} days) burns its error budget "
        f"{found.long_rate:.1f} times too fast over {rule.long_minutes} minutes and "
        f"{found.short_rate:.1f} times over {rule.short_minutes}; {rule.factor:g} is the limit."
    )


def furthest_minutes(objectives: Iterable[Objective]) -> int:
    """How many minutes the longest window of some objectives has."""
    return max((rule.long_minutes for one in objectives for rule in one.rules), default=0)
