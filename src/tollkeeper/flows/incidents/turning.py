"""Turning: who is on call is told when their turn begins, and who was, that it is over."""

from typing import Final

from tollkeeper.flows.incidents.writing import covers_now
from tollkeeper.flows.ports import Job
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.escalation import shift_of
from tollkeeper.incidents.paging import turn_messages

LOOK_AGAIN_MS: Final = 900_000
"""How often a schedule that has no one now is looked at."""

NEWS_MS: Final = 600_000
"""A turn that began longer ago is no news: the service may have been down."""


async def plan(runtime: Runtime) -> None:
    """Makes sure that each schedule of the plan is watched."""
    for name in (await plan_now(runtime)).schedules:
        await runtime.store.enqueue_job("hand_over", name, runtime.store.now_ms())


async def hand_over(runtime: Runtime, job: Job) -> None:
    """Runs one `hand_over` job, whose subject is a schedule; it comes back at the next change."""
    store = runtime.store
    now_ms = store.now_ms()
    current = await plan_now(runtime)
    if job.subject not in current.schedules:
        await store.finish_job(job)
        return
    covers = await covers_now(runtime)
    shift = shift_of(current, covers, job.subject, now_ms)
    if shift is not None and now_ms - shift.from_ms < NEWS_MS:
        before = shift_of(current, covers, job.subject, shift.from_ms - 1)
        ids = iter(lambda: runtime.new_id("ntf"), None)
        for message in turn_messages(current, job.subject, before, shift, ids, now_ms):
            await store.queue_notification(message)
    next_ms = now_ms + LOOK_AGAIN_MS
    if shift is not None:
        next_ms = min(next_ms, shift.until_ms)
    await store.postpone_job(job, next_ms)
