"""A parameter that we send must be of another type now."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule, shown
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.shapes import ANY


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if not new.reached or old is None or not old.reached:
        return
    before, after = old.types(), new.types()
    if not before or not after or after == ANY - {"null"} or before <= after:
        return
    undecided = before == ANY - {"null"}
    kept = before & after
    yield question.finding(
        "parameter-type",
        "risky" if kept else "breaking",
        f"`{question.path}` must be {' or '.join(sorted(after))} now",
        before=shown(before),
        after=shown(after),
        undecided=undecided or bool(kept),
    )


RULE = Rule(name="parameter-type", asks="send", summary=__doc__ or "", check=check)
