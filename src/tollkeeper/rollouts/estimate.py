"""How long a promotion will take: what is left to show at each step, in payments and in seconds.

A candidate that is as good as the baseline is assumed, at the rates seen so far. Then a unit adds
to a certificate's logarithm, on average, the divergence of those rates from the nearest ones that
the certificate excludes. What is missing divided by that is the mean number of units (Wald's
equation, without the overshoot). Single runs scatter: between half and four times as long.
"""

import math
from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.rollouts.certificate import DECLINES_PER_RATE, LEVEL, Certificate, expected_gain
from tollkeeper.rollouts.counting import DECLINE, FAILURE
from tollkeeper.rollouts.deciding import in_force
from tollkeeper.rollouts.evidence import BY_NAME, add, baseline_rate
from tollkeeper.rollouts.rollout import Rollout, ppm
from tollkeeper.rollouts.tally import Tally

type Need = Literal["shadow", "suspicion", "dwell", "failures", "declines"]
"""What takes longest at a step."""

MOST_CAUTIOUS: Final = 500
"""Canary units after which a suspicion is taken for one that lasts."""

LEAST_GAIN: Final = 1e-9
"""Below this a certificate is not granted in a lifetime."""

ENOUGH: Final = math.log(1 / LEVEL)
"""The logarithm at which a certificate is granted."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """`per_second`: payments that meet the condition, 0 where none came in the last ten minutes.
    `counted`: the part of them that counts, as later payments of customers who are not eligible do
    not."""

    per_second: float
    counted: float = 1.0


class StepLeft(msgspec.Struct, frozen=True, kw_only=True):
    """What is left at one step, 0 % for the shadow. `payments`: of both versions; `seconds`: `None`
    where no payments come; `approval`: an operator must approve at its end."""

    percent: float
    payments: int
    canary_payments: int
    seconds: float | None
    by: Need
    approval: bool = False


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What is left until the plan's end. `in_time`: before the rollout's time is up."""

    steps: tuple[StepLeft, ...]
    payments: int
    seconds: float | None
    per_second: float
    ends_percent: float
    in_time: bool = True


class _Kind(msgspec.Struct, frozen=True):
    """One certificate on its way: the rate of bad units that is believed of both arms, those of
    each, and what is missing."""

    need: Need
    rate: float
    baseline: float
    canary: float
    margin: float
    missing: float

    def gain(self, share: float) -> float:
        gain = expected_gain(
            self.rate, self.margin, share, baseline=self.baseline, canary=self.canary
        )
        return max(gain, LEAST_GAIN)

    def after(self, units: float, share: float) -> "_Kind":
        return replace(self, missing=self.missing - units * self.gain(share))


def estimate(rollout: Rollout, traffic: Traffic, now_ms: int) -> Estimate:
    """What is left of a rollout, none where it has ended."""
    steps: list[StepLeft] = []
    if rollout.is_shadow:
        steps.append(_shadow(rollout, traffic, now_ms))
    if rollout.is_shadow or rollout.is_running:
        steps += _steps(rollout, traffic, now_ms)
    seconds = _sum(step.seconds for step in steps)
    ends_ms = rollout.created_ms + rollout.plan.limit_seconds * 1000
    return Estimate(
        steps=tuple(steps),
        payments=sum(step.payments for step in steps),
        seconds=seconds,
        per_second=traffic.per_second,
        ends_percent=rollout.plan.steps_percent[-1],
        in_time=seconds is None or now_ms + seconds * 1000 <= ends_ms,
    )


def _sum(seconds: Iterable[float | None]) -> float | None:
    found = list(seconds)
    return None if None in found else math.fsum(one for one in found if one is not None)


def _shadow(rollout: Rollout, traffic: Traffic, now_ms: int) -> StepLeft:
    plan = rollout.plan
    missing = max(plan.shadow_payments - rollout.shadows.computed, 0)
    seconds = max(plan.shadow_seconds - (now_ms - rollout.created_ms) / 1000, 0.0)
    if traffic.per_second:
        seconds = min(seconds, missing / traffic.per_second)
    payments = min(missing, math.ceil(seconds * traffic.per_second))
    return StepLeft(percent=0, payments=payments, canary_payments=0, seconds=seconds, by="shadow")


def _steps(rollout: Rollout, traffic: Traffic, now_ms: int) -> list[StepLeft]:
    """Every step that has a next one. All certificates grow at each of them."""
    left: list[StepLeft] = []
    kinds = _kinds(rollout)
    last = len(rollout.plan.steps_percent) - 1
    elapsed_ms = now_ms - rollout.step_began_ms if rollout.is_running else 0
    stay_s = max(rollout.plan.dwell_seconds - elapsed_ms / 1000, 0.0)
    held = _cautious_units(rollout)
    for number in range(rollout.step, last):
        percent = rollout.plan.steps_percent[number]
        floor, share = min(rollout.plan.floor_percent, percent) / 100, percent / 100
        kinds = [[kind.after(held / floor, floor) for kind in step] for step in kinds]
        units, by = _units(kinds[number], share)
        by = by if units * share >= held else "suspicion"
        waits = held / floor + units
        rate = traffic.per_second * traffic.counted
        if rate and waits < stay_s * rate and not rollout.baseline_fails:
            units, by = stay_s * rate - held / floor, "dwell"
        kinds = [[kind.after(units, share) for kind in step] for step in kinds]
        left.append(
            StepLeft(
                percent=percent,
                payments=math.ceil((held / floor + units) / traffic.counted),
                canary_payments=math.ceil(held + units * share),
                seconds=(held / floor + units) / rate if rate else None,
                by=by,
                approval=percent in rollout.plan.pause_at and number not in rollout.approved_steps,
            )
        )
        stay_s, held = rollout.plan.dwell_seconds, 0
    return left


def _units(kinds: list[_Kind], share: float) -> tuple[float, Need]:
    """Units until every certificate of a step is granted, and which of them is the last."""
    return max((max(kind.missing, 0.0) / kind.gain(share), kind.need) for kind in kinds)


def _kinds(rollout: Rollout) -> list[list[_Kind]]:
    """By step, the certificates that it asks for. The candidate is taken to be as good as the
    baseline, but beside one that fails: that goes on failing, and has no declines to compare with.
    """
    failing, declining = _rate(rollout, FAILURE), _rate(rollout, DECLINE)
    seen = rollout.evidence[FAILURE]
    baseline = canary = failing
    if rollout.baseline_fails:
        baseline = baseline_rate(BY_NAME[FAILURE], seen)
        canary = seen.canary_bad / max(seen.canary_bad + seen.canary_ok, 1)
    kinds = []
    for fails, declines in zip(rollout.certificates, rollout.declines, strict=True):
        step = [_Kind("failures", failing, baseline, canary, fails.margin, _missing(fails))]
        if not rollout.baseline_fails:
            margin = max(declines.margin, DECLINES_PER_RATE * declining)
            missing = _missing(declines)
            step.append(_Kind("declines", declining, declining, declining, margin, missing))
        kinds.append(step)
    return kinds


def _missing(certificate: Certificate) -> float:
    return -math.inf if certificate.granted else ENOUGH - certificate.log_wealth


def _rate(rollout: Rollout, name: str) -> float:
    """The rate of bad units that the guardrail called `name` has seen on both arms."""
    rail, seen = BY_NAME[name], rollout.evidence[name]
    bad, ok = seen.baseline_bad + seen.canary_bad, seen.baseline_ok + seen.canary_ok
    return (bad + rail.prior * rail.strength) / (bad + ok + rail.strength)


def _cautious_units(rollout: Rollout) -> int:
    """Canary units at the floor until the suspicion ends, which every rollout begins with."""
    floor = min(rollout.plan.floor_percent, rollout.step_percent)
    if floor == rollout.step_percent:
        return 0
    every = round(1 / _rate(rollout, DECLINE))
    now = rollout
    for count in range(MOST_CAUTIOUS):
        now = in_force(now)
        if not now.cautious:
            return count
        ok = Tally(share_ppm=ppm(floor), canary_ok=1)
        bad = Tally(share_ppm=ppm(floor), canary_bad=1)
        now = replace(
            now,
            evidence=now.evidence
            | {
                name: add(
                    BY_NAME[name],
                    now.evidence[name],
                    (bad if name == DECLINE and count % every == every - 1 else ok,),
                )
                for name in (FAILURE, "contract", DECLINE)
            },
        )
    return MOST_CAUTIOUS


def in_words(left: Estimate) -> str:
    """An estimate in a sentence."""
    if not left.steps:
        return f"nothing is left: the plan ends at {left.ends_percent:g} %"
    goal = "promotion" if left.ends_percent >= 100 else f"the plan's end at {left.ends_percent:g} %"
    steps = ", ".join(_step_in_words(step) for step in left.steps)
    if left.seconds is None:
        return (
            f"{goal} after about {left.payments:,} payments; when is unknown, no payments in the "
            f"last ten minutes: {steps}"
        )
    late = "" if left.in_time else "; its time is up before that"
    return (
        f"{goal} in about {lasting(left.seconds)}, after {left.payments:,} payments at "
        f"{left.per_second:.3g} a second{late}: {steps}"
    )


def _step_in_words(step: StepLeft) -> str:
    name = "shadow" if step.by == "shadow" else f"{step.percent:g} %"
    long = f"{step.payments:,} payments" if step.seconds is None else lasting(step.seconds)
    why = "" if step.by == "shadow" else f" ({step.by})"
    return f"{name} {long}{why}{' and an approval' if step.approval else ''}"


def lasting(seconds: float) -> str:
    """A duration in the unit that people would use."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < most:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"
