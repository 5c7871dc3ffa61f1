"""Identifiers: a prefix that names the resource, then 26 sortable characters.

The body is 48 bits of Unix milliseconds and 80 bits of chance in Crockford's base 32, so that
identifiers sort by the moment of their making and pages can be cut by identifier.
"""

from tollkeeper.kernel.chance import Chance

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
BODY_LENGTH = 26
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]


def new_id(prefix: str, now_ms: int, chance: Chance) -> str:
    """`prefix` + `_` + 26 characters: `new_id("pay", ...)` gives `pay_01j...`."""
    value = ((now_ms & 0xFFFF_FFFF_FFFF) << 80) | chance.bits(80)
    pairs = _PAIRS
    body = "".join([pairs[(value >> shift) & 0x3FF] for shift in range(120, -1, -10)])
    return f"{prefix}_{body}"


def first_id(prefix: str, at_ms: int) -> str:
    """The least identifier that can have been made at `at_ms`: a place to begin a page."""
    value = (at_ms & 0xFFFF_FFFF_FFFF) << 80
    body = "".join([_PAIRS[(value >> shift) & 0x3FF] for shift in range(120, -1, -10)])
    return f"{prefix}_{body}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape that `new_id(prefix, ...)` gives."""
    head, mark, body = text.rpartition("_")
    return (
        mark == "_"
        and head == prefix
        and len(body) == BODY_LENGTH
        and not set(body) - set(ALPHABET)
    )
