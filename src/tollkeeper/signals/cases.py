"""Cases: what a look read, kept in a file with what was said and what a person said of it.

A verdict that was wrong becomes a case, so that another table of weights can be tried on it. It
holds counts alone: no customer, no payment, no secret.
"""

from typing import Final

import msgspec

from tollkeeper.signals.counts import Window
from tollkeeper.signals.verdict import Look, attribute

FORMAT: Final = 1
MOST_BYTES: Final = 50_000_000


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A window, the domain that was said of it, and what a person said: `right` or `wrong: REASON`,
    empty for nothing."""

    format: int
    alert: str
    said: str
    judged: str
    window: Window


class BadCase(Exception):
    """A file that holds no case; the message says why."""


def write(case: Case) -> bytes:
    """A case as the bytes of a file: one line of JSON."""
    return msgspec.json.encode(case) + b"\n"


def read(body: bytes) -> Case:
    """The case in the bytes of a file. Raises `BadCase`."""
    if len(body) > MOST_BYTES:
        raise BadCase(f"a case has at most {MOST_BYTES:,} bytes")
    try:
        case = msgspec.json.decode(body, type=Case)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadCase(str(error)[:200]) from None
    if case.format != FORMAT:
        raise BadCase(f"format {case.format}; this release reads {FORMAT}")
    return case


def look(case: Case) -> Look:
    """What the table of today says of a case."""
    return attribute(case.window)
