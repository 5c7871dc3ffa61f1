"""Following: the task of each process that counts, writes and looks, once a second."""

from typing import Final

from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals.collecting import Collector
from tollkeeper.flows.signals.summing import EVERY_MS
from tollkeeper.kernel.errors import StoreDoubt, Unavailable

SUBJECT: Final = "all"


async def plan(runtime: Runtime) -> None:
    """Makes sure that the job which sums up exists; one that exists keeps its time."""
    if "sum_up_signals" not in await runtime.store.count_jobs():
        at_ms = runtime.store.now_ms() + EVERY_MS
        await runtime.store.enqueue_job("sum_up_signals", SUBJECT, at_ms)


async def follow(runtime: Runtime) -> None:
    """Counts, writes and looks until its task ends. What goes wrong here stops no payment."""
    collector = Collector(runtime=runtime)
    while True:
        await collector.nap()
        try:
            await collector.tick()
        except (StoreDoubt, Unavailable):
            continue
