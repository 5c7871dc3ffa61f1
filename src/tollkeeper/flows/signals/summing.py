"""Summing up: batches become sums by minute, and those of a day say what is usual.

A minute in which an alert stood does not count for what is usual. Batches are kept for hours, sums
for as long as events.
"""

from typing import Final

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.signals.alerts import Alert, looked_at, stood_in
from tollkeeper.signals.counts import Counted, fold

EVERY_MS: Final = 60_000
SETTLED_MINUTES: Final = 2
"""A minute is summed up once it is over for so long: batches that waited for the store are in."""

MINUTES_A_RUN: Final = 30
USUAL_MINUTES: Final = 1_440
UNUSED_MINUTES: Final = 6
"""The newest minutes, which a look reads itself, are no part of what is usual."""

NEWEST: Final = "~"
"""Above the id of every alert."""

MANY_ALERTS: Final = 200

BATCH_HOURS: Final = 24
DAY_MS: Final = 86_400_000


async def sum_up(runtime: Runtime, job: Job) -> None:
    """Sums up the minutes that are over, says anew what is usual, and removes what is old."""
    store = runtime.store
    now_m = store.now_ms() // 60_000
    alerts = looked_at(await store.list_alerts(NEWEST, MANY_ALERTS))
    summed = False
    for _ in range(MINUTES_A_RUN):
        minute = await store.minute_to_sum(now_m - SETTLED_MINUTES)
        if minute is None:
            break
        await _sum_minute(runtime, minute, alerts)
        summed = True
    if summed:
        await _say_usual(runtime, now_m)
    now_ms = store.now_ms()
    await store.forget_signals(
        now_ms // 1000 - BATCH_HOURS * 3600, now_ms - int(runtime.settings.event_days * DAY_MS)
    )
    await store.postpone_job(job, now_ms + EVERY_MS)


async def _sum_minute(runtime: Runtime, minute: int, alerts: list[Alert]) -> None:
    batches = await runtime.store.list_batches(minute * 60, minute * 60 + 59)
    lines = fold((line for batch in batches for line in batch.counted), minute * 60)
    alarmed = any(stood_in(alert, minute) for alert in alerts)
    await runtime.store.save_minute(minute, lines, alarmed=alarmed)


async def _say_usual(runtime: Runtime, now_m: int) -> None:
    until = now_m - UNUSED_MINUTES
    sums = await runtime.store.list_minutes(until - USUAL_MINUTES, until)
    lines: list[Counted] = fold((line for minute in sums for line in minute), until * 60)
    if lines:
        await runtime.store.save_usual(runtime.store.now_ms() // 1000, len(sums) * 60, lines)
