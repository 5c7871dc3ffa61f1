"""Planted bugs about rollouts that are held: paused ones, and those whose baseline fails."""

from typing import Final

from tollkeeper.flows.rollouts import controller
from tollkeeper.rollouts import counting, deciding
from tollkeeper.testing import planting
from tollkeeper.testing.planting import Bug, Patch

_OWN: Final[list[Bug]] = []
_bug = planting.collector(_OWN)


@_bug("A paused rollout goes on.")
def paused_goes_on() -> list[Patch]:
    rules = tuple(rule for rule in deciding.RULES if rule.__name__ != "_paused")
    return [(deciding, "RULES", rules)]


@_bug("A baseline that fails is believed to be sound, and compared with.")
def failing_baseline_believed() -> list[Patch]:
    return [(controller, "is_failing", lambda *_: False)]


@_bug("A rollout says that its baseline fails, and compares declines with it all the same.")
def failing_baseline_compared() -> list[Patch]:
    return [(counting, "ONLY_COMPARED", frozenset())]


BUGS: Final = tuple(_OWN)
"""The planted bugs of this file."""
