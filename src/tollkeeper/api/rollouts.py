"""Rollouts over HTTP: for operators, and for the programs that they deploy with.

Law: every handler passes the key's owner on, so that an account reaches its own rollouts alone.
"""

from collections.abc import Awaitable, Callable

from tollkeeper.api.answers import Answer, json_answer
from tollkeeper.api.calls import Call, bad_parameter
from tollkeeper.api.requests import Reasoned, StartRollout
from tollkeeper.api.rollout_views import (
    RecordList,
    RolloutList,
    RolloutView,
    record_view,
    rehearsal_view,
    rollout_view,
)
from tollkeeper.flows.rollouts import commands, starting
from tollkeeper.flows.rollouts import read as read_flow
from tollkeeper.flows.rollouts.forecast import forecast
from tollkeeper.rollouts.rollout import Plan, Rollout
from tollkeeper.routing.routes import Condition

SHOWN = 100
LONGEST = 15


async def begin(call: Call) -> Answer:
    asked, _ = call.asked(StartRollout)
    plan, condition = _plan_of(asked), _condition_of(asked)
    if asked.dry_run:
        found = await starting.rehearse(
            call.runtime,
            asked.candidate,
            plan,
            condition=condition,
            override=asked.override,
            owner=call.owner,
        )
        return json_answer(rehearsal_view(found))
    made = await starting.begin_rollout(
        call.runtime,
        asked.candidate,
        plan,
        condition=condition,
        override=asked.override,
        owner=call.owner,
        actor=_actor(call),
    )
    answer = json_answer(await _viewed(call, made), 201)
    answer.headers.append((b"location", f"/v1/rollouts/{made.id}".encode()))
    return answer


def _plan_of(asked: StartRollout) -> Plan:
    return Plan(
        steps_percent=tuple(float(step) for step in asked.steps_percent),
        dwell_seconds=asked.dwell_seconds,
        limit_seconds=asked.limit_seconds,
        alpha=asked.alpha,
        pause_at=tuple(float(step) for step in asked.pause_at),
        floor_percent=asked.floor_percent,
        shadow_payments=asked.shadow_payments,
        orphaned=asked.orphaned,
    )


def _condition_of(asked: StartRollout) -> Condition:
    return Condition(currency=asked.currency, country=asked.country, account=asked.account)


async def _viewed(call: Call, rollout: Rollout) -> RolloutView:
    """One rollout, with what is left of it."""
    return rollout_view(rollout, await forecast(call.runtime.store, rollout))


async def listed(call: Call) -> Answer:
    found = await commands.list_rollouts(call.runtime, SHOWN, call.owner)
    return json_answer(RolloutList(data=[rollout_view(item) for item in found]))


async def read(call: Call) -> Answer:
    return json_answer(await _viewed(call, await _mine(call)))


async def records(call: Call) -> Answer:
    rollout = await _mine(call)
    call.only(("cursor", "limit"))
    limit = call.limit()
    given = call.query.get("cursor", "0")
    if not given.isascii() or not given.isdigit() or len(given) > LONGEST:
        raise bad_parameter("cursor", "the `seq` of the last record seen")
    found = await read_flow.records(call.runtime.store, rollout.id, int(given), limit + 1)
    page = [record_view(item) for item in found[:limit]]
    return json_answer(RecordList(data=page, has_more=len(found) > limit))


async def approve(call: Call) -> Answer:
    return await _with_reason(call, commands.approve)


async def pause(call: Call) -> Answer:
    return await _with_reason(call, commands.pause)


async def resume(call: Call) -> Answer:
    return await _with_reason(call, commands.resume)


async def step(call: Call) -> Answer:
    return await _with_reason(call, commands.step)


async def abort(call: Call) -> Answer:
    return await _with_reason(call, commands.abort)


async def promote(call: Call) -> Answer:
    return await _with_reason(call, commands.promote)


async def roll_back(call: Call) -> Answer:
    return await _with_reason(call, commands.roll_back)


async def stop(call: Call) -> Answer:
    asked, _ = call.asked(Reasoned, optional=True)
    stopped = await commands.stop_all(
        call.runtime, reason=asked.reason, owner=call.owner, actor=_actor(call)
    )
    return json_answer(RolloutList(data=[rollout_view(item) for item in stopped]))


async def _with_reason(call: Call, command: Callable[..., Awaitable[Rollout]]) -> Answer:
    asked, _ = call.asked(Reasoned, optional=True)
    changed = await command(
        call.runtime, _id(call), reason=asked.reason, owner=call.owner, actor=_actor(call)
    )
    return json_answer(await _viewed(call, changed))


async def _mine(call: Call) -> Rollout:
    return await commands.load_rollout(call.runtime, _id(call), call.owner)


def _id(call: Call) -> str:
    return call.id("rollout_id", "ro")


def _actor(call: Call) -> str:
    assert call.key is not None, "rollouts ask for a key"
    return call.key.id
