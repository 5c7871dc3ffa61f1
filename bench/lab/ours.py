"""The product's evidence for many runs at once: the formulas of `tollkeeper.rollouts.evidence`.

Law: the same stream gives the same wealth as `evidence.add`, unit by unit; `alike.py` checks it
before anything is measured. Baseline successes between two events are taken in one go: each
multiplies a stake by 1 / (1 - share d), and where d hangs on the estimate, which falls as
bad / (seen + i), their product is a quotient of Gamma functions.
"""

from typing import Any, Final

import numpy as np

from tollkeeper.rollouts.evidence import (
    FRESH_BELIEF,
    MAX_RATE,
    SUSPECT,
    SUSPECT_PER_RATE,
    SUSPICION,
    TINY_BELIEF,
    Guardrail,
)

type Array = Any
"""A numpy array; numpy is installed beside the laboratory, not beside the product."""

MAX_STAKE: Final = 1e250
"""Runs end long before; only those that the caller lets go on come here."""

HALF_LOG_TWO_PI: Final = 0.9189385332046727


def log_gamma(x: Array) -> Array:
    """Stirling's series, exact to 1e-13 from 10 on; smaller arguments do not occur."""
    inverse = 1 / x
    series = inverse * (1 / 12 - inverse * inverse * (1 / 360 - inverse * inverse / 1260))
    return (x - 0.5) * np.log(x) - x + HALF_LOG_TWO_PI + series


class Ours:
    """One guardrail in `runs` rollouts, with the throttle between `share` and `floor`."""

    def __init__(self, rail: Guardrail, runs: int, share: float, floor: float) -> None:
        self.rail, self.share, self.floor = rail, share, min(floor, share)
        column = np.array([cause.stake for cause in rail.causes])[:, None]
        self.fresh = column
        self.relative = np.array([cause.relative for cause in rail.causes])[:, None]
        self.absolute = np.array([cause.absolute for cause in rail.causes])[:, None]
        self.stakes = np.repeat(column, runs, axis=1)
        self.beliefs = SUSPICION * self.stakes
        self.cash = np.full(runs, rail.cash)
        self.cautious = np.ones(runs, bool)
        self.seen = np.zeros(runs)
        self.bad = np.zeros(runs)
        self.canary_bad = np.zeros(runs)
        self.in_force = np.full(runs, self.floor)

    def keep(self, chosen: Array) -> None:
        """Goes on with the chosen runs alone."""
        for name in ("stakes", "beliefs"):
            setattr(self, name, getattr(self, name)[:, chosen])
        for name in ("cash", "cautious", "seen", "bad", "canary_bad", "in_force"):
            setattr(self, name, getattr(self, name)[chosen])

    @property
    def rate(self) -> Array:
        """The estimate of the baseline's rate."""
        rail = self.rail
        return (self.bad + rail.prior * rail.strength) / (self.seen + rail.strength)

    @property
    def wealth(self) -> Array:
        return self.cash + self.stakes.sum(axis=0)

    @property
    def counted(self) -> Array:
        """The wealth that decides: at most 1 while no canary unit was bad."""
        return np.where(self.canary_bad > 0, self.wealth, np.minimum(self.wealth, 1.0))

    def excess(self, rate: Array) -> Array:
        return np.minimum(self.relative * rate + self.absolute, MAX_RATE)

    def pass_successes(self, count: Array, share: Array) -> None:
        """`count` baseline successes in each run."""
        rail = self.rail
        bad, seen = self.bad + rail.prior * rail.strength, self.seen + rail.strength
        capped = np.clip(np.ceil(self.relative * bad / (MAX_RATE - self.absolute) - seen), 0, count)
        log = -capped * np.log1p(-share * MAX_RATE)
        left, start = count - capped, seen + capped
        plain = 1 - share * self.absolute
        log -= left * np.log(plain)
        for k in np.flatnonzero(self.relative[:, 0]):
            shift = share * self.relative[k] * bad / plain[k]
            begin, end = start[k], start[k] + left[k]
            log[k] += (log_gamma(end) - log_gamma(begin)) - (
                log_gamma(end - shift) - log_gamma(begin - shift)
            )
        self.stakes *= np.exp(log)
        self.seen += count

    def unit(self, canary: Array, bad: Array, share: Array, there: Array | None = None) -> None:
        """One unit in each run, or in those that `there` names."""
        there = np.True_ if there is None else there
        rate = self.rate
        excess = self.excess(rate)
        worse = 1 - (1 - rate) * (1 - excess)
        mixed = share * worse + (1 - share) * rate
        base = np.where(bad, rate, 1 - rate)
        other = np.where(bad, worse, 1 - worse)
        factor = np.where(canary, other, base) / np.where(bad, mixed, 1 - mixed)
        self.stakes *= np.where(there & (share > 0), factor, 1.0)
        np.minimum(self.stakes, MAX_STAKE, out=self.stakes)
        self._restake(canary & bad & there)
        self._believe(other / base, canary & there, bad)
        self.seen += ~canary & there
        self.bad += ~canary & there & bad
        self.canary_bad += canary & there & bad

    def _restake(self, where: Array) -> None:
        staked = np.where(where, self.cash * self.rail.restake, 0.0)
        self.stakes += staked * (self.fresh / self.fresh.sum())
        self.cash -= staked

    def _believe(self, likelihood: Array, where: Array, bad: Array) -> None:
        none = np.maximum(1 - self.beliefs.sum(axis=0), TINY_BELIEF)
        weighed = np.maximum(self.beliefs, TINY_BELIEF) * likelihood
        weighed /= none + weighed.sum(axis=0)
        fresh = np.where(bad, FRESH_BELIEF, 0.0)
        weighed = (1 - fresh) * weighed + fresh * self.fresh
        self.beliefs = np.where(where, weighed, self.beliefs)

    def throttle(self) -> None:
        """Looks at the evidence: the share in force from the next unit on."""
        rate = self.rate
        excess = self.excess(rate)
        staked = (self.stakes * excess).sum(axis=0) / self.wealth
        harm = np.minimum(staked, (self.beliefs * excess).sum(axis=0))
        limit = SUSPECT + SUSPECT_PER_RATE * rate
        self.cautious = harm > np.where(self.cautious, limit / 2, limit)
        self.in_force = np.where(self.cautious, self.floor, self.share)
