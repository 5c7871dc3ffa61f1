"""The routes of failovers and of routing, for those who run the installation."""

from typing import Final

import msgspec

from tollkeeper.api import failovers
from tollkeeper.api.access import Resource
from tollkeeper.api.failovers import DecisionList, FailoverList, RoutesView
from tollkeeper.api.requests import (
    ChoosePolicy,
    ClearVersion,
    MustReason,
    RouteFollowUps,
    SetRoutes,
)
from tollkeeper.api.route import Handler, Route
from tollkeeper.flows.failover.views import FailoverView

FAILOVER: Final = "/v1/failovers/{provider}"
ROUTES: Final = "/v1/routes"


def _read(
    path: str,
    handler: Handler,
    summary: str,
    gives: type[msgspec.Struct],
    query: tuple[str, ...] = (),
) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        resource=_resource(path),
        role="platform",
        reach="installation",
        query=query,
        gives=gives,
    )


def _act(
    path: str,
    handler: Handler,
    summary: str,
    body: type[msgspec.Struct],
    gives: type[msgspec.Struct] = FailoverView,
) -> Route:
    """Something that is done to all traffic of a provider, with a reason."""
    return Route(
        method="POST",
        path=path,
        handler=handler,
        summary=summary,
        resource=_resource(path),
        role="platform",
        reach="installation",
        body=body,
        gives=gives,
    )


def _resource(path: str) -> Resource:
    return "routes" if path == ROUTES else "failover"


FAILOVERS: Final = (
    _read("/v1/failovers", failovers.listed, "List what is watched for failover", FailoverList),
    _read(FAILOVER, failovers.read, "Read what is watched of a provider", FailoverView),
    _read(
        f"{FAILOVER}/decisions",
        failovers.decisions,
        "List the decisions of a failover with their numbers",
        DecisionList,
        ("limit", "cursor"),
    ),
    _act(f"{FAILOVER}/stop", failovers.stop, "Stop a failover that goes on", MustReason),
    _act(f"{FAILOVER}/clear", failovers.clear, "Let a version take traffic again", ClearVersion),
    _act(
        f"{FAILOVER}/policy",
        failovers.choose_policy,
        "Choose what happens if a version fails",
        ChoosePolicy,
    ),
    _act(
        f"{FAILOVER}/follow-ups",
        failovers.route_follow_ups,
        "Send follow-ups through another version",
        RouteFollowUps,
    ),
    _read(ROUTES, failovers.read_routes, "Read the routes in force", RoutesView),
    _act(ROUTES, failovers.set_routes, "Move new payments by hand", SetRoutes, RoutesView),
)
"""Every route of failovers and of routing."""
