"""Outlines: the shape of a reply around a place in it, to show what departed there.

Law: an outline has the names of fields and the types of values. A value stays only where it is a
plain word in a field that our versions read, and never under a name that speaks of a person or a
secret, nor among what merchants write.
"""

import re
from typing import Any, Final

import msgspec

from tollkeeper.integrations.masking import FREE_NAME, PLAIN_NAME, is_private

MOST_NAMES: Final = 80
MOST_BYTES: Final = 2_000
DEPTH: Final = 3
"""Levels below the place that are shown, fewer where that would be too large."""

WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
DIGITS: Final = re.compile(r"[0-9]")

_decode: Final = msgspec.json.Decoder().decode


def outline(body: bytes, pointer: str, kept: frozenset[str]) -> str:
    """The outline, as JSON, of the object that holds the place of a JSON pointer, or of the nearest
    one above it that is there. `kept`: names of fields that our versions read. What is no JSON is
    described in a word."""
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return '"empty"' if not body.strip() else '"no JSON"'
    names = [part for part in pointer.split("/")[1:] if part]
    for name in names[:-1]:
        if name == FREE_NAME or is_private(name):
            break
        below = _below(found, name)
        if below is None:
            break
        found = below
    for depth in range(DEPTH, 0, -1):
        shown = msgspec.json.encode(_shape(found, kept, depth, name=""))
        if len(shown) <= MOST_BYTES:
            return shown.decode()
    return '"too large to show"'


def _below(value: Any, name: str) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
        return value if name == "-" else _below(value, name)
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict | list) else None


def _shape(value: Any, kept: frozenset[str], depth: int, name: str) -> Any:
    if isinstance(value, dict):
        if depth <= 0 or name == FREE_NAME or is_private(name):
            return "object"
        plain = [key for key in value if PLAIN_NAME.fullmatch(key) and not DIGITS.search(key)]
        return {key: _shape(value[key], kept, depth - 1, key) for key in sorted(plain)[:MOST_NAMES]}
    if isinstance(value, list):
        return [_shape(one, kept, depth - 1, name) for one in value[:1]] if depth > 0 else "list"
    if isinstance(value, str):
        is_word = name in kept and not is_private(name) and WORD.fullmatch(value)
        return value if is_word else "(text)"
    return _TYPES.get(type(value), "(number)")


_TYPES: Final[dict[type, str]] = {type(None): "(null)", bool: "(yes or no)"}
