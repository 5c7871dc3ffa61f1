"""The latency guardrails on lognormal latencies: how soon a slower candidate is noticed."""

from typing import Any

import numpy as np

from lab.ours import Ours
from tollkeeper.rollouts.counting import HISTORY
from tollkeeper.rollouts.evidence import GUARDRAILS, LATENCY

type Array = Any

SIGMA = 0.5
"""Of the logarithm: the slowest twentieth takes 2.3 times as long as the median."""


def limits(runs: int, chance: Any) -> Array:
    """As the product takes them: quantiles of the first baseline latencies, logarithms here."""
    history = np.sort(chance.normal(0, SIGMA, (runs, HISTORY)), axis=1)
    places = [min(int(np.ceil(q * HISTORY)), HISTORY - 1) for q in LATENCY.values()]
    return history[:, places].T


def noticed(factor: float, share: float, runs: int, alpha: float, most: int) -> tuple[Array, Array]:
    """Canary units until the latency guardrails' wealth reaches the boundary, and whether it did
    within `most` units of both arms; the candidate takes `factor` times as long."""
    chance = np.random.default_rng(1)
    rails = [rail for rail in GUARDRAILS if rail.name in LATENCY]
    bounds = limits(runs, chance)
    arms = [Ours(rail, runs, share, share) for rail in rails]
    alive = np.arange(runs)
    canaries = np.zeros(runs)
    for _ in range(most):
        canary = chance.random(len(alive)) < share
        slow = chance.normal(0, SIGMA, len(alive)) + np.where(canary, np.log(factor), 0.0)
        canaries[alive] += canary
        for ours, bound in zip(arms, bounds, strict=True):
            ours.unit(canary, slow > bound, ours.in_force)
        wealth = sum(rail.part * ours.counted for rail, ours in zip(rails, arms, strict=True))
        going = wealth < 1 / alpha
        if going.all():
            continue
        alive, bounds = alive[going], bounds[:, going]
        for ours in arms:
            ours.keep(going)
        if not len(alive):
            break
    decided = np.ones(runs, bool)
    decided[alive] = False
    return canaries, decided
