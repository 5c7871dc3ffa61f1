"""A field that we read, or an object that we read through, may be null now."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule
from tollkeeper.contracts.finding import Finding, Severity


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if not new.reached or (old is not None and not old.reached):
        return
    before = {s.path: s for s in old.steps} if old is not None else {}
    for step in new.steps[:-1]:
        was = before.get(step.path)
        if step.nullable and was is not None and not was.nullable and _told(question):
            relied = step.path in question.usage.nonnull
            yield question.finding(
                "field-nullable",
                "breaking" if relied else "risky",
                f"`{step.path}` may be null now, and we read `{question.path}` inside it",
                pointer=step.pointer,
                before="not null",
                after="null allowed",
            )
    if new.nullable and old is not None and not old.nullable and _told(question):
        severity: Severity = (
            "breaking" if question.nonnull else "harmless" if old.optional else "risky"
        )
        yield question.finding(
            "field-nullable",
            severity,
            f"`{question.path}` may be null now",
            before="not null",
            after="null allowed",
        )
    elif new.nullable and question.nonnull:
        # Without an old text it may always have been so: no ordinary reply is known to be null.
        yield question.finding(
            "field-nullable",
            "risky",
            f"`{question.path}` may be null, and we take it for granted",
            after="null allowed",
            standing=old is not None,
        )


def _told(question: Question) -> bool:
    """Swagger 2 cannot say null, so that its silence is no promise."""
    side = question.old_side
    return side is not None and side.description.dialect != "swagger2"


RULE = Rule(name="field-nullable", asks="read", summary=__doc__ or "", check=check)
