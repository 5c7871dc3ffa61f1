"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.ports import JobKind
from tollkeeper.flows.providers.drafting import call, draft
from tollkeeper.flows.providers.following import follow

JOBS: Final[dict[str, JobKind]] = {
    "draft_notice": JobKind(run=draft, slots=1, why="drafts notices to providers"),
    "call_provider": JobKind(run=call, slots=1, why="calls a provider where escalation asks"),
    "follow_notice": JobKind(run=follow, slots=1, why="brings notices out, finds who is late"),
}
