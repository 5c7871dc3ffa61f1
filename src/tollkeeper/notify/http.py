"""Messages over HTTP: Slack, PagerDuty Events v2, Alertmanager v2 API, and plain JSON.

Sources: api.slack.com/messaging/webhooks; developer.pagerduty.com (Events API v2); Alertmanager's
OpenAPI description (`/api/v2/alerts`).
"""

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollkeeper.flows.ports import Target, Wire
from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import Receiver
from tollkeeper.integrations.version import WireRequest
from tollkeeper.kernel.clock import rfc3339

ACTIONS: Final = {"page": "trigger", "update": "trigger", "test": "trigger", "over": "resolve"}
"""What a kind of message is at PagerDuty; what is over may still be acknowledged only."""

URGENCIES: Final = {"sev1": "critical", "sev2": "error", "sev3": "warning", "sev4": "info"}
RESOLVE_AFTER_MS: Final = 86_400_000
"""How long an alert stands at Alertmanager if nothing more is heard of it."""

CLIENT: Final = "Tollkeeper"


async def send_slack(wire: Wire, receiver: Receiver, message: Message) -> Answer:
    """A message of text; special characters are escaped as Slack asks."""
    text = f"*{_slack(message.subject)}*\n{_slack(message.text)}"
    return await _post(wire, receiver.url, "", {"text": text}, message)


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def send_pagerduty(wire: Wire, receiver: Receiver, message: Message) -> Answer:
    """An event whose dedup key is the incident: what is repeated is no second page."""
    action = ACTIONS.get(message.kind, "trigger")
    if action == "resolve" and message.facts.get("status") == "acknowledged":
        action = "acknowledge"
    event: dict[str, Any] = {
        "routing_key": receiver.key,
        "event_action": action,
        "dedup_key": message.thread,
        "client": CLIENT,
    }
    if action == "trigger":
        event["payload"] = {
            "summary": message.subject[:1024],
            "source": message.facts.get("about", CLIENT.lower()),
            "severity": URGENCIES.get(message.urgency, "warning"),
            "timestamp": rfc3339(message.at_ms),
            "class": message.facts.get("domain", message.kind),
            "component": message.facts.get("integration", ""),
            "custom_details": {**message.facts, "text": message.text[:8_000]},
        }
    return await _post(wire, receiver.url, "/v2/enqueue", event, message)


async def send_alertmanager(wire: Wire, receiver: Receiver, message: Message) -> Answer:
    """An alert with the incident as its label; one that is over ends."""
    ended = message.kind == "over" and message.facts.get("status") != "acknowledged"
    names = ("incident", "about", "domain", "provider", "integration")
    alert = {
        "labels": {
            "alertname": "TollkeeperIncident",
            **{name: message.facts[name] for name in names if message.facts.get(name)},
        },
        "annotations": {"summary": message.subject, "description": message.text},
        "startsAt": message.facts.get("began", rfc3339(message.at_ms)),
        "endsAt": rfc3339(message.at_ms if ended else message.at_ms + RESOLVE_AFTER_MS),
    }
    return await _post(wire, receiver.url, "/api/v2/alerts", [alert], message)


async def send_webhook(wire: Wire, receiver: Receiver, message: Message) -> Answer:
    """The message itself; `id` is the same in every try."""
    body = {
        "id": message.id,
        "kind": message.kind,
        "subject": message.subject,
        "text": message.text,
        "thread": message.thread,
        "urgency": message.urgency,
        "at": rfc3339(message.at_ms),
        "facts": message.facts,
    }
    return await _post(wire, receiver.url, "", body, message)


async def _post(wire: Wire, url: str, path: str, body: Any, message: Message) -> Answer:
    parts = urlsplit(url)
    request = WireRequest(
        method="POST",
        path=(parts.path.rstrip("/") + path) or "/",
        query=parts.query,
        headers=(("content-type", "application/json"), ("idempotency-key", message.id)),
        body=msgspec.json.encode(body),
    )
    result = await wire.send(request, Target(base_url=f"{parts.scheme}://{parts.netloc}"))
    if result.reply is None:
        said = result.failure.error if result.failure is not None else "no reply"
        return Answer(ok=False, said=said.replace("_", " "))
    status = result.reply.status
    ok = 200 <= status < 300
    again = status >= 500 or status in {408, 409, 425, 429}
    said = "accepted" if ok else result.reply.body[:200].decode("utf-8", "replace")
    return Answer(ok=ok, said=f"{status} {' '.join(said.split())}", again=again)
