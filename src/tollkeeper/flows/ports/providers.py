"""What the provider desk needs of the store."""

from typing import Protocol

import msgspec

from tollkeeper.flows.ports.incidents import IncidentWrite
from tollkeeper.flows.ports.jobs import Job
from tollkeeper.incidents.paging import Notification
from tollkeeper.providers.announcement import Announcement
from tollkeeper.providers.notice import Notice


class SealedBook(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of the contact cards: sealed as a whole, and `shown` without addresses and
    keys."""

    revision: int
    at_ms: int
    actor: str
    sealed: bytes
    shown: bytes


class NoticeWrite(msgspec.Struct, frozen=True, kw_only=True):
    """All that one change of a notice writes at `at_ms`. `notice` upon its revision before; `pack`:
    its evidence pack, `None` where that stays as it is; `incident`: the lines in the timeline;
    `message`: what goes out, with the job that sends it; `job`: the job that this change ends."""

    notice: Notice
    at_ms: int
    pack: bytes | None = None
    incident: IncidentWrite | None = None
    message: Notification | None = None
    job: Job | None = None


class ProviderStore(Protocol):
    """Contact cards, notices and announcements in the store."""

    async def load_book(self) -> SealedBook | None: ...

    async def save_book(self, book: SealedBook) -> bool:
        """Writes the next revision of the cards; false where another one was faster."""
        ...

    async def save_notice(self, write: NoticeWrite) -> bool:
        """Writes a change of a notice; false, and nothing written, where the notice or its incident
        has moved on. Sets the job that follows the notice by its `due_ms`."""
        ...

    async def load_notice(self, notice_id: str) -> Notice | None: ...

    async def load_pack(self, notice_id: str) -> bytes | None: ...

    async def list_notices(self, before: str, limit: int) -> list[Notice]:
        """At most `limit` notices whose id is less than `before`, the newest first."""
        ...

    async def notices_of(self, incident_id: str) -> list[Notice]: ...

    async def save_announcement(self, announcement: Announcement) -> None: ...

    async def list_announcements(self, limit: int) -> list[Announcement]:
        """The newest announcements first."""
        ...
