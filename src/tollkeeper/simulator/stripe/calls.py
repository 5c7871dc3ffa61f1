"""A request that the provider has accepted for execution: authenticated, versioned, parsed."""

from typing import Any

import msgspec

from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.forms import Params
from tollkeeper.simulator.stripe.records import Account, Intent, Origin
from tollkeeper.simulator.stripe.world import Shelves, World


class Call(msgspec.Struct):
    """`operation` is a key of `parameters.TABLES`; `target` the identifier in the path."""

    operation: str
    account: Account
    version: str
    params: Params
    target: str
    origin: Origin
    expand: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter, or the default when it is absent or unset."""
        value = self.params.get(name)
        return default if value is None else value


def shelves_of(world: World, call: Call) -> Shelves:
    return world.shelves[call.account.id]


def intent_of(world: World, call: Call) -> Intent:
    """The intent in the path; raises Problem (404)."""
    intent = shelves_of(world, call).intents.get(call.target)
    if intent is None:
        raise problems.no_such("payment_intent", call.target, "intent")
    return intent
