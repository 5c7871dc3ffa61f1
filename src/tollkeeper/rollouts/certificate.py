"""A certificate that the candidate is not worse than the baseline by more than a margin.

The null is now "it is worse by at least `margin`": the chance of a bad unit is p on the baseline
and at least p + margin on the canary, for a p that may be another for each unit. Seen with its
arm, one unit has four possible results, and the null's distributions over them are a convex set.
With an alternative (p1, q1) guessed from earlier units, let p0 be the point that minimises

    share KL(q1 || p0 + margin) + (1 - share) KL(p1 || p0)

Then alternative over (p0, p0 + margin) is an e-value for the whole null: the reverse information
projection onto a convex set makes one. Their product is a test martingale; at 1/0.05 the null is
rejected, and by Ville's inequality a bad candidate is certified with probability at most 0.05,
whenever one looks.

Sources: Gruenwald, de Heide and Koolen, "Safe testing" (2024), for the projection; Turner, Ly and
Gruenwald, "Generic e-variables for exact sequential k-sample tests" (2024), for two arms.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from tollkeeper.rollouts.tally import Tally

LEAST_DECLINES: Final = 0.01
DECLINES_PER_RATE: Final = 0.25
"""Of declines so much must be excluded: an excess of a point, or of a quarter of what the baseline
declines. Half a point, as of failures, would take far more payments at a usual rate of declines."""

LEVEL: Final = 0.05
"""The probability with which a candidate that is worse by the margin may be certified, at most."""

STEPS: Final = 60
NEAR: Final = 1e-12
"""A step smaller than this part of the rate ends the search."""

TINY: Final = 1e-9


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence that the candidate's excess is below `margin` (a rate, 0.005 is half a
    point). `log_wealth` is a natural logarithm; 0 is the start."""

    margin: float
    log_wealth: float = 0.0
    peak: float = 0.0
    baseline_ok: int = 0
    baseline_bad: int = 0
    canary_ok: int = 0
    canary_bad: int = 0

    @property
    def granted(self) -> bool:
        """Whether it was ever shown; what was shown once stays shown."""
        return self.peak >= math.log(1 / LEVEL)


def attest(
    certificate: Certificate,
    tallies: Iterable[Tally],
    *,
    prior: float,
    strength: float,
    per_rate: float = 0.0,
) -> Certificate:
    """The certificate after a batch. `prior` and `strength`: the rate believed before anything was
    seen, and by how many units it is outweighed. `per_rate`: the margin is at least this part of
    the rate believed, which depends on earlier units alone."""
    tallies = tuple(tallies)
    after = certificate
    believed = (
        (after.baseline_bad + after.canary_bad + prior * strength)
        / (after.baseline_bad + after.baseline_ok + after.canary_bad + after.canary_ok + strength)
    )  # fmt: skip
    log = certificate.log_wealth
    margin = max(certificate.margin, per_rate * believed)
    for one in tallies:
        log += _log_factor(believed, margin, one)
    return Certificate(
        margin=certificate.margin,
        log_wealth=log,
        peak=max(certificate.peak, log),
        baseline_ok=after.baseline_ok + sum(t.baseline_ok for t in tallies),
        baseline_bad=after.baseline_bad + sum(t.baseline_bad for t in tallies),
        canary_ok=after.canary_ok + sum(t.canary_ok for t in tallies),
        canary_bad=after.canary_bad + sum(t.canary_bad for t in tallies),
    )


def _log_factor(believed: float, margin: float, one: Tally) -> float:
    if not one.share_ppm or one.share_ppm >= 1_000_000:
        return 0.0
    alternative = min(max(believed, TINY), 1 - margin - TINY)
    baseline = projected(alternative, alternative, margin, one.share)
    canary = baseline + margin
    return (
        one.canary_bad * math.log(alternative / canary)
        + one.canary_ok * math.log((1 - alternative) / (1 - canary))
        + one.baseline_bad * math.log(alternative / baseline)
        + one.baseline_ok * math.log((1 - alternative) / (1 - baseline))
    )


def expected_gain(
    believed: float, margin: float, share: float, *, baseline: float, canary: float
) -> float:
    """What one unit adds to the logarithm on average, where the arms are bad at the rates
    `baseline` and `canary`, and `believed` is the rate of both together."""
    alternative = min(max(believed, TINY), 1 - margin - TINY)
    null = projected(alternative, alternative, margin, share)
    on_canary = _mean_log(canary, alternative, null + margin)
    return share * on_canary + (1 - share) * _mean_log(baseline, alternative, null)


def _mean_log(rate: float, alternative: float, null: float) -> float:
    """The mean of the logarithm of the quotient of two rates, where units are bad at `rate`."""
    return rate * math.log(alternative / null) + (1 - rate) * math.log(
        (1 - alternative) / (1 - null)
    )


def projected(baseline: float, canary: float, margin: float, share: float) -> float:
    """The null's baseline rate nearest to an alternative of (`baseline`, `canary`): where the
    derivative of the divergence, which rises with it, is zero. Newton's steps from the
    alternative, and halves of what is left where a step would leave it."""
    low, high = TINY, 1 - margin - TINY
    at = min(max(baseline, low), high)
    for _ in range(STEPS):
        rate = at + margin
        on_canary, on_baseline = rate * (1 - rate), at * (1 - at)
        slope = share * (rate - canary) / on_canary + (1 - share) * (at - baseline) / on_baseline
        low, high = (low, at) if slope > 0 else (at, high)
        bend = share * _bend(rate, canary, on_canary)
        bend += (1 - share) * _bend(at, baseline, on_baseline)
        before, at = at, at - slope / bend
        if not low < at < high:
            at = (low + high) / 2
        if abs(at - before) <= NEAR * at:
            break
    return at


def _bend(rate: float, other: float, variance: float) -> float:
    """The second derivative, by `rate`, of the divergence of `other` from it; never negative."""
    return (variance - (rate - other) * (1 - 2 * rate)) / (variance * variance)
