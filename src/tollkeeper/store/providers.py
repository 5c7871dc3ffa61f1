"""The provider desk in the store: contact cards, notices with their packs, announcements."""

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.flows.ports.providers import NoticeWrite, SealedBook
from tollkeeper.providers.announcement import Announcement
from tollkeeper.providers.notice import Notice
from tollkeeper.store import tables as t
from tollkeeper.store.incidents import incident_statements, queue_notification
from tollkeeper.store.jobs import DELETE_JOB, FINISH_JOB, UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Item, Operation, Rollback, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes

_json: Final = msgspec.json.Encoder().encode
_notice: Final = msgspec.json.Decoder(Notice).decode
_announcement: Final = msgspec.json.Decoder(Announcement).decode

LOAD_BOOK: Final = sql(
    "load_book",
    """
    SELECT revision, at_ms, actor, sealed, shown FROM provider_books
    ORDER BY revision DESC LIMIT 1
    """,
)
INSERT_BOOK: Final = insert_into(t.provider_books, "insert_book", conflict="nothing")
INSERT_NOTICE: Final = insert_into(t.notices, "insert_notice", conflict="nothing")
UPDATE_NOTICE: Final = sql(
    "update_notice",
    """
    UPDATE notices SET revision = :revision, updated_ms = :updated_ms, body = :body,
      pack = coalesce(:pack, pack)
    WHERE id = :id AND revision = :expected
    """,
    postgresql="""
    UPDATE notices SET revision = :revision, updated_ms = :updated_ms, body = :body,
      pack = coalesce(CAST(:pack AS bytea), pack)
    WHERE id = :id AND revision = :expected
    """,
)
LOAD_NOTICE: Final = sql("load_notice", "SELECT body FROM notices WHERE id = :id")
LOAD_PACK: Final = sql("load_pack", "SELECT pack FROM notices WHERE id = :id")
LIST_NOTICES: Final = sql(
    "list_notices", "SELECT body FROM notices WHERE id < :before ORDER BY id DESC LIMIT :limit"
)
NOTICES_OF: Final = sql(
    "notices_of", "SELECT body FROM notices WHERE incident_id = :incident_id ORDER BY id"
)
INSERT_ANNOUNCEMENT: Final = insert_into(t.announcements, "insert_announcement")
LIST_ANNOUNCEMENTS: Final = sql(
    "list_announcements", "SELECT body FROM announcements ORDER BY id DESC LIMIT :limit"
)


def load_book() -> Operation[SealedBook | None]:
    """The newest revision of the contact cards."""
    rows = yield LOAD_BOOK, {}
    if not rows:
        return None
    revision, at_ms, actor, sealed, shown = rows[0]
    return SealedBook(revision=revision, at_ms=at_ms, actor=actor, sealed=sealed, shown=shown)


def save_book(book: SealedBook) -> Operation[bool]:
    """Writes the next revision of the cards; false where another one was faster."""
    ((count,),) = yield INSERT_BOOK, msgspec.structs.asdict(book)
    return bool(count)


def save_notice(write: NoticeWrite) -> Operation[bool]:
    """Writes a change of a notice with all that belongs to it; false where it may not be
    written."""
    notice = write.notice
    row = {
        "id": notice.id,
        "incident_id": notice.incident,
        "revision": notice.revision,
        "updated_ms": write.at_ms,
        "body": _json(notice),
        "pack": write.pack,
    }
    if notice.revision == 1:
        ((count,),) = yield INSERT_NOTICE, row
    else:
        ((count,),) = yield UPDATE_NOTICE, row | {"expected": notice.revision - 1}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    if write.incident is not None:
        yield from incident_statements(write.incident)
    if write.message is not None:
        yield from queue_notification(write.message)
    if write.job is not None:
        yield FINISH_JOB, msgspec.structs.asdict(write.job)
    yield from _timer(write)
    return True


def _timer(write: NoticeWrite) -> Iterator[Item]:
    """The job that follows a notice, or none."""
    row = {"kind": "follow_notice", "subject": write.notice.id}
    if write.notice.due_ms is None:
        yield DELETE_JOB, row
    else:
        yield UPSERT_JOB, row | fresh_job(write.notice.due_ms, write.at_ms)


def load_notice(notice_id: str) -> Operation[Notice | None]:
    """One notice."""
    rows = yield LOAD_NOTICE, {"id": notice_id}
    return _notice(rows[0][0]) if rows else None


def load_pack(notice_id: str) -> Operation[bytes | None]:
    """The evidence pack of a notice; `None` where it has none."""
    rows = yield LOAD_PACK, {"id": notice_id}
    return rows[0][0] if rows else None


def list_notices(before: str, limit: int) -> Operation[list[Notice]]:
    """At most `limit` notices whose id is less than `before`, the newest first."""
    rows = yield LIST_NOTICES, {"before": before, "limit": limit}
    return [_notice(body) for (body,) in rows]


def notices_of(incident_id: str) -> Operation[list[Notice]]:
    """The notices about an incident, oldest first."""
    rows = yield NOTICES_OF, {"incident_id": incident_id}
    return [_notice(body) for (body,) in rows]


def save_announcement(announcement: Announcement) -> Operation[None]:
    """Writes an announcement."""
    row = {"id": announcement.id, "provider": announcement.provider, "at_ms": announcement.at_ms}
    yield INSERT_ANNOUNCEMENT, row | {"body": _json(announcement)}


def list_announcements(limit: int) -> Operation[list[Announcement]]:
    """The newest announcements first."""
    rows = yield LIST_ANNOUNCEMENTS, {"limit": limit}
    return [_announcement(body) for (body,) in rows]


class Providers(Topic):
    """Contact cards, notices, announcements."""

    load_book = reads(load_book)
    save_book = writes(save_book)
    save_notice = writes(save_notice)
    load_notice = reads(load_notice)
    load_pack = reads(load_pack)
    list_notices = reads(list_notices)
    notices_of = reads(notices_of)
    save_announcement = writes(save_announcement)
    list_announcements = reads(list_announcements)
