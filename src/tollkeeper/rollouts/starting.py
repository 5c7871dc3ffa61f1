"""What a rollout needs before it may start: a plan that makes sense, and a gate that is open."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Final

from tollkeeper.kernel.errors import Fault
from tollkeeper.kernel.money import is_currency
from tollkeeper.rollouts.rollout import Plan, Rollout
from tollkeeper.routing.routes import Condition

LEAST_ALPHA: Final = 1e-6
COUNTRY: Final = re.compile("[A-Z]{2}")


def plan_faults(plan: Plan) -> tuple[Fault, ...]:
    """Everything that is wrong with a plan, each with its field's pointer."""
    steps = plan.steps_percent
    numbers = (
        *steps, plan.dwell_seconds, plan.limit_seconds, plan.alpha, *plan.pause_at,
        plan.floor_percent, plan.shadow_seconds, plan.cross_read_percent, plan.watch_seconds,
    )  # fmt: skip
    if not all(math.isfinite(number) for number in numbers):
        return (Fault("", "every number must be finite"),)
    rising = all(a < b for a, b in itertools.pairwise(steps))
    sound = bool(steps) and rising and 0 < steps[0] <= 100 and steps[-1] <= 100
    strangers = sorted(set(plan.pause_at) - set(steps))
    checks = (
        (sound, "/steps_percent", "rising numbers above 0, the last at most 100"),
        (steps[:1] != (100,), "/steps_percent", "100 at once leaves no baseline to compare with"),
        (LEAST_ALPHA <= plan.alpha <= 0.1, "/alpha", f"from {LEAST_ALPHA:g} to 0.1"),
        (
            100 not in plan.pause_at,
            "/pause_at",
            "100 is promotion; pause at the step before it",
        ),
        (not strangers, "/pause_at", f"{', '.join(f'{s:g}' for s in strangers)}: no step"),
        (0 < plan.floor_percent <= 100, "/floor_percent", "above 0 and at most 100"),
        (0 <= plan.cross_read_percent <= 100, "/cross_read_percent", "from 0 to 100"),
        (plan.dwell_seconds >= 0, "/dwell_seconds", "not below 0"),
        (plan.shadow_payments >= 0, "/shadow_payments", "not below 0"),
        (plan.shadow_seconds >= 0, "/shadow_seconds", "not below 0"),
        (plan.watch_seconds >= 0, "/watch_seconds", "not below 0"),
        (plan.limit_seconds > 0, "/limit_seconds", "above 0"),
    )
    return tuple(Fault(pointer, detail) for holds, pointer, detail in checks if not holds)


def condition_faults(condition: Condition) -> tuple[Fault, ...]:
    """Conditions that no payment can ever meet."""
    faults = []
    if condition.currency is not None and not is_currency(condition.currency):
        faults.append(Fault("/currency", "not an ISO 4217 currency in upper case"))
    if condition.country is not None and not COUNTRY.fullmatch(condition.country):
        faults.append(Fault("/country", "two capital letters, as in ISO 3166"))
    return tuple(faults)


def is_in_the_way(running: Rollout, other: Rollout) -> bool:
    """Whether a rollout that has not ended keeps `other` from starting: of the same provider, and a
    payment may meet both, unless each names an account of its own."""
    accounts = {running.condition.account, other.condition.account}
    apart = len(accounts) == 2 and None not in accounts
    return running.provider == other.provider and not running.is_promoted and not apart


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
