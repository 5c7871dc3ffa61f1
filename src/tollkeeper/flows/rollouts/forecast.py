"""The traffic of a rollout's condition, and with it how long its promotion will take."""

from typing import Final

from tollkeeper.flows.observing import context_of
from tollkeeper.flows.ports import Store
from tollkeeper.kernel.ids import first_id
from tollkeeper.rollouts.estimate import Estimate, Traffic, estimate
from tollkeeper.rollouts.rollout import Rollout
from tollkeeper.routing.routes import Condition

RECENT_S: Final = 600
"""Over how long payments are counted; within it the last minute alone, where it has enough."""

MINUTE_S: Final = 60
ENOUGH: Final = 30
"""Payments in the last minute from which on it tells the rate better than ten minutes do."""

SAMPLE: Final = 100
"""Recent payments that tell what part of all meets a condition."""

ENOUGH_COUNTED: Final = 100
"""Payments since a rollout's start from which on the part of them that counted is believed."""

LEAST_COUNTED: Final = 0.02


async def forecast(store: Store, rollout: Rollout) -> Estimate:
    """How long it will take from now on."""
    now_ms = store.now_ms()
    per_second, counted = await _per_second(store, rollout, now_ms), 1.0
    if per_second:
        part = await _part(store, rollout, now_ms)
        counted = await _counted(store, rollout, part, now_ms)
        per_second *= part
    return estimate(rollout, Traffic(per_second=per_second, counted=counted), now_ms)


async def _per_second(store: Store, rollout: Rollout, now_ms: int) -> float:
    minute = await _payments(store, rollout, now_ms - MINUTE_S * 1000, now_ms)
    if minute >= ENOUGH:
        return minute / MINUTE_S
    return await _payments(store, rollout, now_ms - RECENT_S * 1000, now_ms) / RECENT_S


async def _payments(store: Store, rollout: Rollout, from_ms: int, to_ms: int) -> int:
    """First attempts through the baseline and the candidate, failing ones too."""
    found = 0
    for version in (rollout.baseline, rollout.candidate):
        found += await store.count_between(version, from_ms // 1000, to_ms // 1000)
        found += (await store.count_trials(version, from_ms, to_ms))[0]
    return found


async def _part(store: Store, rollout: Rollout, now_ms: int) -> float:
    """What part of the recent payments meets the rollout's condition."""
    if rollout.condition == Condition():
        return 1.0
    after = first_id("pay", now_ms - RECENT_S * 1000)
    found = [await store.load_payment(id_) for id_ in await store.page_ids(after, SAMPLE)]
    met = [p is not None and rollout.condition.holds(context_of(p)) for p in found]
    return sum(met) / len(met) if met else 0.0


async def _counted(store: Store, rollout: Rollout, part: float, now_ms: int) -> float:
    """What part of the payments since the start counts: later payments of customers who are not
    eligible do not. A new rollout is taken to count all."""
    seen = rollout.evidence["failure"]
    units = seen.baseline_ok + seen.baseline_bad + seen.canary_ok + seen.canary_bad
    payments = round(await _payments(store, rollout, rollout.created_ms, now_ms) * part)
    if not rollout.is_running or payments < ENOUGH_COUNTED:
        return 1.0
    return min(max(units / payments, LEAST_COUNTED), 1.0)
