"""Deciding: from a rollout and what was newly counted to the rollout after it, as one table.

Law: waiting, for whatever, never switches rollback off; no data decides nothing; an undecided
rollout is never promoted. The same numbers give the same decision, so that it can be explained.
"""

import math
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from tollkeeper.rollouts.counting import (
    DECLINE,
    FAILURE,
    ONLY_COMPARED,
    Counted,
    begin_watch_of,
    count,
    learned,
    tallies_of,
)
from tollkeeper.rollouts.evidence import (
    GUARDRAILS,
    Evidence,
    expected_harm,
    part_of_wealth,
    suspect_limit,
    whole_wealth,
)
from tollkeeper.rollouts.rollout import ACTIVE, Decision, Rollout, Shadows, Status, ppm
from tollkeeper.routing.routes import PPM

HARMFUL: Final = ("failure", "contract", "decline", "follow_up")
"""Guardrails that hold the share back; follow-ups, which may be few, only once two have failed."""

MOST_UNREAD: Final = 0.1
"""Of the cross-reads, how many may stay without an answer before a step is held."""

FEW_UNREAD: Final = 3
"""So many may always be on their way."""

ENOUGH_FOLLOW_UPS: Final = 2
"""Failed first follow-ups of the canary from which on they hold the share back."""


def advance(rollout: Rollout, counted: Counted, now_ms: int) -> tuple[Rollout, Decision]:
    """The rollout after one look at what was counted, and the decision that it came to."""
    fails = counted.baseline_fails and rollout.status in ACTIVE
    counted = replace(counted, baseline_fails=fails)
    before = replace(rollout, baseline_fails=fails, alone=rollout.alone if fails else ())
    after = count(before, tallies_of(before, counted))
    after = replace(after, crossings=counted.crossings, shadows=counted.shadows)
    if rollout.status == "running" and not fails:
        after = learned(after, counted.units)
    decision = decide(after, now_ms)
    return _moved(after, decision, now_ms), decision


def decide(rollout: Rollout, now_ms: int) -> Decision:
    """The first row of the table that has something to say."""
    for rule in RULES:
        decision = rule(rollout, now_ms)
        if decision is not None:
            return decision
    raise AssertionError("the last rule always speaks")


def _ended(rollout: Rollout, _: int) -> Decision | None:
    if rollout.status in {"shadow", "running"}:
        return None
    if rollout.status == "promoted" and rollout.crossings.disagreed:
        wrong = rollout.crossings.disagreed
        return _hold(f"cross-read: the baseline saw {wrong} payments otherwise; roll it back")
    return _hold(f"the rollout is {rollout.status}")


def _misread(rollout: Rollout, _: int) -> Decision | None:
    wrong = rollout.crossings.disagreed
    if not wrong:
        return None
    return Decision(
        kind="roll_back",
        reason=f"cross-read: the baseline sees {wrong} of the canary's payments otherwise",
    )


def _worse(rollout: Rollout, _: int) -> Decision | None:
    wealth, boundary = whole_wealth(rollout.evidence), 1 / rollout.plan.alpha
    if wealth < boundary:
        return None
    rail = max(GUARDRAILS, key=lambda one: part_of_wealth(one, rollout.evidence[one.name]))
    seen = rollout.evidence[rail.name]
    return Decision(
        kind="roll_back",
        reason=f"{rail.name}: {seen.canary_bad} of {seen.canary_bad + seen.canary_ok} canary "
        f"payments against {seen.baseline_bad} of {seen.baseline_bad + seen.baseline_ok} of the "
        f"baseline's; evidence {wealth:.3g}, boundary {boundary:.3g}",
    )


def _time_is_up(rollout: Rollout, now_ms: int) -> Decision | None:
    limit_s = rollout.plan.limit_seconds
    if now_ms - rollout.created_ms < limit_s * 1000:
        return None
    return Decision(kind="inconclusive", reason=f"nothing was shown within {limit_s:g} s")


def _paused(rollout: Rollout, _: int) -> Decision | None:
    return _hold(pause_because(rollout.paused)) if rollout.paused else None


def _shadowing(rollout: Rollout, now_ms: int) -> Decision | None:
    if rollout.status != "shadow":
        return None
    plan, seen = rollout.plan, rollout.shadows
    waited = now_ms - rollout.created_ms >= plan.shadow_seconds * 1000
    if seen.computed < plan.shadow_payments and not waited:
        return _hold(f"shadow: {seen.computed} of {plan.shadow_payments} replies read again")
    return Decision(kind="advance", reason=_shadow_says(seen))


def _shadow_says(seen: Shadows) -> str:
    if not seen.computed:
        return "shadow: nothing could be computed, so nothing is known from it"
    return f"shadow: {seen.differing} of {seen.computed} replies were read otherwise"


def _too_early(rollout: Rollout, now_ms: int) -> Decision | None:
    if rollout.baseline_fails:
        return None  # each minute beside it costs payments; what must be shown still must
    left_ms = rollout.step_began_ms + rollout.plan.dwell_seconds * 1000 - now_ms
    return (
        _hold(f"step {rollout.step_percent:g} %: {left_ms / 1000:.0f} s to stay")
        if (left_ms > 0)
        else None
    )


def _suspicious(rollout: Rollout, _: int) -> Decision | None:
    if not rollout.cautious:
        return None
    name, harm, limit = suspicion_of(rollout)
    if harm <= limit:
        return None  # this look ends the suspicion
    return _hold(
        f"held at {rollout.share_ppm / PPM:.2%} until {harm:.1%} of expected excess in {name} "
        f"falls below {limit:.1%}"
    )


def _not_cross_read(rollout: Rollout, _: int) -> Decision | None:
    seen = rollout.crossings
    why = _itself(rollout) if rollout.baseline_fails else ""
    if not seen.agreed:
        told = f"no canary payment was read through another version yet ({seen.asked} asked)"
        return _hold(told + why)
    if seen.open > max(FEW_UNREAD, MOST_UNREAD * seen.asked):
        return _hold(f"{seen.open} of {seen.asked} cross-reads are not answered{why}")
    return None


def _itself(rollout: Rollout) -> str:
    """What an operator should know of a baseline that fails."""
    return (
        f": the baseline {rollout.baseline} fails itself, and failover decides "
        f"(`tollkeeper failover explain {rollout.provider}`)"
    )


def _fails_alone(rollout: Rollout, _: int) -> Decision | None:
    """Beside a baseline that fails, a candidate that fails or declines less may still be bad."""
    kinds = ("failed", "were declined")
    for kind, watch in zip(kinds, rollout.alone, strict=False):
        if watch.alarmed:
            told = f"{watch.bad} of {watch.seen} canary payments {kind}, more than before"
            return _hold(told + _itself(rollout))
    return None


def _not_certified(rollout: Rollout, _: int) -> Decision | None:
    following = rollout.next_percent
    if following is None:
        return _hold(f"the plan ends at {rollout.step_percent:g} %")
    kinds = (("failures", rollout.certificates), ("declines", rollout.declines))
    for name, all_ in kinds:
        certificate = all_[rollout.step]
        if certificate.granted or (name == "declines" and rollout.baseline_fails):
            continue  # a baseline that fails declines nothing to compare with
        shown = math.exp(min(certificate.peak, 50))
        return _hold(
            f"for {following:g} % an excess of {certificate.margin:.1%} {name} must be excluded: "
            f"evidence {shown:.3g} of 20, {rollout.canary_seen} canary payments"
        )
    return None


def _closed(rollout: Rollout, _: int) -> Decision | None:
    return _hold(f"the gate has closed: {rollout.gate}") if rollout.gate else None


def _gate(rollout: Rollout, _: int) -> Decision | None:
    if rollout.step_percent not in rollout.plan.pause_at or rollout.step in rollout.approved_steps:
        return None
    return _hold(f"waits at {rollout.step_percent:g} % for an operator's approval")


def _go(rollout: Rollout, _: int) -> Decision | None:
    following = rollout.next_percent
    assert following is not None, "a rollout that goes has a next step"
    margin = rollout.certificates[rollout.step].margin
    declines = rollout.declines[rollout.step].margin
    compared = f" and of {declines:.1%} declines (or of a quarter of the baseline's)"
    why = (
        f"an excess of {margin:.1%} failures{'' if rollout.baseline_fails else compared} "
        f"is excluded after {rollout.canary_seen} canary payments"
    )
    if rollout.baseline_fails:
        why += f"; declines cannot be compared: the baseline {rollout.baseline} fails itself"
    if following >= 100:
        return Decision(kind="promote", reason=why)
    return Decision(kind="advance", reason=f"to {following:g} %: {why}")


RULES: Final[tuple[Callable[[Rollout, int], Decision | None], ...]] = (
    _ended,
    _misread,
    _worse,
    _time_is_up,
    _paused,
    _shadowing,
    _too_early,
    _suspicious,
    _not_cross_read,
    _fails_alone,
    _not_certified,
    _closed,
    _gate,
    _go,
)
"""In this order; those that take the candidate out stand before those that wait."""


def _hold(reason: str) -> Decision:
    return Decision(kind="hold", reason=reason)


def suspicion_of(rollout: Rollout) -> tuple[str, float, float]:
    """The guardrail that counts harm and is nearest to its limit or farthest above it: its name,
    the excess rate to be expected, and the limit."""
    found = [
        (rail.name, expected_harm(rail, seen), suspect_limit(rail, seen, cautious=rollout.cautious))
        for rail in GUARDRAILS
        if rail.name in HARMFUL and _tells(rollout, rail.name, seen := rollout.evidence[rail.name])
    ]
    return max(found, key=lambda one: one[1] / one[2])


def _tells(rollout: Rollout, name: str, seen: Evidence) -> bool:
    if rollout.baseline_fails and name in ONLY_COMPARED:
        return False
    return name != "follow_up" or seen.canary_bad >= ENOUGH_FOLLOW_UPS


def _moved(rollout: Rollout, decision: Decision, now_ms: int) -> Rollout:
    """The rollout after its decision."""
    if decision.kind == "roll_back":
        return ended(rollout, "rolled_back", decision.reason)
    if decision.kind == "inconclusive":
        return ended(rollout, "inconclusive", decision.reason)
    if decision.kind == "promote":
        return promoted(rollout, decision.reason, now_ms)
    if rollout.status == "promoted":
        watches = (rollout.watch, rollout.decline_watch)
        worse = any(w is not None and w.alarmed for w in watches)
        return replace(rollout, alarmed=worse or rollout.crossings.disagreed > 0)
    if rollout.status not in {"shadow", "running"}:
        return rollout
    if decision.kind == "advance":
        return replace(stepped(rollout, now_ms), waiting=decision.reason)
    rollout = replace(rollout, waiting=decision.reason)
    return in_force(rollout) if rollout.status == "running" else rollout


def stepped(rollout: Rollout, now_ms: int) -> Rollout:
    """The rollout one step further, at the share that its evidence allows there."""
    step = 0 if rollout.status == "shadow" else rollout.step + 1
    return in_force(replace(rollout, status="running", step=step, step_began_ms=now_ms))


def pause_because(reason: str) -> str:
    """What a paused rollout says that it waits for."""
    return f"paused by an operator: {reason}; `tollkeeper rollout resume` ends that"


def in_force(rollout: Rollout) -> Rollout:
    """The rollout with the share that its evidence allows now."""
    _, harm, limit = suspicion_of(rollout)
    cautious = harm > limit
    percent = rollout.step_percent
    if cautious:
        percent = min(percent, rollout.plan.floor_percent)
    return replace(rollout, cautious=cautious, share_ppm=ppm(percent))


def ended(rollout: Rollout, status: Status, reason: str) -> Rollout:
    """The rollout with the candidate taken out."""
    return replace(rollout, status=status, share_ppm=0, reason=reason, waiting="", paused="")


def promoted(rollout: Rollout, reason: str, now_ms: int) -> Rollout:
    """The rollout with the candidate at all of its traffic, and watched from now on."""
    return replace(
        rollout,
        status="promoted",
        share_ppm=PPM,
        step=len(rollout.plan.steps_percent) - 1,
        step_began_ms=now_ms,
        reason=reason,
        waiting="",
        paused="",
        watch=begin_watch_of(rollout, FAILURE, baseline=not rollout.baseline_fails),
        decline_watch=begin_watch_of(rollout, DECLINE),
    )
