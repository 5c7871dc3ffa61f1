"""The protocol: what an integration version is, and the values that it exchanges with flows.

Law: value in, wire bytes out; wire bytes in, our words out. `wire` carries the bytes; a version
never sees a socket, a clock or a secret it was not handed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tollkeeper.kernel.errors import Fault
from tollkeeper.payments.outcome import Event, Operation, Outcome


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


class Order(msgspec.Struct, frozen=True, kw_only=True):
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


class Surroundings(msgspec.Struct, frozen=True):
    """What the provider holds of our account besides payments: the account's default version
    (`None` where it does not say) and the webhook endpoints."""

    default_version: str | None
    hooks: tuple[HookAddress, ...]


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """Fixed replies and webhooks' bodies of one provider, by name: what freezing remembers of how
    its versions read."""

    replies: Mapping[str, WireReply]
    events: Mapping[str, bytes]


class SignatureRefused(Exception):
    """A webhook that must not be believed: its signature or its time is wrong. Says which."""


class EventUnreadable(SignatureRefused):
    """A webhook that the provider did sign, and whose body is no event that we can read."""


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """One integration version.

    request(operation, order) -> WireRequest; outcome(operation, reply) -> Outcome, never raises;
    event(body, headers, secrets, now_ms) -> Event, raises SignatureRefused;
    credentials(secret) -> headers that authenticate.

    `version` is the provider's API version. `revision` counts our own versions of it: a frozen
    version never changes, so a fix of it is the next revision.

    `in_flight_window_s`: the longest a request that we gave up on may still take effect.
    `retention_s`: how long the provider keeps an idempotency key, 0 where it keeps none.
    `handles`: versions whose payments this one can follow up; `authorization_s`: how long an
    authorization lives; `units`: the currencies it takes, by upper-case code, and how the provider
    counts each (empty: any, as ISO 4217 counts). `releases_as_refund`: the provider lists the rest
    of an authorization as a refund where this version captures only a part of it.

    `events_request`, `events` and `signed` fetch webhooks' bodies and sign them as the provider
    would, for rehearsals; `surroundings_request` and `surroundings` ask for what else the provider
    holds of the account, where versions could differ from ours.

    The contract checker reads the rest: `reads`, the wire type of each operation's reply (and
    `error`, `event`); `nested`, the type inside a raw part, by `Type.field`; `words`, the words
    known at a path of a reply.
    """

    provider: str
    version: str
    base_url: str
    request: Callable[[Operation, Order], WireRequest]
    outcome: Callable[[Operation, WireReply], Outcome]
    event: Callable[[bytes, Mapping[str, str], tuple[str, ...], int], Event]
    credentials: Callable[[str], tuple[tuple[str, str], ...]]
    in_flight_window_s: int
    retention_s: int
    authorization_s: int
    revision: int = 1
    handles: frozenset[str] = frozenset()
    units: Mapping[str, Unit] = {}
    releases_as_refund: bool = False
    signed: Callable[[bytes, str, int], Mapping[str, str]] | None = None
    events_request: Callable[[], WireRequest] | None = None
    events: Callable[[WireReply], tuple[bytes, ...]] | None = None
    surroundings_request: Callable[[], WireRequest] | None = None
    surroundings: Callable[[WireReply], Surroundings | None] | None = None
    reads: Mapping[str, Any] = {}
    nested: Mapping[str, Any] = {}
    words: Mapping[str, Mapping[str, tuple[str, ...]]] = {}

    @property
    def name(self) -> str:
        """`provider@version`, and `+N` for revision N > 1: its name in weights and payments."""
        mark = f"+{self.revision}" if self.revision > 1 else ""
        return f"{self.provider}@{self.version}{mark}"

    def unacceptable(self, amount_minor: int, currency: str) -> Fault | None:
        """What the provider is known to refuse about an amount, or `None`. Callers are told before
        anything is sent."""
        unit = self.units.get(currency)
        if unit is None:
            taken = not self.units
            return (
                None if taken else Fault("/currency", f"{self.provider} does not take {currency}")
            )
        if amount_minor % unit.step_minor == 0:
            return None
        detail = f"{self.provider} takes {currency} in multiples of {unit.step_minor} only"
        return Fault("/amount_minor", detail)
