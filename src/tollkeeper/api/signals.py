"""Alerts, verdicts and changes over HTTP: for those who run the installation for all accounts."""

import msgspec

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import Call, bad_parameter
from tollkeeper.api.requests import JudgeAlert, SilenceAlert
from tollkeeper.flows.signals import commands, studying
from tollkeeper.flows.signals.commands import Announcement
from tollkeeper.flows.signals.views import (
    AlertView,
    ChangeView,
    DriftView,
    alert_view,
    change_view,
    drift_view,
)
from tollkeeper.kernel.ids import is_id


class AlertList(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, newest first; `has_more`: ask again with the last one's id as `cursor`."""

    data: list[AlertView]
    has_more: bool


class ChangeList(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of the last day, newest first."""

    data: list[ChangeView]


class DriftList(msgspec.Struct, frozen=True, kw_only=True):
    """What did not fit a version in the last day, the newest first."""

    data: list[DriftView]


async def listed(call: Call) -> Answer:
    call.only(("cursor", "limit"))
    limit = call.limit()
    cursor = call.query.get("cursor", "")
    if cursor and not is_id(cursor, "alr"):
        raise bad_parameter("cursor", "the id of the last alert seen")
    found = await commands.page(call.runtime.store, cursor, limit + 1)
    data = [alert_view(alert) for alert in found[:limit]]
    return json_answer(AlertList(data=data, has_more=len(found) > limit))


async def read(call: Call) -> Answer:
    store = call.runtime.store
    alert = await commands.one(store, call.path["alert_id"])
    return json_answer(alert_view(alert, await commands.watches(store)))


async def silence(call: Call) -> Answer:
    asked, _ = call.asked(SilenceAlert)
    alert = await commands.silence(
        call.runtime,
        call.path["alert_id"],
        asked.seconds,
        reason=asked.reason,
        actor=_actor(call),
    )
    return json_answer(alert_view(alert))


async def judge(call: Call) -> Answer:
    asked, _ = call.asked(JudgeAlert)
    alert = await commands.judge(
        call.runtime,
        call.path["alert_id"],
        asked.judgment,
        reason=asked.reason,
        actor=_actor(call),
    )
    return json_answer(alert_view(alert))


async def list_changes(call: Call) -> Answer:
    found = await commands.changes(call.runtime.store, 24.0)
    return json_answer(ChangeList(data=[change_view(change) for change in found]))


async def drift(call: Call) -> Answer:
    call.only(())
    found = await studying.drift(call.runtime.store, 24.0)
    return json_answer(DriftList(data=[drift_view(one) for one in found]))


async def announce(call: Call) -> Answer:
    asked, _ = call.asked(Announcement)
    change = await commands.announce(call.runtime, asked, actor=_actor(call))
    return json_answer(change_view(change), 201)


def _actor(call: Call) -> str:
    assert call.key is not None, "alerts ask for a key"
    return call.key.id
