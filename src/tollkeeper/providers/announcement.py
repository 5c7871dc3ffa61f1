"""Announcements: what a provider tells in advance, and the checks and rollouts it calls for."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tollkeeper.kernel.errors import Fault

type AnnouncementKind = Literal["maintenance", "deprecation", "change", "news"]

CALLS_FOR: Final[Mapping[AnnouncementKind, tuple[str, ...]]] = {
    "maintenance": (
        "tollkeeper failover policy {provider} ask --reason maintenance",
        "tollkeeper failover status",
    ),
    "deprecation": (
        "tollkeeper contracts check --integration {version}",
        "tollkeeper rollout start VERSION",
    ),
    "change": (
        "tollkeeper contracts check --integration {version}",
        "tollkeeper rollout start VERSION",
    ),
    "news": (),
}
"""Every kind, and what an operator should run because of it."""

LONGEST: Final = 500


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """One announcement. `from_ms` and `until_ms`: when it holds, `None` for open ends."""

    id: str
    provider: str
    kind: AnnouncementKind
    text: str
    version: str
    link: str
    from_ms: int | None
    until_ms: int | None
    by: str
    at_ms: int

    def calls_for(self) -> list[str]:
        """What an operator should run because of it."""
        version = self.version or f"{self.provider}@..."
        return [one.format(provider=self.provider, version=version) for one in CALLS_FOR[self.kind]]


def announcement_faults(one: Announcement) -> list[Fault]:
    """What is wrong with an announcement."""
    faults = []
    if not 1 <= len(one.text.strip()) <= LONGEST or not one.text.isprintable():
        faults.append(Fault("/text", f"1 to {LONGEST} printable characters"))
    if one.link and not one.link.startswith("https://"):
        faults.append(Fault("/link", "an address that begins with https://"))
    if one.from_ms is not None and one.until_ms is not None and one.until_ms < one.from_ms:
        faults.append(Fault("/until", "not before its beginning"))
    return faults
