"""Reading providers' status feeds: what is new becomes a change. Late corroboration, no more."""

from typing import Final

import msgspec

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals import commands
from tollkeeper.payments.cards import mask_card_numbers
from tollkeeper.signals.counts import Change
from tollkeeper.signals.feeds import Entry, Unreadable, entries

EVERY_MS: Final = 60_000
NEW_MS: Final = 7 * 86_400_000
"""Entries that are older were never told, and are not now."""


async def read_feed(runtime: Runtime, job: Job) -> None:
    """Runs one `read_status` job: reads the feed of a provider, and puts itself off."""
    provider = job.subject
    source = runtime.provider(provider).status_feed
    if source is None:
        await runtime.store.finish_job(job)
        return
    await look(runtime, provider, source)
    await runtime.store.postpone_job(job, runtime.store.now_ms() + EVERY_MS)


async def look(runtime: Runtime, provider: str, source: str) -> int:
    """Reads a feed once, and keeps what is new; how many entries were."""
    if runtime.sources is None:
        return 0
    fetched = await runtime.sources.fetch(source, None)
    if fetched.error or fetched.text is None:
        runtime.tell("status_feed_unread", provider=provider, error=fetched.error)
        return 0
    try:
        found = entries(fetched.text)
    except Unreadable as error:
        runtime.tell("status_feed_unread", provider=provider, error=str(error))
        return 0
    now_ms = runtime.store.now_ms()
    known = await _known(runtime, provider, now_ms)
    fresh = [e for e in found if e.id not in known and now_ms - e.at_ms < NEW_MS]
    for entry in reversed(fresh):
        await _keep(runtime, provider, entry)
    return len(fresh)


async def _known(runtime: Runtime, provider: str, now_ms: int) -> set[str]:
    """The entries of the provider that are kept already, by their own ids."""
    found = set()
    for told in await runtime.store.list_changes(now_ms - 2 * NEW_MS, now_ms, 1_000):
        data = msgspec.json.decode(told.data)
        start = data.get("start") if isinstance(data, dict) else None
        if isinstance(start, dict) and data.get("provider") == provider and "entry" in start:
            found.add(str(start["entry"]))
    return found


async def _keep(runtime: Runtime, provider: str, entry: Entry) -> None:
    text = mask_card_numbers(entry.text)
    change = Change(at_ms=entry.at_ms, kind=entry.kind, text=text, provider=provider)
    await commands.keep(runtime, change, actor="status feed", more={"entry": entry.id})
