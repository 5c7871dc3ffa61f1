"""Chance as a port: identifiers, jitter and secrets are drawn from a Chance that is received.

Law: nobody outside `app.py` and the programs' own entry points creates a real source of chance.
"""

from typing import Protocol


class Chance(Protocol):
    """A source of randomness; seeded in simulations."""

    def bits(self, count: int) -> int:
        """A uniform integer in `[0, 2**count)`, fit for identifiers and secrets."""
        ...

    def uniform(self) -> float:
        """A uniform number in `[0, 1)`, fit for jitter."""
        ...
