"""Following: the job that brings an approved notice to a channel, and finds who is late."""

from typing import Final

from tollkeeper.flows.ports import Job, NoticeWrite
from tollkeeper.flows.providers.entering import lines, tell
from tollkeeper.flows.reaching import book_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.providers.following import CHECKED_MS, step_of

AGAIN_MS: Final = 100


async def follow(runtime: Runtime, job: Job) -> None:
    """Runs one `follow_notice` job: takes the step that is due, if one is."""
    store = runtime.store
    notice = await store.load_notice(job.subject)
    card = (await book_now(runtime)).providers.get(notice.provider) if notice is not None else None
    if notice is None or card is None or notice.due_ms is None:
        await store.finish_job(job)
        return
    sent = await store.list_notifications(notice.incident)
    now_ms = store.now_ms()
    step = step_of(notice, card, sent, runtime.new_id("ntf"), now_ms)
    if step is None:
        later_ms = notice.due_ms if notice.due_ms > now_ms else now_ms + CHECKED_MS
        await store.postpone_job(job, later_ms)
        return
    incident = await store.load_incident(notice.incident)
    entered = lines(incident, step.entries, step.notice, now_ms)
    write = NoticeWrite(notice=step.notice, at_ms=now_ms, incident=entered, message=step.message)
    if await store.save_notice(write):
        tell(runtime, step.notice, entered)
    else:
        await store.postpone_job(job, now_ms + AGAIN_MS)
