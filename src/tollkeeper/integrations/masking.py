"""Masking by shape: what may stay of an exchange once its outcome is known.

Kept: what the installed versions read, ids, words and amounts. Every other value is replaced by one
of its shape, so that a later version can re-read what matters and nothing private stays.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec

from tollkeeper.integrations.values import Integration, WireReply, WireRequest

ID_OR_WORD: Final = re.compile(r"[a-z]{2,12}_[A-Za-z0-9_]{6,64}|[a-z][a-z_.]{0,39}|[A-Z]{3}")
AMOUNT_NAME: Final = re.compile(r"amount|created|captur|refunded", re.ASCII)
KEPT_HEADERS: Final = frozenset(
    {"content-type", "date", "idempotency-key", "idempotent-replayed", "request-id",
     "retry-after", "stripe-version"}
)  # fmt: skip
_DIGITS_AND_LETTERS: Final = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ", "0" * 10 + "x" * 25 + "X" * 25
)
MAX_DEPTH: Final = 64


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
    last = name.rstrip("]").rpartition("[")[2]
    if last in kept or AMOUNT_NAME.search(name) or ID_OR_WORD.fullmatch(value):
        return value
    return _masked_text(value)


def _masked_json(body: bytes, kept: frozenset[str]) -> bytes:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _masked_text(body.decode("utf-8", "replace")).encode()
    return msgspec.json.encode(_masked(value, "", kept, 0))


def _masked(value: Any, name: str, kept: frozenset[str], depth: int) -> Any:
    if isinstance(value, dict):
        if depth > MAX_DEPTH:
            return {}
        return {k: _masked(v, k, kept, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        if depth > MAX_DEPTH:
            return []
        return [_masked(item, name, kept, depth + 1) for item in value]
    if value is None or isinstance(value, bool) or (name in kept and value != ""):
        return value
    if isinstance(value, str):
        return value if ID_OR_WORD.fullmatch(value) else _masked_text(value)
    return value if AMOUNT_NAME.search(name) else _masked_number(value)


def _masked_text(text: str) -> str:
    return text[:200].translate(_DIGITS_AND_LETTERS)


def _masked_number(value: Any) -> int | float:
    if isinstance(value, float):
        return 0.0
    return 10 ** (len(str(abs(value))) - 1) if value else 0
