"""The laboratory of rollouts: our detector beside others on the same streams, and what it costs.

`./dev bench canary` first checks that the laboratory's detector is the product's, then measures:
`compare` (failing canary payments before rollback; false rollbacks where both arms are equal),
`null` (20,000 healthy rollouts a cell), `kept` (the share that a healthy canary keeps), `late`,
`returning` (customers who come back), `latency`, `contract`, `promotion` and `cost`. Progress goes
to standard error; the whole takes a quarter of an hour on two cores, `--quick` a minute.
Example: `./dev bench canary --only null`
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import numpy as np
from lab.alike import worst_difference
from lab.costs import costs
from lab.late import UNCAPPED, arriving_late
from lab.others import NAMES, Others
from lab.ours import Ours
from lab.promotion import promotion
from lab.returning import begun_late, habits
from lab.slowness import noticed
from lab.streams import Case, Chunk, draw
from lab.tables import lower_bound, show
from lab.watching import Outcome, Watch, watched

from tollkeeper.rollouts.evidence import GUARDRAILS

type Row = dict[str, Any]
type Work = tuple[Callable[..., Row], tuple[Any, ...]]

FAILURE, CONTRACT = GUARDRAILS[0], GUARDRAILS[1]
FLOOR: Final = 0.01
LIMITS: Final = (100.0, 1 / (0.01 * FAILURE.part), 1000.0, 1 / (0.001 * FAILURE.part))
"""Of the failure guardrail's wealth: alpha 0.01 and 0.001, each as the guardrail's own and as that
of a whole rollout, of which the guardrail holds its part (the others are taken to hold nothing)."""

LABELS: Final = ("0.01 own", "0.01 whole", "0.001 own", "0.001 whole")
BASELINES: Final = (0.001, 0.005, 0.02)
CANARIES: Final = (0.01, 0.05, 0.25, 0.75, 1.0)
SHARES: Final = (0.01, 0.05, 0.25)
WINDOW: Final = 48_000
"""Payments that all detectors are compared over: 40 minutes at 20 a second."""
HORIZON: Final = 240_000
"""Payments that ours is followed over where it is undecided then, and the candidate is bad."""
BATCH: Final = 2_000


def compare(case: Case, runs: int) -> Row:
    """All detectors on the same streams."""
    chance = np.random.default_rng(round(case.canary * 1e6) + round(case.share * 1e4))
    others = Others(case, runs)
    watch = Watch(Ours(FAILURE, runs, case.share, FLOOR), runs, LIMITS)
    first, healthy = 0, case.canary <= case.baseline
    while first < WINDOW or (len(watch.alive) and not healthy and first < HORIZON):
        alone = first >= WINDOW
        count = 600 if not first else 12_000 if alone else 1_200
        chunk = draw(case, first, len(watch.alive) if alone else runs, count, chance)
        if not alone:
            others.feed(chunk, chance)
            alive = watch.alive
            chunk = Chunk(
                chunk.first, chunk.arm[alive], chunk.fate[alive],
                chunk.base_bad[alive], chunk.canary_bad[alive],
            )  # fmt: skip
        if len(watch.alive):
            watch.feed(chunk)
        first += count
    row = {**_named(case), **_ours(watch.out)}
    for name in NAMES:
        row[name] = _cell(others.failing[name], others.units[name] >= 0, healthy=healthy)
    return row


def _named(case: Case) -> Row:
    named = {"baseline": case.baseline, "canary": case.canary, "share": case.share}
    return {**named, "traffic": case.traffic}


def _ours(out: Outcome) -> Row:
    row: Row = {}
    for place, label in enumerate(LABELS):
        rolled = out.rolled(place)
        row[label] = _cell(out.failing[place], rolled)
        if label in {"0.01 own", "0.001 whole"} and rolled.any():
            row[f"p95 {label}"] = float(np.quantile(out.failing[place][rolled], 0.95))
        row[f"payments {label}"] = float(out.units[place][rolled].mean()) if rolled.any() else None
    return row


def _cell(failing: Any, rolled: Any, *, healthy: bool = False) -> str:
    """`mean failing (share of runs that rolled back, unless all)`."""
    share = float(rolled.mean())
    mean = f"{float(failing[rolled].mean()):.2f}" if rolled.any() else "-"
    if healthy or not rolled.any():
        return f"{share:.2%}"
    return mean if share == 1 else f"{mean} ({share:.1%})"


def null(case: Case, runs: int, horizon: int, again: int = 0) -> Row:
    """False rollbacks of healthy rollouts, with the 99 % lower bound of their rate. `again`: what
    comes of counting all payments of customers who fail and come back so often."""
    hits = np.zeros(len(LIMITS), int)
    for number in range(max(runs // BATCH, 1)):
        size = min(runs, BATCH)
        seed = (2_000 if case.traffic == "retrying" else 1_000) + number
        out = watched(FAILURE, case, size, horizon, LIMITS, seed=seed, again=again)
        hits += (out.units >= 0).sum(axis=1)
    row: Row = {**_named(case), "counted": "payments" if again else "customers"}
    row |= {"runs": runs, "payments": horizon}
    for place, (label, level) in enumerate(zip(LABELS, (0.01, 0.01, 0.001, 0.001), strict=True)):
        bound = lower_bound(int(hits[place]), runs)
        row[label] = f"{hits[place] / runs:.3%}"
        row[f"bound {label}"] = f"{bound:.3%}{'' if bound <= level else ' ABOVE'}"
    return row


def kept(case: Case, runs: int, horizon: int) -> Row:
    out = watched(FAILURE, case, runs, horizon, (float("inf"),), seed=5)
    return {**_named(case), "payments": horizon, "kept": f"{out.kept:.1%}"}


def late_results(case: Case, runs: int, limit: float, cap: int) -> Row:
    failing, seconds = arriving_late(FAILURE, case, runs, limit, cap)
    row = {**_named(case), "limit": limit, "cap": cap}
    return {**row, "failing": float(failing.mean()), "seconds": float(seconds.mean())}


def late_null(case: Case, runs: int, limit: float) -> Row:
    """False rollbacks where results come late, and shares hang on what is under way."""
    _, seconds = arriving_late(FAILURE, case, runs, limit, 3, 12_000)
    hits = int((seconds >= 0).sum())
    row = {**_named(case), "limit": limit, "cap": 3, "false": f"{hits / runs:.3%}"}
    return {**row, "bound": f"{lower_bound(hits, runs):.3%}"}


def late_fault(case: Case, runs: int) -> Row:
    """A fault that starts after 20,000 payments beside the same one from the start on."""
    late = Case(case.baseline, case.canary, case.share, fault_at=20_000)
    limit = (LIMITS[3],)
    before = watched(FAILURE, case, runs, 120_000, limit)
    after = watched(FAILURE, late, runs, 120_000, limit)
    started = float(before.failing[0][before.rolled(0)].mean())
    rolled = after.rolled(0)
    return {
        **_named(case), "at once": started, "late": float(after.failing[0][rolled].mean()),
        "goal": 3 * started + 4, "rolled back": float(rolled.mean()),
    }  # fmt: skip


def returning(coin: float, excess: float, runs: int) -> Row:
    """A fault that begins when every customer has been counted."""
    row: Row = {"coin": coin, "excess": excess}
    for place, label in ((1, "0.01 whole"), (3, "0.001 whole")):
        taken, failing = begun_late(FAILURE, coin, excess, runs, LIMITS[place], 4_000)
        there = taken >= 0
        row[f"payments {label}"] = float(taken[there].mean())
        row[f"failing {label}"] = float(failing[there].mean())
        row[f"rolled back {label}"] = f"{float(there.mean()):.1%}"
    return row


def returning_null(coin: float, runs: int) -> Row:
    """False rollbacks where each customer fails again and again at a rate of their own."""
    hits = habits(FAILURE, coin, runs, 1_000, LIMITS)
    row: Row = {"coin": coin, "runs": runs, "payments": 1_000}
    for place, (label, level) in enumerate(zip(LABELS, (0.01, 0.01, 0.001, 0.001), strict=True)):
        bound = lower_bound(int(hits[place]), runs)
        row[label] = f"{hits[place] / runs:.3%}"
        row[f"bound {label}"] = f"{bound:.3%}{'' if bound <= level else ' ABOVE'}"
    return row


def latency(factor: float, share: float, runs: int, alpha: float) -> Row:
    canaries, decided = noticed(factor, share, runs, alpha, 20_000 if share < 0.05 else 8_000)
    mean = float(canaries[decided].mean()) if decided.any() else None
    row = {"factor": factor, "share": share, "alpha of the whole": alpha}
    return {**row, "canary payments": mean, "rolled back": f"{float(decided.mean()):.2%}"}


def contract(rate: float, share: float, runs: int) -> Row:
    limits = (1 / (0.01 * CONTRACT.part), 1 / (0.001 * CONTRACT.part))
    out = watched(CONTRACT, Case(1e-5, rate, share), runs, 400_000, limits)
    row: Row = {"violating": rate, "share": share}
    for place, label in enumerate(("violations, whole alpha 0.01", "0.001")):
        row[label] = _cell(out.failing[place], out.rolled(place))
    return row


def compared_cases(*, quick: bool) -> Iterator[Case]:
    if quick:
        yield from (Case(0.001, canary, 0.05) for canary in (0.001, *CANARIES))
        return
    for share in SHARES:
        for base in BASELINES:
            yield from (Case(base, canary, share) for canary in (base, *CANARIES))
    for traffic in ("bursty", "outage", "rhythm", "retrying"):
        yield from (Case(0.005, canary, 0.05, traffic) for canary in (0.005, *CANARIES))


def null_cases(*, quick: bool) -> Iterator[tuple[Case, int]]:
    if quick:
        yield Case(0.005, 0.005, 0.05), 20_000
        yield Case(0.005, 0.005, 0.05, "outage"), 4_000
        return
    for base in BASELINES:
        yield from (
            (Case(base, base, share), 10_000 if share > 0.1 else 48_000) for share in SHARES
        )
        for traffic in ("outage", "rhythm"):
            yield Case(base, base, 0.05, traffic), 48_000
    yield Case(0.005, 0.005, 0.25, "outage"), 10_000
    yield Case(0.005, 0.005, 0.05, "retrying"), 48_000


def works(only: str, *, quick: bool) -> Iterator[tuple[str, Work]]:
    """Every cell: the table that it belongs to, and what computes it."""
    runs, many, some = (300, 2_000, 20) if quick else (2_000, 20_000, 200)
    shares = (0.05,) if quick else SHARES
    tables: dict[str, list[Work]] = {
        "null": [
            *((null, (c, many, horizon)) for c, horizon in null_cases(quick=quick)),
            (null, (Case(0.005, 0.005, 0.05, "retrying"), runs, 48_000, 4)),
        ],
        "compare": [(compare, (c, runs)) for c in compared_cases(quick=quick)],
        "kept": [(kept, (Case(b, b, s), some, 40_000)) for b in BASELINES for s in shares],
        "late": [
            (late_results, (Case(0.005, bad, s), runs, limit, cap))
            for bad in (0.75, 1.0) for s in shares for limit in (LIMITS[0], LIMITS[1], LIMITS[3])
            for cap in (2, 3, UNCAPPED)
        ],
        "late healthy": [
            (late_null, (Case(b, b, 0.25), 2 * runs, limit))
            for b in (0.005, 0.02) for limit in (LIMITS[0], LIMITS[2])
        ],
        "late faults": [
            (late_fault, (Case(0.005, bad, s), some)) for bad in (0.05, 0.25, 0.75) for s in shares
        ],
        "returning": [
            (returning, (coin, bad, runs))
            for coin in (0.1, 0.2, 0.5, 0.75) for bad in (1.0, 0.25, 0.05)
        ],
        "returning healthy": [(returning_null, (coin, many)) for coin in (0.2, 0.5)],
        "latency": [
            *((latency, (2.0, s, runs, alpha)) for s in shares for alpha in (0.01, 0.001)),
            *((latency, (1.5, s, runs, 0.01)) for s in shares),
            (latency, (1.0, 0.05, runs, 0.01)),
        ],
        "contract": [(contract, (rate, s, runs)) for rate in (1.0, 0.1, 0.01) for s in shares],
        "promotion": [
            *((promotion, (b, b, s, 5 * some)) for b in BASELINES for s in shares if s >= 0.05),
            *((promotion, (b, b + 0.005, 0.25, 2 * some)) for b in BASELINES),
        ],
    }  # fmt: skip
    for name, found in tables.items():
        if only in {"", name.split()[0]}:
            yield from ((name, work) for work in found)


def _run(work: Work) -> Row:
    function, arguments = work
    return function(*arguments)


def measured(only: str, workers: int, *, quick: bool) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    wanted = list(works(only, quick=quick))
    began = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        rows = pool.map(_run, [work for _, work in wanted])
        for number, ((name, _), row) in enumerate(zip(wanted, rows, strict=True), 1):
            found.setdefault(name, []).append(row)
            taken = time.monotonic() - began
            line = f"{taken:5.0f} s  {number}/{len(wanted)}  {name}  {row}"
            print(line, file=sys.stderr, flush=True)
    if only in {"", "cost"}:
        found["cost"] = costs()
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a minute, coarser")
    options.add_argument("--only", default="", help="one table, by its first word")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--alike", action="store_true", help="only compare with the product")
    given = options.parse_args()
    print(f"the product's wealth to {worst_difference():.1e}", file=sys.stderr)
    if given.alike:
        return
    found = measured(given.only, given.workers, quick=given.quick)
    if given.json:
        print(json.dumps(found, default=float))
        return
    for name, rows in found.items():
        print(f"\n{name}\n")
        show(rows)


if __name__ == "__main__":
    main()
