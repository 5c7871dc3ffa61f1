"""Incidents: what is known of one, its states, and what may be done with it.

Law: the timeline is append-only. What was wrong in an entry is said by a later one that names it;
an incident is changed only upon its revision before, in the commit that writes its entries.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

type Status = Literal["triggered", "acknowledged", "resolved", "merged"]
type Severity = Literal["sev1", "sev2", "sev3", "sev4"]
type Act = Literal["acknowledge", "resolve", "reopen", "merge"]
type EntryKind = Literal[
    "opened", "joined", "verdict", "severity", "paged", "answered", "acknowledged", "note",
    "correction", "role", "resolved", "reopened", "merged", "split", "classified", "failover",
    "rollout", "contract", "routes", "notice", "provider", "status_page", "unanswered",
]  # fmt: skip

SEVERITIES: Final[tuple[Severity, ...]] = ("sev1", "sev2", "sev3", "sev4")

MOVES: Final[Mapping[tuple[Status, Act], Status]] = {
    ("triggered", "acknowledge"): "acknowledged",
    ("acknowledged", "acknowledge"): "acknowledged",
    ("triggered", "resolve"): "resolved",
    ("acknowledged", "resolve"): "resolved",
    ("resolved", "reopen"): "triggered",
    ("triggered", "merge"): "merged",
    ("acknowledged", "merge"): "merged",
}
"""Every move between states; what is not here is refused."""

STATES: Final[Mapping[Status, str]] = {
    "triggered": "no person has answered yet; people are paged until one does",
    "acknowledged": "a person works on it; paging has stopped",
    "resolved": "the signals are quiet, or a person said with a reason that it is over",
    "merged": "it goes on in another incident",
}
"""Every state and what it means."""

ROLES: Final = ("commander", "communication", "operations", "scribe")

MOST_ALERTS: Final = 1_000
"""Alerts of one incident that are followed to their end; with more of them a person ends it."""

MOST_JOINED: Final = 100
"""Alerts that have a line of their own in the timeline; further ones are counted."""

LONGEST_TEXT: Final = 2_000
"""Characters of one entry of a timeline."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the signals say: the verdict of the alert that the incident is attached to."""

    alert: str = ""
    domain: str = "undetermined"
    confidence: float = 0.0
    provider: str = ""
    integration: str = ""
    operation: str = ""
    pointer: str = ""
    slice: dict[str, str] = {}
    says: str = ""
    sure: str = ""
    next: str = ""
    since_ms: int = 0
    because: tuple[str, ...] = ()
    runner_up: str = ""


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it has hurt, over `minutes`: payments that failed or are in doubt for no reason of the
    shopper's or the issuer's, of so many; the customers behind them; their money by currency, in
    minor units."""

    minutes: float = 0.0
    failed: int = 0
    of: int = 0
    users: int = 0
    money_minor: dict[str, int] = {}

    @property
    def share(self) -> float:
        """The part of payments that it has hurt."""
        return self.failed / self.of if self.of else 0.0

    @property
    def users_a_minute(self) -> float:
        """Customers a minute."""
        return self.users / max(self.minutes, 1.0)

    def money_a_minute(self, currency: str) -> float:
        """Minor units a minute."""
        return self.money_minor.get(currency, 0) / max(self.minutes, 1.0)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline. `source`: `machine:...` or who wrote it. `facts` are for programs.
    `corrects`: the number of the entry that this one sets right."""

    incident: str
    seq: int
    at_ms: int
    kind: EntryKind
    source: str
    text: str
    facts: dict[str, str] = {}
    corrects: int | None = None


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. `fingerprint`: whose fault it is about, so that one thing is one incident.
    `step`: how often people were paged since it was opened or opened again; `next_ms`: when they
    are paged again, `None` for never. `entries`: how many its timeline has. `began_ms`: when the
    first payment failed, as far as that is known. `told`: the receivers that were paged. `alerts`:
    those behind it that are not over; `joined`: how many lines about alerts it has had."""

    id: str
    fingerprint: str
    status: Status
    severity: Severity
    title: str
    policy: str
    opened_ms: int
    began_ms: int
    revision: int = 1
    entries: int = 0
    source: str = ""
    finding: Finding = Finding()
    impact: Impact = Impact()
    step: int = 0
    openings: int = 1
    next_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    resolved_ms: int | None = None
    resolved_by: str = ""
    resolution: str = ""
    severity_by: str = ""
    roles: dict[str, str] = {}
    merged_into: str = ""
    classified_ms: int | None = None
    told: tuple[str, ...] = ()
    drill: bool = False
    alerts: tuple[str, ...] = ()
    joined: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.status in {"triggered", "acknowledged"}

    @property
    def is_paging(self) -> bool:
        """Whether people are still paged for it."""
        return self.status == "triggered"


def moved(incident: Incident, act: Act) -> Incident | None:
    """The incident after an act; `None` where the act is not allowed in its state."""
    status = MOVES.get((incident.status, act))
    if status is None:
        return None
    paging = incident.next_ms if status == "triggered" else None
    return replace(incident, status=status, next_ms=paging)


class Writing:
    """An incident that is being changed, with the entries that say so."""

    def __init__(self, incident: Incident, now_ms: int, *, is_new: bool = False) -> None:
        self.before = None if is_new else incident
        self.incident = incident
        self.now_ms = now_ms
        self.written: list[Entry] = []

    def change(self, **fields: object) -> None:
        """Sets fields of the incident."""
        self.incident = replace(self.incident, **fields)

    def write(
        self,
        kind: EntryKind,
        source: str,
        text: str,
        facts: Mapping[str, str] | None = None,
        corrects: int | None = None,
    ) -> None:
        """Adds an entry to the timeline."""
        self.incident = replace(self.incident, entries=self.incident.entries + 1)
        self.written.append(
            Entry(
                incident=self.incident.id,
                seq=self.incident.entries,
                at_ms=self.now_ms,
                kind=kind,
                source=source,
                text=text[:LONGEST_TEXT],
                facts=dict(facts or {}),
                corrects=corrects,
            )
        )

    @property
    def after(self) -> Incident:
        """The incident as it must be written, upon its revision before."""
        if self.before is None:
            return self.incident
        return replace(self.incident, revision=self.before.revision + 1)
