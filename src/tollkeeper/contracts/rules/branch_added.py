"""What holds a field that we read may be another kind of object now, without the field."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule
from tollkeeper.contracts.finding import Finding


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if not new.reached or old is None or not old.reached:
        return
    before = {step.path: step for step in old.steps}
    for step in new.steps:
        was = before.get(step.path)
        if was is not None and step.lacking and not was.lacking:
            yield question.finding(
                "branch-added",
                "risky",
                f"`{step.path}` is missing in one of the kinds that may come now",
                pointer=step.pointer,
                before="in every kind",
                after="not in every kind",
            )


RULE = Rule(name="branch-added", asks="read", summary=__doc__ or "", check=check)
