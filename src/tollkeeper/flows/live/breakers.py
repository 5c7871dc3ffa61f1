"""Breakers of webhook endpoints: one that fails again and again rests, and its events wait.

Law: a breaker only delays. While it is open the endpoint's deliveries are not claimed, so that they
cost neither a slot nor a try; every event keeps its place and its tries.
"""

from typing import Final

import msgspec

THRESHOLD: Final = 5
"""Failures in a row that open the breaker."""

FIRST_REST_MS: Final = 10_000
LONGEST_REST_MS: Final = 600_000
"""A receiver that is repaired waits at most this long."""

MAX_BREAKERS: Final = 10_000


class Breaker(msgspec.Struct, frozen=True):
    """Failures in a row, and until when the endpoint rests."""

    failures: int
    until_ms: int = 0


class Breakers:
    """The breakers of one process, by endpoint. An endpoint that works has none."""

    def __init__(self) -> None:
        self._known: dict[str, Breaker] = {}

    def heard(self, endpoint_id: str, now_ms: int, *, delivered: bool) -> None:
        """One delivery was tried. Each failure from the threshold on doubles the rest."""
        known = self._known.pop(endpoint_id, Breaker(0))
        if delivered:
            return
        if len(self._known) >= MAX_BREAKERS:
            self._known.pop(next(iter(self._known)))
        failures = known.failures + 1
        if failures < THRESHOLD or now_ms < known.until_ms:  # others were under way as it opened
            self._known[endpoint_id] = Breaker(min(failures, THRESHOLD), known.until_ms)
            return
        rest = FIRST_REST_MS * 2 ** min(failures - THRESHOLD, 16)
        self._known[endpoint_id] = Breaker(failures, now_ms + min(rest, LONGEST_REST_MS))

    def resting(self, now_ms: int) -> list[str]:
        """The endpoints that must be left alone now."""
        return [name for name, breaker in self._known.items() if now_ms < breaker.until_ms]
