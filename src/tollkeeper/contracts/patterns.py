"""A text that a pattern accepts: the smallest that is easily found.

Patterns of other dialects than Python's give the plain text; whoever uses it asks a validator.
"""

import re
from collections.abc import Iterable
from re import _parser as parser  # the only reader of patterns there is
from typing import Any, Final

PLAIN: Final = "text"
MAX_LENGTH: Final = 10_000
MAX_REPEAT: Final = 64
CATEGORIES: Final = {
    "CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "a", "CATEGORY_NOT_WORD": "-", "CATEGORY_NOT_SPACE": "a",
}  # fmt: skip
SPARE: Final = "aA1-_. ~"


def text_for(pattern: str, least: int = 0) -> str:
    """A text that matches `pattern`, of `least` characters if repeating it gets there."""
    try:
        tree = parser.parse(pattern)
        for more in (0, 1, least):
            text = _written(tree, more)[:MAX_LENGTH]
            if len(text) >= least and re.search(pattern, text):
                return text
    except (re.error, OverflowError, RecursionError, ValueError, KeyError):
        return PLAIN
    return PLAIN.ljust(min(least, MAX_LENGTH), "x")


def _written(tree: Iterable[tuple[Any, Any]], more: int) -> str:
    return "".join(_token(str(kind), argument, more) for kind, argument in tree)


def _token(kind: str, argument: Any, more: int) -> str:
    if kind == "LITERAL":
        return chr(argument)
    if kind == "NOT_LITERAL":
        return next(c for c in SPARE if ord(c) != argument)
    if kind == "ANY":
        return "a"
    if kind == "IN":
        return _one_of(argument)
    if kind == "BRANCH":
        return _written(argument[1][0], more)
    if kind == "SUBPATTERN":
        return _written(argument[3], more)
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, inner = argument
        count = min(max(int(least), more), int(most), max(MAX_REPEAT, more))
        return _written(inner, 0) * count
    return ""


def _one_of(members: list[tuple[Any, Any]]) -> str:
    """A character of the set; of the spare ones where the set is turned round."""
    if str(members[0][0]) == "NEGATE":
        refused = {_member(m) for m in members[1:]}
        return next((c for c in SPARE if c not in refused), "z")
    return _member(members[0])


def _member(member: tuple[Any, Any]) -> str:
    kind, argument = str(member[0]), member[1]
    if kind == "LITERAL":
        return chr(argument)
    if kind == "RANGE":
        return chr(argument[0])
    return CATEGORIES[str(argument)] if kind == "CATEGORY" else "a"
