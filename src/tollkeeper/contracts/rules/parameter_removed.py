"""A parameter that we send is not accepted any more."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule
from tollkeeper.contracts.finding import Finding


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if new.reached or question.path.startswith("header:"):
        return  # a header that is not described is ignored, not refused
    standing = old is not None and not old.reached
    advice = f"do not send `{new.broken or question.path}`: the provider does not know it"
    yield question.finding(
        "parameter-removed",
        "risky" if standing else "breaking",
        advice + ("" if not standing else "; it did not before either"),
        pointer=_pointer(question),
        before=new.broken or question.path,
        standing=standing,
    )


def _pointer(question: Question) -> str:
    if question.old is not None:
        for step in question.old.steps:
            if step.path == question.new.broken:
                return step.pointer
    return question.new.broken_pointer


RULE = Rule(name="parameter-removed", asks="send", summary=__doc__ or "", check=check)
