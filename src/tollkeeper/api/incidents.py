"""Incidents and the on-call plan over HTTP: for those who run the installation."""

import msgspec

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import Call, bad_parameter
from tollkeeper.api.incident_requests import (
    Acknowledge,
    Because,
    CastRole,
    Grade,
    MergeInto,
    Note,
    OpenIncident,
    SplitOff,
    TakeCover,
)
from tollkeeper.flows.incidents import commands, inputs, planning
from tollkeeper.flows.incidents.views import (
    CoverView,
    IncidentView,
    ShiftView,
    cover_view,
    shift_views,
    short_views,
    whole_view,
)
from tollkeeper.flows.reaching import plan_now
from tollkeeper.incidents.incident import Incident
from tollkeeper.kernel.clock import moment_ms
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.kernel.ids import is_id


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, newest first, without their timelines; `has_more`: ask again with the last one's
    id as `cursor`."""

    data: list[IncidentView]
    has_more: bool


class OnCallView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call, and the covers that are to come."""

    on_call: list[ShiftView]
    covers: list[CoverView]


class EventTaken(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was taken, as the Events API v2 answers it."""

    status: str
    message: str
    dedup_key: str


class AlertsTaken(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts of a webhook were taken."""

    alerts: int


async def listed(call: Call) -> Answer:
    call.only(("cursor", "limit"))
    limit = call.limit()
    cursor = call.query.get("cursor", "")
    if cursor and not is_id(cursor, "inc"):
        raise bad_parameter("cursor", "the id of the last incident seen")
    found = await commands.page(call.runtime.store, cursor, limit + 1)
    data = short_views(call.runtime.store, found[:limit])
    return json_answer(IncidentList(data=data, has_more=len(found) > limit))


async def read(call: Call) -> Answer:
    return await _whole(call, await commands.one(call.runtime.store, call.id("incident_id", "inc")))


async def _whole(call: Call, incident: Incident, status: int = 200) -> Answer:
    return json_answer(await whole_view(call.runtime.store, incident), status)


async def opened(call: Call) -> Answer:
    asked, _ = call.asked(OpenIncident)
    incident = await commands.open_by_hand(
        call.runtime, asked.title, asked.about, actor=_actor(call)
    )
    return await _whole(call, incident, 201)


async def acknowledge(call: Call) -> Answer:
    asked, _ = call.asked(Acknowledge, optional=True)
    incident = await commands.acknowledge(
        call.runtime, call.id("incident_id", "inc"), note=asked.note, actor=_actor(call)
    )
    return await _whole(call, incident)


async def resolve(call: Call) -> Answer:
    asked, _ = call.asked(Because)
    incident = await commands.resolve(
        call.runtime, call.id("incident_id", "inc"), reason=asked.reason, actor=_actor(call)
    )
    return await _whole(call, incident)


async def reopen(call: Call) -> Answer:
    asked, _ = call.asked(Because)
    incident = await commands.reopen(
        call.runtime, call.id("incident_id", "inc"), reason=asked.reason, actor=_actor(call)
    )
    return await _whole(call, incident)


async def note(call: Call) -> Answer:
    asked, _ = call.asked(Note)
    incident = await commands.note(
        call.runtime,
        call.id("incident_id", "inc"),
        text=asked.text,
        corrects=asked.corrects,
        actor=_actor(call),
    )
    return await _whole(call, incident)


async def grade(call: Call) -> Answer:
    asked, _ = call.asked(Grade)
    incident = await commands.grade(
        call.runtime,
        call.id("incident_id", "inc"),
        severity=asked.severity,
        reason=asked.reason,
        actor=_actor(call),
    )
    return await _whole(call, incident)


async def cast(call: Call) -> Answer:
    asked, _ = call.asked(CastRole)
    incident = await commands.cast(
        call.runtime,
        call.id("incident_id", "inc"),
        role=asked.role,
        person=asked.person,
        actor=_actor(call),
    )
    return await _whole(call, incident)


async def classify(call: Call) -> Answer:
    asked, _ = call.asked(Because)
    incident = await commands.classify(
        call.runtime, call.id("incident_id", "inc"), reason=asked.reason, actor=_actor(call)
    )
    return await _whole(call, incident)


async def merge(call: Call) -> Answer:
    asked, _ = call.asked(MergeInto)
    incident = await commands.merge(
        call.runtime,
        call.id("incident_id", "inc"),
        into=asked.into,
        reason=asked.reason,
        actor=_actor(call),
    )
    return await _whole(call, incident)


async def split(call: Call) -> Answer:
    asked, _ = call.asked(SplitOff)
    _, new = await commands.split(
        call.runtime, call.id("incident_id", "inc"), title=asked.title, actor=_actor(call)
    )
    return await _whole(call, new, 201)


async def on_call(call: Call) -> Answer:
    runtime = call.runtime
    plan, shifts = await plan_now(runtime), await planning.on_call(runtime)
    covers = [cover_view(one) for one in await planning.covers(runtime)]
    return json_answer(OnCallView(on_call=shift_views(plan, shifts), covers=covers))


async def cover(call: Call) -> Answer:
    asked, _ = call.asked(TakeCover)
    since, until = moment_ms(asked.since), moment_ms(asked.until)
    if since is None or until is None:
        pointer = "/since" if since is None else "/until"
        fault = Fault(pointer, "a moment like 2026-11-26T10:02:00Z")
        raise Invalid(f"{pointer[1:]} must be {fault.detail}", faults=(fault,))
    taken = await planning.cover(
        call.runtime,
        asked.schedule,
        asked.person,
        since,
        until,
        reason=asked.reason,
        actor=_actor(call),
    )
    return json_answer(cover_view(taken), 201)


async def uncover(call: Call) -> Answer:
    cover_id = call.id("cover_id", "cov")
    taken_back = await planning.uncover(call.runtime, cover_id, actor=_actor(call))
    return json_answer(cover_view(taken_back))


def _actor(call: Call) -> str:
    assert call.key is not None, "incidents ask for a key"
    return call.key.id


async def take_event(call: Call) -> Answer:
    key = await inputs.take_event(call.runtime, call.body)
    taken = EventTaken(status="success", message="Event processed", dedup_key=key)
    return json_answer(taken, 202)


async def take_webhook(call: Call) -> Answer:
    given = dict(call.headers).get(b"authorization", b"").decode("latin-1")
    key = given.partition(" ")[2] if given.lower().startswith("bearer ") else ""
    count = await inputs.take_webhook(call.runtime, key, call.body)
    return json_answer(AlertsTaken(alerts=count))
