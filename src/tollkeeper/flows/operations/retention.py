"""Upkeep: what must happen from time to time, as durable jobs that put themselves off."""

from typing import Final

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
SEAL_PAGE: Final = 2_000
"""Heads in one seal: what one transaction writes in some ten milliseconds."""

SUBJECT: Final = "all"

KINDS: Final = ("expire", "seal_audit")
"""Jobs that exist once; the start of a service makes sure of them."""


async def plan(runtime: Runtime) -> None:
    """Makes sure that every kind of upkeep has its job; one that exists keeps its time."""
    present = await runtime.store.count_jobs()
    now_ms = runtime.store.now_ms()
    for kind in KINDS:
        if kind not in present:
            await runtime.store.enqueue_job(kind, SUBJECT, now_ms + HOUR_MS)
    for provider, mine in runtime.settings.providers.items():
        if mine.description is not None:
            await runtime.store.enqueue_job("watch", provider, now_ms)


async def expire(runtime: Runtime, job: Job) -> None:
    """Removes stored answers, payloads, exchanges and events past their time."""
    settings, now_ms = runtime.settings, runtime.store.now_ms()
    await runtime.store.expire(now_ms, int(settings.inbound_days * DAY_MS))
    await runtime.store.forget(
        exchanges_before_ms=now_ms - int(settings.exchange_days * DAY_MS),
        events_before_ms=now_ms - int(settings.event_days * DAY_MS),
    )
    await runtime.store.postpone_job(job, runtime.store.now_ms() + HOUR_MS)


async def seal_audit(runtime: Runtime, job: Job) -> None:
    """Seals every audit head that has changed, a page at a time."""
    count = SEAL_PAGE
    while count == SEAL_PAGE:
        _, count = await runtime.store.seal_audit(runtime.store.now_ms(), SEAL_PAGE)
    await runtime.store.postpone_job(job, runtime.store.now_ms() + DAY_MS)
