"""One observation for each request to a provider, made in one place, whoever sends.

Law: it holds no secret, no text of a customer and nothing that a caller can invent. What it says is
of this one request: a later correction of the outcome is another fact.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollkeeper.contracts.drift import Drift, drift_of
from tollkeeper.payments.judging import classify
from tollkeeper.payments.outcome import QUESTIONS, Operation, Outcome, OutcomeKind
from tollkeeper.payments.payment import ResultClass

MAX_PARAMETER = 80
"""Characters of a parameter's name that are kept."""

type Stage = Literal["build", "dns", "connect", "tls", "send", "wait", "read", ""]


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """How one request went, without what it said: see `Observation`."""

    at_ms: int
    total_ms: int
    stage: Stage = ""
    error: str = ""
    status: int = 0
    phases_ms: Mapping[str, float] = {}
    version: str = ""
    repeats: int = 0
    method: str = ""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one request came to, as the version that sent it read the reply.

    `stage` is where it broke off, and `error` a word of RFC 9209 for that, or the kind of doubt, or
    the provider's code of a refusal or a decline; both empty where nothing went wrong.
    `result_class` is that of an operation that moves money, `None` for a question. `status` is the
    HTTP status, 0 without a reply. `phases_ms` has the milliseconds of each stage, `total_ms` all
    of them and the reading. `shows_id`: the reply shows the object's id at the provider.
    `parameter`: the one of our request that the provider refused. `version`: the API version that
    the reply says it is rendered at. `repeats`: how often the very same request was sent within
    the seconds before. `method`: the brand of the card, for counts alone.
    """

    at_ms: int
    provider: str
    integration: str
    operation: Operation
    kind: OutcomeKind
    result_class: ResultClass | None = None
    stage: Stage = ""
    error: str = ""
    status: int = 0
    phases_ms: Mapping[str, float] = {}
    total_ms: int = 0
    shows_id: bool = False
    unreadable: bool = False
    drift: Drift | None = None
    parameter: str = ""
    version: str = ""
    repeats: int = 0
    method: str = ""
    account: str = ""
    currency: str = ""

    @property
    def result(self) -> str:
        """The result in one word, for counts: the class of an operation that moves money, or
        `answered` or `unanswered` for a question."""
        if self.operation in QUESTIONS:
            return "unanswered" if self.kind == "unknown" else "answered"
        return self.result_class or "approved"


def observe(integration: str, operation: Operation, outcome: Outcome, trip: Trip) -> Observation:
    """The observation of a request that ended with `outcome`, as its own version read it."""
    return Observation(
        at_ms=trip.at_ms,
        provider=integration.partition("@")[0],
        integration=integration,
        operation=operation,
        kind=outcome.kind,
        result_class=None if operation in QUESTIONS else classify(outcome),
        stage=trip.stage,
        error=trip.error or _word(outcome),
        status=trip.status,
        phases_ms=trip.phases_ms,
        total_ms=trip.total_ms,
        shows_id=outcome.charge is not None or outcome.refund is not None,
        unreadable=outcome.is_unreadable,
        drift=_drift(outcome),
        parameter=_parameter(outcome),
        version=trip.version,
        repeats=trip.repeats,
        method=trip.method,
    )


def _drift(outcome: Outcome) -> Drift | None:
    """Where the reply departed from what the version reads, without what stood there."""
    drift = drift_of(outcome)
    return msgspec.structs.replace(drift, seen="") if drift is not None else None


def _parameter(outcome: Outcome) -> str:
    error = outcome.refusal.error if outcome.refusal is not None else None
    return error.parameter[:MAX_PARAMETER] if error is not None else ""


def _word(outcome: Outcome) -> str:
    if outcome.refusal is not None:
        return outcome.refusal.code
    if outcome.decline is not None:
        return outcome.decline.reason
    return outcome.doubt.kind if outcome.doubt is not None else ""
