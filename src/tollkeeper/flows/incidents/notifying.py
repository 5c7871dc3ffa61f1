"""Notifying: each message is written before it is sent, and what came of it after.

A process that dies in between leaves a message whose sending is in doubt. It is sent again under
the same identity, since a lost page is worse than one that arrives twice and is known for one.
What was told along in a message that has not arrived waits again, and is sent with the next one.
"""

from typing import Final

from tollkeeper.flows.incidents.writing import changed
from tollkeeper.flows.ports import Job
from tollkeeper.flows.reaching import completed, plan_now, provider_receiver
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident, Writing
from tollkeeper.incidents.paging import (
    ALONG,
    Answer,
    Notification,
    again_ms,
    along_with,
    answered,
    begun,
    is_step_lost,
    message,
    wait_ms,
)
from tollkeeper.incidents.plan import Receiver
from tollkeeper.incidents.stepping import hurried
from tollkeeper.kernel.errors import NotFound

GONE: Final = Answer(ok=False, said="no plan and no card has such a receiver", again=False)
NO_SENDER: Final = Answer(ok=False, said="this process sends no messages", again=True)


async def notify(runtime: Runtime, job: Job) -> None:
    """Runs one `notify` job: sends one message once, and writes what came of it."""
    store = runtime.store
    known = await store.load_notification(job.subject)
    if known is None or not known.is_waiting:
        if known is not None and known.is_given_up:
            await _hurry(runtime, known)
        await store.finish_job(job)
        return
    receiver = (await plan_now(runtime)).receivers.get(known.receiver)
    receiver = receiver or await provider_receiver(runtime, known.receiver)
    now_ms = store.now_ms()
    if receiver is not None and not known.tries:
        pause_ms = wait_ms(receiver.every_seconds, await store.last_sent_ms(known.receiver), now_ms)
        if pause_ms:
            await store.postpone_job(job, now_ms + pause_ms)
            return
    others = await store.queued_for(known.receiver, ALONG + 1)
    sending = begun(known, along_with(known, others), now_ms)
    if not await store.begin_notification(sending, known.status):
        await store.postpone_job(job, now_ms)
        return
    answer = await _send(runtime, receiver, sending)
    done = answered(sending, answer, store.now_ms())
    runtime.live.notified[done.kind, done.status] += 1
    runtime.tell(
        "notification_tried",
        notification=done.id,
        incident=done.incident,
        kind=done.kind,
        receiver=done.receiver,
        status=done.status,
        answer=answer.said[:200],
    )
    again = again_ms(done, store.now_ms()) if done.is_waiting else None
    if done.is_given_up:  # the job comes back, so that no crash keeps the next level from its page
        again = store.now_ms()
    released = () if answer.ok else sending.along
    await store.end_notification(job, done, again, released)


async def _send(runtime: Runtime, receiver: Receiver | None, sending: Notification) -> Answer:
    if receiver is None:
        return GONE
    if runtime.notify is None:
        return NO_SENDER
    along = [
        one
        for id_ in sending.along
        if (one := await runtime.store.load_notification(id_)) is not None
    ]
    incident = await runtime.store.load_incident(sending.incident) if sending.incident else None
    said = await completed(runtime, sending.notice, message(sending, along, incident))
    return await runtime.notify.send(receiver, said)


async def _hurry(runtime: Runtime, done: Notification) -> None:
    """Pages the next level at once where every page of this step was given up."""
    if not is_step_lost(await runtime.store.list_notifications(done.incident), done):
        return
    said = done.tries[-1].answer[:100]
    reason = f"no page of step {done.step} has arrived ({said}): the next level"

    async def decide(incident: Incident) -> Writing:
        after = hurried(incident, runtime.store.now_ms(), reason)
        if after is None or incident.step != done.step:
            raise NotFound("nothing is to be hurried")
        return after

    try:
        await changed(runtime, done.incident, decide)
    except NotFound:
        return
