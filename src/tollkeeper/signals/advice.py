"""What a look says to those who move traffic: a veto, and the verdict in a sentence.

Law: a veto needs both a verdict and a named row of evidence for its domain. No confidence decides.
"""

from typing import Final

from tollkeeper.signals.saying import sentence_of, words
from tollkeeper.signals.verdict import Look, Verdict

FRESH_MS: Final = 15_000
"""How old a look may be and still say something: a process whose looks end says nothing."""


def veto_of(look: Look | None, provider: str, now_ms: int) -> str:
    """Why no traffic of `provider` may be moved now, empty if it may: the verdict says that the
    cause is one that another version would meet alike, and the evidence that it names is there."""
    verdict = _fresh(look, provider, now_ms)
    if verdict is None or verdict.domain not in verdict.vetoes:
        return ""
    return f"the verdict is {words(verdict.domain)}: {sentence_of(verdict)}"


def verdict_of(look: Look | None, provider: str, now_ms: int) -> Verdict | None:
    """The verdict on what goes wrong at `provider`, or everywhere; `None` where there is none."""
    found = _fresh(look, provider, now_ms)
    return found if found is not None and found.domain != "undetermined" else None


def _fresh(look: Look | None, provider: str, now_ms: int) -> Verdict | None:
    if look is None or not look.verdicts or look.at_ms < now_ms - FRESH_MS:
        return None
    first = look.verdicts[0]
    return first if first.provider in {"", provider} else None
