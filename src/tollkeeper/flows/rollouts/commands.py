"""What operators do with rollouts: start, approve, abort, promote, roll back, stop, explain.

Law: an `owner` is the account that an act may reach; it reaches the rollouts that name this account
and no others. `None` is the platform, which reaches them all.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from tollkeeper.flows import routes
from tollkeeper.flows.ports import Rerouting
from tollkeeper.flows.rollouts.controller import VALID_MS, event_of, gate_of
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.kernel.errors import (
    Conflict,
    Fault,
    Forbidden,
    GateClosed,
    Invalid,
    NotFound,
    TollkeeperError,
    Unavailable,
)
from tollkeeper.rollouts import deciding
from tollkeeper.rollouts.evidence import whole_wealth
from tollkeeper.rollouts.rerouting import overlap, promoted_rules, restored_rules
from tollkeeper.rollouts.rollout import ACTIVE, Plan, Record, Rollout, start
from tollkeeper.rollouts.starting import condition_faults, plan_faults
from tollkeeper.routing.routes import Condition, RoutingContext, Rule

TRIES: Final = 8
PAGE: Final = 500


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
    stands and no reason overrides that."""
    if owner is not None and condition.account != owner:
        raise Forbidden(
            f"this key acts on account {owner} alone: name it in `account`; a rollout for others "
            "or for every account needs the role platform",
            faults=(Fault("/account", "the account of the key"),),
        )
    override = override.strip()
    if faults := (*plan_faults(plan), *condition_faults(condition)):
        raise Invalid(_said(faults[0]), faults=faults)
    await routes.refresh(runtime)
    baseline = _baseline(runtime, candidate, condition)
    await _gate(runtime, candidate, override)
    now_ms = runtime.store.now_ms()
    rollout = start(
        Rollout(
            id=runtime.new_id("ro"),
            provider=candidate.partition("@")[0],
            candidate=candidate,
            baseline=baseline,
            salt=runtime.new_id("salt"),
            condition=condition,
            plan=plan,
            status="shadow",
            actor=actor,
            created_ms=now_ms,
            updated_ms=now_ms,
            valid_until_ms=now_ms + VALID_MS,
            override=override,
            seq=1,
            waiting="the controller has not looked yet",
        )
    )
    detail = f"{candidate} against {baseline}" + (
        f"; gate overridden: {override}" if override else ""
    )
    record = _record(rollout, actor, "started: " + detail)
    event = event_of(runtime, rollout, "rollout.started", detail)
    if not await runtime.store.insert_rollout(rollout, record, event):
        raise Conflict(f"another rollout of {rollout.provider} is running; end it first")
    await routes.refresh(runtime)
    return rollout


def _said(fault: Fault) -> str:
    return f"{fault.pointer}: {fault.detail}" if fault.pointer else fault.detail


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


async def load_rollout(runtime: Runtime, rollout_id: str, owner: str | None = None) -> Rollout:
    """One rollout; `NotFound` where there is none, or none that `owner` reaches."""
    found = await runtime.store.load_rollout(rollout_id)
    if found is None or not is_reached(found, owner):
        raise NotFound(f"no rollout {rollout_id}")
    return found


def is_reached(rollout: Rollout, owner: str | None) -> bool:
    """Whether `owner` may see a rollout and act on it."""
    return owner is None or rollout.condition.account == owner


async def list_rollouts(runtime: Runtime, limit: int, owner: str | None = None) -> list[Rollout]:
    """At most `limit` rollouts that `owner` reaches, the newest first."""
    if owner is None:
        return await runtime.store.list_rollouts(limit)
    found = await runtime.store.list_rollouts_of(owner, limit)
    return [rollout for rollout in found if is_reached(rollout, owner)]


async def approve(
    runtime: Runtime, rollout_id: str, *, reason: str = "", owner: str | None = None, actor: str
) -> Rollout:
    """Opens the gate at the present step; the evidence still decides. Raises `Conflict` where the
    step has none."""

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        if rollout.is_shadow or rollout.step_percent not in rollout.plan.pause_at:
            gates = ", ".join(f"{step:g} %" for step in rollout.plan.pause_at) or "no step"
            raise Conflict(f"there is nothing to approve yet: it pauses at {gates}")
        steps = (*rollout.approved_steps, rollout.step)
        return replace(rollout, approved_steps=tuple(sorted(set(steps))))

    detail = f"approved: {reason}" if reason else "approved"
    return await _command(runtime, rollout_id, change, actor, detail, owner=owner)


async def abort(
    runtime: Runtime, rollout_id: str, *, reason: str, owner: str | None = None, actor: str
) -> Rollout:
    """Ends a rollout; the candidate takes nobody any more."""

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        return deciding.ended(rollout, "aborted", reason or "aborted by an operator")

    return await _command(
        runtime, rollout_id, change, actor, "aborted", event="rollout.ended", owner=owner
    )


async def promote(
    runtime: Runtime, rollout_id: str, *, reason: str, owner: str | None = None, actor: str
) -> Rollout:
    """Promotes without waiting for the evidence, on an operator's word, who must say why."""
    if not reason.strip():
        fault = Fault("/reason", "say why: promoting past the evidence is kept with its reason")
        raise Invalid("promoting past the evidence needs a reason", faults=(fault,))
    stood: list[tuple[Rule, ...]] = []

    async def rules(rollout: Rollout) -> Rerouting:
        row = await runtime.store.routing()
        stood[:] = [row.rules or configured_rules(runtime.settings)]
        return Rerouting(before=row.rules, after=promoted_rules(stood[0], rollout))

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        after = deciding.promoted(rollout, reason, runtime.store.now_ms())
        return replace(after, rules_before=stood[0])

    return await _command(
        runtime, rollout_id, change, actor, f"promoted: {reason}",
        event="rollout.promoted", rules=rules, owner=owner,
    )  # fmt: skip


async def roll_back(
    runtime: Runtime, rollout_id: str, *, reason: str, owner: str | None = None, actor: str
) -> Rollout:
    """Takes the candidate out, also after it was promoted: the routes from before stand again, and
    a rollout that compares with it ends as well, where `owner` reaches it."""
    rollout = await load_rollout(runtime, rollout_id, owner)
    was_promoted = rollout.is_promoted
    if was_promoted:
        await _rules_from_before(runtime, rollout)  # refused before anything ends
        await _end_those_upon(runtime, rollout, owner, actor)

    async def rules(current: Rollout) -> Rerouting:
        return await _rules_from_before(runtime, current)

    def change(current: Rollout) -> Rollout:
        if (current.is_promoted) != was_promoted:
            raise Conflict(f"the rollout is {current.status}")
        if not current.may_be_rolled_back:
            raise Conflict(f"the rollout is {current.status}")
        after = deciding.ended(current, "rolled_back", reason or "rolled back by an operator")
        since_ms = current.step_began_ms if was_promoted else 0
        return replace(after, watch=None, decline_watch=None, adopts_since_ms=since_ms)

    after = await _command(
        runtime, rollout_id, change, actor, "rolled back", event="rollout.rolled_back",
        rules=rules if was_promoted else None, owner=owner,
    )  # fmt: skip
    # whoever was watched long enough has no controller any more, and its payments are looked up
    await runtime.store.enqueue_job("advance", rollout_id, runtime.store.now_ms())
    return after


async def _rules_from_before(runtime: Runtime, rollout: Rollout) -> Rerouting:
    """The routes without the promotion. Raises `Conflict` where they cannot be gone back to."""
    for later in await runtime.store.list_rollouts(PAGE):
        mine = later.provider == rollout.provider and overlap(later.condition, rollout.condition)
        if later.id == rollout.id or not mine:
            continue
        if later.is_promoted and later.step_began_ms > rollout.step_began_ms:
            raise Conflict(f"{later.id} was promoted after it; roll that back first")
    row = await runtime.store.routing()
    rules = restored_rules(row.rules or configured_rules(runtime.settings), rollout)
    carrying = {name for rule in rules for name, weight in rule.weights.items() if weight > 0}
    if absent := sorted(carrying - set(runtime.installed)):
        raise Conflict(f"the routes from before need {', '.join(absent)}, not installed any more")
    return Rerouting(before=row.rules, after=rules)


async def _end_those_upon(
    runtime: Runtime, rollout: Rollout, owner: str | None, actor: str
) -> None:
    """Ends the rollouts whose baseline is being taken out for payments that they may meet."""
    why = f"its baseline {rollout.candidate} was rolled back"
    for other in await list_rollouts(runtime, PAGE, owner):
        compares = other.status in ACTIVE and other.baseline == rollout.candidate
        if compares and overlap(other.condition, rollout.condition):
            with contextlib.suppress(Conflict):
                await abort(runtime, other.id, reason=why, actor=actor)


async def stop_all(
    runtime: Runtime, *, reason: str, owner: str | None = None, actor: str
) -> list[Rollout]:
    """The kill switch: every candidate that `owner` reaches takes no new payment any more. One that
    is promoted in the same moment is rolled back. What cannot be stopped keeps no other from it."""
    stopped, failed = [], []
    for rollout in await list_rollouts(runtime, PAGE, owner):
        if rollout.status not in ACTIVE:
            continue
        try:
            found = await _stop(runtime, rollout.id, reason or "the kill switch", owner, actor)
        except TollkeeperError as error:
            failed.append(f"{rollout.id}: {error.detail}")
            continue
        if found is not None:
            stopped.append(found)
    if failed:
        raise Unavailable(f"not everything was stopped, pull again: {'; '.join(failed)}")
    return stopped


async def _stop(
    runtime: Runtime, rollout_id: str, reason: str, owner: str | None, actor: str
) -> Rollout | None:
    """The rollout as it was stopped; `None` where it had ended by itself."""

    def change(current: Rollout) -> Rollout:
        _must_be_active(current)
        return deciding.ended(current, "stopped", reason)

    try:
        return await _command(
            runtime, rollout_id, change, actor, "stopped", event="rollout.ended", owner=owner
        )
    except Conflict:
        if not (await load_rollout(runtime, rollout_id)).is_promoted:
            return None
        return await roll_back(runtime, rollout_id, reason=reason, owner=owner, actor=actor)


def _must_be_active(rollout: Rollout) -> None:
    if rollout.status not in ACTIVE:
        raise Conflict(f"the rollout is {rollout.status}")


async def _command(
    runtime: Runtime,
    rollout_id: str,
    change: Callable[[Rollout], Rollout],
    actor: str,
    detail: str,
    *,
    event: str = "",
    rules: Callable[[Rollout], Awaitable[Rerouting]] | None = None,
    owner: str | None,
) -> Rollout:
    """Applies an operator's change to the rollout and the routes as they are, whatever the
    controller and others do beside."""
    for _ in range(TRIES):
        before = await load_rollout(runtime, rollout_id, owner)
        rerouting = await rules(before) if rules is not None else None
        after = change(before)
        now_ms = runtime.store.now_ms()
        after = replace(after, revision=before.revision + 1, seq=before.seq + 1, updated_ms=now_ms)
        events = (event_of(runtime, after, event, after.reason),) if event else ()
        said = (
            f"{detail}: {after.reason}" if after.reason and after.reason not in detail else detail
        )
        record = _record(after, actor, said)
        saved = await runtime.store.save_rollout(
            None, after, record=record, events=events, rules=rerouting
        )
        if saved:
            await routes.refresh(runtime)
            return after
    raise Unavailable(f"rollout {rollout_id} is being changed by too many at once")


def _record(rollout: Rollout, actor: str, detail: str) -> Record:
    return Record(
        seq=rollout.seq,
        at_ms=rollout.updated_ms,
        actor=actor,
        cause="command",
        status=rollout.status,
        step=rollout.step,
        share_ppm=rollout.share_ppm,
        crossings=rollout.crossings,
        wealth=whole_wealth(rollout.evidence),
        detail=detail,
        capped=True,
    )
