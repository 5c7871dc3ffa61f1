"""May an integration version go from the catalogue? Not while a payment, a route or a rollout needs
it. What is decided and paid for needs it no more: its refunds go through a version that handles it.
"""

from typing import Final

import msgspec

from tollkeeper.flows import routes
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound
from tollkeeper.rollouts.rollout import ACTIVE

UNDECIDED: Final = frozenset({"processing", "requires_action", "requires_capture"})
LOOKED_BACK: Final = 200


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What still needs a version. `payments`: by status; `reasons`: sentences, none where it may
    go; `successors`: installed versions that can refund its payments."""

    name: str
    payments: dict[str, int]
    successors: list[str]
    reasons: list[str]

    @property
    def may_go(self) -> bool:
        return not self.reasons


async def standing(runtime: Runtime, name: str) -> Standing:
    """How `name` stands. Raises `NotFound` where it is not installed."""
    if name not in runtime.installed:
        raise NotFound(
            f"{name} is not installed; installed: {', '.join(sorted(runtime.installed))}"
        )
    await routes.refresh(runtime)
    payments = await _needed(runtime, name)
    successors = [v.name for v in runtime.router.other_versions(name, None) if name in v.handles]
    reasons = [f"{count} payments are {status}" for status, count in payments.items()]
    if open_jobs := await runtime.store.open_jobs(name):
        reasons.append(f"{open_jobs} payments are still being looked at (a refund may be pending)")
    reasons += await _carries(runtime, name)
    if not successors:
        reasons.append("no other version can follow up its payments")
    return Standing(name=name, payments=payments, successors=successors, reasons=reasons)


async def _needed(runtime: Runtime, name: str) -> dict[str, int]:
    """Payments that need the version: undecided ones, and open authorizations."""
    found: dict[str, int] = {}
    for (status, known), count in sorted((await runtime.store.needed(name)).items()):
        if status in UNDECIDED or not known:
            said = status if known else f"{status}, outcome unknown"
            found[said] = found.get(said, 0) + count
    return found


async def _carries(runtime: Runtime, name: str) -> list[str]:
    """Routes that give it new payments, and rollouts that would have to take it back."""
    weighed = [
        weight for rule in runtime.live.routes.rules if (weight := rule.weights.get(name, 0)) > 0
    ]
    reasons = [f"it carries {max(weighed):g} % of new payments"] if weighed else []
    for one in await runtime.store.list_rollouts(LOOKED_BACK):
        if name not in {one.candidate, one.baseline}:
            continue
        if one.status in ACTIVE:
            reasons.append(f"rollout {one.id} is {one.status}")
        elif one.is_promoted and one.baseline == name and one.watch is not None:
            reasons.append(f"rollout {one.id} was promoted and is still watched: it may go back")
    return reasons
