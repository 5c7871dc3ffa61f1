"""What a rollout needs before it may start: a plan that makes sense, and a gate that is open."""

import itertools
from collections.abc import Mapping

from tollkeeper.kernel.errors import Fault
from tollkeeper.rollouts.rollout import Plan


def plan_faults(plan: Plan) -> tuple[Fault, ...]:
    """Everything that is wrong with a plan, each with its field's pointer."""
    steps = plan.steps_percent
    faults = []
    rising = all(a < b for a, b in itertools.pairwise(steps))
    if not steps or not rising or not 0 < steps[0] <= 100 or steps[-1] > 100:
        faults.append(Fault("/steps_percent", "rising numbers above 0, the last at most 100"))
    elif steps[0] == 100:
        faults.append(Fault("/steps_percent", "100 at once leaves no baseline to compare with"))
    if not 0 < plan.alpha <= 0.1:
        faults.append(Fault("/alpha", "above 0 and at most 0.1"))
    if wrong := set(plan.pause_at) - set(steps):
        faults.append(Fault("/pause_at", f"{min(wrong):g} is no step"))
    if not 0 < plan.floor_percent <= 100:
        faults.append(Fault("/floor_percent", "above 0 and at most 100"))
    if plan.dwell_seconds < 0 or plan.limit_seconds <= 0 or plan.shadow_payments < 0:
        faults.append(Fault("", "no time and no count may be negative"))
    return tuple(faults)


def closed_gate(candidate: str, verdicts: Mapping[str, Mapping[str, object]] | None) -> str | None:
    """Why the gate is closed, or `None` where it is open. `verdicts` are of the provider's newest
    description, by version; `None` where there is no description."""
    provider = candidate.partition("@")[0]
    if verdicts is None:
        return f"no description of {provider} was ever checked"
    said = verdicts.get(candidate)
    if said is None:
        return f"{candidate} was not checked against {provider}'s newest description"
    if not said["compatible"]:
        return f"{provider}'s newest description breaks {candidate}"
    return None
