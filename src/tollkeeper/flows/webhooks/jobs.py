"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.ports import JobKind
from tollkeeper.flows.webhooks.deliver import deliver

JOBS: Final[dict[str, JobKind]] = {
    "deliver": JobKind(run=deliver, slots=16, parties="deliveries", why="sends outgoing webhooks"),
}
