"""Posting: our alerts to the operator's Alertmanagers, for as long as they are open and once after.

Law: what is posted of an alert that is written follows from its row and a job that was written with
it, so that no process must live. While the store is away each process posts what it found itself;
Alertmanager makes one alert of equal labels.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from tollkeeper.flows.ports import Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.signals.alertmanager import EVERY_MS, STANDS_MS, body, posted
from tollkeeper.signals.alerts import Alert

KIND: Final = "post_alert"
AGAIN_MS: Final = 10_000
"""When an Alertmanager that did not take an alert is tried again."""

TICK_SECONDS: Final = 1.0


def wakes(runtime: Runtime, at_ms: int) -> dict[str, int]:
    """The jobs that are written with news about an alert, and when they are due."""
    return {KIND: at_ms} if runtime.settings.alertmanagers else {}


async def post(runtime: Runtime, job: Job) -> None:
    """Runs one `post_alert` job: posts the alert as it stands, and puts itself off while it is
    open, or until every Alertmanager was told of its end. What none was told for long ends there
    by itself."""
    store = runtime.store
    alert = await store.load_alert(job.subject)
    now_ms = store.now_ms()
    if alert is None or not runtime.settings.alertmanagers:
        await store.finish_job(job)
        return
    all_took = await _send(runtime, (alert,), now_ms)
    ended_ms = alert.resolved_ms
    if ended_ms is not None and (all_took or now_ms >= ended_ms + STANDS_MS):
        await store.finish_job(job)
        return
    await store.postpone_job(job, now_ms + (EVERY_MS if all_took else AGAIN_MS))


async def plan(runtime: Runtime) -> None:
    """Makes sure that every open alert has its job, as after a restart with another setting."""
    now_ms = runtime.store.now_ms()
    if runtime.settings.alertmanagers:
        for alert in await runtime.store.list_open_alerts():
            await runtime.store.enqueue_job(KIND, alert.id, now_ms)


async def follow(runtime: Runtime) -> None:
    """Posts what this process found while the store is away, until its task ends."""
    told: dict[str, int] = {}
    due_ms = 0
    while runtime.settings.alertmanagers:
        await runtime.clock.sleep(TICK_SECONDS)
        if not runtime.live.is_store_away:
            told = {}
            continue
        now_ms = runtime.clock.now_ms()
        found = {alert.fingerprint: len(alert.said) for alert in runtime.live.open_alerts}
        if found and (found != told or now_ms >= due_ms):
            told, due_ms = found, now_ms + EVERY_MS
            await _send(runtime, runtime.live.open_alerts, now_ms)


async def _send(runtime: Runtime, alerts: Iterable[Alert], now_ms: int) -> bool:
    """Posts alerts to every Alertmanager; whether all of them took it."""
    settings, all_took = runtime.settings, True
    found = [posted(one, now_ms, settings.alert_labels, settings.public_url) for one in alerts]
    for address in settings.alertmanagers:
        error = await runtime.hand_over(f"{address.rstrip('/')}/api/v2/alerts", body(found))
        if error:
            all_took = False
            place = urlsplit(address).netloc.rpartition("@")[2]  # without a password
            runtime.tell("alert_unposted", address=place, error=error)
    return all_took
