"""Counts of observations since this process started, for metrics: bounded by versions and words."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tollkeeper.signals.observation import Observation

EDGES_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper edges of the buckets of durations; a last bucket has what took longer."""


@dataclass
class Durations:
    """How long requests took: how many in each bucket, and seconds in all."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(EDGES_SECONDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """One more request."""
        self.buckets[bisect_left(EDGES_SECONDS, seconds)] += 1
        self.seconds += seconds


@dataclass
class Tally:
    """`results` counts by version, operation, result and the stage where it broke off; `durations`
    are by version and operation."""

    results: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    durations: dict[tuple[str, str], Durations] = field(default_factory=dict)

    def add(self, seen: Observation) -> None:
        """Counts one observation."""
        self.results[seen.integration, seen.operation, seen.result, seen.stage] += 1
        key = (seen.integration, seen.operation)
        if key not in self.durations:
            self.durations[key] = Durations()
        self.durations[key].add(seen.total_ms / 1000)
