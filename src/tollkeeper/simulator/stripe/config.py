"""How a simulator behaves before anybody breaks it."""

import msgspec

from tollkeeper.simulator.stripe.issuer import IssuerModel
from tollkeeper.simulator.stripe.versions import NEWEST

DEFAULT_KEY = "sk_test_tollkeeper"


class AccountConfig(msgspec.Struct, forbid_unknown_fields=True):
    """A merchant: `key` authenticates it; `api_version` is the default of its requests and the
    rendering of its events."""

    id: str = "acct_simulator"
    key: str = DEFAULT_KEY
    api_version: str = NEWEST


class KeyConfig(msgspec.Struct, forbid_unknown_fields=True):
    """One more key of an account: expired, or restricted to the operations `allowed` (shell
    patterns)."""

    key: str
    account: str = "acct_simulator"
    expired: bool = False
    allowed: tuple[str, ...] = ("*",)


class SimulatorConfig(msgspec.Struct, forbid_unknown_fields=True):
    """`latency_seconds` passes before a request takes effect, while its idempotency key is held.

    `rate_limit_per_second` of 0 means none. `honors_idempotency` off makes the provider ignore
    keys, as some do. `reference_key` names the metadata entry that the ledger shows as the
    merchant's own reference. `clock_offset_seconds` puts the provider's clock off: `created` of
    objects and the `Date` of replies; `webhook_clock_offset_seconds` puts off the time in a
    webhook's signature. `refuses_used_methods` makes a payment method without a customer usable
    once, as at the provider. `untold_captures` makes `amount_captured` null for a charge that was
    released before 2025-03-31.basil without a capture: Stripe's support page says so, Stripe's
    descriptions of those versions say that it is an integer. The number
    of events kept is bounded; the provider keeps 30 days.
    """

    accounts: list[AccountConfig] = msgspec.field(default_factory=lambda: [AccountConfig()])
    keys: list[KeyConfig] = []
    public_url: str = "http://127.0.0.1:0"
    latency_seconds: float = 0.0
    rate_limit_per_second: int = 0
    honors_idempotency: bool = True
    idempotency_seconds: float = 24 * 3600.0
    authorization_seconds: float = 7 * 24 * 3600.0
    async_capture_seconds: float = 2.0
    refund_settle_seconds: float = 5.0
    dispute_seconds: float = 1.0
    webhook_backoff_seconds: tuple[float, ...] = (1.0, 5.0, 30.0, 300.0, 3600.0, 6 * 3600.0)
    webhook_delay_seconds: float = 0.0
    clock_offset_seconds: float = 0.0
    webhook_clock_offset_seconds: float = 0.0
    refuses_used_methods: bool = False
    untold_captures: bool = False
    events_kept: int = 20_000
    reference_key: str = "tollkeeper_payment"
    issuer: IssuerModel = msgspec.field(default_factory=IssuerModel)
