"""Tidying: incidents, messages and covers past their time are removed, once an hour."""

from typing import Final

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime

SUBJECT: Final = "all"
EVERY_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


async def plan(runtime: Runtime) -> None:
    """Makes sure that the job exists; one that exists keeps its time."""
    if "tidy_incidents" not in await runtime.store.count_jobs():
        at_ms = runtime.store.now_ms() + EVERY_MS
        await runtime.store.enqueue_job("tidy_incidents", SUBJECT, at_ms)


async def tidy(runtime: Runtime, job: Job) -> None:
    """Runs the `tidy_incidents` job."""
    now_ms = runtime.store.now_ms()
    kept_ms = int(runtime.settings.incident_days * DAY_MS)
    await runtime.store.forget_incidents(now_ms - kept_ms)
    await runtime.store.postpone_job(job, now_ms + EVERY_MS)
