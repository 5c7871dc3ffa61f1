"""When an incident asks the provider desk: its verdict names a provider, it ends, or a level of its
escalation calls the provider.
"""

from typing import Final

from tollkeeper.incidents.escalation import Call
from tollkeeper.incidents.incident import Finding, Writing

DRAFT: Final = "draft_notice"
CALL: Final = "call_provider"
DOMAINS: Final = frozenset(
    {"provider_changed", "provider_down", "provider_slow", "provider_limited"}
)
"""Verdicts by which a provider hears from us."""

TOLD: Final = frozenset({"verdict", "severity", "failover", "rollout", "reopened"})
"""Entries that a draft must know of: it is drawn again after each."""


def names_provider(finding: Finding) -> bool:
    """Whether a verdict says that a provider's fault it is, and whose."""
    return finding.domain in DOMAINS and bool(finding.provider)


def jobs_of(writing: Writing, call: Call | None) -> dict[str, int]:
    """The jobs of the desk that a change of an incident makes, and when they are due."""
    jobs: dict[str, int] = {}
    before, after = writing.before, writing.incident
    old = before.finding if before is not None else Finding()
    said = (old.domain, old.provider, old.pointer)
    is_new = said != (after.finding.domain, after.finding.provider, after.finding.pointer)
    ended = before is not None and before.is_open and not after.is_open
    news = is_new or any(entry.kind in TOLD for entry in writing.written)
    if ended or (news and names_provider(after.finding)):
        jobs[DRAFT] = writing.now_ms
    if call is not None and call.provider:
        jobs[CALL] = writing.now_ms
    return jobs
