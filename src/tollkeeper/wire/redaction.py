"""What of an exchange may be logged: names and shapes, never a secret, a person or a card number.

Law: what is not known to be harmless is replaced by its shape. Headers and fields are allowed by
name; everything that is let through is still searched for card numbers.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from tollkeeper.payments.cards import find_card_numbers, mask_card_numbers

HEADERS: Final = frozenset({
    "accept-encoding", "cache-control", "connection", "content-encoding", "content-length",
    "content-type", "date", "idempotency-key", "idempotent-replayed",
    "original-request", "request-id", "retry-after", "server", "stripe-should-retry",
    "stripe-version", "transfer-encoding", "user-agent", "vary", "x-request-id",
})  # fmt: skip
"""Names of headers whose values may be logged; ours to providers are attempt ids, not secrets."""

FIELDS: Final = frozenset({
    "amount", "amount_captured", "amount_received", "amount_refunded", "amount_to_capture",
    "api_version", "cancellation_reason", "capture_method", "captured", "code", "confirm",
    "created", "currency", "decline_code", "has_more", "id", "livemode", "network_status", "object",
    "outcome", "paid", "param", "refunded", "status", "type",
})  # fmt: skip
"""Names of fields whose values may be logged where they are short words, numbers or truths."""

OPAQUE: Final = frozenset({"address", "billing_details", "metadata", "shipping"})
"""Fields with members of other people's naming or about a person: no name in there is trusted."""

MAX_LOGGED_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 12
MAX_MEMBERS: Final = 50
MAX_NUMBER: Final = 10**11
"""Shorter than any card number, and beyond the largest amount."""

HIDDEN: Final = "[hidden]"

type Shape = bool | int | float | str | list[Shape] | dict[str, Shape] | None


def redact_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers for a log, names in lower case. An unknown header keeps its name only."""
    return {
        mask_card_numbers(name.lower()): mask_card_numbers(value)
        if name.lower() in HEADERS
        else HIDDEN
        for name, value in headers
    }


def redact_body(body: bytes, content_type: str) -> Shape:
    """A body for a log: JSON and forms by field, anything else by its size."""
    if not body:
        return None
    if len(body) > MAX_LOGGED_BYTES:
        return f"[{len(body)} bytes]"
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _form(body)
    if kind.endswith("json"):
        try:
            return shape(msgspec.json.decode(body))
        except (msgspec.DecodeError, RecursionError):
            return f"[{len(body)} bytes that are no JSON]"
    return f"[{len(body)} bytes of {kind}]" if kind.isascii() and kind.isprintable() else HIDDEN


def shape(value: object, field: str = "", depth: int = 0) -> Shape:
    """`value` (decoded JSON) with all that is not known to be harmless replaced by its shape."""
    if depth > MAX_DEPTH:
        return "[deeper]"
    match value:
        case dict():
            return _members(value, field, depth)
        case list():
            return [shape(item, field, depth + 1) for item in value[:MAX_MEMBERS]]
        case None | bool():
            return value
        case int() | float() | str():
            return _leaf(value, field)
        case _:
            return HIDDEN


def _members(value: Mapping[str, object], field: str, depth: int) -> Shape:
    hide = field in OPAQUE
    return {
        _name(name): shape(inner, field if hide else name, depth + 1)
        for name, inner in list(value.items())[:MAX_MEMBERS]
    }


def _name(name: str) -> str:
    """A field's name; callers may have put anything into one, for example in metadata."""
    return mask_card_numbers(name)[:64]


def _leaf(value: float | str, field: str) -> Shape:
    if isinstance(value, str):
        harmless = field in FIELDS and _is_word(value) and not find_card_numbers(value)
        return value if harmless else f"[{len(value)} characters]"
    harmless = field in FIELDS and abs(value) < MAX_NUMBER
    return value if harmless else "[number]"


def _is_word(text: str) -> bool:
    return len(text) <= 64 and all(letter.isalnum() or letter in "_.-" for letter in text)


def _form(body: bytes) -> Shape:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return f"[{len(body)} bytes that are no form]"
    return {_name(name): shape(value, name) for name, value in pairs[:MAX_MEMBERS]}
