"""The service: all that runs in one process. Here ports meet what they are."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, Self

import msgspec

from tollkeeper.app import starting, tracing
from tollkeeper.app.folders import folder_of
from tollkeeper.app.logging import log, log_job_error, tell
from tollkeeper.app.machine import Machine, trusted
from tollkeeper.app.open_store import open_store
from tollkeeper.app.programs import sources_of
from tollkeeper.app.system import ServerClock, SystemChance, SystemClock, vault_of
from tollkeeper.flows import routes
from tollkeeper.flows.contracts import jobs as contracts_jobs
from tollkeeper.flows.failover import jobs as failover_jobs
from tollkeeper.flows.incidents import jobs as incidents_jobs
from tollkeeper.flows.incidents import publishing, tidying, turning
from tollkeeper.flows.operations import jobs as operations_jobs
from tollkeeper.flows.operations import retention
from tollkeeper.flows.payments import jobs as payments_jobs
from tollkeeper.flows.ports import Fact, Job, JobKind, Store
from tollkeeper.flows.providers import jobs as providers_jobs
from tollkeeper.flows.rollouts import jobs as rollouts_jobs
from tollkeeper.flows.runtime import Runtime, live_state
from tollkeeper.flows.signals import following, posting, probing
from tollkeeper.flows.signals import jobs as signals_jobs
from tollkeeper.flows.webhooks import jobs as webhooks_jobs
from tollkeeper.jobs.lanes import lanes_for
from tollkeeper.jobs.worker import Worker
from tollkeeper.kernel.errors import TollkeeperError
from tollkeeper.notify.sending import Sender
from tollkeeper.settings import Settings
from tollkeeper.signals.cells import job_cell
from tollkeeper.store import migrate
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.store import SqlStore
from tollkeeper.wire.monitors import Monitors
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.sources import PublishedSources
from tollkeeper.wire.trip import Budgets
from tollkeeper.wire.webhooks import HookSender

JOBS: Final[dict[str, JobKind]] = {
    **payments_jobs.JOBS,
    **webhooks_jobs.JOBS,
    **operations_jobs.JOBS,
    **contracts_jobs.JOBS,
    **rollouts_jobs.JOBS,
    **failover_jobs.JOBS,
    **signals_jobs.JOBS,
    **incidents_jobs.JOBS,
    **providers_jobs.JOBS,
}
"""Every kind of job, as its feature declares it."""


NOTIFY_BUDGETS: Final = Budgets(dns=3, connect=3, tls=3, send=3, wait=6, read=3, total=8)
"""How long each stage of a message over HTTP may take, in seconds."""


def handlers(runtime: Runtime) -> dict[str, Callable[[Job], Awaitable[None]]]:
    """What runs each kind of job."""
    return {name: partial(_counted, runtime, name, kind.run) for name, kind in JOBS.items()}


async def _counted(
    runtime: Runtime, name: str, run: Callable[[Runtime, Job], Awaitable[None]], job: Job
) -> None:
    """Runs a job, and counts how that went."""
    began = runtime.clock.monotonic()
    code = ""
    facts: dict[str, Fact] = {
        "job.kind": name,
        "job.subject": job.subject,
        "job.tries": job.tries,
    }
    try:
        with runtime.tracer.span(f"job {name}", "consumer", facts):
            await run(runtime, job)
    except Exception as error:
        code = error.code if isinstance(error, TollkeeperError) else "internal_error"
        raise
    finally:
        counting = runtime.live.counting
        taken_ms = (runtime.clock.monotonic() - began) * 1000
        cell = job_cell(name, code, host=counting.host)
        counting.add(cell, runtime.store.now_ms(), taken_ms)


class Service:
    """Everything that runs in one process. `async with Service(settings) as service`."""

    runtime: Runtime
    store: Store

    def __init__(self, settings: Settings, *, work: bool = True) -> None:
        self.settings = settings
        self.draining = False
        self._work = work
        self._stack = AsyncExitStack()
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.draining = True
        if self._worker is not None:
            self._worker.stop()
        await self._stack.aclose()

    async def _start(self) -> None:
        settings = self.settings
        vault = vault_of(settings)
        alone = not migrate.is_postgres(settings.database)
        self.store = await self._open_store()
        wire = await self._stack.enter_async_context(HttpWire(_budgets(settings)))
        hook = await self._stack.enter_async_context(
            HookSender(allow_loopback=settings.webhooks_to_loopback)
        )
        release = starting.release() if self._work else ""
        replica = secrets.token_hex(8)
        tracer, end_traces = tracing.opened(settings, release, replica)
        self._stack.push_async_callback(asyncio.to_thread, end_traces)
        self.runtime = Runtime(
            store=self.store,
            wire=wire,
            hook=hook,
            clock=SystemClock(),
            chance=SystemChance(),
            vault=vault,
            settings=settings,
            live=live_state(settings),
            sender=replica,
            alone=alone,
            tell=tell,
            sources_of=sources_of,
            machine=Machine(settings).measured,
            trust=trusted(),
            release=release,
            tracer=tracer,
            notify=Sender(await self._stack.enter_async_context(HttpWire(NOTIFY_BUDGETS))),
            publish=folder_of(settings.status_page_folder),
            sources=await self._stack.enter_async_context(PublishedSources()),
            hand_over=(await self._stack.enter_async_context(Monitors())).hand_over,
        )
        self.runtime.live.counting.host = socket.gethostname()
        await routes.refresh(self.runtime)
        routes.check(self.runtime)
        if self._work:
            self._tell_start()
            for follower in (routes.follow, following.follow, probing.follow, posting.follow):
                task = asyncio.create_task(follower(self.runtime))
                self._stack.push_async_callback(_cancelled, task)
            if alone:
                await self.store.wake_orphans(self.store.now_ms())
            await retention.plan(self.runtime)
            await following.plan(self.runtime)
            await tidying.plan(self.runtime)
            await publishing.plan(self.runtime)
            await turning.plan(self.runtime)
            await posting.plan(self.runtime)
            await following.note_start(self.runtime)
            await self._start_worker()

    def _tell_start(self) -> None:
        settings = self.settings
        log.info(
            "service_started",
            release=self.runtime.release,
            replica=self.runtime.sender,
            host=self.runtime.live.counting.host,
            address=f"{settings.host}:{settings.port}",
            store=starting.store_of(settings.database),
            integrations=sorted(self.runtime.installed),
            settings=starting.shown(settings),
        )

    async def _open_store(self) -> SqlStore:
        store = await open_store(self.settings)
        self._stack.push_async_callback(store.close)
        driver = store.driver
        if isinstance(driver, Postgres) and isinstance(store.clock, ServerClock):
            task = asyncio.create_task(store.clock.follow(driver))
            self._stack.push_async_callback(_cancelled, task)
        return store

    async def _start_worker(self) -> None:
        settings = self.settings
        lanes = lanes_for(
            JOBS,
            settings.job_concurrency,
            per_account=settings.deliveries_per_account,
            per_endpoint=settings.deliveries_per_endpoint,
        )
        self._worker = Worker(
            self.store,
            self.runtime.clock,
            handlers(self.runtime),
            concurrency=sum(lane.slots for lane in lanes),
            on_error=log_job_error,
            lanes=lanes,
            resting=self.runtime.live.breakers.resting,
        )
        task = asyncio.create_task(self._worker.run())
        self._stack.push_async_callback(_finished, task, self.settings.drain_seconds)


async def probe(settings: Settings) -> None:
    """Opens everything that a service needs and closes it, so that what is wrong with the settings
    or the database is raised as one error before a server starts."""
    one = msgspec.structs.replace(settings, database_connections=1)
    async with Service(one, work=False):
        pass


def _budgets(settings: Settings) -> Budgets:
    timeouts = settings.timeouts
    return Budgets(
        dns=timeouts.dns_seconds,
        connect=timeouts.connect_seconds,
        tls=timeouts.tls_seconds,
        send=timeouts.send_seconds,
        wait=timeouts.wait_seconds,
        read=timeouts.read_seconds,
        total=timeouts.total_seconds,
    )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _finished(task: asyncio.Task[None], seconds: float) -> None:
    """Lets the worker finish what it runs, for at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await task
    except TimeoutError:
        log.warning("worker_did_not_finish", seconds=seconds)
