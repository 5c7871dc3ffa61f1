"""A census: what waits in the store, counted every ten seconds for metrics."""

from collections import Counter
from typing import Final

from tollkeeper.flows.live.census import Census
from tollkeeper.flows.ports import Store

SECONDS: Final = 10.0


async def taken(store: Store) -> Census:
    """The census of now."""
    incidents: Counter[tuple[str, str]] = Counter(
        (one.severity, one.status) for one in await store.list_open_incidents()
    )
    return Census(
        at_ms=store.now_ms(),
        attention=await store.count_attention(),
        jobs=await store.count_jobs(),
        incidents=incidents,
    )
