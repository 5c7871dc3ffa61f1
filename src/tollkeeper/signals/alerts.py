"""Alerts: what a look found, kept while it lasts and after; one for each fingerprint at a time.

Law: an alert is changed only upon its revision before, so that replicas that look at the same
counts write it once. What was said stays: a later verdict is one more, never a correction in place.
"""

from typing import Any, Final, Literal

import msgspec

QUIET_MS: Final = 60_000
"""How long nothing must have been found before an alert resolves itself."""

type Status = Literal["open", "resolved"]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict of an alert and when it was given. `verdict` is that of `signals.verdict`."""

    at_ms: int
    verdict: dict[str, Any]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong. `fingerprint` is the same for the same thing, `seen_ms` when it
    was last found. `said`: its verdicts, oldest first. `silenced_until_ms`: nobody is told until
    then. `judged`: what a person said of the verdict, `right` or `wrong: REASON`."""

    id: str
    fingerprint: str
    provider: str
    status: Status
    opened_ms: int
    seen_ms: int
    revision: int = 1
    resolved_ms: int | None = None
    bank: str = ""
    text: str = ""
    said: tuple[Said, ...] = ()
    silenced_until_ms: int = 0
    judged: str = ""


def stood_in(alert: Alert, minute: int) -> bool:
    """Whether an alert stood in a minute (of Unix time), or began right after it: the counts that
    opened it are older than the alert."""
    ended = alert.resolved_ms
    return alert.opened_ms // 60_000 - 1 <= minute and (ended is None or minute <= ended // 60_000)
