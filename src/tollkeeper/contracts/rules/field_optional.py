"""A field that we take for granted may be left out now."""

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
        if was is None or was.optional or not step.optional or step.lacking:
            continue
        relied = step.path in question.usage.nonnull
        yield question.finding(
            "field-optional",
            "risky" if relied or step.path != question.path else "harmless",
            f"`{step.path}` may be left out now",
            pointer=step.pointer,
            before="required",
            after="optional",
        )


RULE = Rule(name="field-optional", asks="read", summary=__doc__ or "", check=check)
