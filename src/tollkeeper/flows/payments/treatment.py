"""What happens to a new payment while no installed version works: the policy, and probes."""

from typing import Final

import msgspec

from tollkeeper.flows.runtime import Runtime
from tollkeeper.routing.routes import RouteChoice

HOLD_MS: Final = 30_000
"""How far ahead the sending of a held payment is put off."""

LOOK_MS: Final = 3_000
"""How often it is looked whether a version works again."""


class Treatment(msgspec.Struct, frozen=True):
    """`refuses`: the payment is refused. `holds`: it is accepted, and sent later."""

    refuses: bool = False
    holds: bool = False


SENT: Final = Treatment()
BY_POLICY: Final = {
    "send": SENT,
    "accept": Treatment(holds=True),
    "pause": Treatment(refuses=True, holds=True),
}


PROBE_SECONDS: Final = 5.0
"""How often a process sends a payment while no version works and others are held back."""


def treatment(
    runtime: Runtime, taken: RouteChoice, every_seconds: float = PROBE_SECONDS
) -> Treatment:
    """What the operator's policy does with a payment that would go by `taken`. Once in
    `every_seconds` one is sent all the same, to see whether a version works again."""
    if taken.share is None or not taken.share.none_works or taken.is_moved:
        return SENT
    provider = taken.integration.partition("@")[0]
    found = BY_POLICY[runtime.provider(provider).none_works]
    now = runtime.store.now_ms() / 1000
    if found == SENT or runtime.live.is_probe_due(provider, now, every_seconds):
        return SENT
    return found
