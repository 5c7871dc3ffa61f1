"""What every flow holds in hand: the ports, the settings, and what follows from both."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tollkeeper.contracts.drift import Drift
from tollkeeper.flows.live.breakers import Breakers
from tollkeeper.flows.live.health import Health
from tollkeeper.flows.live.places import Places
from tollkeeper.flows.ports import Hook, Sources, Store, Target, Tell, Vault, Wire
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.masking import fields_read
from tollkeeper.integrations.version import Integration
from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.errors import Fault, Misconfigured
from tollkeeper.kernel.ids import new_id
from tollkeeper.payments.ladder import Policy
from tollkeeper.rollouts import tripwire
from tollkeeper.rollouts.tripwire import Tripwire
from tollkeeper.routing.routes import Condition, Facts, Routes, Rule, Taken, take
from tollkeeper.routing.weights import failover_order
from tollkeeper.settings import ProviderSettings, Settings

SEND_MARGIN_MS: Final = 2_000
"""Added to a send's total timeout before another process may think that its sender has died."""


MAX_DRIFTS: Final = 500
"""Kinds of departure that are counted; wire types have far fewer places."""


def _silent(event: str, /, **facts: object) -> None:
    """Tells nobody: for tests, and for commands that print what they find."""


@dataclass(kw_only=True)
class World:
    """Ports and settings; `installed` can be given other versions by tests.

    `sender` names this process; `alone` says that no other one sends on the same store, so that
    whatever another name was sending is known to have been abandoned.
    """

    store: Store
    wire: Wire
    hook: Hook
    clock: Clock
    chance: Chance
    vault: Vault
    settings: Settings
    sender: str
    alone: bool
    installed: Mapping[str, Integration] = field(default_factory=lambda: dict(INSTALLED))
    sources: Sources | None = None
    tell: Tell = _silent
    sources_of: Callable[[Integration], Mapping[str, bytes]] = lambda _: {}
    drifts: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    routes: Routes = field(init=False)
    places: Places = field(init=False)
    breakers: Breakers = field(default_factory=Breakers)
    stirred: bool = False
    _outstanding: dict[str, int] = field(default_factory=dict)
    _tripwires: dict[str, Tripwire] = field(default_factory=dict)
    _policies: dict[str, Policy] = field(default_factory=dict)
    _targets: dict[str, Target] = field(default_factory=dict)
    _read: dict[str, frozenset[str]] = field(default_factory=dict)
    _health: dict[str, Health] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.routes = Routes(rules=self.settled_rules())
        self.places = Places(self.settings.max_in_flight_per_provider)

    def settled_rules(self) -> tuple[Rule, ...]:
        """The routing that the settings ask for, before any promotion."""
        return (Rule(condition=Condition(), weights=dict(self.settings.weights)),)

    def act_on(self, routes: Routes) -> None:
        """Takes over what the store says; a tripwire lets go of what was considered since."""
        self.routes = routes
        for canary in routes.canaries:
            wire = self._tripwires.get(canary.rollout_id)
            if wire is not None:
                self._tripwires[canary.rollout_id] = tripwire.released(wire, canary.considered_ms)
        present = {canary.rollout_id for canary in routes.canaries}
        for gone in self._tripwires.keys() - present:
            del self._tripwires[gone]

    def take(self, facts: Facts, now_ms: int, amount_minor: int) -> Taken:
        """The version for a new payment, and where it counts. What a candidate is known to refuse
        is none of its rollout's business."""
        if not self.routes.canaries:
            return take(self.routes, self.settings.routing_salt, facts, now_ms)
        withheld = [
            canary.rollout_id
            for canary in self.routes.canaries
            if self._outstanding.get(canary.rollout_id, 0) >= canary.most_outstanding
            or self.is_tripped(canary.rollout_id)
        ]
        barred = [
            canary.rollout_id
            for canary in self.routes.canaries
            if canary.status != "promoted"
            and self._refusal_of(canary.candidate, facts, amount_minor) is not None
        ]
        return take(self.routes, self.settings.routing_salt, facts, now_ms, withheld, barred)

    def _refusal_of(self, name: str, facts: Facts, amount_minor: int) -> Fault | None:
        """What a candidate is known to refuse; one that is absent or raises refuses everything."""
        try:
            return self.integration(name).amount_fault(amount_minor, facts.currency)
        except Exception as error:  # noqa: BLE001 - a candidate's bug is nobody else's
            return Fault("", f"{name}: {error}")

    def amount_fault(self, facts: Facts, amount_minor: int) -> Fault | None:
        """What one of the versions that could be given such a payment is known to refuse about its
        amount: whichever is chosen, and whichever comes after it, the answer is the same."""
        weights = self.routes.weights_for(facts)
        names = [name for name, weight_percent in weights.items() if weight_percent > 0]
        faults = (self.integration(n).amount_fault(amount_minor, facts.currency) for n in names)
        return next((fault for fault in faults if fault is not None), None)

    def is_tripped(self, rollout_id: str) -> bool:
        """Whether this replica has paused a canary by itself."""
        wire = self._tripwires.get(rollout_id)
        return wire is not None and wire.tripped_ms is not None

    def canary_sent(self, rollout_id: str) -> None:
        """One more canary payment whose result is outstanding."""
        self._outstanding[rollout_id] = self._outstanding.get(rollout_id, 0) + 1

    def canary_heard(self, rollout_id: str, *, failed: bool | None) -> None:
        """One less; `failed` is `None` where nothing can be said."""
        self._outstanding[rollout_id] -= 1
        if failed is None:
            return
        wire = self._tripwires.get(rollout_id, Tripwire())
        self._tripwires[rollout_id] = tripwire.heard(wire, self.store.now_ms(), failed=failed)
        self.stirred = self.stirred or failed  # what went well can wait for the next look

    @property
    def only_sender(self) -> str | None:
        """The one process that can be sending now, where that is known."""
        return self.sender if self.alone else None

    def note_drift(self, integration: str, operation: str, drift: Drift) -> None:
        """Counts one departure of a live reply from what the version reads."""
        key = (integration, operation, drift.kind, drift.pointer)
        if key in self.drifts or len(self.drifts) < MAX_DRIFTS:
            self.drifts[key] = self.drifts.get(key, 0) + 1

    def new_id(self, prefix: str) -> str:
        """A fresh identifier by this process's clock."""
        return new_id(prefix, self.clock.now_ms(), self.chance)

    def event_ids(self) -> Iterator[str]:
        """Fresh event ids, for as many events as a change may bring."""
        while True:
            yield self.new_id("evt")

    def integration(self, name: str) -> Integration:
        """The installed version called `name`."""
        found = self.installed.get(name)
        if found is None:
            raise Misconfigured(f"integration version {name} is not installed any more")
        return found

    def siblings(self, name: str, account: str | None) -> list[Integration]:
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

    def health(self, provider: str) -> Health:
        """What this process knows of a provider's health."""
        found = self._health.get(provider)
        if found is None:
            found = self._health[provider] = Health()
        return found

    @property
    def refusing(self) -> dict[str, str]:
        """Providers that refuse our key or account, with their reason."""
        return {name: item.refusing for name, item in self._health.items() if item.refusing}

    @property
    def releases(self) -> frozenset[str]:
        """The versions whose partial captures the provider lists as refunds of the rest."""
        return frozenset(
            n for n, item in self.installed.items() if item.capabilities.releases_as_refund
        )

    def next_version(self, facts: Facts, amount_minor: int, tried: list[str]) -> str | None:
        """The version to fail over to: sound, and able to take the payment."""
        weights = self.routes.weights_for(facts)
        sound = [version.name for version in self.siblings(tried[-1], facts.account)]
        for name in failover_order(weights, sound, tried):
            if self._refusal_of(name, facts, amount_minor) is None:
                return name
        return None

    def provider(self, name: str) -> ProviderSettings:
        """The settings of a provider; defaults where there are none."""
        return self.settings.providers.get(name) or ProviderSettings()

    def target(self, integration: Integration) -> Target:
        """Where this version's requests go, with the account's credentials."""
        found = self._targets.get(integration.name)
        if found is None:
            mine = self.provider(integration.provider)
            found = self._targets[integration.name] = Target(
                base_url=(mine.base_url or integration.base_url).rstrip("/"),
                headers=integration.credentials(mine.all_secrets()),
            )
        return found

    def policy(self, name: str) -> Policy:
        """What the version called `name` and the settings allow in settling."""
        found = self._policies.get(name)
        if found is None:
            found = self._policies[name] = self._policy(self.integration(name))
        return found

    def _policy(self, integration: Integration) -> Policy:
        override = self.provider(integration.provider).in_flight_window_seconds
        window_s = integration.capabilities.in_flight_window_s if override is None else override
        settings = self.settings
        return Policy(
            send_ms=int(settings.timeouts.total_seconds * 1000) + SEND_MARGIN_MS,
            window_ms=int(window_s * 1000),
            retention_ms=integration.capabilities.keys_kept_s * 1000,
            attention_ms=int(settings.attention_after_seconds * 1000),
            authorization_ms=integration.capabilities.authorization_s * 1000,
            action_ms=int(settings.action_deadline_seconds * 1000),
            reversing_accounts=frozenset(
                name for name, mine in settings.accounts.items() if mine.late_charges == "reverse"
            ),
            asks=integration.capabilities.asks,
        )

    def fields_read(self, provider: str) -> frozenset[str]:
        """What any installed version of `provider` reads."""
        found = self._read.get(provider)
        if found is None:
            mine = [v for v in self.installed.values() if v.provider == provider]
            found = self._read[provider] = fields_read(mine)
        return found
