"""Evidence against a canary that may be looked at after every payment: a randomisation e-process.

The null is "the candidate is no worse, whatever the shared failure rate does". Only the random
assignment is trusted: a unit became a canary with probability `share`, whatever would come of it.

For each kind of excess failure `d` that a bad candidate might add, with `p` an estimate of the
baseline's rate made from *earlier* baseline units only, `q = 1 - (1-p)(1-d)` and
`m = share q + (1 - share) p`, one unit multiplies the stake on that kind by

    canary bad     q/m        canary ok     (1-q)/(1-m)
    baseline bad   p/m        baseline ok   (1-p)/(1-m)

Given what becomes of a unit and the past, under the null its arm is a coin with probability
`share`: bad happens with some rate r on either arm, and the factor's mean is
`r (share q + (1-share) p)/m + (1-r) (share (1-q) + (1-share) (1-p))/(1-m) = 1`, whatever r is; a
candidate that is better makes it smaller, since q >= p. So `wealth = cash + sum of stakes` is a
test martingale, and by Ville's inequality P(wealth ever reaches 1/alpha) <= alpha: one may look
after every unit. Several guardrails hold parts of one wealth (a mean of martingales is one), which
is never weaker than giving each its part of alpha. A guardrail whose canary had no bad unit yet
counts at most its wealth at the start: less than a martingale reaches a boundary no more often.

Assumptions: one unit a sticky customer (their payments share a fate); `p`, the shares and what is
staked depend on the past alone; results that arrive late arrive alike on both arms, or the number
that is outstanding is capped. Within one tally `p` stands still, as the batch came at once.

Sources: Ville 1939; Shafer, "Testing by betting" (2021); Lindon, Sanden and Shirikian, "Rapid
regression detection in software deployments through sequential testing" (2022), for the setting;
Waudby-Smith and Ramdas (2024) for betting with a mixture. The stakes were tuned in
`bench/canary.py`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from tollkeeper.rollouts.tally import Tally, total
from tollkeeper.rollouts.units import Seen

MAX_RATE: Final = 0.99
MAX_LOG: Final = 600.0
"""Above this a stake would overflow; the boundary is passed long before."""

TINY_BELIEF: Final = 1e-12
FRESH_BELIEF: Final = 0.002
"""The part of the beliefs that begins anew after a bad canary unit, for faults that start late."""

SUSPICION: Final = 0.5
"""How much of the stakes is believed before anything was seen: the candidate is sound as likely."""

SUSPECT: Final = 0.02
SUSPECT_PER_RATE: Final = 1.25
"""Expected excess failures, as a rate, above which the canary's share drops to its floor: so many,
and so many times the baseline's rate, which explains as many bad units by chance. It comes back
below half of that. Tuned in `bench/canary.py`: a healthy canary keeps 95 % of its share at baseline
rates of 0.1 % to 2 %."""


class Cause(msgspec.Struct, frozen=True):
    """An excess failure that is staked on: `relative` times the baseline's rate plus `absolute`."""

    stake: float
    relative: float
    absolute: float


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched, and how wealth is laid out on it.

    `part`: of the whole wealth, and so of alpha. `prior`: the baseline's rate before anything was
    seen, believed as `strength` units are. `causes`' stakes and `cash` sum to 1. `restake`: the
    part of the cash that is staked anew after each bad canary unit, for faults that start late.
    `is_bad` tells of a unit, and of the limits of latency in force, whether it counts as bad; its
    answer is `None` while it cannot be told. A guardrail without it counts first follow-ups.
    """

    name: str
    part: float
    prior: float
    strength: float
    causes: tuple[Cause, ...]
    cash: float
    restake: float
    is_bad: Callable[[Seen, tuple[int, ...]], bool | None] | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one guardrail has seen and what its wealth is now, where 1 was the start.

    `beliefs` are probabilities of the causes, the rest is that of no cause: for the throttle alone,
    whose rule may be any that depends on the past; no decision reads them.
    """

    cash: float
    stakes: tuple[float, ...]
    beliefs: tuple[float, ...]
    baseline_ok: int = 0
    baseline_bad: int = 0
    canary_ok: int = 0
    canary_bad: int = 0
    peak: float = 1.0

    @property
    def wealth(self) -> float:
        """The evidence against the candidate; under the null its mean never exceeds 1."""
        return self.cash + math.fsum(self.stakes)


_TECHNICAL: Final = (
    Cause(0.03, 1.0, 0.0),
    Cause(0.10, 4.0, 0.0),
    Cause(0.19, 0.0, 0.04),
    Cause(0.15, 0.0, 0.20),
    Cause(0.49, 0.0, 0.80),
)
_DECLINES: Final = (
    Cause(0.15, 0.25, 0.0),
    Cause(0.15, 0.50, 0.0),
    Cause(0.20, 1.00, 0.0),
    Cause(0.20, 0.0, 0.20),
    Cause(0.20, 0.0, 0.80),
)
_SLOWNESS: Final = (Cause(0.20, 0.0, 0.30), Cause(0.35, 0.0, 0.60), Cause(0.40, 0.0, 0.85))


def _slower(number: int) -> Callable[[Seen, tuple[int, ...]], bool | None]:
    """Slower than the baseline's quantile `number` of `LATENCY`."""

    def is_bad(unit: Seen, limits_ms: tuple[int, ...]) -> bool | None:
        return unit.latency_ms > limits_ms[number] if number < len(limits_ms) else None

    return is_bad


GUARDRAILS: Final = (
    Guardrail(
        name="failure", part=0.5, prior=0.005, strength=200, causes=_TECHNICAL,
        cash=0.04, restake=0.025, is_bad=lambda unit, _: unit.failed,
    ),
    Guardrail(
        name="contract", part=0.17, prior=1e-5, strength=10_000, causes=_TECHNICAL,
        cash=0.04, restake=0.025, is_bad=lambda unit, _: unit.unreadable,
    ),
    Guardrail(
        name="decline", part=0.13, prior=0.1, strength=20, causes=_DECLINES,
        cash=0.1, restake=0.02, is_bad=lambda unit, _: unit.declined,
    ),
    Guardrail(
        name="slower_than_p50", part=0.05, prior=0.5, strength=100, causes=_SLOWNESS,
        cash=0.05, restake=0.01, is_bad=_slower(0),
    ),
    Guardrail(
        name="slower_than_p80", part=0.05, prior=0.2, strength=100, causes=_SLOWNESS,
        cash=0.05, restake=0.01, is_bad=_slower(1),
    ),
    Guardrail(
        name="slower_than_p95", part=0.05, prior=0.05, strength=100, causes=_SLOWNESS,
        cash=0.05, restake=0.01, is_bad=_slower(2),
    ),
    Guardrail(
        name="follow_up", part=0.05, prior=0.005, strength=200, causes=_TECHNICAL,
        cash=0.04, restake=0.025,
    ),
)  # fmt: skip
"""What every rollout watches. A new guardrail is one more entry, which everything else finds by its
name; the parts sum to 1, so that another one gives up of its own. Origin of the figures:
`bench/canary.py`."""

BY_NAME: Final = {rail.name: rail for rail in GUARDRAILS}
FIRST_ORDER: Final = (
    "failure", "contract", "decline", "slower_than_p50", "slower_than_p80", "slower_than_p95",
    "follow_up",
)  # fmt: skip
"""The order in which releases before 0.1.0 stored what is by guardrail."""

LATENCY: Final = {"slower_than_p50": 0.5, "slower_than_p80": 0.8, "slower_than_p95": 0.95}
"""Guardrails of latency, and the quantile of the baseline's history that each compares with."""


def begin(guardrail: Guardrail) -> Evidence:
    """The wealth before anything was seen."""
    stakes = tuple(cause.stake for cause in guardrail.causes)
    beliefs = tuple(SUSPICION * stake for stake in stakes)
    return Evidence(cash=guardrail.cash, stakes=stakes, beliefs=beliefs)


def baseline_rate(guardrail: Guardrail, seen: Evidence) -> float:
    """The estimate of the baseline's rate from what was seen so far, between 0 and 1."""
    bad = seen.baseline_bad + guardrail.prior * guardrail.strength
    return bad / (seen.baseline_ok + seen.baseline_bad + guardrail.strength)


def add(guardrail: Guardrail, seen: Evidence, tallies: Iterable[Tally]) -> Evidence:
    """The evidence after a batch. Tallies of several shares are of the same moment: the estimate
    of the baseline's rate stands still over all of them."""
    rate = baseline_rate(guardrail, seen)
    tallies = tuple(tallies)
    new = total(tallies)
    bad, ok = new["canary_bad"], new["canary_ok"]
    stakes = [
        stake * _factor(rate, excess(cause, rate), tallies)
        for stake, cause in zip(seen.stakes, guardrail.causes, strict=True)
    ]
    cash, stakes = _restaked(guardrail, seen.cash, stakes, bad)
    return Evidence(
        cash=cash,
        stakes=tuple(stakes),
        beliefs=_believed(guardrail, seen, rate, bad, ok) if bad or ok else seen.beliefs,
        baseline_ok=seen.baseline_ok + new["baseline_ok"],
        baseline_bad=seen.baseline_bad + new["baseline_bad"],
        canary_ok=seen.canary_ok + ok,
        canary_bad=seen.canary_bad + bad,
        peak=max(seen.peak, cash + math.fsum(stakes)),
    )


def excess(cause: Cause, rate: float) -> float:
    """The excess failure rate that `cause` stakes on, where the baseline fails at `rate`."""
    return min(cause.relative * rate + cause.absolute, MAX_RATE)


def _factor(rate: float, excess_rate: float, tallies: Sequence[Tally]) -> float:
    canary = 1 - (1 - rate) * (1 - excess_rate)
    log = 0.0
    for one in tallies:
        if not one.share_ppm:
            continue  # nobody could become a canary: the arm says nothing
        mixed = one.share * canary + (1 - one.share) * rate
        if one.canary_bad:
            log += one.canary_bad * math.log(canary / mixed)
        if one.canary_ok:
            log += one.canary_ok * math.log((1 - canary) / (1 - mixed))
        if one.baseline_bad:
            log += one.baseline_bad * math.log(rate / mixed)
        if one.baseline_ok:
            log += one.baseline_ok * math.log((1 - rate) / (1 - mixed))
    return math.exp(min(log, MAX_LOG))


def _restaked(
    guardrail: Guardrail, cash: float, stakes: list[float], bad: int
) -> tuple[float, list[float]]:
    """Some of the cash goes back on the table after bad canary units, for what comes next."""
    if not bad:
        return cash, stakes
    staked = cash * (1 - (1 - guardrail.restake) ** bad)
    whole = math.fsum(c.stake for c in guardrail.causes)
    anew = [
        stake + staked * cause.stake / whole
        for stake, cause in zip(stakes, guardrail.causes, strict=True)
    ]
    return cash - staked, anew


def _believed(
    guardrail: Guardrail, seen: Evidence, rate: float, bad: int, ok: int
) -> tuple[float, ...]:
    """Bayes over the canary's own results. The wealth forgets a cause slowly where nothing fails on
    either arm, since then the arms say little; the canary's successes say it at once."""
    none = max(1 - math.fsum(seen.beliefs), TINY_BELIEF)
    weighed = []
    for belief, cause in zip(seen.beliefs, guardrail.causes, strict=True):
        canary = 1 - (1 - rate) * (1 - excess(cause, rate))
        log = bad * math.log(canary / rate) if bad else 0.0
        if ok:
            log += ok * math.log((1 - canary) / (1 - rate))
        weighed.append(max(belief, TINY_BELIEF) * math.exp(min(log, MAX_LOG)))
    whole = none + math.fsum(weighed)
    fresh = 1 - (1 - FRESH_BELIEF) ** bad
    return tuple(
        (1 - fresh) * one / whole + fresh * cause.stake
        for one, cause in zip(weighed, guardrail.causes, strict=True)
    )


def expected_harm(guardrail: Guardrail, seen: Evidence) -> float:
    """The excess failure rate to be expected of the candidate: the smaller one of what the wealth
    says, taken as a belief, and of the belief from the canary's own results."""
    rate = baseline_rate(guardrail, seen)
    rates = [excess(cause, rate) for cause in guardrail.causes]
    staked = math.fsum(s * r for s, r in zip(seen.stakes, rates, strict=True)) / seen.wealth
    return min(staked, math.fsum(b * r for b, r in zip(seen.beliefs, rates, strict=True)))


def suspect_limit(guardrail: Guardrail, seen: Evidence, *, cautious: bool) -> float:
    """The expected harm above which the share is at its floor; lower while it is there."""
    limit = SUSPECT + SUSPECT_PER_RATE * baseline_rate(guardrail, seen)
    return limit / 2 if cautious else limit


def counted_wealth(seen: Evidence) -> float:
    """The wealth that decides: while no canary unit was bad, at most the wealth at the start. A run
    of luck in the arms alone takes no candidate out. Since this is never more than the wealth, it
    reaches 1/alpha no more often."""
    return seen.wealth if seen.canary_bad else min(seen.wealth, 1.0)


def part_of_wealth(guardrail: Guardrail, seen: Evidence) -> float:
    """What one guardrail adds to the wealth of all."""
    return guardrail.part * counted_wealth(seen)


def whole_wealth(evidence: Mapping[str, Evidence], *, capped: bool = True) -> float:
    """The wealth of all guardrails together; `evidence` is by guardrail's name. Releases before
    0.1.0 decided upon all of it, which `capped=False` computes again from their records."""
    if capped:
        return math.fsum(part_of_wealth(rail, evidence[rail.name]) for rail in GUARDRAILS)
    return math.fsum(rail.part * evidence[rail.name].wealth for rail in GUARDRAILS)
