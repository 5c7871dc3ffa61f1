"""Customers who come back: each payment of an eligible one tosses a coin of its own.

Healthy: every customer fails at a rate of their own, on whichever arm, again and again. Broken: a
fault begins after everybody was counted; only payments of customers who come back can show it.
"""

from typing import Any, Final

import numpy as np

from lab.ours import Ours
from tollkeeper.rollouts.evidence import Guardrail

CUSTOMERS: Final = 20
UNLUCKY: Final = 0.1
FAILS: Final = (0.005, 0.8)
"""What most customers fail at, and what one in ten does."""

COUNTED_BEFORE: Final = 2_000
"""First payments that all went well before the fault begins."""

type Array = Any


def habits(
    rail: Guardrail, coin: float, runs: int, payments: int, limits: tuple[float, ...]
) -> Array:
    """How many healthy runs reached each limit."""
    chance = np.random.default_rng(round(coin * 1e4))
    ours = Ours(rail, runs, coin, coin)
    rates = np.where(chance.random((runs, CUSTOMERS)) < UNLUCKY, FAILS[1], FAILS[0])
    share, lines = np.full(runs, coin), np.arange(runs)
    peak = np.zeros(runs)
    for _ in range(payments):
        who = chance.integers(0, CUSTOMERS, runs)
        bad = chance.random(runs) < rates[lines, who]
        ours.unit(chance.random(runs) < coin, bad, share)
        np.maximum(peak, ours.counted, out=peak)
    return np.array([(peak >= limit).sum() for limit in limits])


def begun_late(
    rail: Guardrail, coin: float, excess: float, runs: int, limit: float, most: int
) -> tuple[Array, Array]:
    """Returning payments, and failing ones of the canary, from the fault to the limit; -1 where
    it was never reached."""
    chance = np.random.default_rng(round(coin * 1e4) + round(excess * 1e3))
    ours = Ours(rail, runs, coin, coin)
    first = np.full(runs, 0.05)
    for _ in range(round(COUNTED_BEFORE * 0.05)):
        ours.pass_successes(np.full(runs, 19.0), first)
        ours.unit(np.ones(runs, bool), np.zeros(runs, bool), first)
    share = np.full(runs, coin)
    taken, failing = np.full(runs, -1.0), np.zeros(runs)
    for number in range(1, most + 1):
        canary = chance.random(runs) < coin
        rate = np.where(canary, 1 - (1 - FAILS[0]) * (1 - excess), FAILS[0])
        bad = chance.random(runs) < rate
        ours.unit(canary, bad, share)
        failing += canary & bad & (taken < 0)
        taken = np.where((taken < 0) & (ours.counted >= limit), number, taken)
        if (taken >= 0).all():
            break
    return taken, failing
