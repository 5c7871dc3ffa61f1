"""Which installed versions may take, follow up or read a payment, as the routes in force say.

Law: a candidate that was not proved acts only for the payments that it was chosen for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tollkeeper.integrations.version import Integration
from tollkeeper.kernel.errors import Fault, Misconfigured
from tollkeeper.routing.routes import (
    RouteChoice,
    Routes,
    RoutingContext,
    choose_route,
    follow_up_key,
)
from tollkeeper.routing.weights import failover_order


@dataclass(frozen=True)
class Router:
    """The installed versions and the routes in force. `salt` makes the assignment of customers to
    versions unique to an installation."""

    installed: Mapping[str, Integration]
    routes: Routes
    salt: str

    def integration(self, name: str) -> Integration:
        """The installed version called `name`."""
        found = self.installed.get(name)
        if found is None:
            raise Misconfigured(f"integration version {name} is not installed any more")
        return found

    def choose(
        self, facts: RoutingContext, now_ms: int, amount_minor: int, withheld: Collection[str]
    ) -> RouteChoice:
        """The version for a new payment, and where it counts. `withheld`: rollouts whose candidate
        takes nobody just now. What a candidate is known to refuse is none of its rollout's
        business."""
        barred = [
            canary.rollout_id
            for canary in self.routes.canaries
            if canary.status != "promoted"
            and self._refusal_of(canary.candidate, facts, amount_minor) is not None
        ]
        return choose_route(self.routes, self.salt, facts, now_ms, withheld, barred)

    def amount_fault(self, facts: RoutingContext, amount_minor: int) -> Fault | None:
        """What one of the versions that could be given such a payment is known to refuse about its
        amount: whichever is chosen, and whichever comes after it, the answer is the same."""
        weights = self.routes.weights_for(facts)
        names = [name for name, weight_percent in weights.items() if weight_percent > 0]
        faults = (self.integration(n).amount_fault(amount_minor, facts.currency) for n in names)
        return next((fault for fault in faults if fault is not None), None)

    def other_versions(self, name: str, account: str | None) -> list[Integration]:
        """The other installed versions of the same provider, newest first, without candidates that
        have not been proved for payments of `account`; `None` for those of any."""
        provider = name.partition("@")[0]
        return [
            self.installed[other]
            for other in sorted(self.installed, reverse=True)
            if other != name
            and self.installed[other].provider == provider
            and self.routes.is_proved(other, account)
        ]

    def able_versions(self, name: str, account: str | None) -> list[Integration]:
        """Those of the other versions that can follow up what the version called `name` made."""
        return [v for v in self.other_versions(name, account) if name in v.handles]

    def able_names(self, name: str, account: str | None) -> list[str]:
        """The names of `able_versions`."""
        return [version.name for version in self.able_versions(name, account)]

    def follow_up_version(self, name: str, account: str, operation: str) -> str:
        """The version that an operator's route sends an operation on the payments of `name`
        through, where it may; else their own."""
        route = self.routes.follow_ups.get(follow_up_key(name, operation))
        through = route.through if route is not None else ""
        return through if through in self.able_names(name, account) else name

    def next_version(
        self, facts: RoutingContext, amount_minor: int, tried: list[str], first: str = ""
    ) -> str | None:
        """The version to fail over to: sound, and able to take the payment; `first` of all, if it
        is."""
        weights = self.routes.weights_for(facts)
        sound = [version.name for version in self.other_versions(tried[-1], facts.account)]
        order = failover_order(weights, sound, tried)
        for name in sorted(order, key=lambda name: name != first):
            if self._refusal_of(name, facts, amount_minor) is None:
                return name
        return None

    def _refusal_of(self, name: str, facts: RoutingContext, amount_minor: int) -> Fault | None:
        """What a version is known to refuse; one that is absent or raises refuses everything."""
        try:
            return self.integration(name).amount_fault(amount_minor, facts.currency)
        except Exception as error:  # noqa: BLE001 - a candidate's bug is nobody else's
            return Fault("", f"{name}: {error}")
