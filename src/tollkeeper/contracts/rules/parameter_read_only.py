"""A parameter that we send is read-only now: some providers refuse it, others ignore it."""

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
        if step.read_only and was is not None and not was.read_only:
            yield question.finding(
                "parameter-read-only",
                "risky",
                f"`{step.path}` is read-only now: it should not be sent",
                pointer=step.pointer,
                before="may be sent",
                after="read-only",
                undecided=True,
            )


RULE = Rule(name="parameter-read-only", asks="send", summary=__doc__ or "", check=check)
