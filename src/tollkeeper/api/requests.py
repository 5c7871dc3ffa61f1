"""The bodies that callers may send, as structs whose limits the OpenAPI text shares."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from tollkeeper.kernel.errors import Fault
from tollkeeper.kernel.money import EXPONENTS, MAX_AMOUNT_MINOR

MAX_METADATA: Final = 50
MAX_URL: Final = 2048
RESERVED: Final = "tollkeeper_"
"""How our own names in a provider's metadata begin."""


type AmountMinor = Annotated[
    int,
    Meta(gt=0, le=MAX_AMOUNT_MINOR, description="Minor units of the currency: 1234 is 12.34 EUR."),
]
type CapturedMinor = Annotated[
    int,
    Meta(ge=0, le=MAX_AMOUNT_MINOR, description="Minor units; 0 releases the rest."),
]
type Currency = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=3,
        description="ISO 4217, upper case.",
        extra_json_schema={"enum": sorted(EXPONENTS)},
    ),
]
type Token = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,255}$",
        description="The provider's token of a payment method. Never a card number.",
        examples=["pm_card_visa"],
    ),
]
type Name = Annotated[str, Meta(min_length=1, max_length=255)]
type Text = Annotated[str, Meta(max_length=1000)]
type Url = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_URL, description="http or https."),
]
type Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=40)],
        Annotated[str, Meta(max_length=500)],
    ],
    Meta(max_length=MAX_METADATA),
]


class CreatePayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payment to be made. `reference` and `customer` are the caller's own names; a customer's
    payments stay with one integration version while the weights stand. With `unique_reference` the
    payment is refused while another live payment of the account has the same reference. Reference
    and metadata travel to the provider."""

    amount_minor: AmountMinor
    currency: Currency
    payment_method: Token
    capture_method: Literal["automatic", "manual"] = "automatic"
    multicapture: bool = False
    customer: Name | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    reference: Name | None = None
    description: Text | None = None
    return_url: Url | None = None
    metadata: Metadata = {}
    unique_reference: bool = False


class CapturePayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an amount all that is capturable is captured; `final` false keeps the rest open,
    for a payment that was made with `multicapture`. An amount of 0 releases the rest after an
    earlier capture."""

    amount_minor: CapturedMinor | None = None
    final: bool = True


class VoidPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to say."""


class RefundPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an amount all that is left is refunded."""

    amount_minor: AmountMinor | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook endpoint: an https URL that events are posted to."""

    url: Url
    description: Annotated[str, Meta(max_length=255)] = ""


class RotateSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `keep_previous` (true unless told) events are signed with the old secret too, until the
    next rotation."""

    keep_previous: bool = True


class StartRollout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate and how it may earn its traffic. `override`: start without a passing check of
    it, and why; it is kept. `dry_run`: only say what would refuse it and how long it would take."""

    candidate: Annotated[str, Meta(min_length=1, max_length=100, examples=["stripe@2022-11-15"])]
    steps_percent: Annotated[tuple[float, ...], Meta(max_length=20)] = (1, 5, 25, 50, 100)
    dwell_seconds: Annotated[float, Meta(ge=0, le=2_592_000)] = 60.0
    limit_seconds: Annotated[float, Meta(gt=0, le=31_536_000)] = 604_800.0
    alpha: Annotated[float, Meta(gt=0, le=0.1)] = 0.01
    pause_at: Annotated[tuple[float, ...], Meta(max_length=20)] = ()
    floor_percent: Annotated[float, Meta(gt=0, le=100)] = 1.0
    shadow_payments: Annotated[int, Meta(ge=0, le=10_000)] = 20
    orphaned: Literal["baseline", "keep"] = "baseline"
    currency: Currency | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    account: Name | None = None
    override: Annotated[str, Meta(max_length=500)] = ""
    dry_run: bool = False


class Reasoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; it is kept in the rollout's records."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class MustReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; it is recorded."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class ClearVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version that traffic may move to again, and why."""

    version: Annotated[str, Meta(min_length=1, max_length=100)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class ChoosePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens from now on if a version fails, whatever the settings say, and why."""

    policy: Literal["automatic", "ask", "off"]
    reason: Annotated[str, Meta(min_length=1, max_length=490)]


class SilenceAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long nobody is told of an alert, and why."""

    seconds: Annotated[float, Meta(gt=0, le=86_400)]
    reason: Annotated[str, Meta(min_length=1, max_length=490)]


class JudgeAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the verdict of an alert is right, and why."""

    judgment: Literal["right", "wrong"]
    reason: Annotated[str, Meta(min_length=1, max_length=490)]


class RouteFollowUps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version whose payments are meant, the follow-up, the version that it goes through from
    now on (their own where it is empty), and why."""

    version: Annotated[str, Meta(min_length=1, max_length=100)]
    operation: Literal["capture", "void", "refund"]
    through: Annotated[str, Meta(max_length=100)] = ""
    reason: Annotated[str, Meta(min_length=1, max_length=300)]


class SetRoutes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Percent of new payments by version, which add up to 100, and why."""

    weights: Annotated[dict[str, float], Meta(min_length=1, max_length=100)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class ClearAttention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person found and did; it stays in the payment's audit trail."""

    reason: Annotated[str, Meta(min_length=1, max_length=300)]


def meaning_of_payment(asked: CreatePayment) -> list[Fault]:
    """What no schema says about a payment: currencies that exist, addresses that can be gone to."""
    faults = []
    if not asked.payment_method.isprintable():  # a pattern's $ lets a last newline through
        faults.append(Fault("/payment_method", "printable ASCII"))
    if asked.currency not in EXPONENTS:
        faults.append(Fault("/currency", "not an ISO 4217 currency in upper case"))
    if asked.return_url is not None and not is_web_address(asked.return_url):
        faults.append(Fault("/return_url", "an http or https address of printable ASCII"))
    if asked.unique_reference and asked.reference is None:
        faults.append(Fault("/unique_reference", "needs a `reference`"))
    reserved = [name for name in asked.metadata if name.startswith(RESERVED)]
    if reserved:
        faults.append(
            Fault(f"/metadata/{reserved[0]}", f"names that begin with {RESERVED} are ours")
        )
    return faults


def is_web_address(url: str) -> bool:
    """Whether a shopper's browser could be sent to `url`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    return plain and parts.scheme in {"http", "https"} and bool(host)
