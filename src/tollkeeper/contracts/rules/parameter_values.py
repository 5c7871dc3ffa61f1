"""A word that we send is not accepted any more."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule, shown
from tollkeeper.contracts.finding import Finding, Severity


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    words = new.words() if new.reached else None
    if words is None or not words:
        return
    before = old.words() if old is not None and old.reached else None
    sent = question.usage.values.get(question.path)
    if sent is None:
        if (
            old is not None
            and old.reached
            and (before is None or [w for w in before if w not in words])
        ):
            yield question.finding(
                "parameter-values",
                "risky",
                f"`{question.path}` accepts fewer words now; usage does not say which we send",
                before=shown(before),
                after=shown(words),
                undecided=True,
            )
        return
    refused = [word for word in sent if word not in words]
    if not refused:
        return
    standing = before is not None and not [w for w in refused if w in before]
    severity: Severity = "breaking" if len(refused) == len(sent) and not standing else "risky"
    yield question.finding(
        "parameter-values",
        severity,
        f"`{question.path}`: {', '.join(map(str, refused))} is not accepted",
        before=shown(before),
        after=shown(words),
        standing=standing,
    )


RULE = Rule(name="parameter-values", asks="send", summary=__doc__ or "", check=check)
