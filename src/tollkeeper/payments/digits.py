"""Digits as people and forms write them: of any script, with anything between them.

Law: a text is reduced to six kinds of characters without changing where they stand, so that a run
that is found can be masked in the text itself.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal

import msgspec

BLANK, CLEAN, ODD, LETTER, UNSEEN = " ", "-", "!", "a", "\0"
"""Kinds of characters that are no digits: blanks; what is usual between the groups of a number;
other signs; letters; and what a reader does not see."""

_RUN: Final = re.compile(r"[0-9]+")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}|&(?:#[0-9]{1,5}|#x[0-9a-fA-F]{1,4}|[a-zA-Z]{2,8});")
_USUAL: Final = frozenset("-._/\\~·•∙●‧・−⁄∕")
_UNSEEN: Final = frozenset({"Cf", "Mn", "Me", "Cs", "Co", "Cn"})
_DASHES: Final = frozenset({"Pd", "Pc"})

Gap = Literal["clean", "odd", "lettered"]

_GAPS: Final[tuple[tuple[Gap, re.Pattern[str]], ...]] = (
    ("clean", re.compile(r" {1,16}|[ -]{1,4}")),
    ("odd", re.compile(r"[ !-]{1,3}")),
    ("lettered", re.compile(r"[ !a-]{1,3}")),
)


class Group(msgspec.Struct, frozen=True):
    """Adjacent digits. `gap`: what parts them from the group before, `None` where too much does;
    `sign`: the same as it is written, blanks counting once; `places`: where each digit stands in
    the text; `signed`: a plus sign stands before them."""

    digits: str
    gap: Gap | None
    places: tuple[int, ...]
    sign: str = ""
    signed: bool = False


def could_hold(text: str, count: int) -> bool:
    """Whether `text` has `count` digits at all; cheap, for texts that hold none."""
    if text.isascii():
        return len(text) - len(text.translate(_NO_DIGITS)) >= count
    return len(_RUN.sub("", reduced(text))) <= len(text) - count


def groups_of(text: str) -> list[Group]:
    """The groups of digits in `text`, in order."""
    kinds = reduced(text)
    seen = [place for place, kind in enumerate(kinds) if kind != UNSEEN]
    compact = kinds.replace(UNSEEN, "")
    found: list[Group] = []
    before = 0
    for run in _RUN.finditer(compact):
        start, end = run.span()
        found.append(
            Group(
                digits=run[0],
                gap=_gap(compact[before:start]) if found else None,
                places=tuple(seen[start:end]),
                sign=_sign(text, seen[before:start]) if found else "",
                signed=start > 0 and text[seen[start - 1]] in "+\uff0b",
            )
        )
        before = end
    return found


def decoded(text: str) -> str:
    """`text` with blanks in place of what URLs and HTML write for signs; of the same length."""
    return _ENCODED.sub(lambda match: BLANK * len(match[0]), text)


def reduced(text: str) -> str:
    """The kinds of all characters, digits as ASCII."""
    if text.isascii():
        return text.translate(_ASCII)
    return "".join([_kind(character) for character in text])


def _gap(between: str) -> Gap | None:
    return next((name for name, pattern in _GAPS if pattern.fullmatch(between)), None)


def _sign(text: str, places: list[int]) -> str:
    written = "".join([BLANK if text[place].isspace() else text[place] for place in places])
    return written.strip() or BLANK


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return BLANK
    if category in _UNSEEN:
        return UNSEEN
    if character in _USUAL or category in _DASHES:
        return CLEAN
    return LETTER if character.isalnum() else ODD


_ASCII: Final = {number: _kind(chr(number)) for number in range(128)}
_NO_DIGITS: Final = {ord(digit): None for digit in "0123456789"}
