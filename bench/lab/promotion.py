"""The certificate of promotion, by the product's own functions, against its bound."""

import math
from typing import Any

import numpy as np

from tollkeeper.rollouts.certificate import LEVEL, Certificate, attest, projected
from tollkeeper.rollouts.evidence import GUARDRAILS
from tollkeeper.rollouts.tally import Tally
from tollkeeper.routing.routes import PPM

MARGIN = 0.005
CANARIES_A_LOOK = 5


def divergence(one: float, other: float) -> float:
    return one * math.log(one / other) + (1 - one) * math.log((1 - one) / (1 - other))


def bound(rate: float, share: float) -> float:
    """Canary units that a test which knows the rate needs on average, but for the overshoot."""
    base = projected(rate, rate, MARGIN, share)
    a_unit = share * divergence(rate, base + MARGIN) + (1 - share) * divergence(rate, base)
    return math.log(1 / LEVEL) / a_unit * share


def certified(rate: float, canary: float, share: float, most: int, chance: Any) -> float | None:
    """Canary units until the certificate is granted, or `None` after `most` of them."""
    one, a_look = Certificate(margin=MARGIN), round(CANARIES_A_LOOK / share)
    rail = GUARDRAILS[0]
    while one.canary_ok + one.canary_bad < most:
        canaries = int(chance.binomial(a_look, share))
        bad = int(chance.binomial(canaries, canary))
        base_bad = int(chance.binomial(a_look - canaries, rate))
        tallied = Tally(
            share_ppm=round(share * PPM),
            baseline_ok=a_look - canaries - base_bad, baseline_bad=base_bad,
            canary_ok=canaries - bad, canary_bad=bad,
        )  # fmt: skip
        one = attest(one, (tallied,), prior=rail.prior, strength=rail.strength)
        if one.granted:
            return one.canary_ok + one.canary_bad
    return None


def promotion(rate: float, canary: float, share: float, runs: int, seed: int = 1) -> dict[str, Any]:
    """Mean canary units to the certificate beside the bound, and how often it was granted."""
    chance = np.random.default_rng(seed)
    most = int(10 * bound(rate, share)) if canary <= rate else 10_000
    found = [certified(rate, canary, share, most, chance) for _ in range(runs)]
    granted = [one for one in found if one is not None]
    mean = sum(granted) / len(granted) if granted else math.nan
    return {
        "baseline": rate, "canary": canary, "share": share, "granted": len(granted) / runs,
        "canaries": mean, "bound": bound(rate, share), "ratio": mean / bound(rate, share),
    }  # fmt: skip
