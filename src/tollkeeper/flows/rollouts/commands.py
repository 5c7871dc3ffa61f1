"""What operators do with rollouts that there are: pause, step, approve, abort, promote, stop.

Law: an `owner` is the account that an act may reach; it reaches the rollouts that name this account
and no others. `None` is the platform, which reaches them all.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from tollkeeper.flows import routes
from tollkeeper.flows.ports import Rerouting
from tollkeeper.flows.rollouts.telling import event_of, record_of
from tollkeeper.flows.runtime import Runtime, configured_rules
from tollkeeper.kernel.errors import (
    Conflict,
    Fault,
    Invalid,
    NotFound,
    TollkeeperError,
    Unavailable,
)
from tollkeeper.rollouts import commanding, deciding
from tollkeeper.rollouts.rerouting import overlap, promoted_rules, restored_rules
from tollkeeper.rollouts.rollout import ACTIVE, Rollout
from tollkeeper.routing.routes import Rule

TRIES: Final = 8
PAGE: Final = 500


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


async def pause(
    runtime: Runtime, rollout_id: str, *, reason: str, owner: str | None = None, actor: str
) -> Rollout:
    """Lets a rollout go no step further and keep its share; what rolls it back still does, and so
    does the end of its time."""
    _must_have_reason(reason, "a pause is kept with its reason")

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        return commanding.paused(rollout, reason.strip())

    return await _command(
        runtime, rollout_id, change, actor, f"paused: {reason}", event="rollout.paused", owner=owner
    )


async def resume(
    runtime: Runtime, rollout_id: str, *, reason: str = "", owner: str | None = None, actor: str
) -> Rollout:
    """Lets a rollout that was paused go on. Raises `Conflict` where it was not."""

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        if not rollout.paused:
            raise Conflict("the rollout is not paused")
        return commanding.resumed(rollout)

    detail = f"resumed: {reason}" if reason else "resumed"
    return await _command(
        runtime, rollout_id, change, actor, detail, event="rollout.resumed", owner=owner
    )


async def step(
    runtime: Runtime, rollout_id: str, *, reason: str, owner: str | None = None, actor: str
) -> Rollout:
    """Takes exactly one step on an operator's word, who must say why; a suspicion keeps the share
    at its floor there too. Raises `Conflict` where the next step is promotion, or there is none."""
    _must_have_reason(reason, "a step past the evidence is kept with its reason")

    def change(rollout: Rollout) -> Rollout:
        _must_be_active(rollout)
        if why := commanding.no_step(rollout):
            raise Conflict(why)
        return commanding.stepped_by_hand(rollout, reason.strip(), runtime.store.now_ms())

    return await _command(
        runtime, rollout_id, change, actor, f"one step: {reason}",
        event="rollout.advanced", owner=owner,
    )  # fmt: skip


def _must_have_reason(reason: str, why: str) -> None:
    if not reason.strip():
        raise Invalid("a reason is needed", faults=(Fault("/reason", f"say why: {why}"),))


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
        said = (
            f"{detail}: {after.reason}" if after.reason and after.reason not in detail else detail
        )
        events = (event_of(runtime, after, event, after.reason or said),) if event else ()
        record = record_of(after, actor, said)
        saved = await runtime.store.save_rollout(
            None, after, record=record, events=events, rules=rerouting
        )
        if saved:
            await routes.refresh(runtime)
            return after
    raise Unavailable(f"rollout {rollout_id} is being changed by too many at once")
