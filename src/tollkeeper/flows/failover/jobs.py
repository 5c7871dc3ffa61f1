"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.failover.controller import failover
from tollkeeper.flows.ports import JobKind

JOBS: Final[dict[str, JobKind]] = {
    "failover": JobKind(run=failover, slots=2, why="watches the version that carries traffic"),
}
