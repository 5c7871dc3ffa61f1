"""The laboratory of failover: the product's rule on simulated payments, beside what others do.

`./dev bench failover` measures `days` (false starts where V is not at fault), `speed` (payments
until traffic moves), `hurt` (shoppers told "failed" or "wait", by policy, on the same streams),
`none` (no version works), `outage` (moves though nothing helps), `ramp` (V and W fail alike),
`misread` (wrong answers), `history` (V's is wrong) and `cost`. Progress goes to standard error; the
whole takes most of an hour on one core, `--quick` a minute.
Example: `./dev bench failover --only speed --streams 20`
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from lab.days import Cell, false_starts
from lab.failing import Fault
from lab.histories import CASES, shares
from lab.onset import (
    BOTH,
    hurt,
    misread,
    none_works,
    outage,
    outages,
    own_faults,
    shared_faults,
    speed,
    weak_faults,
)
from lab.proof import alike, costs
from lab.quiet import worst_difference
from lab.tables import show

type Row = dict[str, Any]
type Work = Callable[[], Row | list[Row]]

RATES: Final = (0.05, 0.5, 2.0, 20.0)
"""Payments a second."""

TEN_MINUTES: Final = 600.0


def cells(days: int, budget: int, rates: list[float]) -> Iterator[Cell]:
    """Rows of `days`, at most so many payments each: fewer days where traffic is heavy."""
    for rate in rates:
        for noise in (0.001, 0.005, 0.02):
            yield Cell(f"noise {noise:.1%}", Fault("", noise=noise), rate, days, 0, noise)
        rhythm = Cell("noise 0.5 %, a day's rhythm", Fault(""), rate, days, 0, rhythm=True)
        yield _fitted(rhythm, 100 * budget)
        wrong = Cell("noise 2 %, believed 0.1 %", Fault("", noise=0.02), rate, days, 0, 0.001)
        yield _fitted(wrong, budget)
        for name, fault, times in troubles():
            yield _fitted(Cell(name, fault, rate, days, times), budget)


def troubles() -> Iterator[tuple[str, Fault, int]]:
    """What hits every version on a day, and how often."""
    for part in (0.5, 0.9, 1.0):
        said = f"refused {part:.0%}, 10 min"
        yield said, Fault("", "refused", BOTH, part, by_node=True, lasts=TEN_MINUTES), 1
    yield "5xx, 10 min", Fault("", "dead", BOTH, lasts=TEN_MINUTES), 1
    burst = Fault("", "refused", BOTH, 0.3, by_node=True, lasts=120.0)
    yield "bursts of 30 %, three of 2 min", burst, 3
    yield "issuer outage 90 %, 10 min", Fault("", "declined", BOTH, 0.9, lasts=TEN_MINUTES), 1


def _fitted(cell: Cell, budget: int) -> Cell:
    return cell._replace(days=max(1, min(cell.days, round(budget / cell.payments))))


def day_rows(given: argparse.Namespace) -> Iterator[Work]:
    for cell in cells(given.days, given.budget, given.rates):
        yield partial(false_starts, cell)


def speed_rows(given: argparse.Namespace) -> Iterator[Work]:
    for fault in own_faults():
        for rate in RATES:
            yield partial(speed, fault, rate, given.streams)


def hurt_rows(given: argparse.Namespace) -> Iterator[Work]:
    few = max(1, given.streams // 8)
    for fault in (*own_faults(), *shared_faults(), *weak_faults()):
        yield partial(hurt, fault, few, given.minutes * 60)


def none_rows(given: argparse.Namespace) -> Iterator[Work]:
    half = max(1, given.streams // 2)
    for fault in shared_faults():
        yield partial(none_works, fault, half, 5.0)


def outage_rows(given: argparse.Namespace) -> Iterator[Work]:
    for fault in outages():
        for rate in (1.0, 5.0, 20.0, 100.0):
            for look_s in (0.0, 1.0):
                yield partial(outage, fault, rate, max(1, given.streams // 4), look_s)


def ramp_rows(given: argparse.Namespace) -> Iterator[Work]:
    for fails in (0.05, 0.5, 0.9, 1.0):
        for share in (0.1, 0.25, 0.5):
            yield partial(alike, fails, share, given.ramps, 1_000)


def misread_rows(given: argparse.Namespace) -> Iterator[Work]:
    for share in (0.25, 1.0):
        for rate in (2.0, 5.0, 20.0):
            for part in (1.0, 0.25, 0.05):
                for lag_s in (0.0, 2.0):
                    yield partial(misread, rate, lag_s, part, share, given.ramps // 10)


def history_rows(given: argparse.Namespace) -> Iterator[Work]:
    for noise, believed, rate, part, seed in CASES:
        yield partial(shares, noise, believed, rate, part * given.budget * 5 // 4, seed)


TABLES: Final[dict[str, Callable[[argparse.Namespace], Iterator[Work]]]] = {
    "speed": speed_rows,
    "hurt": hurt_rows,
    "none": none_rows,
    "outage": outage_rows,
    "ramp": ramp_rows,
    "misread": misread_rows,
    "days": day_rows,
    "history": history_rows,
    "cost": lambda given: iter([costs]),
}
SPLIT: Final = {"hurt": ("hurt", "attempts beyond one a payment")}
"""Tables whose rows are made in one go."""


def measured(given: argparse.Namespace) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    began = time.monotonic()
    for name in TABLES:
        if given.only not in {"", name}:
            continue
        for work in TABLES[name](given):
            made = work()
            rows = made if isinstance(made, list) else [made]
            titles = SPLIT.get(name, (name,) * len(rows))
            for title, row in zip(titles, rows, strict=True):
                found.setdefault(title, []).append(row)
            taken = time.monotonic() - began
            print(f"{taken:5.0f} s  {name}  {rows[0]}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", choices=["", *TABLES], help="one table")
    options.add_argument("--quick", action="store_true", help="a minute, coarser")
    options.add_argument("--days", type=int, default=10_000, help="a cell of `days`")
    options.add_argument(
        "--budget", type=int, default=800_000, help="payments a cell of `days`, which has fewer"
        " days where they do not suffice; long healthy stretches cost none",
    )  # fmt: skip
    options.add_argument(
        "--rates", type=float, nargs="+", default=list(RATES), help="payments a second of `days`"
    )
    options.add_argument("--streams", type=int, default=40, help="a cell of `speed`; `none` half")
    options.add_argument("--minutes", type=float, default=30, help="a stream of `hurt`")
    options.add_argument("--ramps", type=int, default=1_500, help="streams of `ramp`")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--alike", action="store_true", help="only compare with the product")
    given = options.parse_args()
    print(f"the product's R to {worst_difference():.1e}", file=sys.stderr)
    if given.alike:
        return
    if given.quick:
        given.days, given.budget, given.streams = 20, 10_000, 4
        given.rates = list(RATES[:2])
        given.minutes, given.ramps = 2.0, 40
    found = measured(given)
    if given.json:
        print(json.dumps(found))
        return
    for name, rows in found.items():
        print(f"\n{name}\n")
        show(rows)


if __name__ == "__main__":
    main()
