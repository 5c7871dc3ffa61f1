"""The laboratory of attribution: the product's detectors and verdicts on streams with known faults.

`./dev bench attribution` measures `faults` (the public list, by rate and severity), `confused`,
`sure` (what a confidence is worth), `together` (two at once), `quiet` (false alarms on innocent
streams), `unfamiliar` (faults that are on no list) and `cost` (CPU of a look). Progress goes to
standard error; the whole takes hours on one core, `--quick` a few minutes.
Example: `./dev bench attribution --quick --only faults`
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from lab.disturbed import World
from lab.domains import FAULTS, QUIET, TOGETHER, Fault
from lab.judging import MOVES, SURE, Judged, judged
from lab.recorded import Recording
from lab.tables import show, upper_bound
from lab.unfamiliar import UNFAMILIAR

from tollkeeper.signals.detectors import banks
from tollkeeper.signals.series import Rolling
from tollkeeper.signals.verdict import attribute

type Row = dict[str, Any]

RATES: Final = (0.5, 2.0, 20.0)
SEVERITIES: Final = (1.0, 0.75, 0.25, 0.1)


def cases(faults: dict[str, Fault], given: argparse.Namespace) -> Iterator[Judged]:
    """Every fault at every rate and severity, as often as seeds are given."""
    began, done = time.monotonic(), 0
    for name, fault in faults.items():
        if given.fault and not name.startswith(given.fault):
            continue
        for rate in given.rates:
            for severity in given.severities:
                for seed in range(given.first_seed, given.first_seed + given.seeds):
                    yield judged(name, fault, rate, severity, seed)
                    done += 1
        taken = time.monotonic() - began
        print(f"{taken:5.0f} s  {name}, {done} cases", file=sys.stderr, flush=True)


def score(name: str, found: list[Judged]) -> Row:
    """One line of the table: shares in percent of the detected, times in seconds."""
    detected = [one for one in found if one.detected is not None]
    said = [one for one in detected if one.after is not None]
    right = [one for one in said if one.said == one.truth]
    pointers = [one.pointer for one in right if one.pointer is not None]
    sure = [one for one in said if one.said != one.truth and one.confidence >= SURE]
    moved = [
        one for one in said if one.said in MOVES and one.truth not in MOVES and not one.vetoed
    ]  # fmt: skip
    count = max(len(detected), 1)
    return {
        "": name,
        "n": len(found),
        "detected": 100 * len(detected) / max(len(found), 1),
        "top1": 100 * len(right) / count,
        "top2": 100 * sum(one.truth in one.top for one in detected) / count,
        "grounded": 100 * sum(one.grounded for one in right) / count,
        "precision": 100 * len(right) / max(len(said), 1),
        "wrong&sure": 100 * len(sure) / count,
        "abstain": 100 * (len(detected) - len(said)) / count,
        "pointer": 100 * sum(pointers) / len(pointers) if pointers else None,
        "wrong move": 100 * len(moved) / count,
        **_times("detect", [one.detected for one in detected if one.detected is not None]),
        **_times("verdict", [one.after for one in said if one.after is not None]),
    }


def _times(name: str, seconds: list[float]) -> Row:
    if not seconds:
        return {f"{name} p50": None, f"{name} p95": None}
    p50, p95 = np.percentile(seconds, [50, 95])
    return {f"{name} p50": float(p50), f"{name} p95": float(p95)}


def is_loud(one: Judged) -> bool:
    """Where the goals hold: at least two payments a second, at least half of them failing."""
    return one.rate >= 2 and one.severity >= 0.5


def fault_rows(found: list[Judged]) -> list[Row]:
    rows = [score("all", found), score(">= 2/s, >= 50 %", [one for one in found if is_loud(one)])]
    for rate in RATES:
        for severity in SEVERITIES:
            part = [one for one in found if (one.rate, one.severity) == (rate, severity)]
            if part:
                rows.append(score(f"{rate:g}/s {severity:.0%}", part))
    names = dict.fromkeys(one.name for one in found)
    return rows + [score(name, [one for one in found if one.name == name]) for name in names]


def confused_rows(found: list[Judged]) -> list[Row]:
    """The truth, and what was said instead."""
    rows = []
    for truth in dict.fromkeys(one.truth for one in found):
        row: Row = {"truth": truth}
        for one in found:
            if one.truth == truth and one.detected is not None:
                said = one.said or "undetermined"
                row[said] = row.get(said, 0) + 1
        rows.append(row)
    return rows


def sure_rows(found: list[Judged]) -> list[Row]:
    """What a confidence says, and how often it is right."""
    rows = []
    for low, high in ((0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)):
        part = [one for one in found if one.after is not None and low <= one.confidence < high]
        if part:
            rows.append({
                "says": f"{low}-{high}", "n": len(part),
                "is": sum(one.said == one.truth for one in part) / len(part),
            })  # fmt: skip
    return rows


def together_rows(given: argparse.Namespace) -> list[Row]:
    rows = []
    for name, fault in TOGETHER.items():
        found = []
        for rate in (2.0, 20.0):
            for severity in (1.0, 0.75):
                for seed in range(given.seeds * 2):
                    world = World(name, rate, severity, seed)
                    fault(world)
                    truths = {truth.domain for truth in world.truths}
                    one = judged(name, fault, rate, severity, seed)
                    found.append((truths, one))
        rows.append({
            "": name, "n": len(found),
            "first is one of them": np.mean([one.said in truths for truths, one in found]),
            "both at the first verdict": np.mean(
                [{one.said, one.second} >= truths for truths, one in found]
            ),
            "both after 30 s": np.mean([{*one.later} >= truths for truths, one in found]),
            "says our code": np.mean([one.said == "our_code" for _, one in found]),
        })  # fmt: skip
    return rows


def quiet_rows(given: argparse.Namespace) -> list[Row]:
    """False alarms a million payments: a look each ten seconds, alarms within 300 s are one."""
    rows: list[Row] = []
    for name, fault in QUIET.items():
        payments = pages = spoken = 0
        kinds: dict[str, int] = {}
        slow = 0.05 if name.startswith("N2") else 0.5
        for rate, lasts in ((20.0, 0.7), (2.0, 0.25), (slow, 0.05)):
            seconds = min(given.quiet * lasts / rate, 60_000)
            for seed in range(max(1, given.seeds // 2)):
                world = World(name, rate, 1.0, 100 + seed, lasts=seconds * 0.4, warm=seconds * 0.6)
                fault(world)
                recording = Recording(world)
                payments += recording.payments
                for at in pages_of(recording, kinds):
                    pages += 1
                    spoken += _spoke(recording, at)
        row = {"": name, "payments": payments, "pages": pages, "with a verdict": spoken,
               "banks": " ".join(f"{bank}:{count}" for bank, count in kinds.items())}  # fmt: skip
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    whole, pages = sum(row["payments"] for row in rows), sum(row["pages"] for row in rows)
    bound = upper_bound(pages, whole, 0.95) if pages < 50 else pages / whole
    rows.append({"": "a million", "payments": whole, "pages": 1e6 * pages / whole,
                 "banks": f"at most {1e6 * bound:.2f} with 95 %"})  # fmt: skip
    return rows


def pages_of(recording: Recording, kinds: dict[str, int]) -> Iterator[int]:
    """Seconds at which an alarm is found that none was within 300 s before."""
    last = -(10**9)
    for at in range(60, recording.size, 10):
        found = banks(recording.window(at), recording.usual)
        if found:
            if at - last > 300:
                for bank in {alarm.bank for alarm in found}:
                    kinds[bank] = kinds.get(bank, 0) + 1
                yield at
            last = at


def _spoke(recording: Recording, at: int) -> int:
    looks = [attribute(recording.window(s), recording.usual) for s in (at, at + 4, at + 10)]
    return any(one.domain != "undetermined" for look in looks for one in look.verdicts)


def cost_rows(given: argparse.Namespace) -> list[Row]:
    """CPU of a look at a whole window."""
    rows = []
    for rate in (0.5, 2.0, 20.0):
        for name, fault in (("healthy", QUIET["N1 nothing"]), ("F28", FAULTS["F28"])):
            world = World(name, rate, 1.0, 7, lasts=120.0, warm=300.0)
            fault(world)
            recording = Recording(world)
            window = recording.window(int(world.start) + 20)
            began = time.process_time()
            for _ in range(10):
                look = attribute(window, recording.usual)
            alone = (time.process_time() - began) * 100
            rows.append({
                "": name, "rate": rate, "lines": sum(len(b.counted) for b in window.batches),
                "ms": alone, "ms, going on": _going_on(recording), "alarms": len(look.alarms),
            })  # fmt: skip
    return rows


def _going_on(recording: Recording) -> float:
    """The same with series that go on from second to second."""
    rolling, at = Rolling(recording.usual), int(recording.world.start) + 10
    windows = [recording.window(at + second) for second in range(11)]
    rolling.series_of(windows[0])
    began = time.process_time()
    for window in windows[1:]:
        attribute(window, recording.usual, rolling.series_of(window))
    return (time.process_time() - began) * 100


def measured(given: argparse.Namespace) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}

    def wants(name: str) -> bool:
        return given.only in {"", name}

    if wants("faults"):
        public = list(cases(FAULTS, given))
        found["faults"] = fault_rows(public)
        found["confused"] = confused_rows(public)
        found["sure"] = sure_rows(public)
        _kept(given, public)
    if wants("together"):
        found["together"] = together_rows(given)
    if wants("unfamiliar"):
        new = list(cases(UNFAMILIAR, given))
        found["unfamiliar"] = fault_rows(new)
        found["unfamiliar: sure"] = sure_rows(new)
        _kept(given, new)
    if wants("quiet"):
        found["quiet"] = quiet_rows(given)
    if wants("cost"):
        found["cost"] = cost_rows(given)
    return found


def _kept(given: argparse.Namespace, found: list[Judged]) -> None:
    if given.cases:
        with Path(given.cases).open("a") as file:
            file.writelines(json.dumps(one._asdict()) + "\n" for one in found)


TABLES: Final[tuple[str, ...]] = ("faults", "together", "unfamiliar", "quiet", "cost")
type Print = Callable[[list[Row]], None]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", choices=["", *TABLES], help="one table")
    options.add_argument("--quick", action="store_true", help="minutes: fewer seeds and streams")
    options.add_argument("--seeds", type=int, default=5, help="a cell of a fault")
    options.add_argument("--first-seed", type=int, default=0, help="another set of streams")
    options.add_argument(
        "--rates", type=float, nargs="+", default=list(RATES), help="payments a second"
    )
    options.add_argument(
        "--severities", type=float, nargs="+", default=list(SEVERITIES), help="shares that fail"
    )
    options.add_argument("--fault", default="", help="only faults whose name begins so")
    options.add_argument(
        "--quiet", type=float, default=400_000, help="payments of each innocent kind and seed"
    )
    options.add_argument("--cases", default="", help="append each case to this file, as JSON lines")
    options.add_argument("--json", action="store_true", help="print JSON")
    given = options.parse_args()
    if given.quick:
        given.seeds, given.quiet = 1, 20_000
    found = measured(given)
    if given.json:
        print(json.dumps(found, default=float))
        return
    for name, rows in found.items():
        print(f"\n{name}\n")
        show(rows)


if __name__ == "__main__":
    main()
