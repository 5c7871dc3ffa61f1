"""A parameter's length, range, pattern or format was narrowed."""

import re
from collections.abc import Iterator
from typing import Any

from tollkeeper.contracts.asking import Question, Rule
from tollkeeper.contracts.finding import Finding

UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")
LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems")
WIDER = (("int32", "int64"), ("float", "double"))
"""Formats of numbers of which the second takes whatever the first does."""


def check(question: Question) -> Iterator[Finding]:
    if not question.new.reached:
        return
    old = question.old
    before = _limits(old.leaf) if old is not None and old.reached else {}
    after = _limits(question.new.leaf)
    for word in (*UPPER, *LOWER, "pattern", "format", "multipleOf"):
        if word in after and after[word] != before.get(word):
            yield from _narrowed(question, word, before.get(word), after[word])


def _limits(leaf: Any) -> dict[str, Any]:
    """Limits that every alternative but null has, so that none can be avoided."""
    kinds = [shape.limits for shape in leaf if shape.types != {"null"}]
    if not kinds:
        return {}
    return {w: kinds[0][w] for w in kinds[0] if all(k.get(w) == kinds[0][w] for k in kinds)}


def _narrowed(question: Question, word: str, before: Any, after: Any) -> Iterator[Finding]:
    decided = _decided(question, word, before, after)
    if decided is None:
        return
    known_bad, standing = decided
    every = known_bad and _all_sent_refused(question, word, after)
    yield question.finding(
        "parameter-limits",
        "breaking" if every and not standing else "risky",
        f"`{question.path}`: {word} is {after!r} now" + (f", was {before!r}" if before else ""),
        before={word: before},
        after={word: after},
        undecided=not known_bad,
        standing=standing,
    )


def _decided(question: Question, word: str, before: Any, after: Any) -> tuple[bool, bool] | None:
    """Whether something that we send is refused, and whether it was before; `None`: nothing is."""
    length = question.usage.lengths.get(question.path)
    if word == "maxLength" and length is not None and isinstance(after, int):
        if length <= after:
            return None
        return True, isinstance(before, int) and length > before
    sent = question.usage.values.get(question.path)
    if sent is not None and word in {"pattern", "maxLength", "minLength"}:
        refused = [w for w in sent if not _fits(w, word, after)]
        if not refused:
            return None
        was = [w for w in refused if before is not None and not _fits(w, word, before)]
        return True, len(was) == len(refused)
    if question.old is None or not question.old.reached:
        return None  # nothing was narrowed: there is nothing to compare with
    if _loosened(word, before, after):
        return None
    return False, False


def _loosened(word: str, before: Any, after: Any) -> bool:
    if word == "format":
        return (before, after) in WIDER
    if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return False
    return after >= before if word in UPPER else after <= before if word in LOWER else False


def _all_sent_refused(question: Question, word: str, after: Any) -> bool:
    sent = question.usage.values.get(question.path)
    return bool(sent) and not [w for w in sent or () if _fits(w, word, after)]


def _fits(value: Any, word: str, limit: Any) -> bool:
    if not isinstance(value, str):
        return True
    if word == "maxLength":
        return not isinstance(limit, int) or len(value) <= limit
    if word == "minLength":
        return not isinstance(limit, int) or len(value) >= limit
    try:
        return re.search(str(limit), value) is not None
    except re.error:
        return True  # another dialect of patterns: the witness's validator has the last word


RULE = Rule(name="parameter-limits", asks="send", summary=__doc__ or "", check=check)
