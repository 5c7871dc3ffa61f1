"""Days on which V is not at fault: how often traffic begins to move all the same."""

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lab.failing import Fault, lucky, shop
from lab.quiet import Days, Stretch
from lab.ruled import Ruled
from lab.tables import lower_bound, upper_bound
from tollkeeper.failover.rule import A_FULL, ALARM, begin

DAY_S: Final = 86_400
MOST_AFTER: Final = 20_000
"""Payments that are followed after a fault, until the episode is over."""

CALMING: Final = 600
"""About so many of them are there."""

LEVEL: Final = 0.95


class Day(NamedTuple):
    """What came of one day. `started`: R and S together; `shared`: W got a share of S's (a start
    by refusals alone is a proposal); `explored`: a tenth, by dead replies."""

    alarmed: bool = False
    started: bool = False
    shared: bool = False
    explored: bool = False
    moved: bool = False
    said_none: bool = False

    def __or__(self, other: Any) -> "Day":
        return Day(*(one or two for one, two in zip(self, other, strict=True)))


def day_of(ruled: Ruled) -> Day:
    """What the rule came to."""
    return Day(
        alarmed=ruled.alarmed,
        started=ruled.started_at is not None,
        shared=ruled.shared_at is not None,
        explored=ruled.explored_at is not None,
        moved=ruled.moved_at is not None,
        said_none=ruled.none_at is not None,
    )


class Cell(NamedTuple):
    """One row: `days` of it at `rate` payments a second, `times` faults a day, nothing but noise
    where that is 0. `history`: what V's failure rate is believed to be."""

    name: str
    fault: Fault
    rate: float
    days: int
    times: int = 1
    history: float = 0.005
    rhythm: bool = False

    @property
    def payments(self) -> float:
        """Payments of a day that are looked at: those of its faults and after them, or all."""
        if not self.times:
            return self.rate * DAY_S
        return self.times * (self.rate * self.fault.lasts + CALMING)


def faulty_days(cell: Cell) -> Iterator[Day]:
    """Days whose faults hit every version. The hours between them are the healthy rows'."""
    chance = random.Random(_seed(cell))
    for _ in range(cell.days):
        day = Day()
        for _ in range(cell.times):
            day |= day_of(_episode(cell, chance))
        yield day


def _episode(cell: Cell, chance: random.Random) -> Ruled:
    """One fault, and what follows until V is well."""
    ruled = Ruled(cell.history, cell.rate, look_s=0.0)
    at, after = 0.0, 0
    while (at < cell.fault.lasts or ruled.is_open) and after < MOST_AFTER:
        shop(cell.fault, ruled, lucky(chance, at))
        after += at >= cell.fault.lasts
        if ruled.ended in {"moved", "stopped"}:
            break
        at += chance.expovariate(cell.rate)
    return ruled


def healthy_days(cell: Cell) -> Iterator[Day]:
    """Days with nothing but noise."""
    chance = random.Random(_seed(cell))
    for stretches in _stretches(cell):
        day = Day()
        for stretch in stretches:
            day |= day_of(_played(cell, stretch, chance))
        yield day


def _stretches(cell: Cell) -> Iterator[list[Stretch]]:
    days = Days(
        cell.fault.noise, cell.rate, cell.days, _seed(cell), history=cell.history,
        rhythm=cell.rhythm,
    )  # fmt: skip
    return days.stretches()


def _seed(cell: Cell) -> int:
    return round(cell.rate * 100) + len(cell.name)


def _played(cell: Cell, stretch: Stretch, chance: random.Random) -> Ruled:
    """A stretch, payment by payment, until V is well after an alarm."""
    ruled = Ruled(cell.history, cell.rate, look_s=0.0, state=stretch.state)
    at, noise = 0.0, cell.fault.noise
    for gap in stretch.gaps:
        left = gap
        while left and ruled.is_open:
            left, at = left - 1, at + 1 / cell.rate
            good = lucky(chance, at)
            luck = noise + (1 - noise) * good.mine[0]
            shop(cell.fault, ruled, good._replace(mine=(luck, good.mine[1])))
        at += (left + 1) / cell.rate
        ruled.passed(left)
        bad = lucky(chance, at)
        shop(cell.fault, ruled, bad._replace(mine=(bad.mine[0] * noise, bad.mine[1])))
        if ruled.ended in {"moved", "stopped"}:
            break
    return ruled


def false_starts(cell: Cell) -> dict[str, Any]:
    """A row: how often each thing came, its upper bound, and what theory allows."""
    made = healthy_days if not cell.times else faulty_days
    days = list(made(cell))
    count = {name: sum(getattr(day, name) for day in days) for name in Day._fields}
    allowed = allowed_starts(cell)
    too_often = lower_bound(count["started"], len(days)) > allowed
    return {
        "days of": cell.name,
        "a second": cell.rate,
        "days": len(days),
        "alarm": count["alarmed"],
        "false start": count["started"],
        "bound 95 %": f"{upper_bound(count['started'], len(days), LEVEL):.1e}",
        "allowed": f"{allowed:.1e}{' ABOVE' if too_often else ''}",
        "share": count["shared"],
        "explored": count["explored"],
        "moved": count["moved"],
        "moved, 95 %": f"{upper_bound(count['moved'], len(days), LEVEL):.1e}",
        "expected": f"{count['started'] / A_FULL:.1g}",
        "none works": count["said_none"],
    }


def allowed_starts(cell: Cell) -> float:
    """What theory allows a day: an episode starts with a chance of 1 in S's threshold; where
    nothing but noise is, R alarms once in `ALARM` payments, if the history is right."""
    a_start = begin(cell.history, per_second=cell.rate).a_start
    if cell.times:
        return cell.times / a_start
    episodes = cell.payments * cell.fault.noise
    alarms = cell.payments / ALARM if cell.history >= cell.fault.noise else episodes
    return min(1.0, alarms, episodes / a_start)
