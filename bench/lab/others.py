"""Other ways to judge a canary, on the same streams at the nominal share, as their guides set them.

Argo-like: every 5 minutes the canary's success rate must be 95 %, the fourth miss rolls back.
Flagger-like: every minute 99 %, the fifth miss (or the tenth) rolls back. Kayenta-like: every
10 minutes a one-sided Mann-Whitney test (1 %) of all failure rates by the minute so far, with an
effect of a quarter. Repeated z: two proportions, pooled, every minute at level alpha. mSPRT: normal
mixture with plug-in variance, after each payment from 30 canary payments on. Oracle: Wald's test
that knows both rates and looks at the canary alone.
"""

import itertools
import math
from statistics import NormalDist
from typing import Any

import numpy as np

from lab.streams import TRAFFIC, Case, Chunk

type Array = Any

NAMES = ("argo", "flagger 5", "flagger 10", "kayenta", "repeated z", "mSPRT", "oracle")
ALPHA = 0.01
MIXED = 0.05
"""Standard deviation of the mixture of mSPRT, as a failure rate."""
FROM_CANARIES = 30
MINUTE = 60.0
KAYENTA_MINUTES, KAYENTA_LEVEL, KAYENTA_EFFECT = 10, 0.01, 1.25


class Others:
    """All of them on `runs` streams; what is kept of each: failing canary payments and the number
    of the payment when it rolled back, -1 if it never did."""

    def __init__(self, case: Case, runs: int) -> None:
        self.case, self.runs = case, runs
        self.failing = {name: np.zeros(runs) for name in NAMES}
        self.units = {name: np.full(runs, -1.0) for name in NAMES}
        self.totals = np.zeros((4, runs))
        self.minutes: list[Array] = []
        self.open = np.zeros((4, runs))
        self.minute = 0
        self.score = np.zeros(runs)
        self.z = NormalDist().inv_cdf(1 - ALPHA)

    def feed(self, chunk: Chunk, chance: Any) -> None:
        """The next payments of all runs."""
        canary = chunk.arm < self.case.share
        bad = np.where(canary, chunk.canary_bad, chunk.base_bad)
        four = np.stack([canary, canary & bad, ~canary, ~canary & bad]).astype(np.float32)
        self._try_again(four, canary, bad, chance)
        sums = np.cumsum(four, axis=2, dtype=np.float32) + self.totals[:, :, None]
        self._sequential(chunk, canary, bad, sums)
        self._by_minute(chunk, four, sums)
        self.totals = sums[:, :, -1].astype(np.float64)

    def _try_again(self, four: Array, canary: Array, bad: Array, chance: Any) -> None:
        """Customers who failed come back into the same arm and fail again."""
        mean = TRAFFIC[self.case.traffic].again
        if mean:
            again = np.where(bad, chance.poisson(mean, bad.shape), 0)
            for place, arm in ((0, canary), (1, canary), (2, ~canary), (3, ~canary)):
                four[place] += again * arm

    def _stop(self, name: str, where: Array, number: int | Array, failing: Array) -> None:
        new = where & (self.units[name] < 0)
        self.units[name] = np.where(new, number, self.units[name])
        self.failing[name] = np.where(new, failing, self.failing[name])

    def _first(self, name: str, chunk: Chunk, hit: Array, failing: Array) -> None:
        at = hit.argmax(axis=1)
        rows = np.arange(self.runs)
        self._stop(name, hit[rows, at], chunk.first + at + 1, failing[rows, at])

    def _sequential(self, chunk: Chunk, canary: Array, bad: Array, sums: Array) -> None:
        self._first("mSPRT", chunk, canary & msprt(sums), sums[1])
        base, worse = self.case.baseline, min(self.case.canary, 1 - 1e-6)
        if worse <= base:
            return
        gain = np.where(bad, math.log(worse / base), math.log((1 - worse) / (1 - base)))
        score = np.cumsum(np.where(canary, gain, 0), axis=1) + self.score[:, None]
        self._first("oracle", chunk, score >= math.log(1 / ALPHA), sums[1])
        self.score = score[:, -1]

    def _by_minute(self, chunk: Chunk, four: Array, sums: Array) -> None:
        number = np.arange(chunk.first, chunk.first + four.shape[2])
        minute = TRAFFIC[self.case.traffic].second_of(number) // MINUTE
        cuts = [0, *(np.flatnonzero(np.diff(minute)) + 1), len(number)]
        for begin, end in itertools.pairwise(cuts):
            if minute[begin] > self.minute:
                before = sums[:, :, begin - 1] if begin else self.totals
                self._minute_over(int(number[begin]), before)
                self.minute = int(minute[begin])
            self.open = self.open + four[:, :, begin:end].sum(axis=2)

    def _minute_over(self, number: int, totals: Array) -> None:
        self.minutes.append(self.open)
        self.open = np.zeros((4, self.runs))
        failing = totals[1]
        past = np.stack(self.minutes)
        misses = (past[:, 1] > 0.01 * past[:, 0]).sum(axis=0)
        self._stop("flagger 5", misses >= 5, number, failing)
        self._stop("flagger 10", misses >= 10, number, failing)
        if len(self.minutes) % 5 == 0:
            fives = past.reshape(-1, 5, 4, self.runs).sum(axis=1)
            missed = (fives[:, 1] > 0.05 * fives[:, 0]).sum(axis=0)
            self._stop("argo", missed > 3, number, failing)
        if len(self.minutes) % KAYENTA_MINUTES == 0:
            self._stop("kayenta", mann_whitney(past), number, failing)
        self._stop("repeated z", pooled_z(totals) > self.z, number, failing)


def pooled_z(totals: Array) -> Array:
    """The pooled statistic of two proportions, canary minus baseline."""
    canaries, bad, baseline, base_bad = totals
    rate = (bad + base_bad) / np.maximum(canaries + baseline, 1)
    weights = 1 / np.maximum(canaries, 1) + 1 / np.maximum(baseline, 1)
    spread = np.sqrt(rate * (1 - rate) * weights)
    gap = bad / np.maximum(canaries, 1) - base_bad / np.maximum(baseline, 1)
    return gap / np.maximum(spread, 1e-12)


def msprt(sums: Array) -> Array:
    """Where the mixture likelihood ratio of the gap, with plug-in variance, is above 1/alpha."""
    canaries, bad, baseline, base_bad = sums
    rate = bad / np.maximum(canaries, 1)
    base = base_bad / np.maximum(baseline, 1)
    variance = rate * (1 - rate) / np.maximum(canaries, 1)
    variance = np.maximum(variance + base * (1 - base) / np.maximum(baseline, 1), 1e-9)
    gap, mixed = rate - base, MIXED**2
    log = 0.5 * np.log(variance / (variance + mixed))
    log += mixed * gap * gap / (2 * variance * (variance + mixed))
    return (log >= math.log(1 / ALPHA)) & (gap > 0) & (canaries >= FROM_CANARIES)


def mann_whitney(past: Array) -> Array:
    """Whether the canary's failure rates by the minute lie above the baseline's."""
    canary = past[:, 1] / np.maximum(past[:, 0], 1)
    base = past[:, 3] / np.maximum(past[:, 2], 1)
    count = len(past)
    above = sum((one > base).sum(axis=0) + 0.5 * (one == base).sum(axis=0) for one in canary)
    both = np.sort(np.concatenate([canary, base]), axis=0)
    ties = _ties(both)
    whole = 2 * count
    variance = count * count / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    spread = np.sqrt(np.maximum(variance, 1e-9))
    z = (above - count * count / 2) / spread
    effect = canary.mean(axis=0) > KAYENTA_EFFECT * base.mean(axis=0)
    return (z > NormalDist().inv_cdf(1 - KAYENTA_LEVEL)) & effect


def _ties(ordered: Array) -> Array:
    """Sum of t^3 - t over groups of t equal values, in each column of a sorted array."""
    total = np.zeros(ordered.shape[1])
    length = np.ones(ordered.shape[1])
    for before, now in itertools.pairwise(ordered):
        same = before == now
        total += np.where(same, 0, length**3 - length)
        length = np.where(same, length + 1, 1)
    return total + length**3 - length
