"""The routes of failovers and of routing, for those who run the installation."""

from typing import Final

from tollkeeper.api import failovers
from tollkeeper.api.requests import ChoosePolicy, ClearVersion, MustReason, SetRoutes
from tollkeeper.api.route import Route
from tollkeeper.flows.failover.views import FailoverView

FAILOVER: Final = "/v1/failovers/{provider}"

FAILOVERS: Final = (
    Route(
        method="GET",
        path="/v1/failovers",
        handler=failovers.listed,
        summary="List what is watched for failover",
        resource="failover",
        role="platform",
        reach="installation",
        gives=failovers.FailoverList,
    ),
    Route(
        method="GET",
        path=FAILOVER,
        handler=failovers.read,
        summary="Read what is watched of a provider",
        resource="failover",
        role="platform",
        reach="installation",
        gives=FailoverView,
    ),
    Route(
        method="GET",
        path=f"{FAILOVER}/decisions",
        handler=failovers.decisions,
        summary="List the decisions of a failover with their numbers",
        resource="failover",
        role="platform",
        reach="installation",
        query=("limit", "cursor"),
        gives=failovers.DecisionList,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/stop",
        handler=failovers.stop,
        summary="Stop a failover that goes on",
        resource="failover",
        role="platform",
        reach="installation",
        body=MustReason,
        gives=FailoverView,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/clear",
        handler=failovers.clear,
        summary="Let a version take traffic again",
        resource="failover",
        role="platform",
        reach="installation",
        body=ClearVersion,
        gives=FailoverView,
    ),
    Route(
        method="POST",
        path=f"{FAILOVER}/policy",
        handler=failovers.choose_policy,
        summary="Choose what happens if a version fails",
        resource="failover",
        role="platform",
        reach="installation",
        body=ChoosePolicy,
        gives=FailoverView,
    ),
    Route(
        method="GET",
        path="/v1/routes",
        handler=failovers.read_routes,
        summary="Read the routes in force",
        resource="routes",
        role="platform",
        reach="installation",
        gives=failovers.RoutesView,
    ),
    Route(
        method="POST",
        path="/v1/routes",
        handler=failovers.set_routes,
        summary="Move new payments by hand",
        resource="routes",
        role="platform",
        reach="installation",
        body=SetRoutes,
        gives=failovers.RoutesView,
    ),
)
"""Every route of failovers and of routing."""
