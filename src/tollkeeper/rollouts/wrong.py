"""What is wrong with a rollout, for a list that people look through."""

from tollkeeper.rollouts.deciding import suspicion_of
from tollkeeper.rollouts.rollout import ACTIVE, Rollout, ppm


def what_is_wrong(rollout: Rollout) -> str:
    """What an operator should look at, in a few words; empty where there is nothing."""
    if rollout.alarmed and rollout.is_promoted:
        return _alarm(rollout)
    if rollout.status not in ACTIVE:
        return ""
    found = []
    if rollout.paused:
        found.append(f"paused: {rollout.paused}")
    if rollout.baseline_fails:
        found.append(f"the baseline {rollout.baseline} fails")
    if rollout.gate:
        found.append(f"the gate has closed: {rollout.gate}")
    if rollout.is_running and rollout.cautious and rollout.share_ppm < ppm(rollout.step_percent):
        found.append(f"held back by {suspicion_of(rollout)[0]}")
    return "; ".join(found)


def _alarm(rollout: Rollout) -> str:
    """What a promoted version alarms about."""
    if rollout.crossings.disagreed:
        return f"alarm: {rollout.crossings.disagreed} cross-reads disagree"
    kinds = (("failed", rollout.watch), ("were declined", rollout.decline_watch))
    told = [
        f"{w.bad} of {w.seen} payments {kind}" for kind, w in kinds if w is not None and w.alarmed
    ]
    return f"alarm: {' and '.join(told) or 'its watch is over'}, more than before"
