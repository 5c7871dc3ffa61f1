"""A parameter that we send must be of another type now."""

import re
from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule, shown
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.shapes import ANY

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if not new.reached or old is None or not old.reached:
        return
    before, after = old.types(), new.types()
    if not before or not after or after == ANY - {"null"} or before <= after:
        return
    undecided = before == ANY - {"null"}
    kept: object = before & after
    if question.is_text and not before & {"array", "object"}:
        if "string" in after:
            return  # each value is sent as a text
        sent = question.usage.values.get(question.path)
        kept = sent is None or [word for word in sent if _reads_as(str(word), after)]
        if sent is not None and kept == list(sent):
            return
    yield question.finding(
        "parameter-type",
        "risky" if kept else "breaking",
        f"`{question.path}` must be {' or '.join(sorted(after))} now",
        before=shown(before),
        after=shown(after),
        undecided=undecided or bool(kept),
    )


def _reads_as(text: str, types: frozenset[str]) -> bool:
    """Whether a text outside the body is taken for one of the types."""
    if "boolean" in types and text in {"true", "false"}:
        return True
    return bool(types & {"integer", "number"}) and NUMBER.fullmatch(text) is not None


RULE = Rule(name="parameter-type", asks="send", summary=__doc__ or "", check=check)
