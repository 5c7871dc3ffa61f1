"""How incidents look from outside: for the API, the command line and the status page."""

from collections.abc import Mapping, Sequence

import msgspec

from tollkeeper.flows.ports import Store
from tollkeeper.incidents.incident import STATES, Entry, Incident
from tollkeeper.incidents.opening import impact_in_words
from tollkeeper.incidents.paging import Notification
from tollkeeper.incidents.plan import Plan
from tollkeeper.incidents.regulation import deadlines
from tollkeeper.incidents.schedule import Cover, Shift
from tollkeeper.kernel.clock import rfc3339


class ImpactView(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it hurt: payments, customers and money (minor units by currency) over some minutes."""

    failed: int
    of: int
    customers: int
    minutes: float
    money_minor: dict[str, int]
    says: str


class DeadlineView(msgspec.Struct, frozen=True, kw_only=True):
    """A report that the law asks for. `late`: its time is over."""

    report: str
    due: str
    late: bool


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline. `corrects`: the number of the entry that it sets right."""

    number: int
    at: str
    kind: str
    source: str
    text: str
    facts: dict[str, str]
    corrects: int | None


class NotificationView(msgspec.Struct, frozen=True, kw_only=True):
    """One message: to whom, what came of it, and what each try was answered."""

    id: str
    kind: str
    receiver: str
    person: str
    status: str
    created: str
    sent: str | None
    subject: str
    answers: list[str]


class IncidentView(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. `about` is a provider or `service`; `next_page`: when the next ones are paged
    if no one answers."""

    object: str = "incident"
    id: str
    status: str
    means: str
    severity: str
    title: str
    about: str
    began: str
    opened: str
    acknowledged: str | None
    acknowledged_by: str
    resolved: str | None
    resolved_by: str
    resolution: str
    policy: str
    step: int
    next_page: str | None
    alert: str
    domain: str
    confidence: float
    pointer: str
    sure: str
    next: str
    runner_up: str
    impact: ImpactView
    roles: dict[str, str]
    deadlines: list[DeadlineView]
    merged_into: str
    drill: bool
    timeline: list[EntryView]
    notifications: list[NotificationView]


class ShiftView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call in a schedule, and until when; empty where no one is. `cover`: the cover that
    it comes from."""

    schedule: str
    person: str
    title: str
    since: str | None
    until: str | None
    cover: str


class CoverView(msgspec.Struct, frozen=True, kw_only=True):
    """A cover: who takes the pages of a schedule for a while."""

    object: str = "cover"
    id: str
    schedule: str
    person: str
    since: str
    until: str
    by: str
    reason: str


def incident_view(
    incident: Incident,
    now_ms: int,
    entries: Sequence[Entry] = (),
    notifications: Sequence[Notification] = (),
) -> IncidentView:
    """An incident for people and programs."""
    found, hurt = incident.finding, incident.impact
    return IncidentView(
        id=incident.id,
        status=incident.status,
        means=STATES[incident.status],
        severity=incident.severity,
        title=incident.title,
        about=incident.fingerprint,
        began=rfc3339(incident.began_ms),
        opened=rfc3339(incident.opened_ms),
        acknowledged=_moment(incident.acknowledged_ms),
        acknowledged_by=incident.acknowledged_by,
        resolved=_moment(incident.resolved_ms),
        resolved_by=incident.resolved_by,
        resolution=incident.resolution,
        policy=incident.policy,
        step=incident.step,
        next_page=_moment(incident.next_ms) if incident.is_paging else None,
        alert=found.alert,
        domain=found.domain,
        confidence=found.confidence,
        pointer=found.pointer,
        sure=found.sure,
        next=found.next,
        runner_up=found.runner_up,
        impact=ImpactView(
            failed=hurt.failed,
            of=hurt.of,
            customers=hurt.users,
            minutes=round(hurt.minutes, 2),
            money_minor=hurt.money_minor,
            says=impact_in_words(hurt),
        ),
        roles=incident.roles,
        deadlines=[
            DeadlineView(report=one.report, due=rfc3339(one.due_ms), late=one.left_ms < 0)
            for one in deadlines(incident, now_ms)
        ],
        merged_into=incident.merged_into,
        drill=incident.drill,
        timeline=[entry_view(entry) for entry in entries],
        notifications=[notification_view(one) for one in notifications],
    )


async def whole_view(store: Store, incident: Incident) -> IncidentView:
    """An incident with its timeline and its messages."""
    entries = await store.list_entries(incident.id)
    sent = await store.list_notifications(incident.id)
    return incident_view(incident, store.now_ms(), entries, sent)


def short_views(store: Store, incidents: Sequence[Incident]) -> list[IncidentView]:
    """Incidents without their timelines."""
    now_ms = store.now_ms()
    return [incident_view(one, now_ms) for one in incidents]


def _moment(at_ms: int | None) -> str | None:
    return rfc3339(at_ms) if at_ms is not None else None


def entry_view(entry: Entry) -> EntryView:
    """A line of a timeline for people and programs."""
    return EntryView(
        number=entry.seq,
        at=rfc3339(entry.at_ms),
        kind=entry.kind,
        source=entry.source,
        text=entry.text,
        facts=entry.facts,
        corrects=entry.corrects,
    )


def notification_view(one: Notification) -> NotificationView:
    """A message for people and programs."""
    return NotificationView(
        id=one.id,
        kind=one.kind,
        receiver=one.receiver,
        person=one.person,
        status=one.status,
        created=rfc3339(one.created_ms),
        sent=_moment(one.sent_ms),
        subject=one.subject,
        answers=[f"{rfc3339(each.at_ms)[11:19]} {each.answer or 'unknown'}" for each in one.tries],
    )


def shift_views(plan: Plan, shifts: Mapping[str, Shift | None]) -> list[ShiftView]:
    """Who is on call, schedule by schedule."""
    return [
        ShiftView(
            schedule=name,
            person=shift.person if shift is not None else "",
            title=_title(plan, shift),
            since=_moment(shift.from_ms) if shift is not None else None,
            until=_moment(shift.until_ms) if shift is not None else None,
            cover=shift.cover if shift is not None else "",
        )
        for name, shift in shifts.items()
    ]


def _title(plan: Plan, shift: Shift | None) -> str:
    person = plan.people.get(shift.person) if shift is not None else None
    return person.title if person is not None else ""


def cover_view(cover: Cover) -> CoverView:
    """A cover for people and programs."""
    return CoverView(
        id=cover.id,
        schedule=cover.schedule,
        person=cover.person,
        since=rfc3339(cover.from_ms),
        until=rfc3339(cover.until_ms),
        by=cover.by,
        reason=cover.reason,
    )
