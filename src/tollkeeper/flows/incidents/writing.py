"""Writing incidents: a change with its entries, events and messages, upon the revision before."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from tollkeeper.flows.incidents.publishing import soon
from tollkeeper.flows.ports import IncidentWrite, Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.desk import jobs_of
from tollkeeper.incidents.escalation import Call, Target
from tollkeeper.incidents.impact import MANY, WINDOW_MS, impact_of
from tollkeeper.incidents.incident import EntryKind, Impact, Incident, Writing
from tollkeeper.incidents.paging import Notification, NotificationKind, message_of, pages_of
from tollkeeper.incidents.schedule import Cover
from tollkeeper.kernel.errors import NotFound, Unavailable
from tollkeeper.kernel.ids import first_id
from tollkeeper.payments.change import OutEvent

TRIES: Final = 20
EVENTS: Final[dict[EntryKind, str]] = {
    "opened": "incident.opened",
    "reopened": "incident.reopened",
    "acknowledged": "incident.acknowledged",
    "resolved": "incident.resolved",
    "severity": "incident.severity_changed",
    "paged": "incident.escalated",
    "merged": "incident.merged",
    "classified": "incident.classified",
}
"""Entries that are told as events as well."""


def change_of(
    runtime: Runtime,
    writing: Writing,
    *,
    news: str = "",
    call: Call | None = None,
    tells: NotificationKind | None = None,
    cancels: bool = False,
) -> IncidentWrite:
    """One change as the store takes it. `call`: who is paged by it; `tells`: what those who were
    paged before are told."""
    incident = writing.after
    messages: list[Notification] = []
    if call is not None:
        ids = (runtime.new_id("ntf") for _ in call.targets)
        messages += pages_of(incident, call, ids, writing.now_ms)
    if tells is not None:
        messages += [
            message_of(
                incident, tells, Target(receiver=name), runtime.new_id("ntf"), writing.now_ms
            )
            for name in incident.told
        ]
    return IncidentWrite(
        incident=incident,
        entries=tuple(writing.written),
        news=news,
        notifications=tuple(messages),
        cancels=cancels,
        events=tuple(events_of(runtime, writing)),
        jobs=jobs_of(writing, call),
    )


def events_of(runtime: Runtime, writing: Writing) -> Iterable[OutEvent]:
    """What operators' endpoints are told of a change."""
    told = dict.fromkeys(EVENTS[entry.kind] for entry in writing.written if entry.kind in EVENTS)
    incident = writing.after
    found = incident.finding
    data = {
        "object": "incident",
        "id": incident.id,
        "status": incident.status,
        "severity": incident.severity,
        "title": incident.title,
        "about": incident.fingerprint,
        "domain": found.domain,
        "pointer": found.pointer,
        "alert": found.alert,
        "acknowledged_by": incident.acknowledged_by,
        "resolution": incident.resolution,
    }
    for name in told:
        yield OutEvent(
            id=runtime.new_id("evt"),
            account=runtime.settings.watch_account,
            payment_id="",
            type=name,
            created_ms=runtime.store.now_ms(),
            data=msgspec.json.encode(data),
        )


async def loaded(store: Store, incident_id: str) -> Incident:
    """One incident; raises `NotFound`."""
    found = await store.load_incident(incident_id)
    if found is None:
        raise NotFound("there is no such incident; `tollkeeper incidents list` lists them")
    return found


async def changed(
    runtime: Runtime,
    incident_id: str,
    decide: Callable[[Incident], Awaitable[Writing]],
    *,
    tells: NotificationKind | None = None,
    cancels: bool = False,
) -> Incident:
    """Changes an incident as `decide` says, again upon the newest revision where others changed it
    meanwhile."""
    for _ in range(TRIES):
        writing = await decide(await loaded(runtime.store, incident_id))
        write = change_of(runtime, writing, tells=tells, cancels=cancels)
        if await runtime.store.save_incident(write):
            tell(runtime, writing)
            await soon(runtime)
            return writing.after
    raise Unavailable("the incident is being changed by too many at once")


def tell(runtime: Runtime, writing: Writing) -> None:
    """Lines in the log, one for each entry."""
    incident = writing.after
    for entry in writing.written:
        runtime.tell(
            f"incident_{entry.kind}",
            incident=incident.id,
            severity=incident.severity,
            status=incident.status,
            source=entry.source,
            says=entry.text,
        )


async def impact_now(runtime: Runtime, fingerprint: str, began_ms: int) -> Impact:
    """Whom it hurts: the payments of the last minutes, from its beginning on at most; those of its
    provider alone where it is about one."""
    now_ms = runtime.store.now_ms()
    from_ms = max(began_ms, now_ms - WINDOW_MS)
    payments = await runtime.store.recent_payments(first_id("pay", from_ms), MANY)
    minutes = max((now_ms - from_ms) / 60_000, 1 / 60)
    about = fingerprint.partition("/")[0]
    provider = about if about in runtime.settings.providers else ""
    return impact_of(payments, minutes, provider)


async def covers_now(runtime: Runtime) -> dict[str, Sequence[Cover]]:
    """Covers that are not over, by schedule."""
    found: dict[str, list[Cover]] = {}
    for cover in await runtime.store.list_covers(runtime.store.now_ms()):
        found.setdefault(cover.schedule, []).append(cover)
    return dict(found)
