"""What is removed when its time is over."""

from typing import Final

from tollkeeper.kernel.ids import first_id
from tollkeeper.store.statements import Operation, sql
from tollkeeper.store.topic import Topic, writes_long

EXPIRE_KEYS: Final = sql(
    "expire_keys",
    """
    UPDATE idempotency_keys SET status = NULL, body = NULL
    WHERE body IS NOT NULL AND expires_ms <= :now_ms
    """,
)
EXPIRE_INBOUND: Final = sql(
    "expire_inbound",
    """
    UPDATE inbound_events SET payload = :nothing
    WHERE received_ms <= :before_ms AND payload <> :nothing
    """,
)
FORGET_EXCHANGES: Final = sql(
    "forget_exchanges", "DELETE FROM exchanges WHERE attempt_id < :before AND sealed IS FALSE"
)
FORGET_DELIVERIES: Final = sql(
    "forget_deliveries", "DELETE FROM deliveries WHERE event_id < :before AND state <> 'pending'"
)
FORGET_EVENTS: Final = sql(
    "forget_events",
    """
    DELETE FROM events WHERE id < :before
      AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id)
    """,
)
FORGET_INBOUND: Final = sql(
    "forget_inbound", "DELETE FROM inbound_events WHERE received_ms < :before_ms"
)
FORGET_TRIALS: Final = sql("forget_trials", "DELETE FROM failover_trials WHERE at_ms < :before_ms")
FORGET_DECISIONS: Final = sql(
    "forget_decisions", "DELETE FROM failover_records WHERE at_ms < :before_ms"
)
FORGET_COUNTS: Final = sql(
    "forget_counts", "DELETE FROM version_counts WHERE second < :before_second"
)
FORGET_HINTS: Final = sql("forget_hints", "DELETE FROM charge_hints WHERE seen_ms < :before_ms")
FORGET_ROLLOUTS: Final = tuple(
    sql(
        f"forget_{table}",
        f"""
        DELETE FROM {table} WHERE rollout_id < :before {condition}
          AND NOT EXISTS (
            SELECT 1 FROM rollouts WHERE rollouts.id = {table}.rollout_id AND active IS TRUE)
          AND NOT EXISTS (
            SELECT 1 FROM jobs WHERE kind = 'advance' AND subject = {table}.rollout_id)
        """,
    )
    for table, condition in (
        ("assignments", ""),
        ("canary_payments", ""),
        ("shadow_readings", ""),
        ("rollout_records", "AND told IS FALSE AND seq > 1"),
    )
)
"""Of a rollout there stay its row and the records of decisions and of what people did."""


def expire(now_ms: int, keep_inbound_ms: int) -> Operation[int]:
    """Removes stored answers past their time and payloads of old webhooks; gives how many."""
    ((keys,),) = yield EXPIRE_KEYS, {"now_ms": now_ms}
    ((hooks,),) = yield EXPIRE_INBOUND, {"before_ms": now_ms - keep_inbound_ms, "nothing": b""}
    return int(keys + hooks)


def forget(*, exchanges_before_ms: int, events_before_ms: int) -> Operation[int]:
    """Removes what is past its time; gives how many rows. An id says when it was made."""
    count = 0
    for statement, values in (
        (FORGET_EXCHANGES, {"before": first_id("att", exchanges_before_ms)}),
        (FORGET_DELIVERIES, {"before": first_id("evt", events_before_ms)}),
        (FORGET_EVENTS, {"before": first_id("evt", events_before_ms)}),
        (FORGET_INBOUND, {"before_ms": events_before_ms}),
        (FORGET_HINTS, {"before_ms": events_before_ms}),
        (FORGET_TRIALS, {"before_ms": events_before_ms}),
        (FORGET_DECISIONS, {"before_ms": events_before_ms}),
        (FORGET_COUNTS, {"before_second": events_before_ms // 1000}),
    ):
        ((removed,),) = yield statement, values
        count += int(removed)
    for statement in FORGET_ROLLOUTS:
        ((removed,),) = yield statement, {"before": first_id("ro", events_before_ms)}
        count += int(removed)
    return count


class Retention(Topic):
    """What is removed when its time is over."""

    expire = writes_long(expire)
    forget = writes_long(forget)
