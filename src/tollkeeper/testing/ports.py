"""Ports of the simulated world: clocks that can be wrong, seeded chance, a vault of glass."""

import asyncio
import random

from tollkeeper.testing.loop import VirtualLoop

EPOCH_MS = 1_795_000_000_000
"""Where simulated wall time begins; any moment does, as long as it is always the same."""


class VirtualClock:
    """A clock on a VirtualLoop; `skew_ms` is how far this machine's wall clock is off."""

    def __init__(self, loop: VirtualLoop, skew_ms: int = 0) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return EPOCH_MS + int(self._loop.now * 1000) + self._skew_ms

    def monotonic(self) -> float:
        return self._loop.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SeededChance:
    """Chance from a seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def uniform(self) -> float:
        return self._random.random()


class GlassVault:
    """Marks what it seals, so that a test can tell sealed from plain; hides nothing."""

    MARK = b"sealed:"

    def seal(self, plain: bytes) -> bytes:
        return self.MARK + plain

    def open(self, sealed: bytes) -> bytes | None:
        return sealed.removeprefix(self.MARK) if sealed.startswith(self.MARK) else None
