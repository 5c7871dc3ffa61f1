"""Escalating: the durable timer of each incident that nobody has acknowledged."""

from typing import Final

from tollkeeper.flows.incidents.writing import change_of, covers_now, impact_now, tell
from tollkeeper.flows.ports import Job
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.opening import revise_impact
from tollkeeper.incidents.stepping import escalated

AGAIN_MS: Final = 100


async def escalate(runtime: Runtime, job: Job) -> None:
    """Runs one `escalate` job: pages the next ones, unless someone has answered meanwhile."""
    store = runtime.store
    incident = await store.load_incident(job.subject)
    now_ms = store.now_ms()
    if incident is None or not incident.is_paging or incident.next_ms is None:
        await store.finish_job(job)
        return
    if now_ms < incident.next_ms:
        await store.postpone_job(job, incident.next_ms)
        return
    plan = await plan_now(runtime)
    step = escalated(incident, plan, await covers_now(runtime), now_ms)
    assert step is not None, "a step that is due can be taken"
    writing, call = step
    impact = await impact_now(runtime, incident.fingerprint, incident.began_ms)
    revise_impact(writing, plan, impact)
    if await store.save_incident(change_of(runtime, writing, call=call)):
        tell(runtime, writing)  # the commit has set the job to the next step
    else:
        await store.postpone_job(job, now_ms + AGAIN_MS)
