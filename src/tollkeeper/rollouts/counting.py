"""Counting: what was newly observed as tallies, and the rollout with its evidence after them.

Law: from a rollout's records alone the same evidence comes again. While the baseline itself fails,
what could only be compared with it does not count: its declines vanish because its payments fail,
and an error is answered at another speed than a payment. Whether it fails is decided by earlier
payments but for those of one look. There, a failure on the baseline is no decline, which speaks
against the candidate: to leave it out makes no false rollback likelier.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.rollouts.afterwards import Watch, begin_watch, observe
from tollkeeper.rollouts.certificate import DECLINES_PER_RATE, attest
from tollkeeper.rollouts.evidence import BY_NAME, GUARDRAILS, LATENCY, Guardrail, add
from tollkeeper.rollouts.rollout import Crossings, Rollout, Shadows
from tollkeeper.rollouts.tally import Tally, tally
from tollkeeper.rollouts.units import Seen

FAILURE: Final = "failure"
DECLINE: Final = "decline"
"""The guardrails that certificates and the watch look at as well."""

ONLY_COMPARED: Final = frozenset({DECLINE, *LATENCY})
"""Guardrails that say nothing beside a baseline that fails."""

ALONE: Final = "decline_alone"
"""Under this name a record has the declines that no evidence was made of."""

HISTORY: Final = 200
"""Baseline latencies that the limits of the latency guardrails are taken from."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What came since the last look: units; first follow-ups as (share, canary, failed); how all
    cross-reads and shadow readings stand; and whether the baseline fails more than its history."""

    units: tuple[Seen, ...] = ()
    follows: tuple[tuple[int, bool, bool], ...] = ()
    crossings: Crossings = Crossings()
    shadows: Shadows = Shadows()
    baseline_fails: bool = False


def tallies_of(rollout: Rollout, counted: Counted) -> dict[str, tuple[Tally, ...]]:
    """What was counted as tallies by guardrail's name; nothing where nothing came."""
    if not counted.units and not counted.follows:
        return {}
    told = {rail.name: _tally(rail, rollout, counted) for rail in GUARDRAILS}
    if not counted.baseline_fails:
        return told
    return told | dict.fromkeys(ONLY_COMPARED, ()) | {ALONE: told[DECLINE]}


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
            watch=_canaries(rollout.watch, failed),
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
    if ALONE in tallies:
        rollout = replace(rollout, alone=_alone(rollout, failed, tallies[ALONE]))
    return replace(rollout, evidence=evidence, certificates=certificates, declines=declines)


def _alone(
    rollout: Rollout, failed: tuple[Tally, ...], declined: tuple[Tally, ...]
) -> tuple[Watch, ...]:
    """What the candidate does beside a baseline that fails: its failures against a usual rate, its
    declines against what both arms declined before."""
    rail = BY_NAME[FAILURE]
    watches = rollout.alone or (
        begin_watch(0, 0, prior=rail.prior, strength=rail.strength),
        begin_watch_of(rollout, DECLINE),
    )
    return tuple(
        _canaries(watch, new) for watch, new in zip(watches, (failed, declined), strict=True)
    )


def begin_watch_of(rollout: Rollout, name: str, *, baseline: bool = True) -> Watch:
    """A watch that compares with what the guardrail called `name` has seen, on the canary alone
    where the `baseline` tells nothing."""
    rail, seen = BY_NAME[name], rollout.evidence[name]
    bad = seen.canary_bad + (seen.baseline_bad if baseline else 0)
    whole = bad + seen.canary_ok + (seen.baseline_ok if baseline else 0)
    return begin_watch(bad, whole, prior=rail.prior, strength=rail.strength)


def _watched(watch: Watch | None, tallies: tuple[Tally, ...]) -> Watch | None:
    return _canaries(watch, tallies) if watch is not None else None


def _canaries(watch: Watch, tallies: tuple[Tally, ...]) -> Watch:
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
