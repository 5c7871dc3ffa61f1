"""Starting a rollout, and rehearsing that: what would refuse it, and how long it would take.

Law: a rehearsal writes nothing.
"""

from typing import Final

import msgspec

from tollkeeper.flows import routes
from tollkeeper.flows.rollouts.commands import list_rollouts
from tollkeeper.flows.rollouts.controller import VALID_MS, gate_of
from tollkeeper.flows.rollouts.forecast import forecast
from tollkeeper.flows.rollouts.telling import event_of, record_of
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import (
    Conflict,
    Fault,
    Forbidden,
    GateClosed,
    Invalid,
    TollkeeperError,
)
from tollkeeper.rollouts.estimate import Estimate
from tollkeeper.rollouts.memory import remembered
from tollkeeper.rollouts.rollout import Plan, Rollout, start
from tollkeeper.rollouts.starting import condition_faults, is_in_the_way, plan_faults
from tollkeeper.routing.routes import Condition, RoutingContext

LOOKED_BACK: Final = 500
"""Rollouts and records of failover that are looked through for what became of a candidate."""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a start would come to. `refusals`: sentences, none where it would start; `baseline` is
    empty, and there is no estimate, where there is none to compare with."""

    candidate: str
    baseline: str
    refusals: tuple[str, ...]
    remembered: tuple[str, ...]
    estimate: Estimate | None


async def begin_rollout(
    runtime: Runtime,
    candidate: str,
    plan: Plan,
    *,
    condition: Condition = Condition(),  # noqa: B008 - frozen
    override: str = "",
    owner: str | None = None,
    actor: str,
) -> Rollout:
    """Starts a rollout, first in the shadow. Raises `Forbidden` where the condition reaches further
    than `owner`, `Invalid`, `Conflict`, or `GateClosed` where no passing check of the candidate
    stands and no reason overrides that. What became of the candidate before is kept, and refuses
    nothing."""
    override = override.strip()
    _check_reach(condition, owner)
    _check_plan(plan, condition)
    await routes.refresh(runtime)
    baseline = _baseline(runtime, candidate, condition)
    await _gate(runtime, candidate, override)
    before = await _remembered(runtime, candidate, owner)
    rollout = _drafted(runtime, candidate, baseline, plan, condition)
    rollout = msgspec.structs.replace(
        rollout,
        id=runtime.new_id("ro"),
        salt=runtime.new_id("salt"),
        actor=actor,
        override=override,
        remembered=before,
    )
    told = [f"{candidate} against {baseline}"]
    told += [f"gate overridden: {override}"] if override else []
    detail = "; ".join([*told, *before])
    record = record_of(rollout, actor, "started: " + detail)
    event = event_of(runtime, rollout, "rollout.started", detail)
    if not await runtime.store.insert_rollout(rollout, record, event):
        raise Conflict(_in_the_way(rollout.provider))
    await routes.refresh(runtime)
    return rollout


async def rehearse(
    runtime: Runtime,
    candidate: str,
    plan: Plan,
    *,
    condition: Condition = Condition(),  # noqa: B008 - frozen
    override: str = "",
    owner: str | None = None,
) -> Rehearsal:
    """What `begin_rollout` would come to now. Raises `Forbidden` as that does."""
    _check_reach(condition, owner)
    await routes.refresh(runtime)
    faults = (*plan_faults(plan), *condition_faults(condition))
    refusals = [_said(fault) for fault in faults]
    baseline, drafted = "", None
    try:
        baseline = _baseline(runtime, candidate, condition)
        await _gate(runtime, candidate, override.strip())
    except TollkeeperError as error:
        refusals.append(error.detail)
    if baseline and not faults:
        drafted = _drafted(runtime, candidate, baseline, plan, condition)
        running = (await runtime.store.routing()).rollouts
        if any(is_in_the_way(one, drafted) for one in running):
            refusals.append(_in_the_way(drafted.provider))
    return Rehearsal(
        candidate=candidate,
        baseline=baseline,
        refusals=tuple(refusals),
        remembered=await _remembered(runtime, candidate, owner),
        estimate=await forecast(runtime.store, drafted) if drafted is not None else None,
    )


def _drafted(
    runtime: Runtime, candidate: str, baseline: str, plan: Plan, condition: Condition
) -> Rollout:
    now_ms = runtime.store.now_ms()
    return start(
        Rollout(
            id="",
            provider=candidate.partition("@")[0],
            candidate=candidate,
            baseline=baseline,
            salt="",
            condition=condition,
            plan=plan,
            status="shadow",
            actor="",
            created_ms=now_ms,
            updated_ms=now_ms,
            valid_until_ms=now_ms + VALID_MS,
            seq=1,
            waiting="the controller has not looked yet",
        )
    )


def _check_reach(condition: Condition, owner: str | None) -> None:
    if owner is not None and condition.account != owner:
        raise Forbidden(
            f"this key acts on account {owner} alone: name it in `account`; a rollout for others "
            "or for every account needs the role platform",
            faults=(Fault("/account", "the account of the key"),),
        )


def _check_plan(plan: Plan, condition: Condition) -> None:
    if faults := (*plan_faults(plan), *condition_faults(condition)):
        raise Invalid(_said(faults[0]), faults=faults)


def _said(fault: Fault) -> str:
    return f"{fault.pointer}: {fault.detail}" if fault.pointer else fault.detail


def _in_the_way(provider: str) -> str:
    return f"another rollout of {provider} is running; end it first"


def _baseline(runtime: Runtime, candidate: str, condition: Condition) -> str:
    """The heaviest version of the provider where the condition holds; it must not be the candidate
    itself, nor may that carry traffic already."""
    if candidate not in runtime.installed:
        known = ", ".join(sorted(runtime.installed))
        detail = f"{candidate} is not installed; installed: {known}"
        raise Invalid(detail, faults=(Fault("/candidate", detail),))
    facts = RoutingContext(
        unit="", payment_id="", currency=condition.currency or "",
        account=condition.account or "", country=condition.country,
    )  # fmt: skip
    provider = candidate.partition("@")[0]
    mine = {
        name: weight
        for name, weight in runtime.live.routes.weights_for(facts).items()
        if name.partition("@")[0] == provider and weight > 0
    }
    if candidate in mine:
        raise Conflict(f"{candidate} carries {mine[candidate]:g} % of the traffic already")
    if not mine:
        raise Conflict(f"no version of {provider} carries traffic, so there is no baseline")
    baseline = max(mine, key=lambda name: mine[name])
    if candidate not in runtime.integration(baseline).handles:
        raise Conflict(
            f"{baseline} cannot look up payments of {candidate}: nothing could be checked"
        )
    return baseline


async def _gate(runtime: Runtime, candidate: str, override: str) -> None:
    why = None if override else await gate_of(runtime, candidate)
    if why is not None:
        raise GateClosed(why)


async def _remembered(runtime: Runtime, candidate: str, owner: str | None) -> tuple[str, ...]:
    """What became of the candidate before, as far as `owner` may see it."""
    provider = candidate.partition("@")[0]
    return remembered(
        candidate,
        await list_rollouts(runtime, LOOKED_BACK, owner),
        await runtime.store.load_watch(provider),
        await runtime.store.list_failover_records(provider, LOOKED_BACK),
    )
