"""Masking by shape: what may stay of an exchange once its outcome is known.

Kept: what the installed versions read, ids, words and amounts. Every other value is replaced by one
of its shape, so that a later version can re-read what matters and nothing private stays. Law: under
a name that speaks of a person or a secret nothing is kept but its shape.
"""

import re
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any, Final, get_args
from urllib.parse import quote_plus, unquote_plus

import msgspec

from tollkeeper.integrations.version import Integration, WireReply, WireRequest

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
MAX_NAMES: Final = 4096
"""Names that are remembered; a provider that invents more has them decided each time."""

NOTHING: Final[frozenset[str]] = frozenset()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_WORD_BYTES: Final = re.compile(ID_OR_WORD.pattern.encode()).fullmatch


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


type _Field = tuple[str, bool, bool, bool, _Fields]
"""What is decided about a field by its name alone: the name as it may stay; whether any value
stays, since we read it; whether words and ids stay; whether amounts stay; and the fields below."""


class _Fields(dict[str, _Field]):
    """Fields by name, decided once: providers use few names, a hundred of them in each reply.

    `free`: somewhere below merchants' own names, or below a private one.
    """

    def __init__(self, kept: frozenset[str], *, free: bool = False) -> None:
        super().__init__()
        self._kept = kept
        self._free = free

    def __missing__(self, name: str) -> _Field:
        read = name in self._kept
        personal = name == FREE_NAME or PRIVATE_NAME.search(name) is not None
        shown = read or (PLAIN_NAME.fullmatch(name) and not self._free)
        words = not (personal or self._free)
        field = (
            name if shown else _masked_text(name),
            read and not personal,
            words,
            words and AMOUNT_NAME.search(name) is not None,
            self._below(name) if personal else self,
        )
        if len(self) < MAX_NAMES:
            self[name] = field
        return field

    def _below(self, name: str) -> "_Fields":
        """Nothing that we read stands below a private name."""
        return _free_fields(self._kept if name == FREE_NAME else NOTHING)


class _FormFields(dict[bytes, tuple[bytes, bool, bool]]):
    """The same for the names of form fields as they stand in the body, `a%5Bb%5D`: the name again,
    whether any value stays, and whether words and ids stay."""

    def __init__(self, kept: frozenset[str]) -> None:
        super().__init__()
        self._kept = kept

    def __missing__(self, raw: bytes) -> tuple[bytes, bool, bool]:
        name = unquote_plus(raw.decode("utf-8", "replace"))
        *above, last = name.replace("]", "").split("[")
        private = any(PRIVATE_NAME.search(part) for part in (last, *above))
        closed = private or (FREE_NAME in above and last not in self._kept)
        whole = last in self._kept or AMOUNT_NAME.search(name) is not None
        field = (quote_plus(name).encode() + b"=", whole and not closed, not closed)
        if len(self) < MAX_NAMES:
            self[raw] = field
        return field


_fields: Final = lru_cache(maxsize=64)(_Fields)
_free_fields: Final = lru_cache(maxsize=64)(partial(_Fields, free=True))
_form_fields: Final = lru_cache(maxsize=64)(_FormFields)


def mask_reply(reply: WireReply, kept: frozenset[str]) -> WireReply:
    """`reply` with private values replaced; a body that is no JSON is replaced as a whole."""
    headers = tuple(
        [
            (name, value if name in KEPT_HEADERS else _masked_text(value))
            for name, value in reply.headers
        ]
    )
    return WireReply(status=reply.status, headers=headers, body=_masked_json(reply.body, kept))


def mask_request(request: WireRequest, kept: frozenset[str]) -> WireRequest:
    """`request` with the private values of its form fields replaced."""
    fields = _form_fields(kept)
    masked = b"&".join([_masked_pair(pair, fields) for pair in request.body.split(b"&") if pair])
    return msgspec.structs.replace(request, body=masked)


def _masked_pair(pair: bytes, fields: _FormFields) -> bytes:
    name, _, value = pair.partition(b"=")
    shown, whole, words = fields[name]
    if whole or (words and _WORD_BYTES(value)):
        return shown + value
    text = unquote_plus(value.decode("utf-8", "replace"))
    if words and ID_OR_WORD.fullmatch(text):
        return shown + value
    return shown + quote_plus(_masked_text(text)).encode()


def _masked_json(body: bytes, kept: frozenset[str]) -> bytes:
    fields = _fields(kept)
    try:
        return _encode(_masked(_decode(body), fields[""], 0))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _masked_text(body.decode("utf-8", "replace")).encode()


def _masked(value: Any, field: _Field, depth: int) -> Any:
    _, whole, words, amounts, below = field
    kind = type(value)
    if kind is dict:
        return _masked_object(value, below, depth)
    if kind is list:
        return [_masked(item, field, depth + 1) for item in value] if depth <= MAX_DEPTH else []
    if whole or value is None or kind is bool:
        return value
    if kind is str:
        return value if words and ID_OR_WORD.fullmatch(value) else _masked_text(value)
    return value if amounts else _masked_number(value)


def _masked_object(value: dict[str, Any], fields: _Fields, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        return {}
    masked = {}
    for name, inner in value.items():
        field = fields[name]
        masked[field[0]] = None if inner is None else _masked(inner, field, depth + 1)
    return masked


def _masked_text(text: str) -> str:
    """ASCII letters and digits become x, X and 0; every other script's characters become x."""
    shape = text[:MAX_TEXT].translate(_DIGITS_AND_LETTERS)
    return shape if shape.isascii() else _FOREIGN.sub("x", shape)


def _masked_number(value: Any) -> int | float:
    if isinstance(value, float):
        return 0.0
    return 10 ** (len(str(abs(value))) - 1) if value else 0
