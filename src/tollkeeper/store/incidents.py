"""Incidents in the store: timelines, the news that made them, and notifications."""

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.flows.ports import Job
from tollkeeper.flows.ports.incidents import IncidentWrite
from tollkeeper.incidents.incident import Entry, Incident
from tollkeeper.incidents.paging import Notification
from tollkeeper.store import tables as t
from tollkeeper.store.events import event_statements
from tollkeeper.store.jobs import DELETE_JOB, FINISH_JOB, POSTPONE_JOB, UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Item, Operation, Rollback, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes, writes_long

_json: Final = msgspec.json.Encoder().encode
_incident: Final = msgspec.json.Decoder(Incident).decode
_entry: Final = msgspec.json.Decoder(Entry).decode
_notification: Final = msgspec.json.Decoder(Notification).decode

INSERT_INCIDENT: Final = sql(
    "insert_incident",
    """
    INSERT INTO incidents (id, fingerprint, status, opened_ms, ended_ms, revision, body)
    VALUES (:id, :fingerprint, :status, :opened_ms, :ended_ms, :revision, :body)
    ON CONFLICT DO NOTHING
    """,
)
"""Nothing as well where another incident of the same fingerprint is open."""

UPDATE_INCIDENT: Final = sql(
    "update_incident",
    """
    UPDATE incidents SET status = :status, ended_ms = :ended_ms, revision = :revision, body = :body
    WHERE id = :id AND revision = :expected
      AND (CAST(:ended_ms AS bigint) IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM incidents AS other
        WHERE other.fingerprint = :fingerprint AND other.ended_ms IS NULL AND other.id <> :id))
    """,
)
INSERT_ENTRY: Final = insert_into(t.incident_entries, "insert_entry")
INSERT_NEWS: Final = insert_into(t.incident_news, "insert_news", conflict="nothing")
KNOWN_NEWS: Final = sql("known_news", "SELECT 1 FROM incident_news WHERE event_id = :event_id")
LOAD_INCIDENT: Final = sql("load_incident", "SELECT body FROM incidents WHERE id = :id")
LIST_OPEN: Final = sql(
    "list_open_incidents", "SELECT body FROM incidents WHERE ended_ms IS NULL ORDER BY id"
)
LAST_ENDED: Final = sql(
    "last_ended",
    """
    SELECT body FROM incidents WHERE fingerprint = :fingerprint AND ended_ms IS NOT NULL
    ORDER BY ended_ms DESC LIMIT 1
    """,
)
LIST_INCIDENTS: Final = sql(
    "list_incidents", "SELECT body FROM incidents WHERE id < :before ORDER BY id DESC LIMIT :limit"
)
LIST_ENTRIES: Final = sql(
    "list_entries", "SELECT body FROM incident_entries WHERE incident_id = :id ORDER BY seq"
)
INSERT_NOTIFICATION: Final = sql(
    "insert_notification",
    """
    INSERT INTO notifications
      (id, key, incident_id, receiver, kind, status, sent_ms, created_ms, body)
    VALUES (:id, :key, :incident_id, :receiver, :kind, :status, :sent_ms, :created_ms, :body)
    ON CONFLICT (key) DO NOTHING
    """,
)
UPDATE_NOTIFICATION: Final = sql(
    "update_notification",
    """
    UPDATE notifications SET status = :status, sent_ms = :sent_ms, body = :body
    WHERE id = :id AND status <> 'canceled'
    """,
)
TAKE_NOTIFICATION: Final = sql(
    "take_notification",
    """
    UPDATE notifications SET status = :status, body = :body
    WHERE id = :id AND status = :expected
    """,
)
TELL_ALONG: Final = sql(
    "tell_along",
    "UPDATE notifications SET status = 'told_along' WHERE id = :id AND status = 'queued'",
)
RELEASE: Final = sql(
    "release_notification",
    "UPDATE notifications SET status = 'queued' WHERE id = :id AND status = 'told_along'",
)
CANCEL_ANSWERED: Final = sql(
    "cancel_answered",
    """
    UPDATE notifications SET status = 'canceled'
    WHERE id = :id AND status = 'queued' AND kind = 'page' AND EXISTS (
      SELECT 1 FROM incidents
      WHERE incidents.id = notifications.incident_id AND incidents.status <> 'triggered')
    """,
)
"""A page whose incident was acknowledged while it was being sent is not sent again."""

CANCEL: Final = sql(
    "cancel_notifications",
    """
    UPDATE notifications SET status = 'canceled'
    WHERE incident_id = :id AND status = 'queued' AND kind <> 'notice'
    """,
)
"""What we say to a provider does not end when one of us works on it."""

LOAD_NOTIFICATION: Final = sql(
    "load_notification", "SELECT status, body FROM notifications WHERE id = :id"
)
LIST_NOTIFICATIONS: Final = sql(
    "list_notifications",
    "SELECT status, body FROM notifications WHERE incident_id = :id ORDER BY id",
)
QUEUED_FOR: Final = sql(
    "queued_for",
    """
    SELECT status, body FROM notifications WHERE receiver = :receiver AND status = 'queued'
    ORDER BY id LIMIT :limit
    """,
)
LAST_SENT: Final = sql(
    "last_sent",
    """
    SELECT coalesce(max(sent_ms), CAST(-1 AS bigint)) FROM notifications
    WHERE receiver = :receiver AND status = 'sent' AND kind = 'page'
    """,
)
_OLD: Final = "SELECT id FROM incidents WHERE ended_ms IS NOT NULL AND ended_ms < :before_ms"
FORGET: Final = (
    sql("forget_entries", f"DELETE FROM incident_entries WHERE incident_id IN ({_OLD})"),
    sql("forget_notifications", "DELETE FROM notifications WHERE created_ms < :before_ms"),
    sql("forget_news", "DELETE FROM incident_news WHERE at_ms < :before_ms"),
    sql("forget_covers", "DELETE FROM covers WHERE until_ms < :before_ms"),
    sql("forget_notices", "DELETE FROM notices WHERE updated_ms < :before_ms"),
    sql(
        "forget_incidents",
        "DELETE FROM incidents WHERE ended_ms IS NOT NULL AND ended_ms < :before_ms",
    ),
)


def save_incident(*written: IncidentWrite) -> Operation[bool]:
    """Writes changes of incidents together; false where one of them may not be written."""
    for write in written:
        yield from incident_statements(write)
    return True


def incident_statements(write: IncidentWrite) -> Operation[None]:
    """One change of an incident, as a part of a larger unit; rolls back with false where it may not
    be written."""
    incident = write.incident
    if write.news:
        row = {"event_id": write.news, "incident_id": incident.id, "at_ms": incident.opened_ms}
        ((fresh,),) = yield INSERT_NEWS, row
        if not fresh:
            raise Rollback(False)  # noqa: FBT003 - the operation's answer
    row = {
        "id": incident.id,
        "fingerprint": incident.fingerprint,
        "status": incident.status,
        "opened_ms": incident.opened_ms,
        "ended_ms": None if incident.is_open else _ended_ms(write),
        "revision": incident.revision,
        "body": _json(incident),
    }
    if incident.revision == 1:
        ((count,),) = yield INSERT_INCIDENT, row
    else:
        ((count,),) = yield UPDATE_INCIDENT, row | {"expected": incident.revision - 1}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    for entry in write.entries:
        yield (
            INSERT_ENTRY,
            {
                "incident_id": entry.incident,
                "seq": entry.seq,
                "at_ms": entry.at_ms,
                "body": _json(entry),
            },
        )
    if write.cancels:
        yield CANCEL, {"id": incident.id}
    for notification in write.notifications:
        yield from _queue(notification)
    for kind, run_at_ms in write.jobs.items():
        row = {"kind": kind, "subject": incident.id}
        yield UPSERT_JOB, row | fresh_job(run_at_ms, incident.revision)
    yield from _timer(incident)
    for event in write.events:
        yield from event_statements(event)


def _ended_ms(write: IncidentWrite) -> int:
    ended = write.incident.resolved_ms
    last = write.entries[-1].at_ms if write.entries else write.incident.opened_ms
    return ended if ended is not None else last


def _timer(incident: Incident) -> Iterator[Item]:
    """The job that pages the next ones, or none."""
    if incident.is_paging and incident.next_ms is not None:
        row = {"kind": "escalate", "subject": incident.id}
        yield UPSERT_JOB, row | fresh_job(incident.next_ms, incident.revision)
    else:
        yield DELETE_JOB, {"kind": "escalate", "subject": incident.id}


def _row(notification: Notification) -> dict[str, object]:
    return {
        "id": notification.id,
        "key": notification.key,
        "incident_id": notification.incident,
        "receiver": notification.receiver,
        "kind": notification.kind,
        "status": notification.status,
        "sent_ms": notification.sent_ms,
        "created_ms": notification.created_ms,
        "body": _json(notification),
    }


def _queue(notification: Notification) -> Operation[bool]:
    ((count,),) = yield INSERT_NOTIFICATION, _row(notification)
    if count:
        row = {"kind": "notify", "subject": notification.id}
        yield UPSERT_JOB, row | fresh_job(notification.created_ms, notification.created_ms)
    return bool(count)


def is_news_known(event_id: str) -> Operation[bool]:
    """Whether an event was counted for an incident."""
    rows = yield KNOWN_NEWS, {"event_id": event_id}
    return bool(rows)


def load_incident(incident_id: str) -> Operation[Incident | None]:
    """One incident."""
    rows = yield LOAD_INCIDENT, {"id": incident_id}
    return _incident(rows[0][0]) if rows else None


def list_open_incidents() -> Operation[list[Incident]]:
    """Every incident that goes on, oldest first."""
    rows = yield LIST_OPEN, {}
    return [_incident(body) for (body,) in rows]


def last_ended(fingerprint: str) -> Operation[Incident | None]:
    """The incident of a fingerprint that ended last."""
    rows = yield LAST_ENDED, {"fingerprint": fingerprint}
    return _incident(rows[0][0]) if rows else None


def list_incidents(before: str, limit: int) -> Operation[list[Incident]]:
    """At most `limit` incidents whose id is less than `before`, the newest first."""
    rows = yield LIST_INCIDENTS, {"before": before, "limit": limit}
    return [_incident(body) for (body,) in rows]


def list_entries(incident_id: str) -> Operation[list[Entry]]:
    """The timeline of an incident."""
    rows = yield LIST_ENTRIES, {"id": incident_id}
    return [_entry(body) for (body,) in rows]


def load_notification(notification_id: str) -> Operation[Notification | None]:
    """One message."""
    rows = yield LOAD_NOTIFICATION, {"id": notification_id}
    return _with_status(*rows[0]) if rows else None


def list_notifications(incident_id: str) -> Operation[list[Notification]]:
    """Every message about an incident, oldest first."""
    rows = yield LIST_NOTIFICATIONS, {"id": incident_id}
    return [_with_status(status, body) for status, body in rows]


def queued_for(receiver: str, limit: int) -> Operation[list[Notification]]:
    """Messages to a receiver that no one has begun to send, oldest first."""
    rows = yield QUEUED_FOR, {"receiver": receiver, "limit": limit}
    return [_with_status(status, body) for status, body in rows]


def _with_status(status: str, body: bytes) -> Notification:
    """The status of the row counts: others change it without reading the body."""
    return msgspec.structs.replace(_notification(body), status=status)


def last_sent_ms(receiver: str) -> Operation[int | None]:
    """When a page was last sent to a receiver."""
    ((last,),) = yield LAST_SENT, {"receiver": receiver}
    return int(last) if last >= 0 else None


def queue_notification(notification: Notification) -> Operation[bool]:
    """Writes a message with its job; false where there is one of its key."""
    queued = yield from _queue(notification)
    return queued


def begin_notification(notification: Notification, expected: str) -> Operation[bool]:
    """Writes that a message is being sent, and that others are told along; false where one of them
    was taken or canceled meanwhile. `expected`: its status as it was read."""
    ((count,),) = yield TAKE_NOTIFICATION, _row(notification) | {"expected": expected}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    if expected == notification.status:  # whoever had begun it died: the others are told along yet
        return True
    for other in notification.along:
        ((count,),) = yield TELL_ALONG, {"id": other}
        if not count:
            raise Rollback(False)  # noqa: FBT003 - the operation's answer
        yield DELETE_JOB, {"kind": "notify", "subject": other}
    return True


def end_notification(
    job: Job, notification: Notification, again_ms: int | None, released: tuple[str, ...] = ()
) -> Operation[None]:
    """Writes what came of a try; the job ends, or comes back. `released`: what was told along with
    it and has not arrived waits to be sent again, each with its own job. The end of a provider's
    message wakes the job that follows its notice."""
    yield UPDATE_NOTIFICATION, _row(notification)
    yield CANCEL_ANSWERED, {"id": notification.id}
    if again_ms is None:
        yield FINISH_JOB, msgspec.structs.asdict(job)
        if notification.notice:
            at_ms = notification.tries[-1].at_ms
            row = {"kind": "follow_notice", "subject": notification.notice}
            yield UPSERT_JOB, row | fresh_job(at_ms, at_ms)
    else:
        yield POSTPONE_JOB, {**msgspec.structs.asdict(job), "run_at_ms": again_ms}
    due_ms = again_ms if again_ms is not None else notification.tries[-1].at_ms + 1
    for other in released:
        ((count,),) = yield RELEASE, {"id": other}
        yield CANCEL_ANSWERED, {"id": other}
        if count:
            row = {"kind": "notify", "subject": other}
            yield UPSERT_JOB, row | fresh_job(due_ms, due_ms)


def forget_incidents(before_ms: int) -> Operation[None]:
    """Removes incidents that ended before a moment, with all of theirs."""
    for statement in FORGET:
        yield statement, {"before_ms": before_ms}


class Incidents(Topic):
    """Incidents."""

    save_incident = writes(save_incident)
    is_news_known = reads(is_news_known)
    load_incident = reads(load_incident)
    list_open_incidents = reads(list_open_incidents)
    last_ended = reads(last_ended)
    list_incidents = reads(list_incidents)
    list_entries = reads(list_entries)
    load_notification = reads(load_notification)
    list_notifications = reads(list_notifications)
    queued_for = reads(queued_for)
    last_sent_ms = reads(last_sent_ms)
    queue_notification = writes(queue_notification)
    begin_notification = writes(begin_notification)
    end_notification = writes(end_notification)
    forget_incidents = writes_long(forget_incidents)
