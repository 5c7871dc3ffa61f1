"""The worker: a bounded number at once, kinds apart, and nothing that goes wrong ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.flows.stage import LeverClock

from tollkeeper.flows.ports import Job
from tollkeeper.jobs.lanes import LEASE_MS
from tollkeeper.jobs.worker import IDLE_SECONDS, Worker
from tollkeeper.kernel.errors import Unavailable
from tollkeeper.store import migrate
from tollkeeper.store.sqlite import InlineSQLite, connect
from tollkeeper.store.store import SqlStore

type Handler = Callable[[Job], Awaitable[None]]


class Plant:
    """A store, a clock with a lever, and a worker that runs what a test gives it."""

    def __init__(self, folder: Path, handler: Handler, *, concurrency: int = 3) -> None:
        path = folder / "jobs.sqlite3"
        migrate.upgrade(str(path))
        self.clock = LeverClock()
        self.store: Any = SqlStore(InlineSQLite(connect(path)), self.clock)
        self.errors: list[tuple[str, BaseException]] = []
        self.worker = Worker(
            self.store, self.clock, {"known": handler}, concurrency=concurrency,
            on_error=lambda job, error: self.errors.append((job.subject, error)),
        )  # fmt: skip

    async def add(self, count: int, kind: str = "known") -> None:
        for number in range(count):
            await self.store.enqueue_job(kind, f"{number}", self.clock.now_ms())

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.worker.run())
        await self.clock.advance(seconds)
        self.worker.stop()
        await self.clock.advance(5)
        await running
        await self.store.close()


async def test_no_more_run_at_once_than_may_and_all_are_run(tmp_path: Path) -> None:
    at_once, most, done = 0, 0, 0

    async def handle(job: Job) -> None:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        await plant.clock.sleep(0.5)
        at_once -= 1
        done += 1
        await plant.store.finish_job(job)

    plant = Plant(tmp_path, handle)
    await plant.add(10)
    await plant.run(5)
    assert (most, done, plant.errors) == (3, 10, [])


async def test_a_job_that_raises_comes_back_when_its_lease_ends(tmp_path: Path) -> None:
    tries: list[int] = []

    async def handle(job: Job) -> None:
        tries.append(job.tries)
        if len(tries) < 3:
            raise ZeroDivisionError
        await plant.store.finish_job(job)

    plant = Plant(tmp_path, handle)
    await plant.add(1)
    await plant.run(LEASE_MS / 1000 * 2 + 1)
    assert tries == [1, 2, 3]
    assert [type(error) for _, error in plant.errors] == [ZeroDivisionError] * 2


async def test_a_store_that_fails_in_any_way_does_not_end_the_worker(tmp_path: Path) -> None:
    done: list[str] = []

    async def handle(job: Job) -> None:
        done.append(job.subject)
        await plant.store.finish_job(job)

    plant = Plant(tmp_path, handle)
    real, failures = plant.store.next_job_ms, [Unavailable("away"), RuntimeError("odd")]

    async def failing(now_ms: int) -> Any:
        if failures:
            raise failures.pop(0)
        return await real(now_ms)

    plant.store.next_job_ms = failing
    await plant.add(1)
    await plant.run(IDLE_SECONDS * 10)
    assert done == ["0"]
    assert [type(error) for _, error in plant.errors] == [RuntimeError]


async def test_a_newer_releases_job_is_left_to_who_knows_it(tmp_path: Path) -> None:
    async def handle(job: Job) -> None:
        raise AssertionError("not this one's")

    plant = Plant(tmp_path, handle)
    await plant.add(2, "from the future")
    await plant.run(LEASE_MS / 1000 + 1)
    assert plant.errors == []


async def test_what_runs_is_finished_before_the_worker_ends(tmp_path: Path) -> None:
    ended: list[str] = []

    async def handle(job: Job) -> None:
        await plant.clock.sleep(2)
        await plant.store.finish_job(job)
        ended.append(job.subject)

    plant = Plant(tmp_path, handle)
    await plant.add(2)
    await plant.run(0.5)
    assert ended == ["0", "1"]
