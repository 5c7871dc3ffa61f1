"""From the sends of one payment to the trial that the rule counts."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.failover.rule import First, Trial
from tollkeeper.payments.judging import classify
from tollkeeper.payments.outcome import Outcome

LONGEST_DETAIL: Final = 100
"""Of a doubt's words that are kept with a failing payment, where it names no field."""


class Sent(msgspec.Struct, frozen=True):
    """One send: through which version, what came of it as that version read the reply, and whether
    it could not."""

    version: str
    outcome: Outcome
    unreadable: bool = False


def first_of(sent: Sent) -> First:
    """What a send came to, in the rule's words."""
    if sent.unreadable:
        return "unreadable"
    refusal = sent.outcome.refusal
    if refusal is not None and refusal.later:
        return "later"
    match classify(sent.outcome):
        case "A" | "B1":
            return "refused"
        case "C":
            return "dead"
        case "B2":
            return "declined"
        case _:
            return "ok"


def cause_of(sent: Sent) -> str:
    """What was wrong with a send, in a few words: the code and the field or parameter where the
    provider or the version named one."""
    outcome = sent.outcome
    doubt, refusal = outcome.doubt, outcome.refusal
    if doubt is not None:
        return f"{doubt.kind} {doubt.pointer or doubt.detail[:LONGEST_DETAIL]}".strip()
    if refusal is None:
        return first_of(sent)
    parameter = refusal.error.parameter if refusal.error is not None else ""
    return f"{refusal.code} {parameter}".strip()


def has_ended(sent: Sent) -> bool:
    """Whether a send gave the shopper an answer, be it a decline."""
    return first_of(sent) in {"ok", "declined"}


def is_evidence(sent: Sent) -> bool:
    """Whether a send says anything about its version: "not now" does not."""
    return first_of(sent) != "later"


def is_failing(sent: Sent) -> bool:
    """Whether the version gave no usable answer. "Not now" is no failure."""
    return first_of(sent) in {"refused", "unreadable", "dead"}


def trial_of(
    sends: Sequence[Sent],
    candidate: str,
    *,
    share: float,
    through_w: bool,
    tossed: bool,
    told_bad: bool,
) -> Trial:
    """The trial of a payment that is over. `candidate` is W: what went through a third version
    before it proves nothing about W. `share`: the chance of `through_w`. `tossed`: whether a coin
    sent the second attempt."""
    trial = Trial(first=first_of(sends[0]), share=share, through_w=through_w, told_bad=told_bad)
    if len(sends) < 2 or trial.first != "refused" or through_w:
        return trial
    carrying, second = sends[0].version, sends[1]
    if second.version == candidate and not tossed:
        return msgspec.structs.replace(trial, third_ok=has_ended(second))
    if second.version == candidate:
        return msgspec.structs.replace(trial, second="other", second_ok=has_ended(second))
    if second.version != carrying or not tossed:
        return trial
    ok = has_ended(second)
    third = sends[2] if len(sends) > 2 and sends[2].version == candidate else None
    third_ok = has_ended(third) if third is not None and not ok else None
    return msgspec.structs.replace(trial, second="again", second_ok=ok, third_ok=third_ok)
