"""Upkeep: what must happen from time to time, as durable jobs that put themselves off."""

from typing import Final

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import World

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
SEAL_PAGE: Final = 2_000
"""Heads in one seal: what one transaction writes in some ten milliseconds."""

SUBJECT: Final = "all"

KINDS: Final = ("expire", "seal_audit")
"""Jobs that exist once; the start of a service makes sure of them."""


async def plan(world: World) -> None:
    """Makes sure that every kind of upkeep has its job; one that exists keeps its time."""
    present = await world.store.count_jobs()
    now_ms = world.store.now_ms()
    for kind in KINDS:
        if kind not in present:
            await world.store.enqueue_job(kind, SUBJECT, now_ms + HOUR_MS)
    for provider, mine in world.settings.providers.items():
        if mine.description is not None:
            await world.store.enqueue_job("watch", provider, now_ms)


async def expire(world: World, job: Job) -> None:
    """Removes stored answers, payloads, exchanges and events past their time."""
    settings, now_ms = world.settings, world.store.now_ms()
    await world.store.expire(now_ms, int(settings.inbound_days * DAY_MS))
    await world.store.forget(
        exchanges_before_ms=now_ms - int(settings.exchange_days * DAY_MS),
        events_before_ms=now_ms - int(settings.event_days * DAY_MS),
    )
    await world.store.postpone_job(job, world.store.now_ms() + HOUR_MS)


async def seal_audit(world: World, job: Job) -> None:
    """Seals every audit head that has changed, a page at a time."""
    count = SEAL_PAGE
    while count == SEAL_PAGE:
        _, count = await world.store.seal_audit(world.store.now_ms(), SEAL_PAGE)
    await world.store.postpone_job(job, world.store.now_ms() + DAY_MS)
