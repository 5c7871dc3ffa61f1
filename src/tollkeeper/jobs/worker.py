"""The worker: claims due jobs under a lease and runs them, a bounded number at once.

A job that raises is logged and comes back when its lease ends; nothing is ever dropped. With lanes
each kind has slots of its own, so that a kind that hangs leaves the slots of the others free.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tollkeeper.flows.ports import Due, Job, Store
from tollkeeper.jobs.lanes import LEASE_MS, Lane, Running
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.errors import StoreDoubt, Unavailable

IDLE_SECONDS: Final = 0.2
"""How soon a job that another process made due is noticed."""

SEEN_AHEAD: Final = 128
"""Due jobs of a lane that are looked at when its free slots are given out. Jobs of accounts and
peers that hold all of their slots are not among them."""

CLAIMING: Final = Job("claim", "", 0, 0)
"""What is reported where claiming itself fails in a way that no store should."""

type Handler = Callable[[Job], Awaitable[None]]


def _none_rest(_: int) -> list[str]:
    return []


class Worker:
    """Runs `handlers[job.kind](job)` for due jobs, at most `concurrency` at once.

    With `lanes` a kind's lane says how many of it run at once, and kinds without a lane are left to
    processes that have one. `resting` gives the peers that are left alone at a moment.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        on_error: Callable[[Job, BaseException], None],
        lanes: tuple[Lane, ...] = (),
        resting: Callable[[int], list[str]] = _none_rest,
    ) -> None:
        self._store = store
        self._clock = clock
        self._handlers = handlers
        self._free = concurrency
        self._on_error = on_error
        self._lanes = [Running(lane) for lane in lanes]
        self._resting = resting
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Works until `stop`; then waits for the jobs that are running."""
        while not self._stopping:
            started = await self._claim()
            if started == 0 or self._free == 0:
                await self._clock.sleep(IDLE_SECONDS)
        while self._running:
            await self._clock.sleep(IDLE_SECONDS / 4)

    def stop(self) -> None:
        """No more jobs are claimed."""
        self._stopping = True

    async def _claim(self) -> int:
        """Starts what is due and has a slot; how many."""
        if self._free == 0:
            return 0
        now_ms = self._store.now_ms()
        try:
            due = await self._store.next_job_ms(now_ms)
            if due is None or due > now_ms:
                return 0
            if not self._lanes:
                return await self._claim_any(now_ms)
            return sum([await self._fill(lane, now_ms) for lane in self._lanes])
        except (StoreDoubt, Unavailable):
            return 0
        except Exception as error:  # noqa: BLE001 - a worker that ended would let everything sleep
            self._on_error(CLAIMING, error)
            return 0

    async def _claim_any(self, now_ms: int) -> int:
        claimed = await self._store.claim_jobs(now_ms, LEASE_MS, self._free)
        for job in claimed:
            self._start(job)
        return len(claimed)

    async def _fill(self, running: Running, now_ms: int) -> int:
        """Gives a lane's free slots to due jobs; how many."""
        if running.free <= 0:
            return 0
        lane = running.lane
        due = await self._store.list_due(
            lane.kind,
            lane.parties,
            now_ms,
            full_accounts=running.full_accounts(),
            full_peers=[*running.full_peers(), *self._resting(now_ms)],
            limit=SEEN_AHEAD,
        )
        chosen = {one.subject: one for one in running.choose(due)}
        if not chosen:
            return 0
        claimed = await self._store.claim_these(lane.kind, list(chosen), now_ms, lane.lease_ms)
        for job in claimed:
            self._start(job, running, chosen[job.subject])
        return len(claimed)

    def _start(self, job: Job, running: Running | None = None, due: Due | None = None) -> None:
        self._free -= 1
        if running is not None and due is not None:
            running.enter(due)
        task = asyncio.create_task(self._run(job))
        self._running.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            self._free += 1
            if running is not None and due is not None:
                running.leave(due)

        task.add_done_callback(done)

    async def _run(self, job: Job) -> None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            return  # a newer release's job: its lease ends and a process that knows it takes it
        try:
            await handler(job)
        except Exception as error:  # noqa: BLE001 - one job's failure must not end the worker
            self._on_error(job, error)
