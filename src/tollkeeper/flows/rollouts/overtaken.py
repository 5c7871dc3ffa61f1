"""Rollouts under which the traffic was moved: by failover, or by an operator's hand."""

from typing import Final

from msgspec.structs import replace

from tollkeeper.flows import routes
from tollkeeper.flows.rollouts.telling import event_of, record_of
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.rollouts import deciding
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing.rules import carrying

ACTOR: Final = "controller"


async def end_where_traffic_left(runtime: Runtime, rollout: Rollout) -> Rollout:
    """The rollout, ended where there is no baseline to compare with any more, or what was promoted
    carries nothing; the payments that a promoted version took are looked up again."""
    if not rollout.may_be_rolled_back:
        return rollout
    row = await runtime.store.routing()
    carried = carrying(row.rules or configured_rules(runtime.settings), rollout.provider)
    left = rollout.candidate if rollout.is_promoted else rollout.baseline
    if not carried or left in carried:
        return rollout
    why = f"new payments go to {carried[0]} by now, {left} carries none of them"
    now_ms = runtime.store.now_ms()
    after = deciding.ended(rollout, "rolled_back" if rollout.is_promoted else "aborted", why)
    after = replace(
        after,
        watch=None,
        decline_watch=None,
        adopts_since_ms=rollout.step_began_ms if rollout.is_promoted else 0,
        revision=rollout.revision + 1,
        seq=rollout.seq + 1,
        updated_ms=now_ms,
    )
    record = record_of(after, ACTOR, why)
    kind = "rollout.rolled_back" if rollout.is_promoted else "rollout.ended"
    event = event_of(runtime, after, kind, why)
    if not await runtime.store.save_rollout(None, after, record=record, events=(event,)):
        return rollout  # an operator was faster; the next look sees it
    await routes.refresh(runtime)
    runtime.tell("rollout_left_by_its_traffic", rollout=rollout.id, reason=why)
    return after
