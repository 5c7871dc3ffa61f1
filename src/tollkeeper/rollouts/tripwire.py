"""A replica's own tripwire: it pauses the canary's traffic here until the shared decision is made.

It is no decision: it needs no quorum, says nothing about anybody else, and lets go as soon as the
controller has looked at results that are newer than what tripped it.
"""

from typing import Final

import msgspec

CONSECUTIVE: Final = 3
"""Canary payments in a row without a usable answer. A healthy provider at 2 % failures shows three
in a row once in 125,000."""

SETTLE_MS: Final = 500
"""By when what tripped it is in the store, where the controller sees it."""


class Tripwire(msgspec.Struct, frozen=True):
    """`tripped_ms`: since when the canary is paused here; `None` where it is not."""

    consecutive: int = 0
    tripped_ms: int | None = None


def heard(wire: Tripwire, now_ms: int, *, failed: bool) -> Tripwire:
    """The tripwire after one canary payment."""
    if not failed:
        return Tripwire(0, wire.tripped_ms)
    consecutive = wire.consecutive + 1
    if consecutive < CONSECUTIVE or wire.tripped_ms is not None:
        return Tripwire(consecutive, wire.tripped_ms)
    return Tripwire(consecutive, now_ms)


def released(wire: Tripwire, considered_ms: int) -> Tripwire:
    """The tripwire after the controller has considered everything up to `considered_ms`."""
    if wire.tripped_ms is None or considered_ms < wire.tripped_ms + SETTLE_MS:
        return wire
    return Tripwire()
