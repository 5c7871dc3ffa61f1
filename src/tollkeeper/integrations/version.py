"""The protocol: what an integration version is, and the values that it exchanges with flows.

Law: value in, wire bytes out; wire bytes in, our words out. `wire` carries the bytes; a version
never sees a socket, a clock or a secret it was not handed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tollkeeper.kernel.errors import Fault
from tollkeeper.payments.outcome import QUESTIONS, Event, Operation, Outcome


class WireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request without credentials. `path` begins with `/`; `query` has no `?`."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


MOST_DIGITS: Final = 9
"""A Retry-After of more digits is no time that anybody waits."""


class WireReply(msgspec.Struct, frozen=True, kw_only=True):
    """One whole reply. Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first value of header `name` (lower case), or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    def date_ms(self) -> int | None:
        """When the provider answered by its own clock, in Unix milliseconds; `None` where the reply
        does not say. Source: RFC 9110, section 6.6.1; whole seconds."""
        try:
            dated = datetime.strptime(
                self.header("date") + " +0000", "%a, %d %b %Y %H:%M:%S GMT %z"
            )
        except ValueError:
            return None
        return int(dated.timestamp()) * 1000

    def wait_s(self) -> int:
        """How long the provider asks to be left alone, in seconds; 0 where it does not say, or
        names a date. Source: RFC 9110, section 10.2.3."""
        text = self.header("retry-after")
        return int(text) if text.isascii() and text.isdigit() and len(text) < MOST_DIGITS else 0


class OperationInput(msgspec.Struct, frozen=True, kw_only=True):
    """All that a version may need to build a request. Amounts in minor units.

    `provider_id` is the charge's id at the provider. `reference` and `metadata` are the shop's own
    and travel with a new charge, so that people find it at the provider. For `find`:
    `created_from_s` and `created_to_s` (Unix seconds) bound the listing; `cursor` continues one.
    """

    payment_id: str
    attempt_id: str
    amount_minor: int
    currency: str
    capture_method: str = "automatic"
    payment_method: str = ""
    multicapture: bool = False
    final: bool = True
    return_url: str | None = None
    description: str | None = None
    reason: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = {}
    provider_id: str | None = None
    created_from_s: int = 0
    created_to_s: int = 0
    cursor: str | None = None


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider counts one currency: `theirs` of its units are `ours` of the ISO 4217 minor
    units that we count in. It takes only amounts that are whole multiples of `step_minor`."""

    theirs: int = 1
    ours: int = 1
    step_minor: int = 1


class HookAddress(msgspec.Struct, frozen=True):
    """A webhook endpoint as the provider has it. `version` is what its events are rendered at;
    `None` follows the account's default."""

    url: str
    version: str | None


class ProviderAccount(msgspec.Struct, frozen=True):
    """What the provider holds of our account besides payments: the account's default version
    (`None` where it does not say) and the webhook endpoints."""

    default_version: str | None
    hooks: tuple[HookAddress, ...]


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """Fixed replies and webhooks' bodies of one provider, by name: what freezing remembers of how
    its versions read."""

    replies: Mapping[str, WireReply]
    events: Mapping[str, bytes]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can be asked and what it promises: facts, with their source beside them in
    the version's dialect.

    `secrets`: the names of the secrets that an account has there. `asks`: the reading operations
    that it answers; without one, settling skips its step and concludes nothing from absence.
    `decided_later`: operations that it answers with "received" and decides later. `units`: the
    currencies that it takes, by upper-case code, and how it counts each (empty: any, as ISO 4217
    counts). `releases_as_refund`: it lists the rest of an authorization as a refund where this
    version captures only a part of it. In seconds: `keys_kept_s`, how long it keeps an idempotency
    key (0 where it keeps none); `in_flight_window_s`, the longest that a request which we gave up
    on may still take effect; `authorization_s`, how long an authorization lives.
    """

    keys_kept_s: int
    in_flight_window_s: int
    authorization_s: int
    secrets: tuple[str, ...] = ("secret_key",)
    asks: frozenset[Operation] = QUESTIONS
    decided_later: frozenset[Operation] = frozenset()
    units: Mapping[str, Unit] = {}
    releases_as_refund: bool = False


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook as it came. Header names are lower case. `secrets` are those that may have signed
    it; `now_ms` is our clock in Unix milliseconds; `url` is the address that it came to, where that
    is known: some providers sign it."""

    body: bytes
    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    now_ms: int
    url: str = ""


class SignatureRefused(Exception):
    """A webhook that must not be believed: its signature or its time is wrong. Says which."""


class EventUnreadable(SignatureRefused):
    """A webhook that the provider did sign, and whose body is no event that we can read."""


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """One integration version.

    request(operation, input) -> WireRequest; outcome(operation, reply) -> Outcome, never raises;
    events(delivery) -> the events that one webhook brought, raises SignatureRefused;
    credentials(secrets by name) -> headers that authenticate.

    `version` is the provider's API version. `revision` counts our own versions of it: a frozen
    version never changes, so a fix of it is the next revision.

    `handles`: versions whose payments this one can follow up.

    `event_list_request`, `event_list` and `signed` fetch webhooks' bodies and sign them as the
    provider would, for rehearsals; `account_request` and `account` ask for what else the provider
    holds of the account, where versions could differ from ours.

    The contract checker reads the rest: `reads`, the wire type of each operation's reply (and
    `error`, `event`); `nested`, the type inside a raw part, by `Type.field`; `words`, the words
    known at a path of a reply.
    """

    provider: str
    version: str
    base_url: str
    request: Callable[[Operation, OperationInput], WireRequest]
    outcome: Callable[[Operation, WireReply], Outcome]
    events: Callable[[Delivery], tuple[Event, ...]]
    credentials: Callable[[Mapping[str, str]], tuple[tuple[str, str], ...]]
    capabilities: Capabilities
    revision: int = 1
    handles: frozenset[str] = frozenset()
    signed: Callable[[bytes, str, int], Mapping[str, str]] | None = None
    event_list_request: Callable[[], WireRequest] | None = None
    event_list: Callable[[WireReply], tuple[bytes, ...]] | None = None
    account_request: Callable[[], WireRequest] | None = None
    account: Callable[[WireReply], ProviderAccount | None] | None = None
    reads: Mapping[str, Any] = {}
    nested: Mapping[str, Any] = {}
    words: Mapping[str, Mapping[str, tuple[str, ...]]] = {}

    @property
    def name(self) -> str:
        """`provider@version`, and `+N` for revision N > 1: its name in weights and payments."""
        mark = f"+{self.revision}" if self.revision > 1 else ""
        return f"{self.provider}@{self.version}{mark}"

    def amount_fault(self, amount_minor: int, currency: str) -> Fault | None:
        """What the provider is known to refuse about an amount, or `None`. Callers are told before
        anything is sent."""
        unit = self.capabilities.units.get(currency)
        if unit is None:
            taken = not self.capabilities.units
            return (
                None if taken else Fault("/currency", f"{self.provider} does not take {currency}")
            )
        if amount_minor % unit.step_minor == 0:
            return None
        detail = f"{self.provider} takes {currency} in multiples of {unit.step_minor} only"
        return Fault("/amount_minor", detail)
