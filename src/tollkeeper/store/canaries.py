"""What a rollout counts: a payment's arm, what came of it, and what was read again."""

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.flows.ports import Follow, Place
from tollkeeper.payments.change import Change
from tollkeeper.rollouts.rollout import Crossings, Shadows
from tollkeeper.store import tables as t
from tollkeeper.store.jobs import UPSERT_JOB, fresh_job
from tollkeeper.store.statements import Item, Operation, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes, writes_long

_BEFORE: Final = """
    EXISTS (SELECT 1 FROM assignments WHERE rollout_id = :rollout_id AND unit = :unit)
    """
INSERT_ASSIGNMENT: Final = sql(
    "insert_assignment",
    f"""
    INSERT INTO assignments (rollout_id, unit, payment_id, canary, share_ppm, assigned_ms)
    SELECT CAST(:rollout_id AS text),
      CASE WHEN {_BEFORE} THEN CAST(:again_unit AS text) ELSE CAST(:unit AS text) END,
      CAST(:payment_id AS text), CAST(:canary AS boolean),
      CASE WHEN {_BEFORE} THEN CAST(:again_ppm AS integer) ELSE CAST(:share_ppm AS integer) END,
      CAST(:assigned_ms AS bigint)
    WHERE CAST(:again_ppm AS integer) > 0 OR NOT {_BEFORE}
    ON CONFLICT DO NOTHING
    """,
)
"""The unit's first payment takes the unit's place, a later one its own, if it counts at all."""

INSERT_CANARY: Final = insert_into(t.canary_payments, "insert_canary", conflict="nothing")
READ_AGAIN: Final = sql(
    "read_again",
    """
    UPDATE canary_payments SET cross_read = 'due'
    WHERE rollout_id = :rollout_id AND payment_id = :payment_id AND cross_read = 'agreed'
    """,
)
_PLACE: Final = """
    rollout_id = :rollout_id AND (unit = :unit OR unit = :again_unit) AND payment_id = :payment_id
    """
"""A payment's place in a rollout, as its customer's first or by itself."""

UPDATE_FOLLOWED: Final = sql(
    "update_followed",
    f"""
    UPDATE assignments SET followed_failed = :followed_failed
    WHERE {_PLACE} AND followed_failed IS NULL
    """,
)
UPDATE_ASSIGNMENT: Final = sql(
    "update_assignment",
    f"""
    UPDATE assignments SET decided_ms = :decided_ms, failed = :failed, unreadable = :unreadable,
      declined = :declined, latency_ms = :latency_ms
    WHERE {_PLACE} AND decided_ms IS NULL AND counted IS NULL
    """,
)
INSERT_SHADOW: Final = insert_into(t.shadow_readings, "insert_shadow", conflict="nothing")
UNCOUNTED: Final = sql(
    "uncounted",
    """
    SELECT unit, payment_id, canary, share_ppm, decided_ms, failed, unreadable, declined,
      latency_ms, assigned_ms
    FROM assignments
    WHERE rollout_id = :rollout_id AND counted IS NULL
      AND (decided_ms IS NOT NULL OR assigned_ms <= :lost_before_ms)
    ORDER BY assigned_ms, unit LIMIT :limit
    """,
)
FOLLOWS: Final = sql(
    "follows",
    """
    SELECT unit, share_ppm, canary, followed_failed FROM assignments
    WHERE rollout_id = :rollout_id AND followed_failed IS NOT NULL AND follow_counted IS NULL
    ORDER BY unit LIMIT :limit
    """,
)
MARK_COUNTED: Final = sql(
    "mark_counted",
    "UPDATE assignments SET counted = :counted WHERE rollout_id = :rollout_id AND unit = :unit",
)
MARK_FOLLOWED: Final = sql(
    "mark_followed",
    """
    UPDATE assignments SET follow_counted = :counted WHERE rollout_id = :rollout_id AND unit = :unit
    """,
)
CROSSINGS: Final = sql(
    "crossings",
    """
    SELECT cross_read, count(*) FROM canary_payments
    WHERE rollout_id = :rollout_id AND cross_read IS NOT NULL GROUP BY cross_read
    """,
)
DUE: Final = sql(
    "due",
    # a cross-read of what still goes on would say nothing
    """
    SELECT c.payment_id FROM canary_payments c JOIN payments p ON p.id = c.payment_id
    WHERE c.rollout_id = :rollout_id AND c.cross_read = 'due' AND p.outcome_known IS TRUE
      AND p.status <> 'processing' AND p.status <> 'requires_action'
    ORDER BY c.payment_id LIMIT :limit
    """,
)
SELECT_CROSS_READ: Final = sql(
    "select_cross_read",
    """
    SELECT cross_read FROM canary_payments
    WHERE rollout_id = :rollout_id AND payment_id = :payment_id
    """,
)
MARK_CROSS_READ: Final = sql(
    "mark_cross_read",
    """
    UPDATE canary_payments SET cross_read = :cross_read
    WHERE rollout_id = :rollout_id AND payment_id = :payment_id
    """,
)
NOTE_CROSS_READ: Final = sql(
    "note_cross_read",
    """
    UPDATE canary_payments SET cross_read = CASE
      WHEN EXISTS (SELECT 1 FROM rollouts WHERE id = :rollout_id AND active IS TRUE)
      THEN CAST(:cross_read AS text) ELSE NULL END
    WHERE rollout_id = :rollout_id AND payment_id = :payment_id
    """,
)
"""What is noted of a rollout that has just ended is forgotten, so that the sweep asks again."""

READ_ALL_AGAIN: Final = sql(
    "read_all_again",
    """
    UPDATE canary_payments SET cross_read = NULL
    WHERE rollout_id = :rollout_id AND cross_read IS NOT NULL AND cross_read <> 'disagreed'
    """,
)
UNREAD: Final = sql(
    "unread",
    """
    SELECT payment_id FROM canary_payments WHERE rollout_id = :rollout_id AND cross_read IS NULL
    UNION ALL
    SELECT payment_id FROM canary_payments WHERE rollout_id = :rollout_id AND cross_read = 'due'
    LIMIT :limit
    """,
)
WAKE_UNKNOWN: Final = sql(
    "wake_unknown",
    """
    UPDATE jobs SET run_at_ms = :now_ms
    WHERE kind = 'settle' AND run_at_ms > :now_ms
      AND subject IN (SELECT payment_id FROM canary_payments WHERE rollout_id = :rollout_id)
      AND EXISTS (
        SELECT 1 FROM payments WHERE payments.id = jobs.subject AND outcome_known IS FALSE)
    """,
)
"""Settling of every payment of the canary that is unknown becomes due now."""

ADOPT: Final = sql(
    "adopt",
    """
    INSERT INTO canary_payments (rollout_id, payment_id, assigned_ms)
    VALUES (:rollout_id, :payment_id, :assigned_ms) ON CONFLICT DO NOTHING
    """,
)
SHADOWS: Final = sql(
    "shadows",
    """
    SELECT differs, count(*) FROM shadow_readings WHERE rollout_id = :rollout_id GROUP BY differs
    """,
)
LIST_SHADOWS: Final = sql(
    "list_shadows",
    """
    SELECT payment_id, detail FROM shadow_readings
    WHERE rollout_id = :rollout_id AND differs IS TRUE ORDER BY payment_id LIMIT :limit
    """,
)


def rollout_rows(change: Change) -> Iterator[Item]:
    """Which arm a new payment fell into, and what its first attempt came to."""
    assigned, observed = change.assignment, change.observed
    if assigned is not None:
        yield (
            INSERT_ASSIGNMENT,
            {
                "rollout_id": assigned.rollout_id,
                "unit": assigned.unit,
                "again_unit": assigned.again_unit,
                "again_ppm": assigned.again_ppm,
                "payment_id": assigned.payment_id,
                "canary": assigned.arm == "canary",
                "share_ppm": assigned.share_ppm,
                "assigned_ms": assigned.assigned_ms,
            },
        )
        if assigned.arm == "canary":
            yield (
                INSERT_CANARY,
                {
                    "rollout_id": assigned.rollout_id,
                    "payment_id": assigned.payment_id,
                    "assigned_ms": assigned.assigned_ms,
                    "cross_read": "due" if assigned.drawn else None,
                },
            )
    if change.followed is not None:
        first, again = change.followed.units
        yield (
            UPDATE_FOLLOWED,
            {
                "rollout_id": change.followed.rollout_id,
                "unit": first,
                "again_unit": again,
                "payment_id": change.followed.payment_id,
                "followed_failed": change.followed.failed,
            },
        )
    if change.read_again is not None:
        values = {"rollout_id": change.read_again, "payment_id": change.payment.id}
        yield READ_AGAIN, values
    if observed is not None:
        yield (
            UPDATE_ASSIGNMENT,
            {
                "rollout_id": observed.rollout_id,
                "unit": observed.unit,
                "again_unit": observed.again_unit,
                "payment_id": observed.payment_id,
                "failed": observed.failed,
                "unreadable": observed.unreadable,
                "declined": observed.declined,
                "latency_ms": observed.latency_ms,
                "decided_ms": observed.decided_ms,
            },
        )
    if change.shadowed is not None:
        yield INSERT_SHADOW, msgspec.structs.asdict(change.shadowed)


def uncounted(rollout_id: str, lost_before_ms: int, limit: int) -> Operation[list[Place]]:
    """Assignments that no record counts yet: decided, or given to somebody before
    `lost_before_ms` and never decided."""
    values = {"rollout_id": rollout_id, "lost_before_ms": lost_before_ms, "limit": limit}
    rows = yield UNCOUNTED, values
    return [Place(*row) for row in rows]


def follows(rollout_id: str, limit: int) -> Operation[list[Follow]]:
    """First follow-ups that no record counts yet."""
    rows = yield FOLLOWS, {"rollout_id": rollout_id, "limit": limit}
    return [Follow(*row) for row in rows]


def crossings(rollout_id: str, limit: int) -> Operation[tuple[Crossings, tuple[str, ...]]]:
    """How the rollout's cross-reads stand, and the payments that are to be asked about now."""
    rows = yield CROSSINGS, {"rollout_id": rollout_id}
    by = {str(row[0]): int(row[1]) for row in rows}
    due: tuple[str, ...] = ()
    if by.pop("due", 0):
        values = {"rollout_id": rollout_id, "limit": limit}
        due = tuple(str(row[0]) for row in (yield DUE, values))
    stand = Crossings(
        agreed=by.get("agreed", 0),
        disagreed=by.get("disagreed", 0),
        unanswered=by.get("unanswered", 0),
        nothing=by.get("nothing", 0),
        asked=sum(by.values()) + len(due),
    )
    return stand, due


def cross_read_of(rollout_id: str, payment_id: str) -> Operation[str | None]:
    """How the cross-read of a canary's payment stands: `None` where none was asked for."""
    rows = yield SELECT_CROSS_READ, {"rollout_id": rollout_id, "payment_id": payment_id}
    return rows[0][0] if rows else None


def note_cross_read(
    rollout_id: str, payment_id: str, verdict: str, *, over: bool = True
) -> Operation[None]:
    """What the baseline sees of a canary's payment. `over`: the rollout has ended, which was acted
    upon; else what is noted of one that has ended in this moment is forgotten."""
    values = {"rollout_id": rollout_id, "payment_id": payment_id, "cross_read": verdict}
    yield (MARK_CROSS_READ if over or verdict == "disagreed" else NOTE_CROSS_READ), values


def ask_about(rollout_id: str, payments: tuple[str, ...], now_ms: int) -> Operation[None]:
    """Lookups of payments through the baseline, as jobs."""
    for payment_id in payments:
        yield from note_cross_read(rollout_id, payment_id, "asked")
        name = {"kind": "cross_read", "subject": f"{rollout_id}|{payment_id}"}
        yield UPSERT_JOB, name | fresh_job(now_ms, now_ms)


def adopt(rollout_id: str, payments: tuple[str, ...], now_ms: int) -> Operation[None]:
    """Counts what a promoted version took among its rollout's payments, so that they are looked
    up."""
    for payment_id in payments:
        row = {"rollout_id": rollout_id, "payment_id": payment_id, "assigned_ms": now_ms}
        yield ADOPT, row


def sweep(rollout_id: str, now_ms: int, limit: int) -> Operation[int]:
    """Asks about canary payments that nobody has looked up since the end; gives how many."""
    rows = yield UNREAD, {"rollout_id": rollout_id, "limit": limit}
    yield from ask_about(rollout_id, tuple(str(row[0]) for row in rows), now_ms)
    return len(rows)


def shadows(rollout_id: str) -> Operation[Shadows]:
    """How many replies the candidate read again, and how many of them otherwise."""
    rows = yield SHADOWS, {"rollout_id": rollout_id}
    by = {bool(row[0]): int(row[1]) for row in rows}
    return Shadows(computed=sum(by.values()), differing=by.get(True, 0))


def list_shadows(rollout_id: str, limit: int) -> Operation[list[tuple[str, str]]]:
    """Payments whose replies the candidate read otherwise, and how."""
    rows = yield LIST_SHADOWS, {"rollout_id": rollout_id, "limit": limit}
    return [(str(row[0]), str(row[1])) for row in rows]


class Canaries(Topic):
    """What a rollout counts."""

    uncounted = reads(uncounted)
    follows = reads(follows)
    crossings = reads(crossings)
    cross_read_of = reads(cross_read_of)
    note_cross_read = writes(note_cross_read)
    adopt = writes_long(adopt)
    sweep = writes_long(sweep)
    shadows = reads(shadows)
    list_shadows = reads(list_shadows)
