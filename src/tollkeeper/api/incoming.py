"""What comes in, read strictly: headers, query, and a body of bounded size in bounded time.

Law: JSON is refused where two readers could read it differently: a key twice, NaN, a number that
no double holds, half a surrogate pair, bytes that are not UTF-8.
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from litestar.types import Receive, Scope

from tollkeeper.kernel.errors import (
    CardNumberRefused,
    Fault,
    Invalid,
    Malformed,
    MissingIdempotencyKey,
    RequestTimeout,
    TooLarge,
    Unsupported,
)
from tollkeeper.payments.cards import SHORTEST, find_card_numbers
from tollkeeper.payments.digits import could_hold

FORM: Final = "application/x-www-form-urlencoded"
MAX_KEY_LENGTH: Final = 255
MAX_PARAMETERS: Final = 16
MAX_INBOUND_BYTES: Final = 524_288
"""A provider's webhook may carry a whole payment with its history."""

DISCARD_BYTES: Final = 2_097_152
DISCARD_SECONDS: Final = 1.0

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PLAIN: Final = re.compile(r"[\x20-\x7e]+")
_QUOTED: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_RANDOM: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|"
    r"(?=(?:[0-9]*[a-f]){4})[0-9a-f]{24,})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
"""UUIDs, and hexadecimal runs of 96 bits or more: of such random tokens one in ten thousand holds a
run of digits that passes for a card number."""


class Disconnected(Exception):
    """The client went away before its request was complete."""


async def read_body(
    scope: Scope,
    receive: Receive,
    *,
    max_bytes: int,
    receive_seconds: float,
    hold: Callable[[int], None],
) -> bytes:
    """The whole body. `hold` is given the size of every part, and may refuse it. Raises `TooLarge`,
    by the announced length or while counting, and `RequestTimeout`."""
    announced = header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:18]) > max_bytes:
        if header(scope, b"expect") is None:  # else the client waits for leave, and gets none
            await _discard(receive)
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(receive_seconds):
            body, more = await _received(receive, max_bytes, hold)
    except TimeoutError:
        detail = f"the body did not arrive within {receive_seconds:g} seconds"
        raise RequestTimeout(detail) from None
    if len(body) > max_bytes:
        if more:
            await _discard(receive)
        raise _too_large(max_bytes)
    return body


async def _received(
    receive: Receive, max_bytes: int, hold: Callable[[int], None]
) -> tuple[bytes, bool]:
    """The body as far as it may go, and whether more of it would come."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= max_bytes:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        hold(len(parts[-1]))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return (parts[0] if len(parts) == 1 else b"".join(parts)), more


async def _discard(receive: Receive) -> None:
    """Takes in what a client is still sending, within bounds: hanging up on bytes not read resets
    the connection, and the client would never see why."""
    size, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while more and size < DISCARD_BYTES:
                message: Any = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body may have {max_bytes} bytes")


def header(scope: Scope, name: bytes) -> str | None:
    """The one header called `name` (lower case); `Malformed` where it comes twice."""
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise Malformed(
            f"the header {name.decode()} came {len(found)} times",
            faults=(Fault(name.decode(), "send it once"),),
        )
    return found[0].decode("latin-1").strip() if found else None


def require_plain(scope: Scope) -> None:
    """Raises `Unsupported` for a body that is compressed: it is read as it comes."""
    coding = header(scope, b"content-encoding")
    if coding is not None and coding.strip().lower() not in {"", "identity"}:
        raise Unsupported(
            "the body must not be encoded", faults=(Fault("content-encoding", "identity"),)
        )


def require_json(scope: Scope) -> None:
    """Raises `Unsupported` unless the body is declared as JSON in UTF-8."""
    declared = header(scope, b"content-type")
    kind, _, rest = (declared or "").partition(";")
    charset = rest.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise Unsupported(
            "the body must be application/json in UTF-8",
            faults=(Fault("content-type", "application/json"),),
        )


def require_form(scope: Scope) -> None:
    """Raises `Unsupported` unless the body is declared as what a page's form sends."""
    kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise Unsupported(f"the body must be {FORM}", faults=(Fault("content-type", FORM),))


def idempotency_key(scope: Scope) -> str:
    """The caller's key: bare, or quoted as a structured field's string (RFC 9651, section 3.3.3);
    both spellings are one key."""
    raw = header(scope, b"idempotency-key")
    if raw is None:
        raise _bad_key("the header Idempotency-Key is required here")
    quoted = _QUOTED.fullmatch(raw)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else raw
    if not key.strip():
        raise _bad_key("the key is empty")
    if len(key) > MAX_KEY_LENGTH:
        raise _bad_key(f"the key has more than {MAX_KEY_LENGTH} characters")
    if not _PLAIN.fullmatch(key) or (raw.startswith('"') and not quoted):
        raise _bad_key("the key is not printable ASCII, or its quotes do not match")
    refuse_cards(key, "idempotency-key")
    return key


def _bad_key(detail: str) -> MissingIdempotencyKey:
    return MissingIdempotencyKey(detail, faults=(Fault("idempotency-key", detail),))


def query_of(scope: Scope) -> dict[str, str]:
    """The query's parameters; each may come once."""
    raw = scope["query_string"]
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:  # UnicodeDecodeError is one
        raise Malformed("the query is not percent-encoded UTF-8 of few parameters") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        refuse_cards(name, "query")
        refuse_cards(value, "query")
        if name in found:
            raise Invalid("a parameter came twice", faults=(Fault(_shown(name), "send it once"),))
        found[name] = value
    return found


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object, read strictly. Raises `Malformed`, and `CardNumberRefused` for what looks
    like a card number in any string or number of it."""
    try:
        text = body.decode()
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise Malformed("a number in the body is too long") from None
    if not isinstance(value, dict):
        raise Malformed("the body must be a JSON object")
    if b"\\" in body or could_hold(text, SHORTEST):  # else no string has what is looked for
        _inspect(value, halves=_SURROGATE.search(body) is not None)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a name comes twice in one object")
    return found


def _constant(word: str) -> NoReturn:
    raise Malformed(f"{word} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Malformed("a number in the body is too large for JSON readers")
    return number


def _inspect(value: dict[str, Any], *, halves: bool) -> None:
    """Refuses card numbers, NUL characters (PostgreSQL's text has none) and half characters."""
    for pointer, text in _strings(value):
        if halves and not _whole(text):
            raise Malformed("a string holds half of a surrogate pair")
        if "\0" in text:
            raise Invalid(
                "a string holds a NUL character", faults=(Fault(pointer, "remove the NUL"),)
            )
        refuse_cards(text, pointer)


def _strings(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every string and number of a JSON value, names too, with its pointer. Iterative: a body may
    be nested as deeply as the reader allows."""
    ahead = [(pointer, value)]
    while ahead:
        where, item = ahead.pop()
        if isinstance(item, dict):
            for name, inner in item.items():
                yield where, name
                ahead.append((f"{where}/{_token(name)}", inner))
        elif isinstance(item, list):
            ahead.extend((f"{where}/{index}", inner) for index, inner in enumerate(item))
        elif isinstance(item, str):
            yield where, item
        elif isinstance(item, int) and not isinstance(item, bool):
            yield where, str(item)


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _token(name: str) -> str:
    """`name` as a part of a JSON pointer (RFC 6901), shortened: a pointer is for people."""
    return _shown(name).replace("~", "~0").replace("/", "~1")


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()[:64]


def refuse_cards(text: str, pointer: str) -> None:
    """Raises `CardNumberRefused` where `text` holds what looks like a card number."""
    if not could_hold(text, SHORTEST):
        return
    if find_card_numbers(_RANDOM.sub("x", text)):
        raise CardNumberRefused(
            "a card number must never be sent here",
            faults=(Fault(pointer, "looks like a card number"),),
        )
