"""Alerts: what a look found, kept while it lasts and after; one for each provider at a time.

Law: an alert is changed only upon its revision before, so that replicas that look at the same
counts write it once. What was said stays: a later verdict is one more, never a correction in place.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.signals.detectors import Alarm
from tollkeeper.signals.saying import sentence_of
from tollkeeper.signals.slos import Burning, Severity, sentence
from tollkeeper.signals.verdict import Look, Verdict

QUIET_S: Final = 120
"""An alert resolves itself once the counts of so many seconds alone would raise no alarm."""

FINER_MS: Final = 10_000
"""How long a verdict stands before it is said again because its slice became another one."""

SEEN_EVERY_MS: Final = 10_000
"""How often an alert that goes on without news is written."""

MANY_SAID: Final = 40
"""Verdicts that one alert keeps: the first one and the newest."""

SERVICE: Final = "service"
"""Stands for the provider of an alert that is about several, or about none."""

type Status = Literal["open", "resolved"]

type News = Literal["opened", "verdict", "resolved", ""]
"""What is told about an alert; empty for what is only written."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of an alert from `at_ms` on: a verdict, and a second one where there are two
    faults at once; the alarms behind them; all of it in a sentence."""

    at_ms: int
    verdict: Verdict
    second: Verdict | None = None
    alarms: tuple[Alarm, ...] = ()
    text: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong. `fingerprint`: the provider, or `service`. `seen_ms`: when it was
    last found. `said`: its verdicts, oldest first; `now`: the last of them with its newest counts.
    `says`: of a budget that burns, in words; such an alert has no verdict. `silenced_until_ms`:
    nobody is told until then. `judged`: what a person said of the verdict, `right` or `wrong:
    REASON`, by `judge`."""

    id: str
    fingerprint: str
    status: Status
    opened_ms: int
    seen_ms: int
    revision: int = 1
    resolved_ms: int | None = None
    said: tuple[Said, ...] = ()
    says: str = ""
    severity: Severity = "page"
    now: Said | None = None
    silenced_until_ms: int = 0
    silence_reason: str = ""
    judged: str = ""
    judge: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.status == "open"

    @property
    def is_of_budget(self) -> bool:
        """Whether an objective's budget burns: no look found it, and none ends it."""
        return bool(self.says)

    @property
    def last(self) -> Said | None:
        """What was said last, with its newest counts."""
        return self.now or (self.said[-1] if self.said else None)


class Step(msgspec.Struct, frozen=True):
    """An alert as it must be written now, and what is told of it."""

    alert: Alert
    news: News


def stood_in(alert: Alert, minute: int) -> bool:
    """Whether an alert stood in a minute (of Unix time), or began right after it: the counts that
    opened it are older than the alert."""
    ended = alert.resolved_ms
    return alert.opened_ms // 60_000 - 1 <= minute and (ended is None or minute <= ended // 60_000)


def about(look: Look) -> str:
    """Whom the alarms of a look are about: one provider, or `service`."""
    named = {alarm.slice.get("provider", "") for alarm in look.alarms}
    named |= {verdict.provider for verdict in look.verdicts[:1]}
    named.discard("")
    return named.pop() if len(named) == 1 else SERVICE


def steps_of(
    open_alerts: Sequence[Alert], look: Look, new_id: str, *, is_quiet: bool
) -> list[Step]:
    """What must be written after a look: an alert that is new, goes on or is over. `new_id` is for
    one that is new. `is_quiet`: the newest counts alone raise no alarm, so that what is open is
    over."""
    steps = []
    going = _continued(open_alerts, look) if look.alarms and not is_quiet else None
    if look.alarms and going is None and not (is_quiet and open_alerts):
        steps.append(Step(_opened(look, new_id), "opened"))
    for alert in open_alerts:
        step = _went_on(alert, look) if alert is going else _over(alert, look.at_ms)
        if step is not None:
            steps.append(step)
    return steps


def _continued(open_alerts: Iterable[Alert], look: Look) -> Alert | None:
    """The open alert that a look continues: of the same provider, else one about the service, or
    any where the look is about the service: what is found first is seldom the whole."""
    subject = about(look)
    alerts = sorted(open_alerts, key=lambda alert: (alert.fingerprint != subject, alert.opened_ms))
    for alert in alerts:
        if alert.fingerprint == subject or SERVICE in {alert.fingerprint, subject}:
            return alert
    return None


def _opened(look: Look, new_id: str) -> Alert:
    return Alert(
        id=new_id,
        fingerprint=about(look),
        status="open",
        opened_ms=look.at_ms,
        seen_ms=look.at_ms,
        said=(_said(look),),
        now=_said(look),
    )


def _said(look: Look) -> Said:
    first, *rest = look.verdicts
    return Said(
        at_ms=look.at_ms,
        verdict=first,
        second=rest[0] if rest else None,
        alarms=look.alarms[:10],
        text=sentence_of(first),
    )


def _went_on(alert: Alert, look: Look) -> Step | None:
    said = _said(look)
    last = alert.said[-1] if alert.said else None
    is_news = last is None or _is_news(last, said)
    if not is_news and look.at_ms < alert.seen_ms + SEEN_EVERY_MS:
        return None
    more = replace(alert, seen_ms=look.at_ms, revision=alert.revision + 1)
    if not is_news:
        is_same = last is not None and said.verdict.fingerprint == last.verdict.fingerprint
        return Step(replace(more, now=said) if is_same else more, "")
    kept = (*alert.said, said)
    kept = kept if len(kept) <= MANY_SAID else (kept[0], *kept[-(MANY_SAID - 1) :])
    return Step(replace(more, said=kept, now=said), "verdict")


def _is_news(last: Said, said: Said) -> bool:
    """Whether another thing is said than before. What was clear stays said while it is in doubt
    again. Another slice of the same cause is news only once the verdict has stood for a while."""
    new, old = said.verdict, last.verdict
    if new.domain == "undetermined":
        return False
    if (new.domain, new.provider, new.pointer) != (old.domain, old.provider, old.pointer):
        return True
    second = said.second.domain if said.second is not None else ""
    before = last.second.domain if last.second is not None else ""
    if second not in {before, ""}:
        return True
    return new.slice != old.slice and said.at_ms >= last.at_ms + FINER_MS


def _over(alert: Alert, now_ms: int) -> Step | None:
    if now_ms < max(alert.seen_ms + SEEN_EVERY_MS, alert.opened_ms + QUIET_S * 1000):
        return None  # what was found slowly does not alarm by two minutes alone
    done = replace(alert, status="resolved", resolved_ms=now_ms, revision=alert.revision + 1)
    return Step(done, "resolved")


def looked_at(alerts: Iterable[Alert]) -> list[Alert]:
    """The alerts that looks found, without those of budgets."""
    return [alert for alert in alerts if not alert.is_of_budget]


def budget_steps(
    open_alerts: Iterable[Alert], found: Iterable[Burning], new_id: Callable[[], str], now_ms: int
) -> list[Step]:
    """What must be written after a look at budgets: one alert for an objective and severity. No
    ticket is opened while the objective pages."""
    burning: dict[str, Burning] = {}
    for one in found:
        burning.setdefault(f"slo {one.objective.name} {one.rule.severity}", one)
    paging = {one.objective.name for one in burning.values() if one.rule.severity == "page"}
    steps, known = [], set()
    for alert in open_alerts:
        known.add(alert.fingerprint)
        step = _burnt(alert, burning.get(alert.fingerprint), now_ms)
        if step is not None:
            steps.append(step)
    for fingerprint, one in burning.items():
        is_more = one.rule.severity == "page" or one.objective.name not in paging
        if fingerprint not in known and is_more:
            made = Alert(
                id=new_id(), fingerprint=fingerprint, status="open", opened_ms=now_ms,
                seen_ms=now_ms, says=sentence(one), severity=one.rule.severity,
            )  # fmt: skip
            steps.append(Step(made, "opened"))
    return steps


def _burnt(alert: Alert, one: Burning | None, now_ms: int) -> Step | None:
    """An alert of a budget that burns on, or no more for two minutes."""
    revision = alert.revision + 1
    if one is not None:
        return Step(replace(alert, seen_ms=now_ms, says=sentence(one), revision=revision), "")
    if now_ms < alert.seen_ms + QUIET_S * 1000:
        return None
    return Step(
        replace(alert, status="resolved", resolved_ms=now_ms, revision=revision), "resolved"
    )


def is_told(step: Step) -> bool:
    """Whether people are told of a step: not of one that is silenced."""
    return bool(step.news) and step.alert.silenced_until_ms <= step.alert.seen_ms
