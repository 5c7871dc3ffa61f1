"""The contract checker against real provider history: what it finds, what it misses, what it costs.

`./dev bench contracts` reads the labelled history (TOLLKEEPER_DATA, else ../shared/data beside the
repository), prints the confusion table with every miss and every false alarm, then the cost of a
check of the whole 2.7 MB description, process start included.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Any

import cyclopts

from tollkeeper.contracts.description import Description, read_description
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.usage import Usage, read_usage
from tollkeeper.contracts.verdict import check

ROOT = Path(__file__).parent.parent
HOME = Path(os.environ.get("TOLLKEEPER_DATA") or ROOT.parent / "shared" / "data")
HISTORY = HOME / "provider-history"
FULL = HOME / "full-descriptions"

type Pair = tuple[str, str, str]


class History:
    """The labelled history, read as it is asked for."""

    def __init__(self) -> None:
        self.usages = [
            read_usage(p.read_bytes()) for p in sorted((HISTORY / "usage").glob("*.json"))
        ]
        self.rows = _lines(HISTORY / "truth.jsonl")
        self.pairs = [(p["series"], p["from"], p["to"]) for p in _lines(HISTORY / "pairs.jsonl")]
        self._texts: dict[tuple[str, str], bytes] = {}
        self._checked: dict[tuple[Pair, str], list[Finding]] = {}

    def description(self, series: str, version: str) -> Description:
        key = (series, version)
        if key not in self._texts:
            path = HISTORY / "descriptions" / series / f"{version}.json"
            self._texts[key] = path.read_bytes()
        return read_description(self._texts[key])

    def findings(self, pair: Pair, usage: Usage) -> list[Finding]:
        """What the check says of one usage at one pair; standing findings left out."""
        key = (pair, usage.name)
        if key not in self._checked:
            series, old, new = pair
            result = check(usage, self.description(series, new), self.description(series, old))
            self._checked[key] = [f for f in result.findings if not f.standing]
        return self._checked[key]

    def fits(self, usage: Usage, series: str) -> bool:
        """Whether the usage is of this series' provider and kind."""
        provider = "stripe" if series.startswith("stripe") else series.partition("-")[0]
        return usage.provider == provider and ("webhooks" in usage.name) == ("webhooks" in series)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def _last(pointer: str | None) -> str:
    """The member that a label's pointer is about."""
    parts = [
        p for p in (pointer or "").replace(".", "/").split("/") if p not in {"enum", "required"}
    ]
    return parts[-1].replace("[]", "") if parts else ""


def _concerns(finding: Finding, row: dict[str, Any]) -> bool:
    """Whether the finding is about the labelled change: the same place, or the same member."""
    names = {_last(row["pointer_from"]), _last(row["pointer_to"])} - {""}
    texts = (finding.pointer, finding.path, str(finding.before))
    return any(name in text.replace("[]", "") for name in names for text in texts)


def confusion(history: History) -> dict[str, Any]:
    """Labelled rows whose usage is given: how many are found, and each that is not."""
    by_name = {usage.name: usage for usage in history.usages}
    counts: Counter[str] = Counter()
    misses = []
    for row in history.rows:
        if row["spec_visible"] != "yes" or row["label"] == "benign":
            continue
        for name in row["breaks_profiles"]:
            if name not in by_name:
                continue
            pair = (row["series"], row["from"], row["to"])
            found = [f for f in history.findings(pair, by_name[name]) if _concerns(f, row)]
            wanted = {"breaking"} if row["label"] == "breaks" else {"breaking", "risky"}
            hit = any(f.severity in wanted for f in found)
            counts[f"{row['label']} {'found' if hit else 'missed'}"] += 1
            if not hit:
                said = sorted({f"{f.severity} {f.rule}" for f in found})
                kind = row["kind"]
                misses.append({"row": row["id"], "usage": name, "kind": kind, "said": said})
    return {"counts": dict(sorted(counts.items())), "misses": misses}


def alarms(history: History) -> dict[str, Any]:
    """Every pair with every usage of its provider: breaking findings that no label explains."""
    labels: dict[Pair, list[dict[str, Any]]] = defaultdict(list)
    for row in history.rows:
        labels[row["series"], row["from"], row["to"]].append(row)
    asked, without_witness, false = 0, 0, []
    severities: Counter[str] = Counter()
    for number, pair in enumerate(history.pairs):
        if number % 40 == 0:
            print(f"  {number} of {len(history.pairs)} pairs", file=sys.stderr)
        for usage in history.usages:
            if not history.fits(usage, pair[0]):
                continue
            asked += 1
            known = [r for r in labels[pair] if r["label"] != "benign"]
            for finding in history.findings(pair, usage):
                severities[finding.severity] += 1
                if finding.severity != "breaking":
                    continue
                without_witness += finding.witness is None
                if not any(_concerns(finding, row) for row in known):
                    false.append(
                        {
                            "pair": pair,
                            "usage": usage.name,
                            "rule": finding.rule,
                            "path": finding.path,
                            "labels": [r["id"] for r in labels[pair]],
                        }
                    )
    combinations = {(item["pair"], item["usage"]) for item in false}
    return {
        "pair_x_usage": asked,
        "severities": dict(sorted(severities.items())),
        "breaking_without_witness": without_witness,
        "false_breaking": false,
        "false_breaking_per_100": round(100 * len(combinations) / max(asked, 1), 2),
    }


def cost(runs: int) -> dict[str, Any]:
    """The command on the whole Stripe texts: wall, CPU and peak memory of the process, best of
    `runs`, and whether all runs printed the same bytes."""
    command = [
        sys.executable, "-m", "tollkeeper", "contracts", "check", "--integration",
        "stripe@2022-08-01", "--old", str(FULL / "stripe-2022-08-01.json"),
        "--new", str(FULL / "stripe-2022-11-15.json"), "--format", "json",
    ]  # fmt: skip
    walls, cpus, texts = [], [], set()
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        texts.add(done.stdout)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "wall_s": round(min(walls), 3),
        "cpu_s": round(min(cpus), 3),
        "peak_mb": round(peak_kib / 1024, 1),
        "different_outputs": len(texts),
        "runs": runs,
        "check_ms": round(_check_alone() * 1000, 1),
    }


def _check_alone() -> float:
    """Seconds of the check itself, both texts read before."""
    from tollkeeper.contracts.deriving import reader_through, usage_of  # noqa: PLC0415
    from tollkeeper.integrations.catalogue import INSTALLED  # noqa: PLC0415

    version = INSTALLED["stripe@2022-08-01"]
    old = read_description((FULL / "stripe-2022-08-01.json").read_bytes())
    new = read_description((FULL / "stripe-2022-11-15.json").read_bytes())
    usage, reader = usage_of(version), reader_through(version)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        check(usage, new, old, reader)
        best = min(best, time.perf_counter() - began)
    return best


def main(
    *,
    json_: Annotated[bool, cyclopts.Parameter(name="--json", negative="")] = False,
    runs: int = 20,
) -> int:
    """Measures; exits 1 where no history is at hand."""
    if not HISTORY.exists():
        print(f"no provider history at {HISTORY}; TOLLKEEPER_DATA names it", file=sys.stderr)
        return 1
    history = History()
    result = {"history": confusion(history), "alarms": alarms(history), "cost": cost(runs)}
    if json_:
        print(json.dumps(result, indent=1))
        return 0
    print("labelled rows:", result["history"]["counts"])
    for miss in result["history"]["misses"]:
        print("  missed", miss)
    print("pairs x usage:", {k: v for k, v in result["alarms"].items() if k != "false_breaking"})
    for alarm in result["alarms"]["false_breaking"]:
        print("  false breaking", alarm)
    print("whole Stripe description:", result["cost"])
    return 0


if __name__ == "__main__":
    sys.exit(cyclopts.run(main))
