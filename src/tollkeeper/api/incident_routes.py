"""The routes of incidents and of on-call, for those who run the installation."""

from functools import partial
from typing import Final

from tollkeeper.api import incidents
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
from tollkeeper.api.route import Route
from tollkeeper.flows.incidents.views import CoverView, IncidentView

INCIDENT: Final = "/v1/incidents/{incident_id}"

_ROUTE: Final = partial(
    Route, resource="incident", role="platform", reach="installation", gives=IncidentView
)
_ACT: Final = partial(_ROUTE, method="POST")
_ON_CALL: Final = partial(Route, resource="on-call plan", role="platform", reach="installation")

INCIDENTS: Final = (
    _ROUTE(
        method="GET",
        path="/v1/incidents",
        handler=incidents.listed,
        summary="Page through incidents",
        query=("limit", "cursor"),
        gives=incidents.IncidentList,
    ),
    _ACT(
        path="/v1/incidents",
        handler=incidents.opened,
        summary="Open an incident by hand",
        body=OpenIncident,
        statuses=(201,),
    ),
    _ROUTE(
        method="GET",
        path=INCIDENT,
        handler=incidents.read,
        summary="Read an incident with its timeline and its messages",
    ),
    _ACT(
        path=f"{INCIDENT}/acknowledge",
        handler=incidents.acknowledge,
        summary="Say that you work on it, which stops all paging",
        body=Acknowledge,
        body_optional=True,
    ),
    _ACT(
        path=f"{INCIDENT}/resolve",
        handler=incidents.resolve,
        summary="Say that it is over, and why",
        body=Because,
    ),
    _ACT(
        path=f"{INCIDENT}/reopen",
        handler=incidents.reopen,
        summary="Say that it is not over",
        body=Because,
    ),
    _ACT(
        path=f"{INCIDENT}/notes",
        handler=incidents.note,
        summary="Add a line to the timeline, or correct one",
        body=Note,
    ),
    _ACT(
        path=f"{INCIDENT}/severity",
        handler=incidents.grade,
        summary="Set the severity",
        body=Grade,
    ),
    _ACT(
        path=f"{INCIDENT}/roles",
        handler=incidents.cast,
        summary="Give a role to a person",
        body=CastRole,
    ),
    _ACT(
        path=f"{INCIDENT}/classify",
        handler=incidents.classify,
        summary="Classify it as major, which starts the regulatory clock",
        body=Because,
    ),
    _ACT(
        path=f"{INCIDENT}/merge",
        handler=incidents.merge,
        summary="Go on in another incident",
        body=MergeInto,
    ),
    _ACT(
        path=f"{INCIDENT}/split",
        handler=incidents.split,
        summary="Make a part of it an incident of its own",
        body=SplitOff,
        statuses=(201,),
    ),
    _ON_CALL(
        method="GET",
        path="/v1/on_call",
        handler=incidents.on_call,
        summary="Say who is on call",
        gives=incidents.OnCallView,
    ),
    _ON_CALL(
        method="POST",
        path="/v1/covers",
        handler=incidents.cover,
        summary="Take the pages of a schedule for a while",
        body=TakeCover,
        gives=CoverView,
        statuses=(201,),
    ),
    _ON_CALL(
        method="DELETE",
        path="/v1/covers/{cover_id}",
        handler=incidents.uncover,
        summary="Take a cover back",
        gives=CoverView,
    ),
    Route(
        method="POST",
        path="/v2/enqueue",
        handler=incidents.take_event,
        summary="Take an alert as PagerDuty's Events API v2 does",
        resource="incident",
        role=None,
        reach="input",
        signed=True,
        gives=incidents.EventTaken,
        statuses=(202,),
    ),
    Route(
        method="POST",
        path="/v1/inputs/alertmanager",
        handler=incidents.take_webhook,
        summary="Take the webhook of an Alertmanager",
        resource="incident",
        role=None,
        reach="input",
        signed=True,
        gives=incidents.AlertsTaken,
    ),
)
"""Every route of incidents and of on-call."""
