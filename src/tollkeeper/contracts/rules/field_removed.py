"""A field that we read is gone, or what held it is no object any more."""

import difflib
from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule
from tollkeeper.contracts.finding import Finding


def check(question: Question) -> Iterator[Finding]:
    new, old = question.new, question.old
    if new.reached:
        return
    standing = old is not None and not old.reached
    guess = _renamed(question)
    missing = new.broken or question.path
    advice = f"`{missing}` is not described any more"
    if standing:
        advice = f"`{missing}` was not described before either; ask the provider whether it stays"
    elif guess:
        advice += f"; it may be `{guess}` now"
    yield question.finding(
        "field-removed",
        "risky" if standing else "breaking",
        advice,
        pointer=_pointer(question),
        before=missing,
        after=guess,
        standing=standing,
    )


def _pointer(question: Question) -> str:
    """Where it stood in the old text, else the object in the new one that lacks it."""
    old, new = question.old, question.new
    if old is not None:
        for step in old.steps:
            if step.path == new.broken:
                return step.pointer
    return new.broken_pointer


def _renamed(question: Question) -> str | None:
    """The likeliest new name: a member that the old text did not have, of a like name."""
    new, old = question.new, question.old
    gone = (new.broken or "").rpartition(".")[2].removesuffix("[]")
    if not gone or old is None or not old.reached:
        return None
    known = set(old.siblings) if old.siblings else set()
    fresh = [name for name in new.siblings if name not in known]
    parts = set(gone.rstrip("s").split("_"))
    shared = [n for n in fresh if parts & {p.rstrip("s") for p in n.split("_")}]
    near = difflib.get_close_matches(gone, fresh, n=1, cutoff=0.5)
    return next(iter([*near, *sorted(shared)]), None)


RULE = Rule(name="field-removed", asks="read", summary=__doc__ or "", check=check)
