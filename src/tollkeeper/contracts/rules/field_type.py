"""A field that we read may be of another type now."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule, shown
from tollkeeper.contracts.finding import Finding
from tollkeeper.contracts.shapes import ANY


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if not new.reached or old is None or not old.reached:
        return
    before, after = old.types(), new.types()
    everything = ANY - {"null"}
    if before == everything or not before or not after:
        return
    added = after - before
    if not added:
        return
    undecided = after == everything
    yield question.finding(
        "field-type",
        "risky" if before & after else "breaking",
        f"`{question.path}` was {' or '.join(sorted(before))} and may be "
        + ("anything" if undecided else " or ".join(sorted(added)))
        + " now",
        before=shown(before),
        after=shown(after),
        undecided=undecided,
    )


RULE = Rule(name="field-type", asks="read", summary=__doc__ or "", check=check)
