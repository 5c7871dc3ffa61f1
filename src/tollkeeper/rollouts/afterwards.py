"""Watching a promoted version: a mixture Shiryaev-Roberts statistic over its failures.

After promotion there is no baseline beside it, so this compares with the rate that the rollout
saw, and cannot tell the version's fault from an outage of the provider: it alarms, and a person
(or attribution) decides. For each kind of excess d, with q the rate that it would make of the
rate p, each payment does R = (1 + R) * (q/p if bad else (1-q)/(1-p)); the mean over kinds is
compared with a threshold, and before a change the mean time to a false alarm is at least that
many payments.

Source: Pollak, "Optimal detection of a change in distribution" (1985); the threshold is from the
project's laboratory figures.
"""

import math
from typing import Final

import msgspec

from tollkeeper.rollouts.evidence import MAX_RATE

THRESHOLD: Final = 1e7
"""Payments between false alarms, at least."""

KINDS: Final = ((1.0, 0.0), (4.0, 0.0), (0.0, 0.04), (0.0, 0.2), (0.0, 0.8))
"""`(relative, absolute)` excess that is looked for."""

LEAST_RATE: Final = 1e-4
MAX_STATISTIC: Final = 1e250


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` is the failure rate before promotion; `statistics` one a kind of excess."""

    rate: float
    statistics: tuple[float, ...] = (0.0,) * len(KINDS)
    seen: int = 0
    bad: int = 0

    @property
    def statistic(self) -> float:
        """What is compared with the threshold."""
        return math.fsum(self.statistics) / len(KINDS)

    @property
    def alarmed(self) -> bool:
        """Whether the version fails more than it did."""
        return self.statistic >= THRESHOLD


def begin_watch(bad: int, whole: int, *, prior: float, strength: float) -> Watch:
    """A watch that compares with `bad` of `whole`, never with less than one in 10,000. `prior` and
    `strength`: the rate believed where little was seen, and by how many payments it is outweighed.
    """
    return Watch(rate=min(max((bad + prior * strength) / (whole + strength), LEAST_RATE), 0.5))


def observe(watch: Watch, *, ok: int, bad: int) -> Watch:
    """The watch after `bad` failures and `ok` successes, failures last: of one batch that is the
    order which alarms least late."""
    statistics = []
    for (relative, absolute), before in zip(KINDS, watch.statistics, strict=True):
        excess = min(relative * watch.rate + absolute, MAX_RATE)
        worse = 1 - (1 - watch.rate) * (1 - excess)
        value = before
        for _ in range(ok):
            value = (1 + value) * (1 - worse) / (1 - watch.rate)
        for _ in range(bad):
            value = min((1 + value) * worse / watch.rate, MAX_STATISTIC)
        statistics.append(value)
    return Watch(
        rate=watch.rate,
        statistics=tuple(statistics),
        seen=watch.seen + ok + bad,
        bad=watch.bad + bad,
    )
