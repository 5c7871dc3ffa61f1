"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.ports import JobKind
from tollkeeper.flows.rollouts.controller import advance
from tollkeeper.flows.rollouts.cross_check import cross_read

JOBS: Final[dict[str, JobKind]] = {
    "advance": JobKind(run=advance, slots=4, why="moves rollouts on; asks no peer"),
    "cross_read": JobKind(run=cross_read, slots=4, why="looks canary payments up at the provider"),
}
