"""The heartbeat: a dead man's switch. It is sent only while this service could raise an alert."""

from typing import Final

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime

EVERY_MS: Final = 60_000
FRESH_MS: Final = 10_000


async def beat(runtime: Runtime, job: Job) -> None:
    """Runs the `heartbeat` job: one request, and puts itself off. A job that runs shows that the
    database answers; a fresh look shows that counts are written and looked at."""
    address = runtime.settings.heartbeat_url
    if address is None:
        await runtime.store.finish_job(job)
        return
    now_ms = runtime.store.now_ms()
    look = runtime.live.look
    if look is not None and look.at_ms >= now_ms - FRESH_MS and runtime.sources is not None:
        sent = await runtime.sources.fetch(address, None)
        if sent.error:
            runtime.tell("heartbeat_unsent", error=sent.error)
    await runtime.store.postpone_job(job, now_ms + EVERY_MS)
