"""Collecting: once a second this process writes what it counted, as one batch.

A batch that cannot be written waits for the store, a bounded time. What a process has not written
when it is killed is lost: a second's counts at most.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from tollkeeper.flows.live.counting import LONG_WAIT_S
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.signals.counts import Batch, Gauges, Probe

NAP_SECONDS: Final = 0.25
"""How often the delay of the event loop is measured: a stall that is shorter can be missed."""

MAX_PENDING: Final = 300
"""Batches that wait for the store: those of five minutes, which is what a look reads."""

HEARTBEAT_S: Final = 10
"""A process that counts nothing writes a batch this often, so that it is known to live."""

NOTABLE_LAG_MS: Final = 100.0

WRITE_SECONDS: Final = 1.0
"""How long a tick waits for the store. A write that takes longer goes on by itself, because who
watches a store must not stand still with it."""

PROBE_SECONDS: Final = 5.0
"""How often the write of a batch counts as a question to the store (ATTRIBUTION.md, section 3)."""


@dataclass(kw_only=True)
class Collector:
    """What one process keeps between its batches. `pending`: batches that wait for the store.
    `unwritten_ms`: since when it does not answer, `None` while it does. `writing`: the write that
    is under way, and `probe_at` when the next one counts as a probe, on the monotonic clock."""

    runtime: Runtime
    pending: deque[Batch] = field(default_factory=lambda: deque(maxlen=MAX_PENDING))
    second: int = 0
    written_s: int = 0
    lag_ms: float = 0.0
    store_ms: float | None = None
    unwritten_ms: int | None = None
    writing: asyncio.Task[None] | None = None
    writing_from: float = 0.0
    probe_at: float = float("-inf")

    async def nap(self) -> None:
        """Sleeps a little, and measures how much longer that took than it should."""
        clock = self.runtime.clock
        began = clock.monotonic()
        await clock.sleep(NAP_SECONDS)
        late_ms = (clock.monotonic() - began - NAP_SECONDS) * 1000
        self.lag_ms = max(self.lag_ms, late_ms)

    async def tick(self) -> bool:
        """Takes and writes the batch of the second that is over; whether there was one."""
        now_s = self.runtime.store.now_ms() // 1000
        if now_s <= self.second:
            return False
        batch = self.take(now_s)
        if self._is_worth(batch):
            self.pending.append(batch)
        await self.write()
        return True

    def take(self, now_s: int) -> Batch:
        """The batch that ends now; it bears the number of the second before `now_s`."""
        self.second = now_s
        gauges: Gauges = replace(
            self.runtime.machine(),
            lag_ms=round(self.lag_ms, 1),
            store_ms=self.store_ms,
            clock_ms=self.runtime.live.counting.clock_ms,
        )
        self.lag_ms = 0.0
        stuck = self.runtime.store.stuck(now_s - 1 - LONG_WAIT_S)
        return self.runtime.live.counting.take(now_s - 1, self.runtime.sender, gauges, stuck)

    def _is_worth(self, batch: Batch) -> bool:
        return bool(
            batch.counted
            or batch.waiting
            or batch.probes
            or (batch.gauges.lag_ms or 0.0) >= NOTABLE_LAG_MS
            or batch.second >= self.written_s + HEARTBEAT_S
        )

    async def write(self) -> None:
        """Writes what waits, for `WRITE_SECONDS` at most; a write that hangs goes on."""
        clock = self.runtime.clock
        if self.writing is None:
            self.writing_from = clock.monotonic()
            self.writing = asyncio.ensure_future(self._write_all())
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await asyncio.shield(self.writing)
        except TimeoutError:
            self._is_away(clock.monotonic() - self.writing_from)
        else:
            self.writing = None
        self._probe(failed=self.unwritten_ms is not None)

    async def _write_all(self) -> None:
        """Writes what waits, oldest first, until the store does not answer."""
        clock = self.runtime.clock
        while self.pending:
            batch, began = self.pending[0], clock.monotonic()
            try:
                await self.runtime.store.save_batch(batch)
            except (StoreDoubt, Unavailable):
                self._is_away(clock.monotonic() - began)
                return
            self.unwritten_ms = None
            self.store_ms = (clock.monotonic() - began) * 1000
            self.written_s = batch.second
            if self.pending and self.pending[0] is batch:  # or it was dropped meanwhile
                self.pending.popleft()
        await self._write_samples()

    async def _write_samples(self) -> None:
        """Writes the samples that wait. One that cannot be written now waits for the next tick."""
        sampling = self.runtime.live.sampling
        if samples := list(sampling.pending):
            with contextlib.suppress(StoreDoubt, Unavailable):
                await self.runtime.store.save_samples(samples)
                del sampling.pending[: len(samples)]

    def _is_away(self, seconds: float) -> None:
        """The store has not answered for so long."""
        if self.unwritten_ms is None:
            self.unwritten_ms = self.runtime.clock.now_ms()
        self.store_ms = seconds * 1000

    def _probe(self, *, failed: bool) -> None:
        """Notes the write as the small question to the store that it is."""
        now = self.runtime.clock.monotonic()
        if now < self.probe_at:
            return
        self.probe_at = now + PROBE_SECONDS
        counting = self.runtime.live.counting
        counting.probes.append(
            Probe(
                at_ms=self.runtime.store.now_ms(),
                name="store",
                tried=1,
                failed=int(failed),
                host=counting.host,
                error="store_unavailable" if failed else "",
                took_ms=round(self.store_ms or 0.0, 1),
            )
        )
