"""Deciding: from a rollout and what was newly counted to the rollout after it, as one table.

Law: waiting, for whatever, never switches rollback off; no data decides nothing; an undecided
rollout is never promoted. The same numbers give the same decision, so that it can be explained.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.rollouts.afterwards import Watch, begin_watch, observe
from tollkeeper.rollouts.certificate import DECLINES_PER_RATE, attest
from tollkeeper.rollouts.evidence import (
    BY_NAME,
    GUARDRAILS,
    LATENCY,
    Evidence,
    Guardrail,
    add,
    expected_harm,
    part_of_wealth,
    suspect_limit,
    whole_wealth,
)
from tollkeeper.rollouts.rollout import Crossings, Decision, Rollout, Shadows, Status, ppm
from tollkeeper.rollouts.tally import Tally, tally
from tollkeeper.rollouts.units import Seen
from tollkeeper.routing.routes import PPM

HARMFUL: Final = ("failure", "contract", "decline", "follow_up")
"""Guardrails that hold the share back; follow-ups, which may be few, only once two have failed."""

FAILURE: Final = "failure"
DECLINE: Final = "decline"
"""The guardrails that certificates and the watch look at as well."""

MOST_UNREAD: Final = 0.1
"""Of the cross-reads, how many may stay without an answer before a step is held."""

FEW_UNREAD: Final = 3
"""So many may always be on their way."""

ENOUGH_FOLLOW_UPS: Final = 2
"""Failed first follow-ups of the canary from which on they hold the share back."""

HISTORY: Final = 200
"""Baseline latencies that the limits of the latency guardrails are taken from."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What came since the last look: units; first follow-ups as (share, canary, failed); and how
    all cross-reads and shadow readings stand."""

    units: tuple[Seen, ...] = ()
    follows: tuple[tuple[int, bool, bool], ...] = ()
    crossings: Crossings = Crossings()
    shadows: Shadows = Shadows()


def tallies_of(rollout: Rollout, counted: Counted) -> dict[str, tuple[Tally, ...]]:
    """What was counted as tallies by guardrail's name; nothing where nothing came."""
    if not counted.units and not counted.follows:
        return {}
    return {rail.name: _tally(rail, rollout, counted) for rail in GUARDRAILS}


def _tally(rail: Guardrail, rollout: Rollout, counted: Counted) -> tuple[Tally, ...]:
    """One guardrail's tallies. Units of which it cannot tell anything yet do not count."""
    if rail.is_bad is None:
        return tally(counted.follows)
    told = [(u, rail.is_bad(u, rollout.limits_ms)) for u in counted.units]
    return tally((u.share_ppm, u.canary, bad) for u, bad in told if bad is not None)


def count(rollout: Rollout, tallies: Mapping[str, tuple[Tally, ...]]) -> Rollout:
    """The rollout with its evidence and certificates after `tallies`, by guardrail's name. Records
    of older releases have fewer of them."""
    if not tallies:
        return rollout
    failed, declined = tallies.get(FAILURE, ()), tallies.get(DECLINE, ())
    if rollout.status == "promoted" and rollout.watch is not None:
        return replace(
            rollout,
            watch=_watched(rollout.watch, failed),
            decline_watch=_watched(rollout.decline_watch, declined),
        )
    rail, declining = BY_NAME[FAILURE], BY_NAME[DECLINE]
    evidence = {
        one.name: add(one, rollout.evidence[one.name], tallies.get(one.name, ()))
        for one in GUARDRAILS
    }
    certificates = tuple(
        attest(one, failed, prior=rail.prior, strength=rail.strength)
        for one in rollout.certificates
    )
    declines = tuple(
        attest(
            one,
            declined,
            prior=declining.prior,
            strength=declining.strength,
            per_rate=DECLINES_PER_RATE,
        )
        for one in rollout.declines
    )
    return replace(rollout, evidence=evidence, certificates=certificates, declines=declines)


def _watched(watch: Watch | None, tallies: tuple[Tally, ...]) -> Watch | None:
    if watch is None:
        return None
    ok, bad = sum(t.canary_ok for t in tallies), sum(t.canary_bad for t in tallies)
    return observe(watch, ok=ok, bad=bad)


def learned(rollout: Rollout, units: tuple[Seen, ...]) -> Rollout:
    """The rollout with the baseline's newest latencies in its history; full, it sets the limits."""
    if rollout.limits_ms:
        return rollout
    history = (*rollout.history, *(u.latency_ms for u in units if not u.canary))[:HISTORY]
    if len(history) < HISTORY:
        return replace(rollout, history=history)
    ordered = sorted(history)
    limits = tuple(ordered[min(math.ceil(q * HISTORY), HISTORY - 1)] for q in LATENCY.values())
    return replace(rollout, history=(), limits_ms=limits)


def advance(rollout: Rollout, counted: Counted, now_ms: int) -> tuple[Rollout, Decision]:
    """The rollout after one look at what was counted, and the decision that it came to."""
    after = count(rollout, tallies_of(rollout, counted))
    after = replace(after, crossings=counted.crossings, shadows=counted.shadows)
    if rollout.status == "running":
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
    return _hold(
        f"held at {rollout.share_ppm / PPM:.2%} until {harm:.1%} of expected excess in {name} "
        f"falls below {limit:.1%}"
    )


def _not_cross_read(rollout: Rollout, _: int) -> Decision | None:
    seen = rollout.crossings
    if not seen.agreed:
        return _hold(f"no canary payment was read through the baseline yet ({seen.asked} asked)")
    if seen.open > max(FEW_UNREAD, MOST_UNREAD * seen.asked):
        return _hold(f"{seen.open} of {seen.asked} cross-reads are not answered")
    return None


def _not_certified(rollout: Rollout, _: int) -> Decision | None:
    following = rollout.next_percent
    if following is None:
        return _hold(f"the plan ends at {rollout.step_percent:g} %")
    kinds = (("failures", rollout.certificates), ("declines", rollout.declines))
    for name, all_ in kinds:
        certificate = all_[rollout.step]
        if certificate.granted:
            continue
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
    why = (
        f"an excess of {margin:.1%} failures and of {declines:.1%} declines (or of a quarter of "
        f"the baseline's) is excluded after {rollout.canary_seen} canary payments"
    )
    if following >= 100:
        return Decision(kind="promote", reason=why)
    return Decision(kind="advance", reason=f"to {following:g} %: {why}")


RULES: Final[tuple[Callable[[Rollout, int], Decision | None], ...]] = (
    _ended,
    _misread,
    _worse,
    _time_is_up,
    _shadowing,
    _too_early,
    _suspicious,
    _not_cross_read,
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
        if rail.name in HARMFUL and _tells(rail.name, seen := rollout.evidence[rail.name])
    ]
    return max(found, key=lambda one: one[1] / one[2])


def _tells(name: str, seen: Evidence) -> bool:
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
        step = 0 if rollout.status == "shadow" else rollout.step + 1
        rollout = replace(rollout, status="running", step=step, step_began_ms=now_ms)
    rollout = replace(rollout, waiting=decision.reason)
    return in_force(rollout) if rollout.status == "running" else rollout


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
    return replace(rollout, status=status, share_ppm=0, reason=reason, waiting="")


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
        watch=_begin_watch(rollout, FAILURE),
        decline_watch=_begin_watch(rollout, DECLINE),
    )


def _begin_watch(rollout: Rollout, name: str) -> Watch:
    rail, seen = BY_NAME[name], rollout.evidence[name]
    bad = seen.baseline_bad + seen.canary_bad
    whole = bad + seen.baseline_ok + seen.canary_ok
    return begin_watch(bad, whole, prior=rail.prior, strength=rail.strength)
