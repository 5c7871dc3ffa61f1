"""Inputs: alerts of other tools, as they send them, read into news that incidents understand.

Sources: PagerDuty's Events API v2 (`/v2/enqueue`), and Alertmanager's webhook of version 4.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tollkeeper.incidents.incident import Severity
from tollkeeper.incidents.news import News, Weight
from tollkeeper.incidents.plan import Input

type Action = Literal["trigger", "acknowledge", "resolve"]

SEVERITIES: Final[Mapping[str, Severity]] = {
    "critical": "sev1",
    "error": "sev2",
    "page": "sev2",
    "warning": "sev3",
    "ticket": "sev3",
    "info": "sev4",
}
"""What other tools call it; what is not here is `sev3`."""

LONGEST_KEY: Final = 255
LONGEST_GROUP: Final = 120
MOST_ALERTS: Final = 1_000
"""Alerts of one webhook that are read."""

Short = Annotated[str, Meta(max_length=1_024)]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about. Further fields are let in and not read."""

    summary: Short
    source: Short
    severity: Literal["critical", "error", "warning", "info"]
    component: Short = ""
    group: Short = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the Events API v2."""

    routing_key: Annotated[str, Meta(min_length=1, max_length=200)]
    event_action: Action
    dedup_key: Annotated[str, Meta(max_length=LONGEST_KEY)] = ""
    payload: Payload | None = None


class Labeled(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of Alertmanager's webhook."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    fingerprint: str = ""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Alertmanager's webhook, version 4."""

    version: str = "4"
    alerts: Annotated[list[Labeled], Meta(max_length=MOST_ALERTS)] = []


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of another tool: what to do, its key there, and what it is about."""

    action: Action
    key: str
    text: str
    group: str
    severity: Severity


def heard_of_event(event: Event, new_key: str) -> Heard:
    """An event as one alert; `new_key` is its key where it names none."""
    payload = event.payload
    return Heard(
        action=event.event_action,
        key=event.dedup_key or new_key,
        text=payload.summary if payload is not None else event.dedup_key,
        group=(payload.component or payload.group or payload.source) if payload else "",
        severity=SEVERITIES.get(payload.severity if payload else "", "sev3"),
    )


def heard_of_webhook(webhook: Webhook) -> list[Heard]:
    """The alerts of a webhook."""
    return [
        Heard(
            action="trigger" if alert.status == "firing" else "resolve",
            key=(alert.fingerprint or _joined(alert.labels))[:LONGEST_KEY],
            text=_text(alert),
            group=alert.labels.get("service") or alert.labels.get("job") or _name(alert),
            severity=SEVERITIES.get(alert.labels.get("severity", ""), "sev3"),
        )
        for alert in webhook.alerts
    ]


def _name(alert: Labeled) -> str:
    return alert.labels.get("alertname", "alert")


def _joined(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _text(alert: Labeled) -> str:
    named = (alert.annotations.get(key) for key in ("summary", "description", "message"))
    said = next((text for text in named if text), "")
    return f"{_name(alert)}: {said}"[:1_000] if said else _name(alert)


def news_of_heard(heard: Heard, name: str, given: Input, event: str, at_ms: int) -> News:
    """One alert of another tool as news. What ends is found by its key alone, whatever it says of
    its group."""
    weight: Weight = "quiet" if heard.action == "resolve" else "opens"
    return News(
        event=event,
        at_ms=at_ms,
        type=f"input.{name}",
        weight=weight,
        fingerprint=given.about or f"input/{name}/{heard.group[:LONGEST_GROUP]}",
        kind="joined",
        text=" ".join(heard.text.split()) or "an alert without a text",
        began_ms=at_ms,
        alert=f"{name}/{heard.key}",
        severity=heard.severity,
    )


def refused(error: Exception) -> str:
    """What is wrong with a body, in one line."""
    return " ".join(str(error).split())[:300]


def event_of(body: bytes) -> Event:
    """An event from JSON; raises `msgspec.DecodeError` with what is wrong."""
    event = msgspec.json.decode(body, type=Event)
    if event.event_action != "trigger" and not event.dedup_key:
        raise msgspec.ValidationError(f"{event.event_action} needs a dedup_key - at `$.dedup_key`")
    if event.event_action == "trigger" and event.payload is None:
        raise msgspec.ValidationError("trigger needs a payload - at `$.payload`")
    return event


def is_answer(heard: Heard) -> bool:
    """Whether someone has answered the alert over there."""
    return heard.action == "acknowledge"
