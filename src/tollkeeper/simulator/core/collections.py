"""Records in the order of their creation, found by identifier or paged newest first."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec


class Stored(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created(self) -> int: ...
    @property
    def account(self) -> str: ...


class Span(msgspec.Struct, frozen=True):
    """Creation times in Unix seconds, both ends included; None is open."""

    earliest: int | None = None
    latest: int | None = None

    def holds(self, moment: int) -> bool:
        return (self.earliest is None or moment >= self.earliest) and (
            self.latest is None or moment <= self.latest
        )


class Shelf[R: Stored]:
    """The records of one kind and one account, in the order of their making.

    Creation times never decrease, unless the provider's clock is put back; then a span is looked
    for record by record.
    """

    def __init__(self) -> None:
        self.records: list[R] = []
        self.places: dict[str, int] = {}
        self._in_order = True

    def add(self, record: R) -> None:
        if self.records and record.created < self.records[-1].created:
            self._in_order = False
        self.places[record.id] = len(self.records)
        self.records.append(record)

    def get(self, identifier: str) -> R | None:
        place = self.places.get(identifier)
        return None if place is None else self.records[place]

    def newest_first(
        self, limit: int, *, after: str | None, span: Span, keep: Callable[[R], bool]
    ) -> tuple[list[R], bool]:
        """A page and whether there is more; `after` names the record the page follows."""
        low, high = self._bounds(span)
        if after is not None:
            high = min(high, self.places[after])
        found = (self.records[i] for i in range(high - 1, low - 1, -1))
        return _page((record for record in found if span.holds(record.created)), limit, keep)

    def before(
        self, limit: int, *, before: str, span: Span, keep: Callable[[R], bool]
    ) -> tuple[list[R], bool]:
        """The page that ends just before the record `before` in newest-first order."""
        low, high = self._bounds(span)
        low = max(low, self.places[before] + 1)
        found = (self.records[i] for i in range(low, high))
        page, more = _page((record for record in found if span.holds(record.created)), limit, keep)
        return page[::-1], more

    def _bounds(self, span: Span) -> tuple[int, int]:
        low, high = 0, len(self.records)
        if not self._in_order:
            return low, high
        if span.earliest is not None:
            low = bisect_left(self.records, span.earliest, key=_created)
        if span.latest is not None:
            high = bisect_right(self.records, span.latest, key=_created)
        return low, high


def _created(record: Any) -> int:
    return int(record.created)


def _page[R](records: Iterator[R], limit: int, keep: Callable[[R], bool]) -> tuple[list[R], bool]:
    found: list[R] = []
    for record in records:
        if keep(record):
            if len(found) == limit:
                return found, True
            found.append(record)
    return found, False
