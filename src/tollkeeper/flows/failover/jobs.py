"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.failover.checking import check
from tollkeeper.flows.failover.controller import failover
from tollkeeper.flows.ports import JobKind

JOBS: Final[dict[str, JobKind]] = {
    "failover_check": JobKind(
        run=check, slots=4, why="looks up payments of a version that traffic was moved to"
    ),
    "failover": JobKind(run=failover, slots=2, why="watches the version that carries traffic"),
}
