"""What waits in the store, as this process last counted it."""

from collections.abc import Mapping

import msgspec


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What waits at `at_ms`: payments that need a person, and by kind of job how many there are
    and when the first of them was due, in milliseconds; open incidents by severity and status."""

    at_ms: int
    attention: int
    jobs: Mapping[str, tuple[int, int]]
    incidents: Mapping[tuple[str, str], int] = {}

    def overdue_seconds(self, kind: str) -> float:
        """How long the first job of a kind has been due."""
        return max(0.0, (self.at_ms - self.jobs[kind][1]) / 1000)
