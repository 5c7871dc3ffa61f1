"""A history that is wrong: V and W are alike, but V fails more than is believed of it, all day."""

import random
from typing import Any, Final

from lab.failing import Fault, lucky, shop
from lab.ruled import Ruled

DAY_S: Final = 86_400
LEVELS: Final = (10.0, 100.0, 1e3, 1e4)

CASES: Final = ((0.02, 0.001, 0.5, 5, 7), (0.02, 0.005, 0.5, 3, 8), (0.02, 0.001, 2.0, 3, 9))
"""Noise, what is believed of it, payments a second, a part of the payments, a seed."""


def shares(noise: float, believed: float, rate: float, payments: int, seed: int) -> dict[str, Any]:
    """How often W gets a share, and how far T comes while it has one. A day begins anew."""
    chance, fault = random.Random(seed), Fault("", noise=noise)
    ended = {"moved": 0, "stopped": 0}
    highest: list[float] = []
    days = left = 0
    while left < payments:
        found, ruled = _day(fault, believed, rate, chance, payments - left)
        left, days = left + found, days + 1
        highest += ruled.peaks
        if ruled.ended in ended:
            ended[ruled.ended] += 1
    row: dict[str, Any] = {"noise": noise, "believed": believed, "a second": rate, "days": days}
    row["shares"] = len(highest)
    for level in LEVELS:
        row[f"T >= {level:g}"] = sum(one >= level for one in highest)
    return row | ended


class Peaks(Ruled):
    """Notes the highest T of each share."""

    def __init__(self, rate: float, per_second: float) -> None:
        super().__init__(rate, per_second, look_s=0.0)
        self.peaks: list[float] = []
        self.had = False

    def look(self, now: float) -> None:
        super().look(now)
        state = self.state
        has = state.share > 0 or self.ended in {"moved", "stopped"}
        if has and not self.had:
            self.peaks.append(0.0)
        if self.had or has:
            self.peaks[-1] = max(self.peaks[-1], state.wealth_t if has else 0.0)
        self.had = has


def _day(
    fault: Fault, believed: float, rate: float, chance: random.Random, most: int
) -> tuple[int, Peaks]:
    ruled, at = Peaks(believed, rate), 0.0
    for number in range(min(most, round(rate * DAY_S))):
        if ruled.ended in {"moved", "stopped"}:
            return number, ruled
        shop(fault, ruled, lucky(chance, at))
        at += 1 / rate
    return min(most, round(rate * DAY_S)), ruled
