"""Hints: what a provider's webhooks and replies say beside money, read for signals alone.

Law: no hint decides about a payment. They stand beside the frozen versions, so that a later release
may read them better. Reading one never raises; what is not there is empty.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollkeeper.integrations.version import WireReply


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where one provider says what. `made_s`: the member of a webhook's body with the Unix second
    in which the event was made. `event_version`: the one with the API version that it is rendered
    at. `reply_version`: the header of a reply with its version, lower case. `brand`: the member of
    a reply, at any depth, with the brand of a card."""

    made_s: str
    event_version: str
    reply_version: str
    brand: str


PLACES: Final[Mapping[str, Places]] = {
    # Stripe's API reference: the event object, and versioning.
    "stripe": Places(
        made_s="created",
        event_version="api_version",
        reply_version="stripe-version",
        brand="brand",
    ),
}
"""By provider. One that is not here gives no hints."""

VERSION: Final = re.compile(r"[0-9]{1,4}[0-9A-Za-z.-]{0,36}")
"""The form of a version: no other text may go into a count."""

BRANDS: Final = frozenset({
    "amex", "cartes_bancaires", "diners", "discover", "eftpos_au", "interac", "jcb", "maestro",
    "mastercard", "unionpay", "visa",
})  # fmt: skip
OTHER_BRAND: Final = "other"
"""Brands that are counted by name, so that a provider's new words make no new slices."""

LATEST_S: Final = 2**33
"""Unix seconds beyond which a number is no time (the year 2242)."""


class EventHint(msgspec.Struct, frozen=True):
    """Of a webhook: when the provider made its event, in Unix milliseconds by the provider's clock,
    0 where it does not say; and the API version that it is rendered at."""

    made_ms: int = 0
    version: str = ""


_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def event_hint(provider: str, body: bytes) -> EventHint:
    """The hint in a webhook's body."""
    places = PLACES.get(provider)
    if places is None:
        return EventHint()
    try:
        said = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return EventHint()
    made_s = _plain(said.get(places.made_s))
    is_time = type(made_s) is int and 0 < made_s < LATEST_S
    return EventHint(
        made_s * 1000 if is_time else 0, _version(_plain(said.get(places.event_version)))
    )


def reply_version(provider: str, reply: WireReply) -> str:
    """The API version that a reply says it is rendered at; empty where it does not."""
    places = PLACES.get(provider)
    return _version(reply.header(places.reply_version)) if places is not None else ""


def card_brand(provider: str, reply: WireReply) -> str:
    """The brand of the card that a reply speaks of, one of `BRANDS` or `other`; empty where it does
    not say. The bytes are searched and not parsed, because this is done for each payment. A
    merchant's metadata can deceive it about the merchant's own payments, and about nothing else."""
    places = PLACES.get(provider)
    if places is None:
        return ""
    found = _BRAND_IN[places.brand].findall(reply.body)
    known = next((word for word in found if word in _BRAND_WORDS), None)
    return known.decode() if known is not None else OTHER_BRAND if found else ""


def _brand_in(member: str) -> re.Pattern[bytes]:
    return re.compile(rb'"%s"\s*:\s*"([^"\\]{1,40})"' % re.escape(member.encode()))


_BRAND_IN: Final = {places.brand: _brand_in(places.brand) for places in PLACES.values()}
_BRAND_WORDS: Final = frozenset(brand.encode() for brand in BRANDS)


def _plain(raw: msgspec.Raw | None) -> Any:
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _version(value: Any) -> str:
    return value if isinstance(value, str) and VERSION.fullmatch(value) else ""
