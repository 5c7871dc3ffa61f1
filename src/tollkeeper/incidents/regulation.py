"""The regulatory clock: by when a major incident must be reported.

Source: Regulation (EU) 2022/2554 (DORA), article 19, and Delegated Regulation (EU) 2025/301,
article 5: an initial report within 4 hours after the incident was classified as major and within 24
hours after it was detected; an intermediate one within 72 hours after the initial one; a final one
within a month after the intermediate one.
"""

from typing import Final

import msgspec

from tollkeeper.incidents.incident import Incident

HOUR_MS: Final = 3_600_000
CLASSIFIED_H: Final = 4
DETECTED_H: Final = 24
INTERMEDIATE_H: Final = 72
FINAL_H: Final = 30 * 24


class Deadline(msgspec.Struct, frozen=True):
    """One report that is due. `left_ms` is negative once it is late."""

    report: str
    due_ms: int
    left_ms: int


def deadlines(incident: Incident, now_ms: int) -> list[Deadline]:
    """The reports that a major incident owes, soonest first; none for one that is not classified.
    The later ones count from the last moment at which the one before may be sent."""
    if incident.classified_ms is None:
        return []
    initial = min(
        incident.classified_ms + CLASSIFIED_H * HOUR_MS, incident.opened_ms + DETECTED_H * HOUR_MS
    )
    initial = max(initial, incident.classified_ms)
    intermediate = initial + INTERMEDIATE_H * HOUR_MS
    final = intermediate + FINAL_H * HOUR_MS
    named = (("initial", initial), ("intermediate", intermediate), ("final", final))
    return [Deadline(name, due_ms, due_ms - now_ms) for name, due_ms in named]
