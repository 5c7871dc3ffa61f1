"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.incidents.escalating import escalate
from tollkeeper.flows.incidents.hearing import hear
from tollkeeper.flows.incidents.notifying import notify
from tollkeeper.flows.incidents.publishing import publish
from tollkeeper.flows.incidents.tidying import tidy
from tollkeeper.flows.incidents.turning import hand_over
from tollkeeper.flows.ports import JobKind

JOBS: Final[dict[str, JobKind]] = {
    "escalate": JobKind(
        run=escalate, slots=2, why="pages the next ones of an incident", lease_seconds=3
    ),
    "hand_over": JobKind(run=hand_over, slots=1, why="tells people when their turn begins"),
    "incident_news": JobKind(
        run=hear, slots=1, why="opens incidents, and notes what is new", lease_seconds=3
    ),
    "notify": JobKind(
        run=notify, slots=6, why="brings pages and messages to receivers", lease_seconds=12
    ),
    "publish_status": JobKind(run=publish, slots=1, why="writes the status page"),
    "tidy_incidents": JobKind(run=tidy, slots=1, why="removes incidents that are past their time"),
}
