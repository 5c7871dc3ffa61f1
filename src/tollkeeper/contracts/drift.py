"""Drift: a live reply against what a version reads, on every reply, in microseconds.

The version's own wire type is the check: what is missing or of another type fails to decode, and a
word that no table knows is seen at the paths whose words are listed. Members that we do not read
may come and go; that is no drift of ours.
"""

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from tollkeeper.integrations.version import Integration
from tollkeeper.payments.outcome import Operation, Outcome

MAX_SEEN = 80


class Drift(msgspec.Struct, frozen=True):
    """One departure. `pointer` is a JSON pointer into the reply, as far as it is known; `seen`
    what stood there, cut to 80 characters."""

    kind: Literal["shape", "word", "contract"]
    pointer: str
    seen: str


type Getter = Callable[[Any], Any]


class DriftReader:
    """Reads replies of one operation of one version."""

    __slots__ = ("_decode", "_words")

    def __init__(self, integration: Integration, operation: Operation) -> None:
        self._decode = msgspec.json.Decoder(integration.reads[operation]).decode
        words = integration.words.get(operation, {})
        self._words = [
            (_getter(path), frozenset(known), "/" + path.replace(".", "/"))
            for path, known in words.items()
            if "[]" not in path
        ]

    def read(self, body: bytes) -> Drift | None:
        """The first departure in `body`, or `None`. Never raises."""
        try:
            reply = self._decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return Drift("shape", _pointer(str(error)), str(error)[:MAX_SEEN])
        for get, known, pointer in self._words:
            word = get(reply)
            if word is not None and word not in known:
                return Drift("word", pointer, str(word)[:MAX_SEEN])
        return None


def drift_of(said: Outcome) -> Drift | None:
    """The drift that an outcome tells of: its reply could not be read, or held a word or a shape
    that the version does not know."""
    doubt = said.doubt
    if doubt is None or doubt.kind not in {"decode", "contract"}:
        return None
    kind: Literal["shape", "contract"] = "shape" if doubt.kind == "decode" else "contract"
    return Drift(kind, doubt.pointer + _missing(doubt.detail), doubt.seen)


def _getter(path: str) -> Getter:
    names = path.split(".")

    def get(value: Any) -> Any:
        for name in names:
            if value is None:
                return None
            value = getattr(value, name)
        return value

    return get


def _pointer(message: str) -> str:
    """The JSON pointer that msgspec's message names: `at `$.a[...].b`` gives /a/-/b. A field that
    is missing is part of it."""
    path = message.rpartition("`$")[2].rstrip("`") if "`$" in message else ""
    return path.replace("[...]", "/-").replace(".", "/") + _missing(message)


_MISSING: Final = re.compile(r"missing required field `([^`]{1,80})`")


def _missing(message: str) -> str:
    """The field that msgspec's message says is missing, as the end of a pointer."""
    found = _MISSING.search(message)
    return f"/{found[1]}" if found is not None else ""
