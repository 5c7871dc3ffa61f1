"""Our alerts as Prometheus' Alertmanager takes them (its API v2, `POST /api/v2/alerts`).

Law: labels never change while an alert is open, because Alertmanager tells alerts apart by their
labels: what every replica posts is one alert there. What may change is in annotations.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.saying import next_of, sentence_of, sureness_of

NAME: Final = "TollkeeperAlert"

EVERY_MS: Final = 60_000
"""How often an open alert is posted again: Prometheus' default (`--rules.alert.resend-delay`)."""

STANDS_MS: Final = 4 * EVERY_MS
"""How long what was posted stands if nothing more is posted: four intervals, as in Prometheus. So
an alert ends there by itself if all of ours are gone."""


class Posted(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One alert in a body that is posted. Times are in RFC 3339."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str
    generator_url: str = msgspec.field(name="generatorURL")


def posted(alert: Alert, now_ms: int, labels: Mapping[str, str], base_url: str) -> Posted:
    """An alert as it stands at `now_ms`. `labels` are the operator's own; `base_url` is where this
    service is reached."""
    return Posted(
        labels={
            "severity": "page",
            **labels,
            **({"severity": alert.severity} if alert.severity != "page" else {}),
            "alertname": NAME,
            "service": "tollkeeper",
            "about": alert.fingerprint,
        },
        annotations=_annotations(alert),
        starts_at=rfc3339(alert.opened_ms),
        ends_at=rfc3339(now_ms + STANDS_MS if alert.resolved_ms is None else alert.resolved_ms),
        generator_url=f"{base_url.rstrip('/')}/v1/alerts/{alert.id}",
    )


def body(alerts: list[Posted]) -> bytes:
    """What is posted."""
    return msgspec.json.encode(alerts)


def _annotations(alert: Alert) -> dict[str, str]:
    """What is said of an alert now; texts that are empty are left out."""
    found = {"alert_id": alert.id, "summary": alert.says}
    if alert.last is not None:
        verdict = alert.last.verdict
        found |= {
            "summary": sentence_of(verdict),
            "description": f"{sureness_of(verdict)}. Next: {next_of(verdict)}.",
            "domain": verdict.domain,
            "confidence": f"{verdict.confidence:.2f}",
            "pointer": verdict.pointer,
            "slice": " ".join(f"{name}={value}" for name, value in verdict.slice.items()),
        }
    if alert.silenced_until_ms:
        found["silenced_until"] = rfc3339(alert.silenced_until_ms)
    return {name: text for name, text in found.items() if text}
