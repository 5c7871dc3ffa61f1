"""The runtime that every flow is given: ports, settings, installed versions, and the live state."""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tollkeeper.flows.live.places import Places
from tollkeeper.flows.live.state import Live
from tollkeeper.flows.ports import (
    NO_SPANS,
    Fact,
    HandOver,
    Hook,
    Notify,
    Publish,
    Sources,
    Store,
    Target,
    Tell,
    Tracer,
    Vault,
    Wire,
    WireResult,
)
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.masking import fields_read
from tollkeeper.integrations.version import Integration, WireRequest
from tollkeeper.kernel.chance import Chance
from tollkeeper.kernel.clock import Clock
from tollkeeper.kernel.ids import new_id
from tollkeeper.payments.outcome import Operation
from tollkeeper.payments.settlement import Policy
from tollkeeper.routing.router import Router
from tollkeeper.routing.routes import Condition, Routes, Rule
from tollkeeper.settings import ProviderSettings, Settings
from tollkeeper.signals.counts import Gauges

SEND_MARGIN_MS: Final = 2_000
"""Added to a send's total timeout before another process may think that its sender has died."""


def _silent(event: str, /, **facts: object) -> None:
    """Tells nobody: for tests, and for commands that print what they find."""


def configured_rules(settings: Settings) -> tuple[Rule, ...]:
    """The routing that the settings ask for, before any promotion."""
    return (Rule(condition=Condition(), weights=dict(settings.weights)),)


async def _nobody(address: str, body: bytes) -> str:
    """Takes nothing: for tests, and for commands."""
    return "no connection is open"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """`sender` names this process; `alone` says that no other one sends on the same store, so that
    whatever another name was sending is known to have been abandoned. `installed` can be given
    other versions by tests. `machine` measures the process and its machine; `trust` is a digest of
    the certificate authorities that it trusts, `release` names what runs. What follows from these
    values is computed once and kept in `_kept`.
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
    live: Live
    installed: Mapping[str, Integration] = field(default_factory=lambda: dict(INSTALLED))
    sources: Sources | None = None
    notify: Notify | None = None
    publish: Publish | None = None
    tell: Tell = _silent
    hand_over: HandOver = _nobody
    tracer: Tracer = NO_SPANS
    sources_of: Callable[[Integration], Mapping[str, bytes]] = lambda _: {}
    machine: Callable[[], Gauges] = Gauges
    trust: str = ""
    release: str = ""
    _kept: dict[tuple[str, str], object] = field(default_factory=dict)

    @property
    def router(self) -> Router:
        """The installed versions under the routes in force."""
        return Router(self.installed, self.live.routes, self.settings.routing_salt)

    @property
    def only_sender(self) -> str | None:
        """The one process that can be sending now, where that is known."""
        return self.sender if self.alone else None

    def new_id(self, prefix: str) -> str:
        """A fresh identifier by this process's clock."""
        return new_id(prefix, self.clock.now_ms(), self.chance)

    def event_ids(self) -> Iterator[str]:
        """Fresh event ids, for as many events as a change may bring."""
        while True:
            yield self.new_id("evt")

    def integration(self, name: str) -> Integration:
        """The installed version called `name`."""
        return self.router.integration(name)

    @property
    def releases(self) -> frozenset[str]:
        """The versions whose partial captures the provider lists as refunds of the rest."""
        return frozenset(
            name for name, item in self.installed.items() if item.capabilities.releases_as_refund
        )

    def provider(self, name: str) -> ProviderSettings:
        """The settings of a provider; defaults where there are none."""
        return self.settings.providers.get(name) or ProviderSettings()

    def target(self, integration: Integration) -> Target:
        """Where this version's requests go, with the account's credentials."""
        return self._keep("target", integration.name, lambda: self._target(integration))

    def _target(self, integration: Integration) -> Target:
        mine = self.provider(integration.provider)
        return Target(
            base_url=(mine.base_url or integration.base_url).rstrip("/"),
            headers=integration.credentials(mine.all_secrets()),
        )

    async def exchange(
        self, integration: Integration, operation: Operation, request: WireRequest, payment_id: str
    ) -> WireResult:
        """Sends a request to the provider, in a span with its phases."""
        facts: dict[str, Fact] = {
            "http.request.method": request.method,
            "payment.provider": integration.provider,
            "payment.integration": integration.name,
            "payment.operation": operation,
            "payment.id": payment_id,
        }
        with self.tracer.span(f"provider {operation}", "client", facts) as span:
            result = await self.wire.send(request, self.target(integration))
            span.phases(result.timings_ms)
            if result.reply is not None:
                span.note({"http.response.status_code": result.reply.status})
                if result.reply.status >= 400:
                    span.failed(str(result.reply.status))
            elif result.failure is not None:
                span.failed(result.failure.error)
        return result

    def fingerprint(self, provider: str) -> str:
        """Eight hexadecimal digits of all that is set for a provider: address, keys, timeouts and
        trusted authorities. Another value means that something was changed."""
        return self._keep("fingerprint", provider, lambda: self._fingerprint(provider))

    def _fingerprint(self, provider: str) -> str:
        given = (self.provider(provider), self.settings.timeouts, self.trust)
        key = self.settings.vault_key.encode()  # so that no one can guess a secret from it
        return hmac.new(key, msgspec.json.encode(given), hashlib.sha256).hexdigest()[:8]

    def policy(self, name: str) -> Policy:
        """What the version called `name` and the settings allow in settling."""
        return self._keep("policy", name, lambda: self._policy(self.integration(name)))

    def _policy(self, integration: Integration) -> Policy:
        able, settings = integration.capabilities, self.settings
        override = self.provider(integration.provider).in_flight_window_seconds
        window_s = able.in_flight_window_s if override is None else override
        return Policy(
            send_ms=int(settings.timeouts.total_seconds * 1000) + SEND_MARGIN_MS,
            window_ms=int(window_s * 1000),
            retention_ms=able.keys_kept_s * 1000,
            attention_ms=int(settings.attention_after_seconds * 1000),
            authorization_ms=able.authorization_s * 1000,
            action_ms=int(settings.action_deadline_seconds * 1000),
            reversing_accounts=frozenset(
                name for name, mine in settings.accounts.items() if mine.late_charges == "reverse"
            ),
            asks=able.asks,
        )

    def fields_read(self, provider: str) -> frozenset[str]:
        """What any installed version of `provider` reads."""
        mine = [v for v in self.installed.values() if v.provider == provider]
        return self._keep("fields", provider, lambda: fields_read(mine))

    def _keep[T](self, kind: str, name: str, make: Callable[[], T]) -> T:
        key = (kind, name)
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]


def live_state(settings: Settings) -> Live:
    """The live state of a process that has just started: the settings' routes, until the store's
    are read."""
    return Live(
        routes=Routes(rules=configured_rules(settings)),
        places=Places(settings.max_in_flight_per_provider),
    )
