"""Samples: what some replies of a departure looked like, by shape alone.

Law: bounded. A process takes a few samples of a shape, of so many shapes.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tollkeeper.signals.counts import Cell

EACH: Final = 3
"""Samples of one shape that one process takes."""

MOST_SHAPES: Final = 200
"""Shapes of which a process takes samples."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The outline of one reply at `at_ms`, the sample `number` of its shape. `key` is what
    `key_of` makes of the shape's parts."""

    key: str
    number: int
    at_ms: int
    outline: str


def key_of(*, integration: str, operation: str, pointer: str, error: str, status: int) -> str:
    """A shape in one text."""
    return "|".join((integration, operation, pointer, error, str(status)))


@dataclass
class Sampling:
    """What one process has sampled. `pending` are samples that wait for the store."""

    pending: list[Sample] = field(default_factory=list)
    _taken: Counter[str] = field(default_factory=Counter)

    def is_wanted(self, cell: Cell) -> bool:
        """Whether one more sample of a cell's shape is wanted."""
        taken = self._taken.get(_key(cell))
        return taken < EACH if taken is not None else len(self._taken) < MOST_SHAPES

    def take(self, cell: Cell, at_ms: int, outline: str) -> None:
        """Keeps a sample of a cell's shape until the store has it."""
        key = _key(cell)
        self.pending.append(Sample(key=key, number=self._taken[key], at_ms=at_ms, outline=outline))
        self._taken[key] += 1


def _key(cell: Cell) -> str:
    return key_of(
        integration=cell.integration,
        operation=cell.operation,
        pointer=cell.pointer,
        error=cell.error,
        status=cell.status,
    )
