"""Which cell an observation is counted in, and the cells of what happens at our own doors."""

from typing import Final

from tollkeeper.signals.counts import REQUEST, Cell, Result
from tollkeeper.signals.observation import Observation

LAST_REPEAT: Final = 3
"""Third repeats and later ones are counted together."""

SENT_AGAIN: Final = 4
"""Counted as such a repeat: the very same request went out within the seconds before, twice or more
often."""

RESULTS: Final[dict[str, Result]] = {
    "approved": "ok",
    "answered": "ok",
    "B2": "declined",
    "A": "failed",
    "B1": "failed",
    "C": "failed",
    "unanswered": "failed",
}
"""The result of an observation in one word, as it is counted."""


def cell_of(
    seen: Observation, *, host: str, settings: str, repeat: int = 0, country: str = ""
) -> Cell:
    """The cell of one request to a provider. `repeat`: how many attempts of the same operation
    went before; `settings`: the fingerprint of what was in force."""
    result = RESULTS[seen.result]
    return Cell(
        kind="attempt",
        provider=seen.provider,
        integration=seen.integration,
        operation=seen.operation,
        host=host,
        result=result,
        stage=_stage(seen, result),
        error=seen.error,
        status=seen.status,
        shows_id=seen.shows_id,
        unreadable=seen.unreadable,
        pointer=_pointer(seen),
        repeat=SENT_AGAIN if seen.repeats >= 2 else min(repeat, LAST_REPEAT),
        account=seen.account,
        currency=seen.currency,
        country=country,
        method=seen.method,
        settings=settings,
        version=other_version(seen.integration, seen.version),
    )


def _stage(seen: Observation, result: Result) -> str:
    """Where it went wrong: the wire's stage, or what about the reply was wrong."""
    if seen.stage or result == "ok":
        return seen.stage
    if result == "declined":
        return "issuer"
    if seen.drift is not None:
        return "decode" if seen.drift.kind == "shape" else "contract"
    return "provider"


def _pointer(seen: Observation) -> str:
    if seen.drift is not None:
        return seen.drift.pointer
    return REQUEST + seen.parameter if seen.parameter else ""


def api_cell(operation: str, status: int, code: str, *, host: str) -> Cell:
    """The cell of one request to our API. `code` is that of the error it was answered with, empty
    for none; only an error of our own side is a failure."""
    stage = API_STAGES.get(code, "")
    return Cell(
        kind="api",
        operation=operation,
        host=host,
        result="failed" if stage else "ok",
        stage=stage,
        error=code if stage else "",
        status=status,
    )


API_STAGES: Final[dict[str, str]] = {
    "internal_error": "admit",
    "overloaded": "admit",
    "misconfigured": "admit",
    "store_unavailable": "persist",
    "store_full": "persist",
    "store_doubt": "persist",
}
"""Errors of our own side, and the stage at which a request meets them."""


def webhook_in_cell(
    provider: str,
    integration: str,
    fate: str,
    *,
    host: str,
    version: str = "",
    contradicts: bool = False,
) -> Cell:
    """The cell of one webhook of a provider: `fate` is what became of it, or why it was refused.
    `version`: the API version that it was rendered at, where it says so; `contradicts`: it says
    otherwise than the books, which the order of events does not explain."""
    error = CONTRADICTS if contradicts else WEBHOOK_ERRORS.get(fate, "")
    return Cell(
        kind="webhook_in",
        provider=provider,
        integration=integration,
        operation=fate,
        host=host,
        result="failed" if error else "ok",
        stage="webhook" if error else "",
        error=error,
        version=other_version(integration, version),
    )


def other_version(integration: str, version: str) -> str:
    """The API version that something was rendered at, where it is another one than `integration`
    reads; empty where they agree, or where it does not say."""
    read = integration.partition("@")[2].partition("+")[0]
    return version if version not in {"", read} else ""


CONTRADICTS: Final = "contradicted"
WEBHOOK_ERRORS: Final[dict[str, str]] = {
    "refused": "bad_signature",
    "unread": "decode_error",
    "unstored": "store_unavailable",
}
"""The fates of an incoming webhook that are failures, and their words."""


def webhook_out_cell(status: int, error: str, *, host: str) -> Cell:
    """The cell of one try to deliver an event to a shop's endpoint; `status` 0 without a reply."""
    delivered = 200 <= status < 300
    return Cell(
        kind="webhook_out",
        host=host,
        result="ok" if delivered else "failed",
        stage="" if delivered else "webhook",
        error="" if delivered else (error.partition(" ")[0] if not status else "refused"),
        status=status,
    )


def job_cell(kind: str, error: str, *, host: str) -> Cell:
    """The cell of one run of a job; `error` is the code of what it raised, empty if nothing."""
    return Cell(
        kind="job",
        operation=kind,
        host=host,
        result="failed" if error else "ok",
        stage="persist" if error in STORE_ERRORS else "",
        error=error,
    )


STORE_ERRORS: Final = frozenset({"store_unavailable", "store_full", "store_doubt"})
"""Errors of ours that mean the database."""
