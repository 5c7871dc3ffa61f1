"""What the provider remembers: accounts, intents, charges, refunds, disputes, events, endpoints.

Amounts are integers of minor units, currencies lower case, `created` Unix seconds, as on the wire.
"""

from typing import Any, Literal

import msgspec

from tollkeeper.simulator.stripe.cards import Card

IntentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
]
RefundStatus = Literal["pending", "succeeded", "failed", "canceled", "requires_action"]
RefundKind = Literal["refund", "release"]
"""A `release` gives back an authorization that was never captured: the rest of a partial capture,
a cancellation, an expiry. Older versions list it among the refunds; no money moves."""


DisputeStatus = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
]
"""The first three are those of an inquiry, which moves no money."""


class Origin(msgspec.Struct, frozen=True):
    """Who caused a change: a request of the account, or something outside of it."""

    request_id: str = ""
    idempotency_key: str = ""
    api_version: str = ""
    source: str = "api"


class Account(msgspec.Struct):
    """One merchant; `api_version` is the default of its requests."""

    id: str
    api_version: str
    country: str = "US"


class Key(msgspec.Struct, frozen=True):
    """A secret key. `allowed` are shell patterns of operations; a restricted key has fewer than
    all of them."""

    account: str
    expired: bool = False
    allowed: tuple[str, ...] = ("*",)


class Method(msgspec.Struct):
    """A payment method that exists: `customer` owns it (empty: no customer does), `used` says
    that a charge was made with it."""

    card: Card
    customer: str = ""
    used: bool = False


class Customer(msgspec.Struct):
    id: str
    account: str
    created: int
    email: str | None
    name: str | None
    description: str | None
    metadata: dict[str, str]


class Intent(msgspec.Struct):
    """A payment intent."""

    id: str
    account: str
    amount: int
    currency: str
    created: int
    client_secret: str
    origin: Origin
    confirmation: Origin = Origin()
    """The request that confirmed it last: it made the charge, even if a shopper's authentication
    came between."""
    capture_method: str = "automatic"
    confirmation_method: str = "automatic"
    status: IntentStatus = "requires_payment_method"
    payment_method: str | None = None
    payment_method_types: list[str] = msgspec.field(default_factory=lambda: ["card"])
    automatic_payment_methods: dict[str, Any] | None = None
    return_url: str | None = None
    customer: str | None = None
    description: str | None = None
    receipt_email: str | None = None
    setup_future_usage: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    transfer_group: str | None = None
    shipping: dict[str, Any] | None = None
    multicapture: bool = False
    metadata: dict[str, str] = {}
    amount_capturable: int = 0
    amount_received: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    last_payment_error: dict[str, Any] | None = None
    charges: list[str] = []
    """Identifiers, oldest first."""


class Capture(msgspec.Struct, frozen=True):
    amount: int
    at_ms: int
    origin: Origin


class Charge(msgspec.Struct):
    """One attempt to take money: failed, authorized, captured, or released again."""

    id: str
    account: str
    intent: str
    amount: int
    currency: str
    created: int
    created_ms: int
    origin: Origin
    card: Card
    payment_method: str
    metadata: dict[str, str]
    customer: str | None = None
    description: str | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    transfer_group: str | None = None
    shipping: dict[str, Any] | None = None
    pending: bool = False
    declined: bool = False
    decline_code: str = ""
    authenticated: bool = False
    multicapture: bool = False
    captured: bool = False
    released: Literal["", "voided", "expired"] = ""
    capture_before: int | None = None
    balance_transaction: str | None = None
    disputed: bool = False
    captures: list[Capture] = []
    refunds: list[str] = []
    disputes: list[str] = []
    amount_captured: int = 0
    amount_refunded: int = 0
    """Refunds that did not fail, and releases that the provider listed, as the wire shows it."""
    amount_released: int = 0
    """Released without a refund to tell of it: what `amount_refunded` does not show."""
    captured_untold: bool = False
    """Whether `amount_captured` is null on the wire."""
    returned: int = 0
    """Money given back or on its way: refunds (never releases) that did not fail."""
    updated_ms: int = 0


class Refund(msgspec.Struct):
    id: str
    account: str
    charge: str
    intent: str
    amount: int
    currency: str
    created: int
    created_ms: int
    origin: Origin
    kind: RefundKind
    status: RefundStatus
    reason: str | None = None
    failure_reason: str | None = None
    balance_transaction: str | None = None
    metadata: dict[str, str] = {}


class Dispute(msgspec.Struct):
    id: str
    account: str
    charge: str
    intent: str
    amount: int
    currency: str
    created: int
    reason: str
    status: DisputeStatus = "needs_response"
    withdrawn: bool = False
    """Whether the bank holds the money."""

    @property
    def blocks_refunds(self) -> bool:
        """Whether the charge cannot be refunded: an inquiry or a prevented dispute lets it be."""
        return self.status in ("needs_response", "under_review", "won", "lost")


class Event(msgspec.Struct):
    """Something that happened. `documents` holds the object as it was then, already rendered and
    encoded at each API version that somebody reads it at."""

    id: str
    account: str
    created: int
    type: str
    api_version: str
    origin: Origin
    documents: dict[str, bytes]
    previous: dict[str, Any] | None = None
    pending_webhooks: int = 0


class Endpoint(msgspec.Struct):
    """A webhook endpoint; `api_version` is None when it follows the account's default."""

    id: str
    account: str
    created: int
    url: str
    secret: str
    enabled_events: list[str]
    api_version: str | None
    description: str | None
    metadata: dict[str, str]
    status: Literal["enabled", "disabled"] = "enabled"


Record = Intent | Charge | Refund | Dispute | Customer | Endpoint


class Page(msgspec.Struct):
    """A list on the wire: `records` in order, `url` of the list."""

    records: list[Any]
    has_more: bool
    url: str
