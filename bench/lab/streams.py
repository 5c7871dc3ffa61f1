"""Streams of payments as draws: for each unit one number for its arm and one for its fate.

Law: arm and fate are independent. What is not independent, outages, rhythm and bursts, is in the
rates of both arms and in the clock, which every detector sees alike.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

type Array = Any

PER_SECOND = 20.0
DAY = 86_400.0


@dataclasses.dataclass(frozen=True)
class Traffic:
    """How failure rates and the clock go with the number of the payment.

    `shared`: `(second, baseline rate) -> rate` of both arms before the candidate's own fault.
    `second_of`: the number of a payment to the second at which it comes. `again`: how many
    further failing payments a customer makes, on average, after one that failed.
    """

    name: str
    shared: Callable[[Array, float], Array]
    second_of: Callable[[Array], Array]
    again: float = 0.0


def steady_seconds(number: Array) -> Array:
    return number / PER_SECOND


def bursty_seconds(number: Array) -> Array:
    """Minutes of 38 payments a second and of 2 by turns: 20 on average."""
    pair, within = np.divmod(number, 2400)
    return pair * 120 + np.where(within < 2280, within / 38, 60 + (within - 2280) / 2)


def alike(second: Array, rate: float) -> Array:
    return np.full(len(second), rate)


def outages(second: Array, rate: float) -> Array:
    """90 % on both arms from second 20 to 140, 600 to 660 and 1500 to 1560."""
    out = np.zeros(len(second), bool)
    for begin, end in ((20, 140), (600, 660), (1500, 1560)):
        out |= (second >= begin) & (second < end)
    return np.where(out, 0.9, rate)


def rhythm(second: Array, rate: float) -> Array:
    """A day's rhythm, told in half an hour, between a fifth of the rate and five times as much."""
    return rate * 5 ** np.sin(second / 1800 * 2 * math.pi)


TRAFFIC = {
    made.name: made
    for made in (
        Traffic("steady", alike, steady_seconds),
        Traffic("bursty", alike, bursty_seconds),
        Traffic("outage", outages, steady_seconds),
        Traffic("rhythm", rhythm, steady_seconds),
        Traffic("retrying", alike, steady_seconds, again=4.0),
    )
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One cell: what the arms do and how the canary is dosed. `fault_at`: the number of the
    payment from which on the candidate is bad."""

    baseline: float
    canary: float
    share: float
    traffic: str = "steady"
    fault_at: int = 0

    def rates(self, first: int, count: int) -> tuple[Array, Array]:
        """Failure rates of both arms for `count` payments from number `first` on."""
        number = np.arange(first, first + count)
        traffic = TRAFFIC[self.traffic]
        shared = traffic.shared(traffic.second_of(number), self.baseline)
        own = 1 - (1 - self.canary) / (1 - self.baseline)
        candidate = np.where(number >= self.fault_at, 1 - (1 - shared) * (1 - own), shared)
        return shared, candidate


@dataclasses.dataclass(frozen=True)
class Chunk:
    """`arm` and `fate`: uniform numbers, one row a run; a unit is a canary where `arm` is below
    the share, and fails where `fate` is below its arm's rate."""

    first: int
    arm: Array
    fate: Array
    base_bad: Array
    canary_bad: Array


def draw(case: Case, first: int, runs: int, count: int, chance: Any) -> Chunk:
    shared, candidate = case.rates(first, count)
    fate = chance.random((runs, count), dtype=np.float32)
    return Chunk(
        first=first,
        arm=chance.random((runs, count), dtype=np.float32),
        fate=fate,
        base_bad=fate < shared.astype(np.float32),
        canary_bad=fate < candidate.astype(np.float32),
    )
