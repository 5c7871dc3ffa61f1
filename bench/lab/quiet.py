"""Long healthy days, of which only the hours around an alarm are played through the rule.

Nothing can start below `ALARM`, and below `QUIET` everything but R begins anew. So R alone is
followed for many days at once, with factors that the rule itself gives, and every stretch between
two calm moments in which R comes near `ALARM` is handed out to be played payment by payment.
"""

from collections.abc import Iterator
from math import pi
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from lab.failing import V, trial
from tollkeeper.failover.rule import ALARM, MOST_R, QUIET, State, begin, counted, healthy

type Array = Any
"""A numpy array; numpy is installed beside the laboratory, not beside the product."""

DAY_S: Final = 86_400
LANES: Final = 500
"""Days at once."""

MARGIN: Final = 10.0
"""How far below `ALARM` a stretch is played: the rule decides, and not this file."""


class Stretch(NamedTuple):
    """From a calm moment on: the state there, and numbers of good payments before each failure."""

    state: State
    gaps: tuple[int, ...]


class Factors(NamedTuple):
    """What a first attempt of V multiplies each part of 1 + R by."""

    good: Array
    bad: Array


def factors(rate: float) -> Factors:
    """As the rule has them: one step from R = 0 gives the factor itself."""
    zero = begin(rate, per_second=1)
    bad = counted(zero, trial((V,), ("refused",), told_bad=True))
    good, failed = (np.array(state.r)[:, None] for state in (healthy(zero, 1), bad))
    return Factors(good, failed)


def after_good(r: Array, good: Array, count: Array) -> Array:
    """R after `count` good payments: a geometric series."""
    power = good**count
    return np.minimum(r * power + good * (1 - power) / (1 - good), MOST_R)


def after_bad(r: Array, bad: Array) -> Array:
    """R after a failing payment."""
    return np.minimum((1 + r) * bad, MOST_R)


class Days:
    """So many days with failures at `noise`, which a `rhythm` of the day moves by up to 90 %, as
    payments of which none depends on another. `history` is what V's rate is believed to be."""

    def __init__(
        self, noise: float, rate: float, days: int, seed: int, *, history: float, rhythm: bool
    ) -> None:
        self.noise, self.rate, self.days, self.rhythm = noise, rate, days, rhythm
        self.fresh = begin(history, per_second=rate)
        self.factors = factors(history)
        self.chance = np.random.default_rng(seed)

    def stretches(self) -> Iterator[list[Stretch]]:
        """Of each day, what must be played."""
        for begins in range(0, self.days, LANES):
            yield from self._block(min(LANES, self.days - begins))

    def _block(self, lanes: int) -> list[list[Stretch]]:
        r = np.repeat(np.array(healthy(self.fresh, 5_000).r)[:, None], lanes, axis=1)
        calm_r, calm_at = r.copy(), np.zeros(lanes, int)
        near = np.zeros(lanes, bool)
        gaps: list[Array] = []
        found: list[list[Stretch]] = [[] for _ in range(lanes)]
        seconds = np.zeros(lanes)
        while (seconds < DAY_S).any():
            gap = self._gap(seconds)
            seconds = seconds + (gap + 1) / self.rate
            gaps.append(gap)
            r = after_good(r, self.factors.good, gap)
            calm = r.mean(axis=0) < QUIET
            for lane in np.flatnonzero(calm & near):
                found[lane].append(self._cut(calm_r, calm_at, gaps, int(lane)))
            near &= ~calm
            calm_r, calm_at = np.where(calm, r, calm_r), np.where(calm, len(gaps) - 1, calm_at)
            r = after_bad(r, self.factors.bad)
            near |= (r.mean(axis=0) >= ALARM / MARGIN) & (seconds < DAY_S)
        for lane in np.flatnonzero(near):
            found[lane].append(self._cut(calm_r, calm_at, gaps, int(lane)))
        return found

    def _gap(self, seconds: Array) -> Array:
        """Good payments before the next failing one, by thinning where there is a rhythm."""
        if not self.rhythm:
            return self.chance.geometric(self.noise, len(seconds)) - 1
        most, gap = 1.9 * self.noise, np.zeros(len(seconds), int)
        waiting = np.ones(len(seconds), bool)
        while waiting.any():
            more = self.chance.geometric(most, len(seconds))
            gap = np.where(waiting, gap + more, gap)
            now = seconds + gap / self.rate
            part = (1 + 0.9 * np.sin(2 * pi * now / DAY_S)) / 1.9
            waiting &= self.chance.random(len(seconds)) >= part
        return gap - 1

    def _cut(self, calm_r: Array, calm_at: Array, gaps: list[Array], lane: int) -> Stretch:
        first = int(calm_at[lane])
        state = replace(self.fresh, r=tuple(float(one) for one in calm_r[:, lane]))
        later = (int(gap[lane]) for gap in gaps[first + 1 :])
        return Stretch(state, (0, *later))


def worst_difference() -> float:
    """How far R is from the rule's at most, relatively, on streams of failures."""
    worst = 0.0
    chance = np.random.default_rng(1)
    for rate in (0.001, 0.005, 0.02, 0.2):
        state, two = healthy(begin(rate, per_second=1), 5_000), factors(rate)
        r = np.array(state.r)[:, None]
        for gap in chance.geometric(max(rate, 0.02), 300) - 1:
            r = after_bad(after_good(r, two.good, gap), two.bad)
            bad = trial((V,), ("refused",), told_bad=True)
            state = counted(healthy(state, int(gap)), bad)
            found = np.array(state.r)[:, None]
            worst = max(worst, float(np.max(np.abs(r - found) / found)))
    return worst
