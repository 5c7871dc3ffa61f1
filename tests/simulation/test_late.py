"""`./dev bench late`: effects that land hours late, counted the same in every run of a seed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _bench(*options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "bench/late.py", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_late_effects_are_counted_and_a_seed_repeats_itself() -> None:
    first, again = (_bench("--payments", "12", "--seed", "4") for _ in range(2))
    assert first == again
    assert [(row["late"], row["requests"]) for row in first] == [("payment", 6), ("refund", 6)]
    for row in first:
        assert row["double"] == 0
        assert row["booked without effect"] == 0
        assert row["corrected"] <= row["concluded wrongly"] <= row["requests"]
        assert row["told wrongly"] <= row["concluded wrongly"]


def test_effects_that_are_hardly_late_are_concluded_rightly() -> None:
    rows = _bench("--payments", "12", "--most-hours", "0.002", "--lost", "0")
    assert [(row["lost"], row["concluded wrongly"]) for row in rows] == [(0, 0), (0, 0)]
