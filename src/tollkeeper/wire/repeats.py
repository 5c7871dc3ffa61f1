"""Repeats: how often the very same request went out within seconds, whoever sends it.

A storm of repeats is found by who sends it, because everyone is refused. Law: it only counts;
bounded in memory at any rate.
"""

from typing import Final

from tollkeeper.integrations.version import WireRequest

SPAN_S: Final = 5.0
"""Requests are remembered for one to two spans. Settling sends the same bytes again, but waits
longer than that before the third time."""

MOST: Final = 20_000
"""Requests that are remembered in one span; what comes beyond them counts as new."""

ASKS: Final = frozenset({"GET", "HEAD"})
"""Methods of questions, which move nothing and may be put again."""


class Repeats:
    """The requests of one process in the last seconds, as digests of their bytes."""

    def __init__(self) -> None:
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._turned_at = float("-inf")

    def count(self, request: WireRequest, now: float) -> int:
        """How often the same request went out before; it then counts as well. `now`: seconds on
        the monotonic clock."""
        if request.method in ASKS:
            return 0
        if now >= self._turned_at + SPAN_S:
            is_next = now < self._turned_at + 2 * SPAN_S
            self._old = self._young if is_next else {}
            self._young, self._turned_at = {}, now
        key = hash((request.method, request.path, request.query, request.headers, request.body))
        before = self._young.get(key, 0)
        if before or len(self._young) < MOST:
            self._young[key] = before + 1
        return before + self._old.get(key, 0)
