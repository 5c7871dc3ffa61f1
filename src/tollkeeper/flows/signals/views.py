"""How alerts and verdicts look from outside: for the API, the command line and the dashboard."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.failover.state import Watch, standing
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.signals.alerts import SERVICE, Alert, Said
from tollkeeper.signals.counts import Change
from tollkeeper.signals.departures import Departure
from tollkeeper.signals.saying import next_of, sentence_of, sureness_of
from tollkeeper.signals.verdict import Because, Look, Verdict


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of evidence. `weight` is in nats, for the domain of the verdict; `seen` of `of`
    counted things showed it."""

    name: str
    state: str
    says: str
    weight: float
    seen: float
    of: float


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict. `says` is it in a sentence, `sure` how sure, `next` what happens now.
    `earliest` and `latest` bound when it began."""

    at: str
    domain: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    says: str
    sure: str
    next: str
    since: str
    earliest: str
    latest: str
    provider: str
    integration: str
    operation: str
    slice: dict[str, str]
    pointer: str
    failed: float
    of: float
    evidence_for: list[EvidenceView]
    evidence_against: list[EvidenceView]
    would_change: str
    vetoes: list[str]


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One alert with the verdict that holds. `about` is a provider or `service`. `history`: what
    was said before, oldest first. `also`: a second fault, where there are two. `traffic`: what
    failover does about it."""

    object: str = "alert"
    id: str
    about: str
    status: str
    opened: str
    resolved: str | None
    domain: str
    confidence: float
    pointer: str
    says: str
    next: str
    silenced_until: str | None
    judged: str
    traffic: list[str]
    verdict: VerdictView | None
    also: VerdictView | None
    history: list[str]


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """One change. Empty texts mean everywhere."""

    at: str
    kind: str
    text: str
    provider: str
    integration: str
    host: str
    account: str


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """One shape that did not fit a version: `kind` is reply, refusal or skew. `count` of `of`
    replies or webhooks had it; `rendered_at` is the other API version of skew; `samples` are
    outlines of replies in JSON, without values."""

    kind: str
    integration: str
    operation: str
    pointer: str
    error: str
    status: int
    rendered_at: str
    count: int
    of: int
    first: str
    last: str
    accounts: list[str]
    samples: list[str]


class LookView(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at one moment finds, computed from what is stored. `alarms` in words."""

    at: str
    alarms: list[str]
    verdicts: list[VerdictView]


LOOK_AT_BUDGETS: Final = "look at what fails: `tollkeeper signals slo status`, `tollkeeper why`"


def alert_view(alert: Alert, watches: Sequence[Watch] = ()) -> AlertView:
    """An alert for people and programs. `watches`: those of failover, where they are at hand."""
    last = alert.last
    verdict = last.verdict if last is not None else None
    second = last.second if last is not None else None
    return AlertView(
        id=alert.id,
        about=alert.fingerprint,
        status=alert.status,
        opened=rfc3339(alert.opened_ms),
        resolved=rfc3339(alert.resolved_ms) if alert.resolved_ms is not None else None,
        domain=verdict.domain if verdict is not None else "undetermined",
        confidence=verdict.confidence if verdict is not None else 0.0,
        pointer=verdict.pointer if verdict is not None else "",
        says=sentence_of(verdict) if verdict is not None else alert.says,
        next=next_of(verdict) if verdict is not None else LOOK_AT_BUDGETS,
        silenced_until=rfc3339(alert.silenced_until_ms) if alert.silenced_until_ms else None,
        judged=alert.judged,
        traffic=_traffic(alert, watches),
        verdict=verdict_view(verdict, last.at_ms) if verdict is not None and last else None,
        also=verdict_view(second, last.at_ms) if second is not None and last else None,
        history=[_in_history(said) for said in alert.said],
    )


def _traffic(alert: Alert, watches: Sequence[Watch]) -> list[str]:
    """What failover does while the alert is open; who was moved since it began."""
    if not alert.is_open:
        return []
    mine = [w for w in watches if alert.fingerprint in {w.provider, SERVICE}]
    moved = [
        f"all traffic of {watch.moved_from} was moved away at {rfc3339(watch.moved_ms)[11:19]} UTC"
        for watch in mine
        if watch.moved_from and watch.moved_ms >= alert.opened_ms - MOVED_BEFORE_MS
    ]
    return moved + [said for watch in mine for said in standing(watch)]


MOVED_BEFORE_MS: Final = 60_000
"""A move may be proved before the alert is opened."""


def _in_history(said: Said) -> str:
    return f"{rfc3339(said.at_ms)[11:19]} {said.text}"


def verdict_view(verdict: Verdict, at_ms: int) -> VerdictView:
    """A verdict for people and programs."""
    return VerdictView(
        at=rfc3339(at_ms),
        domain=verdict.domain,
        confidence=verdict.confidence,
        runner_up=verdict.runner_up.domain,
        runner_up_confidence=verdict.runner_up.confidence,
        says=sentence_of(verdict),
        sure=sureness_of(verdict),
        next=next_of(verdict),
        since=rfc3339(verdict.since_ms),
        earliest=rfc3339(verdict.earliest_ms),
        latest=rfc3339(verdict.latest_ms),
        provider=verdict.provider,
        integration=verdict.integration,
        operation=verdict.operation,
        slice=verdict.slice,
        pointer=verdict.pointer,
        failed=verdict.bad,
        of=verdict.of,
        evidence_for=[_evidence(one) for one in verdict.evidence_for],
        evidence_against=[_evidence(one) for one in verdict.evidence_against],
        would_change=verdict.would_change,
        vetoes=sorted(verdict.vetoes),
    )


def _evidence(one: Because) -> EvidenceView:
    return EvidenceView(
        name=one.name,
        state=one.state,
        says=one.sentence,
        weight=one.nats,
        seen=one.seen,
        of=one.of,
    )


def change_view(change: Change) -> ChangeView:
    """A change for people and programs."""
    return ChangeView(
        at=rfc3339(change.at_ms),
        kind=change.kind,
        text=change.text,
        provider=change.provider,
        integration=change.integration,
        host=change.host,
        account=change.account,
    )


def drift_view(one: Departure) -> DriftView:
    """A departure for people and programs."""
    return DriftView(
        kind=one.kind,
        integration=one.integration,
        operation=one.operation,
        pointer=one.pointer,
        error=one.error,
        status=one.status,
        rendered_at=one.version,
        count=one.count,
        of=one.of,
        first=rfc3339(one.first_ms),
        last=rfc3339(one.last_ms),
        accounts=one.accounts,
        samples=one.samples,
    )


def look_view(look: Look) -> LookView:
    """A look for people and programs."""
    return LookView(
        at=rfc3339(look.at_ms),
        alarms=[
            f"{alarm.bank} {' '.join(f'{k} {v}' for k, v in alarm.slice.items())}".strip()
            + f": {alarm.bad:g} of {alarm.of:g}, statistic {alarm.statistic:.1f}"
            f" of {alarm.threshold:g}"
            for alarm in look.alarms
        ],
        verdicts=[verdict_view(verdict, look.at_ms) for verdict in look.verdicts],
    )
