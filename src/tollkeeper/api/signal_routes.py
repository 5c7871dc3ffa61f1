"""The routes of alerts and changes, for those who run the installation."""

from functools import partial
from typing import Final

from tollkeeper.api import signals
from tollkeeper.api.requests import JudgeAlert, SilenceAlert
from tollkeeper.api.route import Route
from tollkeeper.flows.signals.commands import Announcement
from tollkeeper.flows.signals.views import AlertView, ChangeView

ALERT: Final = "/v1/alerts/{alert_id}"

_ALERTS: Final = partial(Route, resource="alert", role="platform", reach="installation")
_DRIFT: Final = partial(Route, resource="drift", role="platform", reach="installation")
_CHANGES: Final = partial(Route, resource="change", role="platform", reach="installation")

SIGNALS: Final = (
    _ALERTS(
        method="GET",
        path="/v1/alerts",
        handler=signals.listed,
        summary="Page through alerts",
        query=("limit", "cursor"),
        gives=signals.AlertList,
    ),
    _ALERTS(
        method="GET",
        path=ALERT,
        handler=signals.read,
        summary="Read an alert with its verdict and evidence",
        gives=AlertView,
    ),
    _ALERTS(
        method="POST",
        path=f"{ALERT}/silence",
        handler=signals.silence,
        summary="Send no more messages about an alert for a while",
        body=SilenceAlert,
        gives=AlertView,
    ),
    _ALERTS(
        method="POST",
        path=f"{ALERT}/judge",
        handler=signals.judge,
        summary="Say that a verdict is right or wrong",
        body=JudgeAlert,
        gives=AlertView,
    ),
    _CHANGES(
        method="GET",
        path="/v1/changes",
        handler=signals.list_changes,
        summary="List the changes of the last day",
        gives=signals.ChangeList,
    ),
    _DRIFT(
        method="GET",
        path="/v1/drift",
        handler=signals.drift,
        summary="List what did not fit a version in the last day, with outlines of replies",
        gives=signals.DriftList,
    ),
    _CHANGES(
        method="POST",
        path="/v1/changes",
        handler=signals.announce,
        summary="Announce a change, so that verdicts weigh it",
        body=Announcement,
        gives=ChangeView,
        statuses=(201,),
    ),
)
"""Every route of alerts and changes."""
