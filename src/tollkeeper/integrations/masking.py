"""Masking by shape: what may stay of an exchange once its outcome is known.

Kept: what the installed versions read, ids, words and amounts. Every other value is replaced by one
of its shape, so that a later version can re-read what matters and nothing private stays. Law: under
a name that speaks of a person or a secret nothing is kept but its shape.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec

from tollkeeper.integrations.values import Integration, WireReply, WireRequest

ID_OR_WORD: Final = re.compile(r"[a-z]{2,12}_[A-Za-z0-9_]{6,64}|[a-z][a-z_.]{0,39}|[A-Z]{3}")
AMOUNT_NAME: Final = re.compile(r"amount|created|captur|refunded", re.ASCII)
PRIVATE_NAME: Final = re.compile(
    r"(?:^|_)(?:address|billing|birth|city|comment|cvc|customer_details|description|descriptor|dob|"
    r"email|fingerprint|holder|iban|ip|last4|line1|line2|memo|message|mobile|name|nickname|note|"
    r"number|owner|password|person|phone|postal|recipient|secret|shipping|ssn|street|tax|town|"
    r"user|username|zip)(?:_|$)"
)
"""Names of fields that hold what belongs to a person, or opens something."""

FREE_NAME: Final = "metadata"
"""Where merchants put what they like: only what we read stays, names of fields included."""

PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]{0,63}")
KEPT_HEADERS: Final = frozenset(
    {"content-type", "date", "idempotency-key", "idempotent-replayed", "request-id",
     "retry-after", "stripe-version"}
)  # fmt: skip
_DIGITS_AND_LETTERS: Final = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ", "0" * 10 + "x" * 25 + "X" * 25
)
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]")
MAX_DEPTH: Final = 64
MAX_TEXT: Final = 200


def fields_read(integrations: Iterable[Integration]) -> frozenset[str]:
    """The names of all fields that any of these versions reads, at any depth."""
    found: set[str] = set()
    pending: list[Any] = [t for item in integrations for t in item.reads.values()]
    seen: set[Any] = set()
    while pending:
        current = pending.pop()
        if isinstance(current, type) and issubclass(current, msgspec.Struct):
            if current in seen:
                continue
            seen.add(current)
            for field in msgspec.structs.fields(current):
                found.add(field.encode_name)
                pending.append(field.type)
        else:
            pending.extend(get_args(current))
    return frozenset(found)


def mask_reply(reply: WireReply, kept: frozenset[str]) -> WireReply:
    """`reply` with private values replaced; a body that is no JSON is replaced as a whole."""
    headers = tuple(
        (name, value if name in KEPT_HEADERS else _masked_text(value))
        for name, value in reply.headers
    )
    return WireReply(status=reply.status, headers=headers, body=_masked_json(reply.body, kept))


def mask_request(request: WireRequest, kept: frozenset[str]) -> WireRequest:
    """`request` with the private values of its form fields replaced."""
    pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    masked = [(name, _masked_field(name, value, kept)) for name, value in pairs]
    return msgspec.structs.replace(request, body=urlencode(masked).encode())


def _masked_field(name: str, value: str, kept: frozenset[str]) -> str:
    *above, last = name.replace("]", "").split("[")
    private = PRIVATE_NAME.search(last) or any(PRIVATE_NAME.search(part) for part in above)
    if private or (FREE_NAME in above and last not in kept):
        return _masked_text(value)
    if last in kept or AMOUNT_NAME.search(name) or ID_OR_WORD.fullmatch(value):
        return value
    return _masked_text(value)


def _masked_json(body: bytes, kept: frozenset[str]) -> bytes:
    try:
        return msgspec.json.encode(_masked(msgspec.json.decode(body), "", kept, 0, free=False))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _masked_text(body.decode("utf-8", "replace")).encode()


def _masked(value: Any, name: str, kept: frozenset[str], depth: int, *, free: bool) -> Any:
    """`free`: somewhere below merchants' own names."""
    if isinstance(value, dict):
        return _masked_object(value, name, kept, depth, free=free)
    if isinstance(value, list):
        if depth > MAX_DEPTH:
            return []
        return [_masked(item, name, kept, depth + 1, free=free) for item in value]
    if value is None or isinstance(value, bool):
        return value
    personal = name == FREE_NAME or PRIVATE_NAME.search(name) is not None
    if name in kept and value != "" and not personal:
        return value
    return _masked_leaf(value, name, private=free or personal)


def _masked_object(
    value: dict[str, Any], name: str, kept: frozenset[str], depth: int, *, free: bool
) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        return {}
    if PRIVATE_NAME.search(name):
        kept = frozenset()  # nothing that we read stands below such a name
        free = True
    free = free or name == FREE_NAME
    return {
        _masked_name(key, kept, free=free): _masked(inner, key, kept, depth + 1, free=free)
        for key, inner in value.items()
    }


def _masked_name(name: str, kept: frozenset[str], *, free: bool) -> str:
    if name in kept or (PLAIN_NAME.fullmatch(name) and not free):
        return name
    return _masked_text(name)


def _masked_leaf(value: Any, name: str, *, private: bool) -> Any:
    if isinstance(value, str):
        return value if not private and ID_OR_WORD.fullmatch(value) else _masked_text(value)
    return value if not private and AMOUNT_NAME.search(name) else _masked_number(value)


def _masked_text(text: str) -> str:
    """ASCII letters and digits become x, X and 0; every other script's characters become x."""
    shape = text[:MAX_TEXT].translate(_DIGITS_AND_LETTERS)
    return shape if shape.isascii() else _FOREIGN.sub("x", shape)


def _masked_number(value: Any) -> int | float:
    if isinstance(value, float):
        return 0.0
    return 10 ** (len(str(abs(value))) - 1) if value else 0
