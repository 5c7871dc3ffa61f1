"""Whether the laboratory's detector is the product's: the same stream through both."""

import math
from typing import Any

import numpy as np

from lab.ours import Ours
from lab.streams import Case, Chunk, draw
from lab.watching import Watch
from tollkeeper.rollouts.evidence import (
    GUARDRAILS,
    Evidence,
    Guardrail,
    add,
    begin,
    counted_wealth,
    expected_harm,
    suspect_limit,
)
from tollkeeper.rollouts.tally import tally

NEAR = 1e-8
"""Relative: logarithms of Gamma functions of 10^5 lose a few digits."""

RUNS, UNITS, FLOOR = 3, 2_500, 0.01
CASES = (
    Case(0.005, 0.25, 0.05),
    Case(0.02, 0.02, 0.25),
    Case(0.3, 0.4, 0.05, "outage"),
    Case(0.02, 0.75, 0.25, "rhythm", fault_at=1_500),
)

type Step = tuple[Any, Any, Any, Any, Any]


class Recorded(Watch):
    """Notes the share that was in force for each event, and what came of it."""

    steps: list[Step]

    def one(self, chunk: Chunk, cell: tuple[Any, Any], there: Any, skipped: Any) -> None:
        share = self.ours.in_force.copy()
        super().one(chunk, cell, there, skipped)
        wealths = np.stack([self.ours.wealth, self.ours.counted])
        cautious = self.ours.cautious.copy()
        self.steps.append((share, cell[1].copy(), there.copy(), wealths, cautious))


def differences(rail: Guardrail, case: Case, seed: int = 1) -> tuple[float, int]:
    """The largest relative difference of wealth, and how often the throttles disagreed."""
    chunk = draw(case, 0, RUNS, UNITS, np.random.default_rng(seed))
    watch = Recorded(Ours(rail, RUNS, case.share, FLOOR), RUNS, (math.inf,), case.fault_at)
    watch.steps = []
    watch.feed(chunk)
    worst, apart = 0.0, 0
    for run in range(RUNS):
        off, disagreed = _followed(rail, chunk, watch.steps, run)
        worst, apart = max(worst, off), apart + disagreed
    return worst, apart


def _followed(rail: Guardrail, chunk: Chunk, steps: list[Step], run: int) -> tuple[float, int]:
    """One run through the product's `add`, in batches of one."""
    seen, cautious, after, worst, apart = begin(rail), True, 0, 0.0, 0
    for share, at, there, wealths, thinks in steps:
        if not there[run]:
            continue
        for number in range(after, int(at[run]) + 1):
            seen = _added(rail, seen, chunk, (run, number), float(share[run]))
        after = int(at[run]) + 1
        cautious = expected_harm(rail, seen) > suspect_limit(rail, seen, cautious=cautious)
        for product, lab in zip((seen.wealth, counted_wealth(seen)), wealths[:, run], strict=True):
            worst = max(worst, abs(product / float(lab) - 1))
        apart += cautious != bool(thinks[run])
    return worst, apart


def _added(
    rail: Guardrail, seen: Evidence, chunk: Chunk, cell: tuple[int, int], share: float
) -> Evidence:
    canary = bool(chunk.arm[cell] < share)
    bad = bool((chunk.canary_bad if canary else chunk.base_bad)[cell])
    return add(rail, seen, tally([(round(share * 1_000_000), canary, bad)]))


def worst_difference() -> float:
    """Over all guardrails and cases; the throttles must agree everywhere."""
    worst = 0.0
    for rail in GUARDRAILS:
        for case in CASES:
            off, disagreed = differences(rail, case)
            assert not disagreed, f"{rail.name}: the throttles disagree in {case}"
            worst = max(worst, off)
    assert worst <= NEAR, f"the laboratory's wealth is off by {worst}"
    return worst
