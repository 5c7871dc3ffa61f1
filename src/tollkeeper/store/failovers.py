"""Failover in the store: watches with their records, trials, and counts by second."""

from typing import Any, Final

import msgspec

from tollkeeper.failover.state import Record, Watch, of_any_release
from tollkeeper.flows.ports import Job, Rerouting, TrialRow
from tollkeeper.payments.change import OutEvent
from tollkeeper.store import tables as t
from tollkeeper.store.events import event_statements
from tollkeeper.store.jobs import UPSERT_JOB, fresh_job
from tollkeeper.store.rollouts import COUNT_UP, HOLD_FENCE, TELL, reroute
from tollkeeper.store.statements import Operation, Rollback, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes

NEWEST: Final = 2**53
"""Above the number of every record."""

CHECK_AFTER_MS: Final = 1_000
"""How long after a payment it is looked up: a lookup may lag behind at first."""

_encode: Final = msgspec.json.Encoder().encode
_document: Final = msgspec.json.Decoder(dict[str, Any]).decode
_record: Final = msgspec.json.Decoder(Record).decode
_trial: Final = msgspec.json.Decoder(TrialRow).decode


def _watch(body: bytes) -> Watch:
    return msgspec.convert(of_any_release(_document(body)), Watch)


INSERT_WATCH: Final = insert_into(t.failover_watches, "insert_watch", conflict="nothing")
UPDATE_WATCH: Final = sql(
    "update_watch",
    """
    UPDATE failover_watches SET revision = :revision, body = :body
    WHERE provider = :provider AND revision = :expected
    """,
)
SELECT_WATCH: Final = sql(
    "select_watch", "SELECT body FROM failover_watches WHERE provider = :provider"
)
LIST_WATCHES: Final = sql("list_watches", "SELECT body FROM failover_watches ORDER BY provider")
INSERT_RECORD: Final = insert_into(t.failover_records, "insert_failover_record")
LIST_RECORDS: Final = sql(
    "list_failover_records",
    """
    SELECT body FROM failover_records WHERE provider = :provider AND seq < :before
    ORDER BY seq DESC LIMIT :limit
    """,
)
INSERT_TRIAL: Final = insert_into(t.failover_trials, "insert_trial", conflict="nothing")
HASTEN: Final = sql(
    "hasten_failover",
    """
    INSERT INTO jobs (kind, subject, run_at_ms, lease_until_ms, fence, tries)
    VALUES ('failover', :provider, :run_at_ms, 0, :fence, 0)
    ON CONFLICT (kind, subject) DO UPDATE SET run_at_ms = CASE
      WHEN jobs.run_at_ms > excluded.run_at_ms THEN excluded.run_at_ms ELSE jobs.run_at_ms END
    """,
)
"""Makes the job due now; whoever holds it keeps it."""

LIST_TRIALS: Final = sql(
    "list_trials",
    """
    SELECT body FROM failover_trials
    WHERE provider = :provider AND at_ms >= :after_ms
      AND (at_ms > :after_ms OR id > :after_id)
    ORDER BY at_ms, id LIMIT :limit
    """,
)
COUNT_TRIALS: Final = sql(
    "count_trials",
    """
    SELECT count(*), CAST(coalesce(sum(CASE WHEN failed THEN 1 ELSE 0 END), 0) AS bigint)
    FROM failover_trials WHERE version = :version AND at_ms >= :from_ms AND at_ms < :to_ms
    """,
)
ADD_COUNT: Final = sql(
    "add_count",
    """
    INSERT INTO version_counts (version, second, unfailed) VALUES (:version, :second, :unfailed)
    ON CONFLICT (version, second) DO UPDATE SET
      unfailed = version_counts.unfailed + excluded.unfailed
    """,
)
COUNT_BETWEEN: Final = sql(
    "count_between",
    """
    SELECT CAST(coalesce(sum(unfailed), 0) AS bigint) FROM version_counts
    WHERE version = :version AND second >= :from_s AND second < :to_s
    """,
)


def load_watch(provider: str) -> Operation[Watch | None]:
    """The watch on a provider's carrying version."""
    rows = yield SELECT_WATCH, {"provider": provider}
    return _watch(rows[0][0]) if rows else None


def list_watches() -> Operation[list[Watch]]:
    """Every provider's watch."""
    rows = yield LIST_WATCHES, {}
    return [_watch(body) for (body,) in rows]


def save_watch(
    job: Job | None,
    watch: Watch,
    *,
    records: tuple[Record, ...] = (),
    events: tuple[OutEvent, ...] = (),
    rules: Rerouting | None = None,
    rerouted: bool = False,
) -> Operation[bool]:
    """Writes a watch that was decided upon its revision before this one, all or nothing; false
    where that has moved on, or where `job`, whose holder decides, is another's by now."""
    if job is not None:
        ((held,),) = yield HOLD_FENCE, msgspec.structs.asdict(job)
        if not held:
            raise Rollback(False)  # noqa: FBT003 - the operation's answer
    row = {"provider": watch.provider, "revision": watch.revision, "body": _encode(watch)}
    if watch.revision == 1:
        ((count,),) = yield INSERT_WATCH, row
    else:
        ((count,),) = yield UPDATE_WATCH, row | {"expected": watch.revision - 1}
    if not count:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    for record in records:
        values = {"provider": watch.provider, "seq": record.seq, "at_ms": record.at_ms}
        yield INSERT_RECORD, values | {"body": _encode(record)}
    for event in events:
        yield from event_statements(event)
    if rerouted or rules is not None:
        if rules is not None:
            yield COUNT_UP, {}  # the row of the routes may not be there yet
        yield from reroute(rules)
        yield TELL, {}
    return True


def note_trial(row: TrialRow) -> Operation[None]:
    """Keeps a trial, and makes the provider's `failover` job due now; where the payment is checked,
    also its `failover_check` job."""
    values = {
        "id": row.id,
        "provider": row.provider,
        "version": row.counted_as,
        "at_ms": row.at_ms,
        "failed": row.trial.is_failure,
    }
    yield INSERT_TRIAL, values | {"body": _encode(row)}
    yield HASTEN, {"provider": row.provider} | fresh_job(row.at_ms, row.at_ms)
    if row.checked and row.is_trial:
        job = {"kind": "failover_check", "subject": f"{row.checked}|{row.payment_id}"}
        yield UPSERT_JOB, job | fresh_job(row.at_ms + CHECK_AFTER_MS, row.at_ms)


def list_trials(
    provider: str, after_ms: int, after_id: str, limit: int
) -> Operation[list[TrialRow]]:
    """At most `limit` trials after the one that is named, oldest first."""
    values = {"provider": provider, "after_ms": after_ms, "after_id": after_id, "limit": limit}
    rows = yield LIST_TRIALS, values
    return [_trial(body) for (body,) in rows]


def add_counts(second: int, counts: dict[str, int]) -> Operation[None]:
    """Adds first attempts that did not fail, by version, to those of one second."""
    for version, unfailed in sorted(counts.items()):
        yield ADD_COUNT, {"version": version, "second": second, "unfailed": unfailed}


def count_between(version: str, from_s: int, to_s: int) -> Operation[int]:
    """First attempts that did not fail from second `from_s` until before `to_s`."""
    ((count,),) = yield COUNT_BETWEEN, {"version": version, "from_s": from_s, "to_s": to_s}
    return int(count)


def count_trials(version: str, from_ms: int, to_ms: int) -> Operation[tuple[int, int]]:
    """Trials of first attempts through `version`, and how many of them failed."""
    values = {"version": version, "from_ms": from_ms, "to_ms": to_ms}
    ((count, failed),) = yield COUNT_TRIALS, values
    return int(count), int(failed)


def list_failover_records(
    provider: str, limit: int, before: int = NEWEST
) -> Operation[list[Record]]:
    """At most `limit` records below the number `before`, the newest first."""
    rows = yield LIST_RECORDS, {"provider": provider, "limit": limit, "before": before}
    return [_record(body) for (body,) in rows]


class Failovers(Topic):
    """Failover."""

    load_watch = reads(load_watch)
    list_watches = reads(list_watches)
    save_watch = writes(save_watch)
    note_trial = writes(note_trial)
    list_trials = reads(list_trials)
    add_counts = writes(add_counts)
    count_between = reads(count_between)
    count_trials = reads(count_trials)
    list_failover_records = reads(list_failover_records)
