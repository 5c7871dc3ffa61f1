"""Signals in the store: batches of counts, their sums, alerts and changes."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.flows.ports.signals import NO_JOBS
from tollkeeper.payments.change import OutEvent
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.changes import Told
from tollkeeper.signals.counts import Batch, Counted, decode, encode
from tollkeeper.signals.samples import Sample
from tollkeeper.store import tables as t
from tollkeeper.store.events import INSERT_CHANGE, event_statements
from tollkeeper.store.jobs import enqueue_job
from tollkeeper.store.statements import Operation, Rollback, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes, writes_long

_encode: Final = msgspec.msgpack.Encoder().encode
_counted: Final = msgspec.msgpack.Decoder(list[Counted]).decode
_json: Final = msgspec.json.Encoder().encode
_alert: Final = msgspec.json.Decoder(Alert).decode
_told: Final = msgspec.json.Decoder(Told).decode

COUNT_ATTENTION: Final = sql(
    "count_attention", "SELECT count(*) FROM payments WHERE attention IS NOT NULL"
)
INSERT_BATCH: Final = insert_into(t.signal_batches, "insert_batch", conflict="nothing")
LIST_BATCHES: Final = sql(
    "list_batches",
    """
    SELECT body FROM signal_batches WHERE second >= :from_s AND second <= :to_s
    ORDER BY second, replica
    """,
)
LIST_REPLICAS: Final = sql(
    "list_batch_names",
    """
    SELECT second, replica FROM signal_batches WHERE second >= :from_s AND second <= :to_s
    ORDER BY second, replica
    """,
)
FORGET_BATCHES: Final = sql("forget_batches", "DELETE FROM signal_batches WHERE second < :before_s")
INSERT_MINUTE: Final = insert_into(t.signal_minutes, "insert_minute", conflict="nothing")
LAST_MINUTE: Final = sql(
    "last_minute", "SELECT coalesce(max(minute), CAST(-1 AS bigint)) FROM signal_minutes"
)
FIRST_BATCH: Final = sql(
    "first_batch",
    """
    SELECT coalesce(min(second), CAST(-1 AS bigint)) FROM signal_batches WHERE second >= :from_s
    """,
)
LIST_MINUTES: Final = sql(
    "list_minutes",
    """
    SELECT body FROM signal_minutes
    WHERE minute >= :from_m AND minute < :to_m AND alarmed IS FALSE ORDER BY minute
    """,
)
LIST_SUMMED: Final = sql(
    "list_summed",
    """
    SELECT minute, body FROM signal_minutes WHERE minute >= :from_m AND minute < :to_m
    ORDER BY minute
    """,
)
FORGET_MINUTES: Final = sql("forget_minutes", "DELETE FROM signal_minutes WHERE minute < :before_m")
INSERT_USUAL: Final = insert_into(t.signal_usual, "insert_usual", conflict="nothing")
LOAD_USUAL: Final = sql(
    "load_usual",
    """
    SELECT seconds, body FROM signal_usual WHERE at_s <= :at_s ORDER BY at_s DESC LIMIT 1
    """,
)
FORGET_USUAL: Final = sql("forget_usual", "DELETE FROM signal_usual WHERE at_s < :before_s")
MOST_SAMPLES: Final = 1_000
"""Samples that are kept: a provider that invents shapes fills no disk."""

INSERT_SAMPLE: Final = sql(
    "insert_drift_sample",
    """
    INSERT INTO drift_samples (key, number, at_ms, outline)
    SELECT CAST(:key AS text), CAST(:number AS bigint), CAST(:at_ms AS bigint),
      CAST(:outline AS text)
    WHERE (SELECT count(*) FROM drift_samples) < CAST(:most AS bigint)
    ON CONFLICT DO NOTHING
    """,
)
LIST_SAMPLES: Final = sql(
    "list_drift_samples",
    "SELECT key, number, at_ms, outline FROM drift_samples ORDER BY key, number",
)
FORGET_SAMPLES: Final = sql(
    "forget_drift_samples", "DELETE FROM drift_samples WHERE at_ms < :before_ms"
)
INSERT_ALERT: Final = sql(
    "insert_alert",
    """
    INSERT INTO alerts (id, fingerprint, status, seen_ms, revision, body)
    VALUES (:id, :fingerprint, :status, :seen_ms, :revision, :body)
    ON CONFLICT DO NOTHING
    """,
)
"""Nothing as well where another alert of the same fingerprint is open."""

UPDATE_ALERT: Final = sql(
    "update_alert",
    """
    UPDATE alerts SET status = :status, seen_ms = :seen_ms, revision = :revision, body = :body
    WHERE id = :id AND revision = :expected
    """,
)
LOAD_ALERT: Final = sql("load_alert", "SELECT body FROM alerts WHERE id = :id")
LIST_OPEN: Final = sql(
    "list_open_alerts", "SELECT body FROM alerts WHERE status = 'open' ORDER BY id"
)
LIST_ALERTS: Final = sql(
    "list_alerts", "SELECT body FROM alerts WHERE id < :before ORDER BY id DESC LIMIT :limit"
)
FORGET_ALERTS: Final = sql(
    "forget_alerts", "DELETE FROM alerts WHERE status <> 'open' AND seen_ms < :before_ms"
)
LIST_CHANGES: Final = sql(
    "list_changes",
    """
    SELECT body FROM changes WHERE at_ms >= :from_ms AND at_ms <= :to_ms
    ORDER BY at_ms DESC, id DESC LIMIT :limit
    """,
)
FORGET_CHANGES: Final = sql("forget_changes", "DELETE FROM changes WHERE at_ms < :before_ms")


def count_attention() -> Operation[int]:
    """How many payments need a person."""
    ((count,),) = yield COUNT_ATTENTION, {}
    return int(count)


def save_batch(batch: Batch) -> Operation[None]:
    """Writes a batch; one that was written before, though the answer was lost, stays."""
    row = {"second": batch.second, "replica": batch.replica, "body": encode(batch)}
    yield INSERT_BATCH, row


def list_batches(from_s: int, to_s: int) -> Operation[list[Batch]]:
    """The batches of seconds `from_s` to `to_s`, both included, oldest first."""
    rows = yield LIST_BATCHES, {"from_s": from_s, "to_s": to_s}
    return [decode(body) for (body,) in rows]


def list_batch_names(from_s: int, to_s: int) -> Operation[list[tuple[int, str]]]:
    """Second and replica of the batches of `from_s` to `to_s`, without what they hold."""
    rows = yield LIST_REPLICAS, {"from_s": from_s, "to_s": to_s}
    return [(int(second), str(replica)) for second, replica in rows]


def save_minute(minute: int, counted: list[Counted], *, alarmed: bool) -> Operation[None]:
    """Writes the sum of a minute; `alarmed`: it does not show what is usual."""
    row = {"minute": minute, "alarmed": alarmed, "body": _encode(counted)}
    yield INSERT_MINUTE, row


def minute_to_sum(before_m: int) -> Operation[int | None]:
    """The first minute before `before_m` that has batches and no sum yet."""
    ((last,),) = yield LAST_MINUTE, {}
    ((second,),) = yield FIRST_BATCH, {"from_s": (int(last) + 1) * 60}
    minute = int(second) // 60
    return minute if second >= 0 and minute < before_m else None


def list_minutes(from_m: int, to_m: int) -> Operation[list[list[Counted]]]:
    """The sums of minutes `from_m` until before `to_m` in which nothing was wrong."""
    rows = yield LIST_MINUTES, {"from_m": from_m, "to_m": to_m}
    return [_counted(body) for (body,) in rows]


def list_summed(from_m: int, to_m: int) -> Operation[list[tuple[int, list[Counted]]]]:
    """Every minute from `from_m` until before `to_m` that was summed, with its sum."""
    rows = yield LIST_SUMMED, {"from_m": from_m, "to_m": to_m}
    return [(int(minute), _counted(body)) for minute, body in rows]


def save_usual(at_s: int, seconds: int, counted: list[Counted]) -> Operation[None]:
    """Writes what is usual from `at_s` on: the sums of so many seconds."""
    yield INSERT_USUAL, {"at_s": at_s, "seconds": seconds, "body": _encode(counted)}


def load_usual(at_s: int) -> Operation[tuple[int, list[Counted]]]:
    """What was usual at `at_s`: seconds and sums; none of either at first."""
    rows = yield LOAD_USUAL, {"at_s": at_s}
    return (int(rows[0][0]), _counted(rows[0][1])) if rows else (0, [])


def save_samples(samples: list[Sample]) -> Operation[None]:
    """Writes samples; of one shape and number the first stays, and no more than `MOST_SAMPLES`."""
    for sample in samples:
        yield INSERT_SAMPLE, msgspec.structs.asdict(sample) | {"most": MOST_SAMPLES}


def list_samples() -> Operation[list[Sample]]:
    """Every sample, by shape."""
    rows = yield LIST_SAMPLES, {}
    return [
        Sample(key=key, number=int(number), at_ms=int(at_ms), outline=outline)
        for key, number, at_ms, outline in rows
    ]


def save_alert(
    alert: Alert, events: tuple[OutEvent, ...] = (), jobs: Mapping[str, int] = NO_JOBS
) -> Operation[bool]:
    """Writes an alert upon its revision before this one, with what is told of it, and jobs about it
    (kind, and when it is due); false where another replica was faster."""
    row = {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "seen_ms": alert.seen_ms,
        "revision": alert.revision,
        "body": _json(alert),
    }
    if alert.revision == 1:
        ((count,),) = yield INSERT_ALERT, row
    else:
        del row["fingerprint"]
        ((count,),) = yield UPDATE_ALERT, row | {"expected": alert.revision - 1}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    for event in events:
        yield from event_statements(event)
    for kind, at_ms in jobs.items():
        yield from enqueue_job(kind, alert.id, at_ms)
    return True


def load_alert(alert_id: str) -> Operation[Alert | None]:
    """One alert."""
    rows = yield LOAD_ALERT, {"id": alert_id}
    return _alert(rows[0][0]) if rows else None


def list_open_alerts() -> Operation[list[Alert]]:
    """Every alert that is open, oldest first."""
    rows = yield LIST_OPEN, {}
    return [_alert(body) for (body,) in rows]


def list_alerts(before: str, limit: int) -> Operation[list[Alert]]:
    """At most `limit` alerts whose id is less than `before`, the newest first."""
    rows = yield LIST_ALERTS, {"before": before, "limit": limit}
    return [_alert(body) for (body,) in rows]


def save_change(change_id: str, told: Told) -> Operation[None]:
    """Writes a change of which shops are told nothing."""
    yield INSERT_CHANGE, {"id": change_id, "at_ms": told.at_ms, "body": _json(told)}


def list_changes(from_ms: int, to_ms: int, limit: int) -> Operation[list[Told]]:
    """At most `limit` events that operators were told from `from_ms` to `to_ms`, newest first."""
    values = {"from_ms": from_ms, "to_ms": to_ms, "limit": limit}
    rows = yield LIST_CHANGES, values
    return [_told(body) for (body,) in rows]


def forget_signals(batches_before_s: int, rest_before_ms: int) -> Operation[None]:
    """Removes batches, and sums, samples, alerts and changes, that are past their time."""
    yield FORGET_BATCHES, {"before_s": batches_before_s}
    yield FORGET_MINUTES, {"before_m": rest_before_ms // 60_000}
    yield FORGET_USUAL, {"before_s": batches_before_s}
    yield FORGET_SAMPLES, {"before_ms": rest_before_ms}
    yield FORGET_ALERTS, {"before_ms": rest_before_ms}
    yield FORGET_CHANGES, {"before_ms": rest_before_ms}


class Signals(Topic):
    """Signals."""

    count_attention = reads(count_attention)
    save_batch = writes(save_batch)
    list_batches = reads(list_batches)
    list_batch_names = reads(list_batch_names)
    save_minute = writes(save_minute)
    minute_to_sum = reads(minute_to_sum)
    list_minutes = reads(list_minutes)
    list_summed = reads(list_summed)
    save_usual = writes(save_usual)
    save_samples = writes(save_samples)
    list_samples = reads(list_samples)
    load_usual = reads(load_usual)
    save_alert = writes(save_alert)
    load_alert = reads(load_alert)
    list_open_alerts = reads(list_open_alerts)
    list_alerts = reads(list_alerts)
    save_change = writes(save_change)
    list_changes = reads(list_changes)
    forget_signals = writes_long(forget_signals)
