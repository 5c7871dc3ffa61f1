"""The rollouts' part of the table of routes."""

from typing import Final

import msgspec

from tollkeeper.api import requests, rollout_views, rollouts
from tollkeeper.api.route import Handler, Route
from tollkeeper.flows.operations.keys import Role

ROLLOUT: Final = "/v1/rollouts/{rollout_id}"


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
        resource="rollout",
        role="operator",
        reach="own_or_platform",
        query=query,
        gives=gives,
    )


def _act(
    path: str,
    handler: Handler,
    summary: str,
    role: Role,
    gives: type[msgspec.Struct] = rollout_views.RolloutView,
) -> Route:
    """Something that is done to rollouts, with a reason."""
    return Route(
        method="POST",
        path=path,
        handler=handler,
        summary=summary,
        resource="rollout",
        role=role,
        reach="own_or_platform",
        gives=gives,
        body=requests.Reasoned,
        body_optional=True,
    )


ROLLOUTS: Final = (
    Route(
        method="POST",
        path="/v1/rollouts",
        handler=rollouts.begin,
        summary="Start a rollout",
        resource="rollout",
        role="admin",
        reach="own_or_platform",
        gives=rollout_views.RolloutView,
        body=requests.StartRollout,
        statuses=(200, 201),
        also={200: rollout_views.RehearsalView},
    ),
    _read(
        "/v1/rollouts",
        rollouts.listed,
        "List the rollouts that the key reaches",
        rollout_views.RolloutList,
    ),
    _act(
        "/v1/rollouts/stop",
        rollouts.stop,
        "Stop every rollout that the key reaches",
        "operator",
        rollout_views.RolloutList,
    ),
    _read(ROLLOUT, rollouts.read, "Read a rollout", rollout_views.RolloutView),
    _read(
        f"{ROLLOUT}/records",
        rollouts.records,
        "List the records of a rollout",
        rollout_views.RecordList,
        ("limit", "cursor"),
    ),
    _act(f"{ROLLOUT}/approve", rollouts.approve, "Approve a waiting rollout", "operator"),
    _act(f"{ROLLOUT}/pause", rollouts.pause, "Pause a rollout", "admin"),
    _act(f"{ROLLOUT}/resume", rollouts.resume, "Resume a paused rollout", "admin"),
    _act(f"{ROLLOUT}/step", rollouts.step, "Take one step without its evidence", "admin"),
    _act(f"{ROLLOUT}/abort", rollouts.abort, "Abort a rollout", "operator"),
    _act(f"{ROLLOUT}/promote", rollouts.promote, "Promote a rollout without its evidence", "admin"),
    _act(f"{ROLLOUT}/rollback", rollouts.roll_back, "Take a candidate out", "operator"),
)
"""Every route about rollouts."""
