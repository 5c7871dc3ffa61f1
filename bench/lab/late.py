"""Results that come late: a success after one second, a failure after a timeout of thirty, while
the number of canary payments without a result is capped."""

from typing import Any, Final

import numpy as np

from lab.ours import Ours
from lab.streams import PER_SECOND, Case
from tollkeeper.rollouts.evidence import Guardrail

type Array = Any

OK_AFTER: Final = int(1 * PER_SECOND)
BAD_AFTER: Final = int(30 * PER_SECOND)
UNCAPPED: Final = 1_000_000
MOST_UNITS: Final = 40_000


class Pipe:
    """Units on their way, in a ring: for each its share, its arm and its fate."""

    def __init__(self, runs: int) -> None:
        shape = (BAD_AFTER + 1, runs)
        self.share, self.canary, self.bad = (np.zeros(shape) for _ in range(3))

    def put(self, number: int, share: Array, canary: Array, bad: Array) -> None:
        at = number % len(self.share)
        self.share[at], self.canary[at], self.bad[at] = share, canary, bad

    def due(self, number: int, after: int) -> tuple[Array, Array, Array]:
        """What was sent `after` units ago and came to an end now."""
        at = (number - after) % len(self.share)
        there = (self.bad[at] > 0) == (after == BAD_AFTER)
        return self.canary[at] > 0, self.share[at], there


def arriving_late(
    rail: Guardrail, case: Case, runs: int, limit: float, cap: int, most: int = MOST_UNITS
) -> tuple[Array, Array]:
    """Failing canary payments sent before the decision, and the seconds until it, negative where
    there was none. `cap`: canary payments without a result; one in a hundred of what was counted
    comes on top."""
    chance = np.random.default_rng(1)
    ours, pipe = Ours(rail, runs, case.share, 0.01), Pipe(runs)
    sent, ended, failing = np.zeros(runs), np.zeros(runs), np.zeros(runs)
    decided = np.full(runs, -1.0)
    for number in range(most):
        share = np.where(sent - ended < cap + ended // 100, ours.in_force, 0.0)
        canary = chance.random(runs) < share
        bad = chance.random(runs) < np.where(canary, case.canary, case.baseline)
        going = decided < 0
        sent += canary & going
        failing += canary & bad & going
        pipe.put(number, share, canary, bad)
        for after in (OK_AFTER, BAD_AFTER):
            if number >= after:
                arm, its_share, there = pipe.due(number, after)
                ours.unit(arm, np.full(runs, after == BAD_AFTER), its_share, there & going)
                ended += arm & there & going
        ours.throttle()
        decided = np.where(going & (ours.counted >= limit), number + 1, decided)
        if (decided >= 0).all():
            break
    return failing, decided / PER_SECOND
