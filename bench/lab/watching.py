"""Our detector on streams: event by event, for many runs at once, until every run is decided."""

import dataclasses
from typing import Any

import numpy as np

from lab.ours import Ours
from lab.streams import Case, Chunk, draw
from tollkeeper.rollouts.evidence import Guardrail

type Array = Any

CELLS = 4_000_000
"""Draws held at once."""


@dataclasses.dataclass
class Outcome:
    """Of each run, one row a limit: the failing canary units and all units before the wealth
    reached the limit; `units` is -1 where it never did. `kept`: of the nominal share."""

    failing: Array
    canaries: Array
    units: Array
    kept: float

    def rolled(self, limit: int) -> Array:
        return self.units[limit] >= 0


class Watch:
    """Feeds chunks to our detector. `limits` rise; a run ends at the last one. `again`: how many
    more failing payments of a failing customer are counted, which the product never does."""

    def __init__(
        self, ours: Ours, runs: int, limits: tuple[float, ...], fault_at: int = 0, again: int = 0
    ) -> None:
        self.ours, self.fault_at, self.again = ours, fault_at, again
        self.limits = np.array(limits)[:, None]
        self.alive = np.arange(runs)
        self.failing = np.zeros(runs)
        self.canaries = np.zeros(runs)
        self.pending = np.zeros(runs)
        shape = (len(limits), runs)
        self.out = Outcome(np.zeros(shape), np.zeros(shape), np.full(shape, -1.0), 1.0)
        self.full = self.passed = 0.0

    def feed(self, chunk: Chunk) -> None:
        """A chunk that has a row for each run that is alive."""
        count = chunk.arm.shape[1]
        event = (chunk.arm < self.ours.share) | chunk.base_bad
        rows, columns = np.nonzero(event)
        counts = np.bincount(rows, minlength=len(self.alive))
        steps = int(counts.max(initial=0))
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        where = np.zeros((steps, len(self.alive)), int)
        where[within, rows] = columns
        last = np.full(len(self.alive), -1)
        lines = np.arange(len(self.alive))
        for step in range(steps):
            there = step < counts
            at = where[step]
            skipped = np.where(there, at - last - 1 + self.pending, 0.0)
            self.pending = np.where(there, 0.0, self.pending)
            last = np.where(there, at, last)
            self.one(chunk, (lines, at), there, skipped)
        self.pending += count - 1 - last
        self.bury()

    def one(self, chunk: Chunk, cell: tuple[Array, Array], there: Array, skipped: Array) -> None:
        """The baseline's successes before an event, and the event."""
        ours, share = self.ours, self.ours.in_force
        canary = chunk.arm[cell] < share
        bad = np.where(canary, chunk.canary_bad[cell], chunk.base_bad[cell])
        number = chunk.first + cell[1]
        ours.pass_successes(skipped, share)
        self.mark(number, there)  # successes of the baseline alone may reach the limit
        ours.unit(canary, bad, share, there)
        for _ in range(self.again):
            ours.unit(canary, bad, share, there & bad)
        self.failing += there & canary & bad & (number >= self.fault_at)
        self.canaries += there & canary
        self.full += float((share * (skipped + there)).sum())
        self.passed += float((ours.share * (skipped + there)).sum())
        self.mark(number + 1, there)
        ours.throttle()

    def mark(self, number: Array, there: Array) -> None:
        wealth = self.ours.counted
        if not (there & (wealth >= self.limits[0])).any():
            return
        units = self.out.units[:, self.alive]
        new = there & (wealth >= self.limits) & (units < 0)
        for limit in range(len(self.limits)):
            runs = self.alive[new[limit]]
            self.out.units[limit, runs] = number[new[limit]]
            self.out.failing[limit, runs] = self.failing[new[limit]]
            self.out.canaries[limit, runs] = self.canaries[new[limit]]

    def bury(self) -> None:
        going = self.out.units[-1, self.alive] < 0
        if going.all():
            return
        self.ours.keep(going)
        for name in ("alive", "failing", "canaries", "pending"):
            setattr(self, name, getattr(self, name)[going])


def watched(
    rail: Guardrail, case: Case, runs: int, horizon: int, limits: tuple[float, ...], **options: Any
) -> Outcome:
    """Our detector alone on `runs` streams of `horizon` payments."""
    chance = np.random.default_rng(options.get("seed", 1))
    ours = Ours(rail, runs, case.share, options.get("floor", 0.01))
    watch = Watch(ours, runs, limits, case.fault_at, options.get("again", 0))
    first = 0
    while first < horizon and len(watch.alive):
        count = min(max(CELLS // len(watch.alive), 50), horizon - first, 20_000)
        if first == 0:
            count = min(count, 500)
        watch.feed(draw(case, first, len(watch.alive), count, chance))
        first += count
    watch.out.kept = watch.full / max(watch.passed, 1.0)
    return watch.out
