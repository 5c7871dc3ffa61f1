"""Outgoing events: each with the delivery and the job that it owes every endpoint."""

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.incidents.news import makes_job
from tollkeeper.payments.change import OutEvent
from tollkeeper.store import tables as t
from tollkeeper.store.jobs import UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Item, Operation, Row, insert_into, sql
from tollkeeper.store.topic import Topic, reads

INSERT_EVENT: Final = insert_into(t.events, "insert_event")
INSERT_CHANGE: Final = insert_into(t.changes, "insert_change", conflict="nothing")
FAN_OUT_DELIVERIES: Final = sql(
    "fan_out_deliveries",
    """
    INSERT INTO deliveries (event_id, endpoint_id, state, tries, updated_ms)
    SELECT CAST(:event_id AS text), id, 'pending', 0, CAST(:now_ms AS bigint)
    FROM webhook_endpoints WHERE account = :account AND enabled IS TRUE
    """,
)
FAN_OUT_JOBS: Final = sql(
    "fan_out_jobs",
    """
    INSERT INTO jobs (kind, subject, run_at_ms, lease_until_ms, fence, tries)
    SELECT 'deliver', CAST(:event_id AS text) || '|' || id, CAST(:now_ms AS bigint), 0, 0, 0
    FROM webhook_endpoints WHERE account = :account AND enabled IS TRUE
    """,
)
SELECT_EVENT: Final = sql(
    "select_event",
    "SELECT id, account, payment_id, type, created_ms, data FROM events WHERE id = :id",
)
PAGE_EVENTS: Final = sql(
    "page_events",
    """
    SELECT id, account, payment_id, type, created_ms, data FROM events
    WHERE account = :account AND id < :cursor ORDER BY id DESC LIMIT :limit
    """,
)


def event_statements(event: OutEvent) -> Iterator[Item]:
    """An outgoing event, with the delivery and the job that it owes each endpoint."""
    yield INSERT_EVENT, msgspec.structs.asdict(event)
    told = {"event_id": event.id, "account": event.account, "now_ms": event.created_ms}
    yield FAN_OUT_DELIVERIES, told
    yield FAN_OUT_JOBS, told
    if not event.payment_id:  # operators are told: it may be a change that explains a failure
        body = msgspec.json.encode(
            {"at_ms": event.created_ms, "type": event.type, "data": msgspec.Raw(event.data)}
        )
        yield INSERT_CHANGE, {"id": event.id, "at_ms": event.created_ms, "body": body}
    if makes_job(event.type):
        row = {"kind": "incident_news", "subject": event.id}
        yield UPSERT_JOB, row | fresh_job(event.created_ms, event.created_ms)


def load_event(event_id: str) -> Operation[OutEvent | None]:
    """One outgoing event."""
    rows = yield SELECT_EVENT, {"id": event_id}
    return _event(rows[0]) if rows else None


def list_events(account: str, cursor: str, limit: int) -> Operation[list[OutEvent]]:
    """At most `limit` events below `cursor` (an id), newest first."""
    rows = yield PAGE_EVENTS, {"account": account, "cursor": cursor, "limit": limit}
    return [_event(row) for row in rows]


def _event(row: Row) -> OutEvent:
    return OutEvent(
        id=row[0], account=row[1], payment_id=row[2], type=row[3], created_ms=row[4], data=row[5]
    )


class Events(Topic):
    """Outgoing events."""

    load_event = reads(load_event)
    list_events = reads(list_events)
