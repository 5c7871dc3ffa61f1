"""The status page: what customers are told, derived from incidents, and overridable by a person.

Law: it never says more than is known. It names a cause only where a verdict does, and no provider.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from tollkeeper.incidents.incident import Entry, Incident

type ComponentStatus = Literal[
    "operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"
]
type Phase = Literal["investigating", "identified", "monitoring", "resolved"]
type Indicator = Literal["none", "minor", "major", "critical", "maintenance"]

WORDS: Final[Mapping[ComponentStatus, str]] = {
    "operational": "works",
    "degraded_performance": "works with disturbances",
    "partial_outage": "fails in part",
    "major_outage": "fails",
    "under_maintenance": "is being maintained",
}
"""Every status of a component, in Statuspage's words and in ours."""

COMPONENTS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "payments": ("Card payments", frozenset({"authorize", "lookup", ""})),
    "captures": ("Captures", frozenset({"capture"})),
    "cancellations": ("Cancellations", frozenset({"void"})),
    "refunds": ("Refunds", frozenset({"refund"})),
    "webhooks": ("Messages to shops", frozenset({"webhook_out", "deliver"})),
}
"""Components by id: their name, and the operations of verdicts that are about them."""

INDICATORS: Final[Mapping[ComponentStatus, tuple[Indicator, str]]] = {
    "operational": ("none", "All systems work"),
    "degraded_performance": ("minor", "Small disturbance"),
    "partial_outage": ("major", "Partial outage"),
    "major_outage": ("critical", "Major outage"),
    "under_maintenance": ("maintenance", "Maintenance"),
}

GRAVITY: Final[tuple[ComponentStatus, ...]] = (
    "operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage",
)  # fmt: skip

MAJOR_SHARE: Final = 0.5
PARTIAL_SHARE: Final = 0.05
HISTORY: Final = 20
"""Incidents that the page shows."""

CAUSES: Final[Mapping[str, str]] = {
    "provider_changed": "A payment provider answers otherwise than before.",
    "provider_down": "A payment provider does not answer.",
    "provider_slow": "A payment provider answers slowly.",
    "provider_limited": "A payment provider takes fewer requests than usual.",
    "issuer": "Card issuers or a card network refuse more payments than usual.",
    "bad_traffic": "Unusual requests are being turned away.",
    "our_infrastructure": "A part of our infrastructure fails.",
    "our_code": "A change of ours has a fault.",
    "our_configuration": "A setting of ours is wrong.",
    "our_database": "Our database is disturbed.",
}
"""What customers are told of a verdict."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a component, whatever the signals say, until a moment."""

    component: str
    status: ComponentStatus
    text: str
    by: str
    at_ms: int
    until_ms: int


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component as customers see it. `text`: a person's word about it."""

    id: str
    name: str
    status: ComponentStatus
    text: str = ""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that customers are told about an incident."""

    at_ms: int
    phase: Phase
    text: str


class PublicIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as customers see it, its newest update first. `review`: a link to it."""

    id: str
    name: str
    phase: Phase
    component: str
    status: ComponentStatus
    began_ms: int
    ended_ms: int | None
    updates: tuple[Update, ...]
    review: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page at a moment."""

    at_ms: int
    title: str
    indicator: Indicator
    says: str
    components: tuple[Component, ...]
    incidents: tuple[PublicIncident, ...]


def page_of(
    incidents: Sequence[tuple[Incident, Sequence[Entry]]],
    overrides: Iterable[Override],
    now_ms: int,
    title: str,
) -> Page:
    """The page from incidents (the newest first) with their timelines, and what persons say."""
    public = [public_of(one, entries) for one, entries in incidents if is_public(one)][:HISTORY]
    said = {one.component: one for one in overrides if now_ms < one.until_ms}
    components = tuple(_component(name, public, said.get(name)) for name in COMPONENTS)
    worst = max((one.status for one in components), key=GRAVITY.index)
    indicator, says = INDICATORS[worst]
    return Page(
        at_ms=now_ms,
        title=title,
        indicator=indicator,
        says=says,
        components=components,
        incidents=tuple(public),
    )


def is_public(incident: Incident) -> bool:
    """Whether customers are told of an incident: not of drills, nor of what hurt no payment."""
    return not incident.drill and incident.impact.failed > 0 and incident.status != "merged"


def component_of(incident: Incident) -> str:
    """The component that an incident is about."""
    operation = incident.finding.operation or incident.finding.slice.get("operation", "")
    return next(
        (name for name, (_, operations) in COMPONENTS.items() if operation in operations),
        "payments",
    )


def status_of(incident: Incident) -> ComponentStatus:
    """How bad it is for customers, by the share of payments that it hurts."""
    if not incident.is_open:
        return "operational"
    if incident.impact.share >= MAJOR_SHARE:
        return "major_outage"
    return "partial_outage" if incident.impact.share >= PARTIAL_SHARE else "degraded_performance"


def public_of(incident: Incident, entries: Sequence[Entry]) -> PublicIncident:
    """An incident in the customer's words."""
    component = component_of(incident)
    updates = _updates(incident, entries, COMPONENTS[component][0])
    return PublicIncident(
        id=incident.id,
        name=f"{COMPONENTS[component][0]}: disturbance",
        phase=updates[0].phase,
        component=component,
        status=status_of(incident),
        began_ms=incident.began_ms,
        ended_ms=incident.resolved_ms,
        updates=updates,
    )


def _updates(incident: Incident, entries: Sequence[Entry], name: str) -> tuple[Update, ...]:
    """What customers are told, the newest first; of a cause only what a verdict says."""
    looking = f"{name} fail in part. We are looking into it."
    found: list[Update] = []
    told = ""
    for entry in entries:
        for phase, text in _said(entry, looking):
            if text != told:
                found.append(Update(at_ms=entry.at_ms, phase=phase, text=text))
                told = text
    if not found:
        found.append(Update(at_ms=incident.opened_ms, phase="investigating", text=looking))
    return tuple(reversed(found))


def _said(entry: Entry, looking: str) -> list[tuple[Phase, str]]:
    """What one line of a timeline is to customers."""
    cause = CAUSES.get(entry.facts.get("domain", ""), "")
    identified: list[tuple[Phase, str]] = [("identified", cause)] if cause else []
    match entry.kind:
        case "opened" | "reopened":
            return [("investigating", looking), *identified]
        case "verdict":
            return identified
        case "failover" if "moved" in entry.text:
            return [("monitoring", "Payments take another way now. We are watching it.")]
        case "resolved":
            return [("resolved", "This is over.")]
        case _:
            return []


def _component(name: str, incidents: Iterable[PublicIncident], said: Override | None) -> Component:
    if said is not None:
        return Component(id=name, name=COMPONENTS[name][0], status=said.status, text=said.text)
    mine: list[ComponentStatus] = [one.status for one in incidents if one.component == name]
    nothing: ComponentStatus = "operational"
    worst = max(mine, key=GRAVITY.index, default=nothing)
    return Component(id=name, name=COMPONENTS[name][0], status=worst)
