"""What the flows of incidents need: of the store, and of whatever brings a message to people."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tollkeeper.flows.ports.jobs import Job
from tollkeeper.incidents.incident import Entry, Incident
from tollkeeper.incidents.paging import Answer, Message, Notification
from tollkeeper.incidents.plan import Receiver
from tollkeeper.incidents.schedule import Cover
from tollkeeper.incidents.statuspage import Override
from tollkeeper.payments.change import OutEvent
from tollkeeper.payments.payment import Payment


class IncidentWrite(msgspec.Struct, frozen=True, kw_only=True):
    """All that one change of an incident writes at once. `incident` upon its revision before;
    `news`: the event that it comes from, which counts once; `notifications`: each with the job that
    sends it; `cancels`: what is queued for the incident is not sent any more; `jobs`: kinds of jobs
    about the incident that are due at a moment."""

    incident: Incident
    entries: tuple[Entry, ...]
    news: str = ""
    notifications: tuple[Notification, ...] = ()
    cancels: bool = False
    events: tuple[OutEvent, ...] = ()
    jobs: dict[str, int] = {}


class SealedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of the on-call plan, sealed by the vault."""

    revision: int
    at_ms: int
    actor: str
    sealed: bytes


class IncidentStore(Protocol):
    """Incidents, notifications, the on-call plan and covers in the store."""

    async def save_incident(self, *writes: IncidentWrite) -> bool:
        """Writes changes of incidents together; false, and nothing written, where one of them has
        moved on, where another open incident has the fingerprint, or where the news was counted
        before. Sets the job that escalates each of them by its `next_ms`."""
        ...

    async def is_news_known(self, event_id: str) -> bool: ...

    async def load_incident(self, incident_id: str) -> Incident | None: ...

    async def list_open_incidents(self) -> list[Incident]: ...

    async def last_ended(self, fingerprint: str) -> Incident | None:
        """The incident of a fingerprint that ended last."""
        ...

    async def list_incidents(self, before: str, limit: int) -> list[Incident]:
        """At most `limit` incidents whose id is less than `before`, the newest first."""
        ...

    async def list_entries(self, incident_id: str) -> list[Entry]: ...

    async def recent_payments(self, from_id: str, limit: int) -> list[Payment]:
        """At most `limit` payments from an id on, the newest first."""
        ...

    async def load_notification(self, notification_id: str) -> Notification | None: ...

    async def list_notifications(self, incident_id: str) -> list[Notification]: ...

    async def queued_for(self, receiver: str, limit: int) -> list[Notification]:
        """Messages to a receiver that no one has begun to send, oldest first."""
        ...

    async def last_sent_ms(self, receiver: str) -> int | None:
        """When a page was last sent to a receiver."""
        ...

    async def queue_notification(self, notification: Notification) -> bool:
        """Writes a message that belongs to no change of an incident, with its job; false where
        there is one of its key."""
        ...

    async def begin_notification(self, notification: Notification, expected: str) -> bool:
        """Writes that a message is being sent, and that others are told along; false where one of
        them was taken or canceled meanwhile. `expected`: its status as it was read."""
        ...

    async def end_notification(
        self,
        job: Job,
        notification: Notification,
        again_ms: int | None,
        released: tuple[str, ...] = (),
    ) -> None:
        """Writes what came of a try. The job ends, or comes back at `again_ms`. `released`: what
        was told along and has not arrived waits again, but for pages that are answered."""
        ...

    async def load_plan(self) -> SealedPlan | None: ...

    async def save_plan(self, plan: SealedPlan) -> bool:
        """Writes the next revision of the plan; false where another one was faster."""
        ...

    async def list_covers(self, from_ms: int) -> list[Cover]:
        """Covers that end after a moment."""
        ...

    async def save_covers(self, covers: list[Cover]) -> None: ...

    async def remove_cover(self, cover_id: str) -> bool: ...

    async def list_overrides(self) -> list[Override]:
        """What persons say on the status page."""
        ...

    async def save_override(self, override: Override) -> None: ...

    async def remove_override(self, component: str) -> bool: ...

    async def forget_incidents(self, before_ms: int) -> None:
        """Removes incidents that ended before a moment, with all of theirs."""
        ...


class Notify(Protocol):
    """Brings a message to people. Never raises but on cancellation."""

    async def send(self, receiver: Receiver, message: Message) -> Answer: ...


class Publish(Protocol):
    """Writes the files of the status page, each of them whole or not at all."""

    async def __call__(self, files: Mapping[str, bytes]) -> None: ...
