"""What becomes of a look: an alert opens, goes on, gets another verdict, and is over."""

from msgspec.structs import replace

from tollkeeper.signals.alerts import (
    FINER_MS,
    QUIET_S,
    SEEN_EVERY_MS,
    SERVICE,
    Alert,
    Step,
    is_told,
    steps_of,
    stood_in,
)
from tollkeeper.signals.detectors import Alarm
from tollkeeper.signals.verdict import Look, RunnerUp, Verdict
from tollkeeper.signals.weights import Domain

AT_MS = 1_795_000_000_000


def verdict(domain: Domain = "provider_down", provider: str = "stripe", **slices: str) -> Verdict:
    return Verdict(
        domain=domain, likeliest=domain, confidence=0.9, since_ms=AT_MS, earliest_ms=AT_MS,
        latest_ms=AT_MS, slice=dict(slices), provider=provider, integration="", operation="",
        pointer="", bad=5, of=9, evidence_for=(), evidence_against=(),
        runner_up=RunnerUp("provider_slow", 0.1), would_change="", wants=(), vetoes=frozenset(),
        fingerprint=f"{domain}|{provider}|{sorted(slices.items())}",
    )  # fmt: skip


def look(at_ms: int = AT_MS, provider: str = "stripe", said: Verdict | None = None) -> Look:
    alarm = Alarm(
        bank="fail", family="failures", slice={"provider": provider}, since_ms=AT_MS, at_ms=AT_MS,
        statistic=11, threshold=10, bad=5, of=9,
    )  # fmt: skip
    return Look(at_ms=at_ms, alarms=(alarm,), verdicts=(said or verdict(provider=provider),))


def quiet(at_ms: int) -> Look:
    return Look(at_ms=at_ms)


def steps(alerts: list[Alert], seen: Look, *, is_quiet: bool = False) -> list[Step]:
    return steps_of(alerts, seen, "alr_new", is_quiet=is_quiet)


def opened() -> Alert:
    (step,) = steps([], look())
    assert step.news == "opened"
    return step.alert


def test_a_look_with_alarms_opens_one_alert_about_its_provider() -> None:
    alert = opened()
    assert (alert.fingerprint, alert.status, alert.revision) == ("stripe", "open", 1)
    assert steps([], quiet(AT_MS)) == []


def test_the_same_look_is_written_now_and_then_and_told_once() -> None:
    alert = opened()
    assert steps([alert], look(AT_MS + 1_000)) == []
    (step,) = steps([alert], look(AT_MS + SEEN_EVERY_MS))
    assert (step.news, step.alert.revision, is_told(step)) == ("", 2, False)


def test_another_domain_is_news_at_once_and_another_slice_after_a_while() -> None:
    alert = opened()
    (step,) = steps([alert], look(AT_MS + 1_000, said=verdict("provider_changed")))
    assert (step.news, len(step.alert.said)) == ("verdict", 2)
    finer = verdict(operation="capture")
    assert steps([alert], look(AT_MS + 1_000, said=finer)) == []
    (step,) = steps([alert], look(AT_MS + FINER_MS, said=finer))
    assert step.news == "verdict"


def test_what_was_clear_stays_said_while_it_is_in_doubt() -> None:
    (step,) = steps([opened()], look(AT_MS + 20_000, said=verdict("undetermined")))
    assert step.news == ""
    assert len(step.alert.said) == 1


def test_another_provider_gets_an_alert_of_its_own() -> None:
    alert = opened()
    found = steps([alert], look(AT_MS + 1_000, "adyen"))
    assert [(step.alert.fingerprint, step.news) for step in found] == [("adyen", "opened")]
    whole = replace(alert, fingerprint=SERVICE)
    (step,) = steps([whole], look(AT_MS + 1_000, "adyen"))
    assert (step.alert.fingerprint, step.news) == (SERVICE, "verdict")


def test_an_alert_is_over_once_two_minutes_alone_raise_no_alarm() -> None:
    alert = opened()
    late = AT_MS + QUIET_S * 1000
    assert steps([alert], look(AT_MS + 30_000), is_quiet=True) == [], "it was found slowly"
    (step,) = steps([alert], look(late), is_quiet=True)
    assert (step.news, step.alert.status, step.alert.resolved_ms) == ("resolved", "resolved", late)
    (step,) = steps([alert], quiet(late))
    assert step.news == "resolved"


def test_a_silenced_alert_is_written_and_not_told() -> None:
    alert = replace(opened(), silenced_until_ms=AT_MS + 60_000)
    (step,) = steps([alert], look(AT_MS + 1_000, said=verdict("provider_changed")))
    assert step.news == "verdict"
    assert not is_told(step)


def test_the_minutes_of_an_alert_are_not_usual() -> None:
    minute = AT_MS // 60_000
    alert = replace(opened(), resolved_ms=AT_MS + 120_000)
    assert [stood_in(alert, minute + n) for n in (-2, -1, 0, 2, 3)] == [
        False, True, True, True, False,
    ]  # fmt: skip
