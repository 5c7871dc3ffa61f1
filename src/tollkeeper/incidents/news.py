"""News: what alerts, failovers, rollouts and contracts tell operators, as an incident reads it.

Law: an event that is no news for incidents, or whose data cannot be read, is nothing; it is never
an error, since the event itself is told elsewhere.
"""

from typing import Final, Literal

import msgspec

from tollkeeper.incidents.incident import EntryKind, Finding, Severity

type Weight = Literal["opens", "joins", "quiet"]
"""What news does: it opens an incident where none is open, joins one that is, or says that the
signals of one are quiet."""

SERVICE: Final = "service"
"""The fingerprint of what is about several providers or none."""

PREFIXES: Final = ("alert.", "failover.", "rollout.", "contract.", "routes.")
"""Types of events that incidents are told of."""

OPENING: Final = frozenset(
    {"failover.moved", "failover.none_works", "failover.proposed", "failover.misread",
     "rollout.rolled_back"}
)  # fmt: skip
"""Types that open an incident even where no alert did."""

_KINDS: Final[dict[str, EntryKind]] = {
    "failover": "failover",
    "rollout": "rollout",
    "contract": "contract",
    "routes": "routes",
}


class News(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as far as incidents need it. `fingerprint`: a provider or `service`, or what
    another tool's alerts are grouped by. `severity`: what that tool says that it is at least."""

    event: str
    at_ms: int
    type: str
    weight: Weight
    fingerprint: str
    kind: EntryKind
    text: str
    began_ms: int
    finding: Finding | None = None
    alert: str = ""
    severity: Severity | None = None

    @property
    def may_open(self) -> bool:
        """Whether it opens an incident where none is open."""
        return self.weight == "opens"


class _Evidence(msgspec.Struct):
    name: str = ""
    says: str = ""
    weight: float = 0.0


class _Verdict(msgspec.Struct):
    provider: str = ""
    integration: str = ""
    operation: str = ""
    slice: dict[str, str] = {}
    sure: str = ""
    since: str = ""
    runner_up: str = ""
    evidence_for: list[_Evidence] = []


class _Alert(msgspec.Struct):
    id: str = ""
    about: str = SERVICE
    domain: str = "undetermined"
    confidence: float = 0.0
    pointer: str = ""
    says: str = ""
    next: str = ""
    verdict: _Verdict | None = None


class _Told(msgspec.Struct):
    provider: str = ""
    carrying: str = ""
    candidate: str = ""
    integration: str = ""
    baseline: str = ""
    cause: str = ""
    reason: str = ""
    detail: str = ""


def makes_job(event_type: str) -> bool:
    """Whether events of this type are looked at by incidents."""
    return event_type.startswith(PREFIXES)


def news_of(event: str, event_type: str, at_ms: int, data: bytes, since_ms: int) -> News | None:
    """An event as news; `None` where it is none. `since_ms`: the beginning that its verdict names,
    as the caller read it from `since_of`."""
    if not makes_job(event_type):
        return None
    head, _, what = event_type.partition(".")
    try:
        if head == "alert":
            alert = msgspec.json.decode(data, type=_Alert)
            return _of_alert(event, event_type, at_ms, alert, since_ms)
        told = msgspec.json.decode(data, type=_Told)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return News(
        event=event,
        at_ms=at_ms,
        type=event_type,
        weight="opens" if event_type in OPENING else "joins",
        fingerprint=_provider_of(told) or SERVICE,
        kind=_KINDS[head],
        text=_text_of(head, what, told),
        began_ms=at_ms,
    )


def person_news(event: str, at_ms: int, text: str, about: str, by: str) -> News:
    """What a person says that goes wrong, as news that opens an incident."""
    return News(
        event=event,
        at_ms=at_ms,
        type=f"person:{by}",
        weight="opens",
        fingerprint=about or f"person/{event}",
        kind="note",
        text=text,
        began_ms=at_ms,
    )


def since_of(data: bytes) -> str:
    """The moment (RFC 3339) since when an alert's verdict says that it goes wrong; may be empty."""
    try:
        verdict = msgspec.json.decode(data, type=_Alert).verdict
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return verdict.since if verdict is not None else ""


def _of_alert(event: str, event_type: str, at_ms: int, alert: _Alert, since_ms: int) -> News:
    verdict = alert.verdict or _Verdict()
    quiet = event_type == "alert.resolved"
    return News(
        event=event,
        at_ms=at_ms,
        type=event_type,
        weight="quiet" if quiet else "opens",
        fingerprint=alert.about or SERVICE,
        kind="verdict",
        text=alert.says or "payments fail",
        began_ms=since_ms or at_ms,
        alert=alert.id,
        finding=Finding(
            alert=alert.id,
            domain=alert.domain,
            confidence=alert.confidence,
            provider=verdict.provider,
            integration=verdict.integration,
            operation=verdict.operation,
            pointer=alert.pointer,
            slice=verdict.slice,
            says=alert.says,
            sure=verdict.sure,
            next=alert.next,
            since_ms=since_ms,
            because=tuple(row.says for row in verdict.evidence_for[:5]),
            runner_up=verdict.runner_up,
        ),
    )


def _provider_of(told: _Told) -> str:
    named = (told.carrying, told.candidate, told.integration, told.baseline)
    versions = [version.partition("@")[0] for version in named if "@" in version]
    return told.provider or next(iter(versions), "")


def _text_of(head: str, what: str, told: _Told) -> str:
    version = told.candidate or told.integration or told.carrying
    said = (told.reason or told.detail or told.cause).partition(" (R ")[0]  # without its numbers
    return f"{head} {what.replace('_', ' ')}{f' of {version}' if version else ''}: {said}"
