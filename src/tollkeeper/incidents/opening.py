"""Opening: what news does to incidents. One thing that goes wrong is one incident."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from tollkeeper.incidents.escalation import begins_ms
from tollkeeper.incidents.incident import (
    MOST_ALERTS,
    MOST_JOINED,
    Finding,
    Impact,
    Incident,
    Severity,
    Status,
    Writing,
    moved,
)
from tollkeeper.incidents.news import SERVICE, News
from tollkeeper.incidents.plan import Plan, policy_for
from tollkeeper.incidents.severity import is_graver, severity_of

REOPENED_MS: Final = 600_000
"""What comes back within so long after its end is the same incident."""

TRIGGERED: Final[Status] = "triggered"


def home_of(news: News, incidents: Sequence[Incident]) -> Incident | None:
    """The incident that news belongs to: the one that its alert is in, else an open one of its
    fingerprint, else an open one of the service (or any, for news about the service), else one of
    its own that ended just now."""
    still = [one for one in incidents if one.is_open]
    holders = [one for one in still if news.alert and news.alert in one.alerts]
    if holders or news.weight == "quiet":
        return next(iter(holders), None)
    same = [one for one in still if one.fingerprint == news.fingerprint]
    near = [one for one in still if SERVICE in {one.fingerprint, news.fingerprint}]
    if same or near:
        return min(same or near, key=lambda one: one.opened_ms)
    if news.weight != "opens":
        return None
    ended = [
        one
        for one in incidents
        if one.status == "resolved"
        and one.fingerprint == news.fingerprint
        and one.resolved_ms is not None
        and news.at_ms - one.resolved_ms < REOPENED_MS
    ]
    return max(ended, key=lambda one: one.resolved_ms or 0, default=None)


def opened(news: News, plan: Plan, impact: Impact, new_id: str, now_ms: int) -> Writing:
    """A new incident from news that opens one."""
    provider = news.finding.provider if news.finding is not None else news.fingerprint
    severity = severity_of(impact, plan.severities)
    if news.severity is not None and is_graver(news.severity, severity):
        severity = news.severity
    incident = Incident(
        id=new_id,
        fingerprint=news.fingerprint,
        status=TRIGGERED,
        severity=severity,
        title=_title(news),
        policy=policy_for(plan, provider),
        opened_ms=now_ms,
        began_ms=min(news.began_ms, now_ms),
        source=news.type,
        finding=news.finding or Finding(),
        impact=impact,
        alerts=(news.alert,) if news.alert else (),
    )
    incident = replace(incident, next_ms=begins_ms(incident, plan, now_ms))
    writing = Writing(incident, now_ms, is_new=True)
    writing.write("opened", _machine(news), news.text, _facts(news))
    _write_impact(writing, impact, incident.severity)
    if not incident.policy:
        text = "the plan has no escalation policy for this: nobody is paged"
        writing.write("unanswered", "machine:escalation", text)
    elif incident.next_ms is not None and incident.next_ms > now_ms:
        text = "quiet hours: nobody is paged before they end"
        writing.write("unanswered", "machine:escalation", text)
    return writing


def joined(incident: Incident, news: News, plan: Plan, impact: Impact, now_ms: int) -> Writing:
    """An incident after news that belongs to it."""
    writing = Writing(incident, now_ms)
    if news.weight == "quiet":
        _went_quiet(writing, news)
        return writing
    if not incident.is_open:
        _reopen(writing, news, plan, now_ms)
    _note(writing, news)
    revise_impact(writing, plan, impact)
    return writing


def revise_impact(writing: Writing, plan: Plan, impact: Impact) -> None:
    """Takes the newest impact in. Severity follows it upwards alone, unless a person set it: what
    was grave is not made light by a rescue that works."""
    before = writing.incident
    if impact.of or impact.failed:
        writing.change(impact=_graver_of(before.impact, impact))
    severity = severity_of(impact, plan.severities)
    if before.severity_by or not is_graver(severity, before.severity):
        return
    writing.change(severity=severity)
    _write_impact(writing, impact, severity)
    if before.is_paging and before.next_ms is not None:
        sooner_ms = begins_ms(writing.incident, plan, writing.now_ms)
        writing.change(next_ms=min(before.next_ms, sooner_ms))


def _graver_of(before: Impact, now: Impact) -> Impact:
    """The worst that was seen, for the review, with the newest counts where they are worse."""
    return now if (now.users, now.failed) >= (before.users, before.failed) else before


def _went_quiet(writing: Writing, news: News) -> None:
    before = writing.incident
    left = tuple(alert for alert in before.alerts if alert != news.alert)
    writing.change(alerts=left)
    if left or len(before.alerts) >= MOST_ALERTS:
        if len(left) < len(before.alerts):
            text = f"one alert of it is over, {len(left)} are not: {news.text}"
            _write_joined(writing, news, text)
        return
    done = moved(writing.incident, "resolve")
    if done is None:
        return
    writing.incident = replace(
        done,
        resolved_ms=writing.now_ms,
        resolved_by=_machine(news),
        resolution="the signals are quiet",
    )
    writing.write("resolved", _machine(news), "the signals are quiet", _facts(news))


def _write_joined(writing: Writing, news: News, text: str) -> None:
    """A line about one alert of many; in a storm they are only counted."""
    writing.change(joined=writing.incident.joined + 1)
    if writing.incident.joined <= MOST_JOINED:
        writing.write("joined", _machine(news), text, _facts(news))


def _reopen(writing: Writing, news: News, plan: Plan, now_ms: int) -> None:
    back = moved(writing.incident, "reopen")
    if back is None:
        return
    back = replace(
        back,
        step=0,
        openings=back.openings + 1,
        acknowledged_ms=None,
        acknowledged_by="",
        resolved_ms=None,
        resolved_by="",
        resolution="",
    )
    writing.incident = replace(back, next_ms=begins_ms(back, plan, now_ms))
    writing.write("reopened", _machine(news), "it has come back", _facts(news))


def _note(writing: Writing, news: News) -> None:
    before = writing.incident
    is_new = bool(news.alert) and news.alert not in before.alerts
    if is_new and len(before.alerts) < MOST_ALERTS:
        writing.change(alerts=(*before.alerts, news.alert))
    found = news.finding
    if found is None and news.alert:
        if is_new:
            _write_joined(writing, news, news.text)
        return
    if found is None:
        writing.write(news.kind, _machine(news), news.text, _facts(news))
        return
    if not before.finding.alert or found.says != before.finding.says:
        writing.write("verdict", _machine(news), news.text, _facts(news))
    writing.change(finding=found, title=_title(news), began_ms=min(before.began_ms, news.began_ms))


def _write_impact(writing: Writing, impact: Impact, severity: Severity) -> None:
    writing.write(
        "severity",
        "machine:severity",
        f"{severity}: {impact_in_words(impact)}",
        {"severity": severity, "failed": str(impact.failed), "of": str(impact.of)},
    )


def impact_in_words(impact: Impact) -> str:
    """An impact in one line."""
    if not impact.of:
        return "no payment was hurt so far"
    sums = impact.money_minor.items()
    money = ", ".join(f"{amount} {name} (minor units)" for name, amount in sums)
    span = (
        f"{impact.minutes:.0f} minutes" if impact.minutes >= 2 else f"{impact.minutes * 60:.0f} s"
    )
    return (
        f"{impact.failed} of {impact.of} payments of the last {span}, "
        f"{impact.users} customers{f', {money}' if money else ''}"
    )


def _title(news: News) -> str:
    return news.text[:200]


def _machine(news: News) -> str:
    return f"machine:{news.type}"


def _facts(news: News) -> dict[str, str]:
    facts = {"event": news.event}
    if news.alert:
        facts["alert"] = news.alert
    if news.finding is not None:
        facts |= {"domain": news.finding.domain, "pointer": news.finding.pointer}
    return facts
