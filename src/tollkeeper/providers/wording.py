"""Wording: a notice in the provider's own terms, and what we ask for."""

from collections.abc import Mapping
from typing import Final

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.providers.calls import CallSeen
from tollkeeper.providers.evidence import Evidence

SAYINGS: Final[Mapping[str, str]] = {
    "provider_changed": "replies of your API changed",
    "provider_down": "your API does not answer",
    "provider_slow": "your API answers slowly",
    "provider_limited": "your API limits our requests",
    "undetermined": "calls to your API fail, and we do not know the cause yet",
}
"""What we see, by verdict, in words for the provider."""

ASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider_changed": (
        "Was this change made on purpose, and where was it announced?",
        "Can it be rolled back for our account, and until when?",
        "Which accounts and API versions does it concern?",
    ),
    "provider_down": (
        "Do you see these requests, and what became of them?",
        "When do you expect to answer again?",
        "Did any request without a reply take effect? The idempotency keys are in the pack.",
    ),
    "provider_slow": (
        "Do you see the delay on your side, and where?",
        "When do you expect it to end?",
    ),
    "provider_limited": (
        "Which limit did we reach, and did it change?",
        "Can it be raised for our account while we find the cause?",
    ),
    "undetermined": (
        "Do you see these requests, and what became of them?",
        "Did anything change on your side since the time named?",
    ),
}
"""What we ask, by verdict."""

DRILL: Final = "DRILL: no action is needed. "


def subject_of(evidence: Evidence) -> str:
    """The first line, with the priority as providers count it."""
    place = f" at {evidence.pointer}" if evidence.pointer else ""
    drill = DRILL if evidence.drill else ""
    since = rfc3339(evidence.since_ms)[11:19]
    said = SAYINGS[evidence.domain].partition(",")[0]
    return f"{drill}[{evidence.priority}] {said}{place} since {since} UTC"


def text_of(evidence: Evidence) -> str:
    """The notice. The link and the pack are added when it leaves."""
    first = SAYINGS[evidence.domain]
    lines = [
        f"To {evidence.title}",
        "",
        *([DRILL.strip(), ""] if evidence.drill else []),
        f"{first[0].upper()}{first[1:]}.",
        f"Since: {rfc3339(evidence.since_ms)[:19]}Z",
    ]
    if evidence.accounts:
        lines.append(f"Our accounts with you: {', '.join(evidence.accounts)}")
    if calls := called(evidence):
        lines.append(f"Calls: {calls}")
    if evidence.version:
        lines.append(f"API version: {evidence.version.partition('@')[2]}")
    if evidence.pointer:
        lines.append(f"Place in the reply (JSON pointer): {evidence.pointer}")
    if evidence.failed:
        share = f"{evidence.share_percent:.0f} %"
        lines.append(f"Impact: {evidence.failed} of {evidence.of} payments failed ({share})")
    lines += _requests("Requests that failed", evidence.failing)
    lines += _requests("Requests that succeeded", evidence.succeeding)
    lines += ["", "We ask you:"]
    lines += [f"{number}. {ask}" for number, ask in enumerate(ASKS[evidence.domain], 1)]
    lines += ["", f"Reference: {evidence.incident} / {evidence.notice}"]
    return "\n".join(lines)


def called(evidence: Evidence) -> str:
    """The calls that fail, as the provider names them; our own word where none was seen."""
    seen = dict.fromkeys(
        f"{call.method} {call.path}" for call in evidence.failing if call.method and call.path
    )
    return ", ".join(list(seen)[:5]) or evidence.operation


def _requests(head: str, calls: tuple[CallSeen, ...]) -> list[str]:
    named = [call.request_id for call in calls if call.request_id]
    named = named or [call.attempt for call in calls if call.attempt]
    return [f"{head}: {', '.join(named[:3])}"] if named else []
