"""Following: the task of each process that counts, writes and looks, once a second."""

import contextlib
from typing import Final

from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals import budgets, census, commands
from tollkeeper.flows.signals.certificates import Certificates
from tollkeeper.flows.signals.collecting import Collector
from tollkeeper.flows.signals.looking import Watcher
from tollkeeper.flows.signals.summing import EVERY_MS
from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.signals.changes import changes_at_start

SUBJECT: Final = "all"

REPORTED: Final = frozenset({1, 10, 100, 1_000, 10_000})
"""Of looks that failed by a bug of ours, those that the log is told of."""


async def plan(runtime: Runtime) -> None:
    """Makes sure that the job which sums up exists; one that exists keeps its time."""
    if "sum_up_signals" not in await runtime.store.count_jobs():
        at_ms = runtime.store.now_ms() + EVERY_MS
        await runtime.store.enqueue_job("sum_up_signals", SUBJECT, at_ms)
    if runtime.settings.heartbeat_url is not None:
        await runtime.store.enqueue_job("heartbeat", SUBJECT, runtime.store.now_ms() + EVERY_MS)
    if runtime.settings.slo_files:
        await runtime.store.enqueue_job(budgets.KIND, SUBJECT, runtime.store.now_ms())
    for provider, mine in runtime.settings.providers.items():
        if mine.status_feed is not None:
            await runtime.store.enqueue_job("read_status", provider, runtime.store.now_ms())


async def note_start(runtime: Runtime) -> None:
    """Keeps it as a change if another release runs than at the last start, or if the settings of a
    provider are others."""
    if not runtime.release:
        return
    now = {
        "release": runtime.release,
        "settings": {name: runtime.fingerprint(name) for name in runtime.settings.providers},
    }
    last = await commands.last_start(runtime.store)
    if last is None:
        await commands.remember_start(runtime, now)
    for change in changes_at_start(last, now, runtime.live.counting.host):
        await commands.keep(runtime, change, actor="start", more=now)


async def follow(runtime: Runtime) -> None:
    """Counts, writes and looks until its task ends. What goes wrong here stops no payment."""
    collector, watcher = Collector(runtime=runtime), Watcher(runtime=runtime)
    certificates, counted_at = Certificates(), float("-inf")
    while True:
        await collector.nap()
        if await collector.tick():
            await _look(runtime, watcher, collector)
            runtime.live.pending_batches = len(collector.pending)
        if runtime.clock.monotonic() >= counted_at + census.SECONDS:
            counted_at = runtime.clock.monotonic()
            with contextlib.suppress(StoreDoubt, Unavailable):
                runtime.live.census = await census.taken(runtime.store)
                await certificates.tell(runtime)


async def _look(runtime: Runtime, watcher: Watcher, collector: Collector) -> None:
    try:
        await watcher.look(collector.pending)
    except Exception as error:  # noqa: BLE001 - a bug in a look must not end the counting
        runtime.live.failed_looks += 1
        if runtime.live.failed_looks in REPORTED:
            runtime.tell("look_failed", error=repr(error), times=runtime.live.failed_looks)
