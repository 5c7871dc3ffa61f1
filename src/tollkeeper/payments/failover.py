"""What follows a result at once, while the shopper waits: a look, a pause, another version.

Law: another send needs proof that the one before had no effect (class A or B1). An unknown result
is only looked at.
"""

from typing import Final, Literal

from tollkeeper.payments.judging import classify, may_send_elsewhere
from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt

MAX_VERSIONS: Final = 3
"""Versions that one payment is sent through."""

MAX_PATIENCE: Final = 2
"""Pauses that one payment makes for a provider that says "not now"."""

PAUSES_SECONDS: Final = (0.5, 1.5)
"""Pauses where the provider names none."""

SAME_KEY: Final = frozenset({"http_401", "api_key_expired", "platform_api_key_expired"})
"""Refusals of our key, which every version of the provider shares."""

type Glance = Literal["rescue", "confirm"]


def glance_for(outcome: Outcome) -> Glance | None:
    """Whether one look at the provider is due before anything is concluded. `rescue`: the result is
    unknown, and the charge may be there to be read. `confirm`: a refusal that no table knows."""
    if outcome.kind == "unknown":
        return "rescue"
    refusal = outcome.refusal
    return "confirm" if refusal is not None and not refusal.certain else None


def pause_seconds(outcome: Outcome, made: int, left_seconds: float) -> float | None:
    """How long to wait before the same is tried again; `None` where it must not be. `made`: pauses
    before this one; `left_seconds`: how much longer the shopper may wait."""
    refusal = outcome.refusal
    if refusal is None or not refusal.later or outcome.may_retry is False:
        return None
    if made >= MAX_PATIENCE:
        return None
    pause = max(float(refusal.retry_after_s), PAUSES_SECONDS[made])
    return pause if pause <= left_seconds else None


def may_fail_over(outcome: Outcome, tried: list[str]) -> bool:
    """Whether another version may be tried now. `tried`: the versions that the payment was sent
    through."""
    refusal = outcome.refusal
    if refusal is not None and (refusal.later or refusal.code in SAME_KEY):
        return False
    return may_send_elsewhere(classify(outcome)) and len(set(tried)) < MAX_VERSIONS


def tried_versions(attempts: tuple[Attempt, ...]) -> list[str]:
    """The versions through which the payment was authorized so far."""
    return [a.integration for a in attempts if a.operation == "authorize"]
