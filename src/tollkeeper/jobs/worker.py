"""The worker: claims due jobs under a lease and runs them, a bounded number at once.

A job that raises is logged and comes back when its lease ends; nothing is ever dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tollkeeper.flows.ports import Job, Store
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.errors import StoreDoubt, Unavailable

LEASE_MS: Final = 30_000
"""How long a dead process keeps a job from the others. A pass may take longer: then two may walk
the same payment, which is safe, as every change is decided anew and keys keep sends apart."""

IDLE_SECONDS: Final = 0.2
"""How soon a job that another process made due is noticed."""

CLAIMING: Final = Job("claim", "", 0, 0)
"""What is reported where claiming itself fails in a way that no store should."""

type Handler = Callable[[Job], Awaitable[None]]


class Worker:
    """Runs `handlers[job.kind](job)` for due jobs, at most `concurrency` at once."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        on_error: Callable[[Job, BaseException], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._handlers = handlers
        self._free = concurrency
        self._on_error = on_error
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Works until `stop`; then waits for the jobs that are running."""
        while not self._stopping:
            claimed = await self._claim()
            for job in claimed:
                self._start(job)
            if len(claimed) == 0 or self._free == 0:
                await self._clock.sleep(IDLE_SECONDS)
        while self._running:
            await self._clock.sleep(IDLE_SECONDS / 4)

    def stop(self) -> None:
        """No more jobs are claimed."""
        self._stopping = True

    async def _claim(self) -> list[Job]:
        if self._free == 0:
            return []
        now_ms = self._store.now_ms()
        try:
            due = await self._store.next_job_ms(now_ms)
            if due is None or due > now_ms:
                return []
            return await self._store.claim_jobs(now_ms, LEASE_MS, self._free)
        except (StoreDoubt, Unavailable):
            return []
        except Exception as error:  # noqa: BLE001 - a worker that ended would let everything sleep
            self._on_error(CLAIMING, error)
            return []

    def _start(self, job: Job) -> None:
        self._free -= 1
        task = asyncio.create_task(self._run(job))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free += 1

    async def _run(self, job: Job) -> None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            return  # a newer release's job: its lease ends and somebody who knows it takes it
        try:
            await handler(job)
        except Exception as error:  # noqa: BLE001 - one job's failure must not end the worker
            self._on_error(job, error)
