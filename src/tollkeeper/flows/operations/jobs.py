"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.operations.retention import expire, seal_audit
from tollkeeper.flows.ports import JobKind

JOBS: Final[dict[str, JobKind]] = {
    "expire": JobKind(run=expire, slots=1, why="removes what is past its time"),
    "seal_audit": JobKind(run=seal_audit, slots=1, why="seals the audit"),
}
