"""A word may come that we do not know, in a field whose words we match one by one."""

from collections.abc import Iterator

from tollkeeper.contracts.asking import Question, Rule, shown
from tollkeeper.contracts.finding import Finding


def check(question: Question) -> Iterator[Finding]:
    listed = question.usage.exhaustive.get(question.path)
    if listed is None or not question.new.reached:
        return
    words = question.new.words()
    old = question.old
    before = old.words() if old is not None and old.reached else None
    known = before if listed == "all" else listed
    if known is None:
        return
    if words is None:
        if before is not None:
            yield question.finding(
                "word-added",
                "risky",
                f"`{question.path}` may be any word now",
                before=shown(before),
                undecided=True,
            )
        return
    strange = [word for word in words if word not in known]
    if not strange:
        return
    fresh = [word for word in strange if before is None or word not in before]
    old_ones = [word for word in strange if word not in fresh]
    if fresh:
        lost = before is not None and not [word for word in words if word in known]
        yield question.finding(
            "word-added",
            "breaking" if lost else "risky",
            f"`{question.path}` may be {_listed(fresh)}, which we do not know",
            before=shown(known),
            after=fresh,
        )
    if old_ones:
        yield question.finding(
            "word-added",
            "risky",
            f"`{question.path}` may be {_listed(old_ones)}, which we do not know",
            before=shown(known),
            after=old_ones,
            standing=True,
        )


def _listed(words: list[object]) -> str:
    shown_words = ", ".join(f"`{word}`" for word in words[:8])
    return shown_words + (f" and {len(words) - 8} more" if len(words) > 8 else "")


RULE = Rule(name="word-added", asks="read", summary=__doc__ or "", check=check)
