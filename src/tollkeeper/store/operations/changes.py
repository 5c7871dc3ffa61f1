"""Committing a Change: the one write through which every payment's row comes and goes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Integer,
    bindparam,
    case,
    delete,
    exists,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql import ClauseElement

from tollkeeper.payments.change import Answer, Change, Exchange, Inbound, OutEvent
from tollkeeper.payments.commit import (
    Committed,
    Duplicate,
    KeyTaken,
    Recorded,
    ReferenceTaken,
    Stale,
)
from tollkeeper.payments.payment import Attempt, Dispute, Payment, Refund
from tollkeeper.store import tables as t
from tollkeeper.store.statements import (
    Item,
    Operation,
    Refused,
    Statement,
    Together,
    insert_for,
)

_encode: Final = msgspec.json.Encoder().encode

_NEVER_CHANGES: Final = frozenset(
    {"id", "account", "amount_minor", "currency", "customer", "reference", "created_ms"}
)
"""Not set again: SQLite rewrites every index on a column that is set, even to what it was."""

FENCES: Final = 1 << 20
"""Claims that one making of a job may see; with Unix milliseconds as its age it fits 64 bits."""


def _insert_all(table: Any, *, conflict: str = "") -> Any:
    """INSERT of every column; `conflict`: `nothing`, or `update` of all but the primary key."""

    def build(dialect: str) -> ClauseElement:
        statement = insert_for(dialect)(table).values({c.name: bindparam(c.name) for c in table.c})
        keys = [c.name for c in table.primary_key]
        if conflict == "nothing":
            return statement.on_conflict_do_nothing(index_elements=keys)  # type: ignore[no-any-return]
        if conflict == "update":
            rest = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
            return statement.on_conflict_do_update(index_elements=keys, set_=rest)  # type: ignore[no-any-return]
        return statement  # type: ignore[no-any-return]

    return build


def _update_payment(_: str) -> ClauseElement:
    columns: dict[Any, Any] = {
        c.name: bindparam(c.name) for c in t.payments.c if c.name not in _NEVER_CHANGES
    }
    return (
        update(t.payments)
        .where(t.payments.c.id == bindparam("the_id"), t.payments.c.seq == bindparam("expected"))
        .values(columns)
    )


def _settle_job(dialect: str) -> ClauseElement:
    """Sets the next look; a new fence takes the job away from whoever holds it."""
    statement = insert_for(dialect)(t.jobs).values({c.name: bindparam(c.name) for c in t.jobs.c})
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["kind", "subject"],
        set_={
            "run_at_ms": statement.excluded.run_at_ms,
            "lease_until_ms": 0,
            "tries": 0,
            "fence": t.jobs.c.fence + 1,
        },
    )


def _fan_out(table: Any, columns: Mapping[str, Any]) -> Any:
    """INSERT one row of `table` for each enabled endpoint of the event's account."""

    def build(dialect: str) -> ClauseElement:
        source = select(*columns.values()).where(
            t.webhook_endpoints.c.account == bindparam("account"),
            t.webhook_endpoints.c.enabled.is_(True),
        )
        return insert_for(dialect)(table).from_select(list(columns), source)  # type: ignore[no-any-return]

    return build


def _key_answer(_: str) -> ClauseElement:
    return (
        update(t.idempotency_keys)
        .where(
            t.idempotency_keys.c.account == bindparam("the_account"),
            t.idempotency_keys.c.key == bindparam("the_key"),
        )
        .values(
            status=bindparam("status"), body=bindparam("body"), expires_ms=bindparam("expires_ms")
        )
    )


INSERT_KEY: Final = Statement(
    "insert_key", _insert_all(t.idempotency_keys, conflict="nothing"), returns=False
)
SELECT_KEY: Final = Statement(
    "select_key",
    lambda _: select(
        t.idempotency_keys.c.fingerprint,
        t.idempotency_keys.c.token,
        t.idempotency_keys.c.payment_id,
        t.idempotency_keys.c.refund_id,
        t.idempotency_keys.c.status,
        t.idempotency_keys.c.body,
        t.idempotency_keys.c.expires_ms,
    ).where(
        t.idempotency_keys.c.account == bindparam("account"),
        t.idempotency_keys.c.key == bindparam("key"),
    ),
    returns=True,
)
ANSWER_KEY: Final = Statement("answer_key", _key_answer, returns=False)
INSERT_PAYMENT: Final = Statement(
    "insert_payment", _insert_all(t.payments, conflict="nothing"), returns=False
)
UPDATE_PAYMENT: Final = Statement("update_payment", _update_payment, returns=False)
SELECT_LINK: Final = Statement(
    "select_link",
    lambda _: select(t.audit.c.hash).where(
        t.audit.c.payment_id == bindparam("payment_id"), t.audit.c.seq == bindparam("seq")
    ),
    returns=True,
)
UPSERT_ATTEMPT: Final = Statement(
    "upsert_attempt", _insert_all(t.attempts, conflict="update"), returns=False
)
UPSERT_REFUND: Final = Statement(
    "upsert_refund", _insert_all(t.refunds, conflict="update"), returns=False
)
UPSERT_DISPUTE: Final = Statement(
    "upsert_dispute", _insert_all(t.disputes, conflict="update"), returns=False
)
INSERT_EXCHANGE: Final = Statement(
    "insert_exchange", _insert_all(t.exchanges, conflict="update"), returns=False
)
UPDATE_REPLY: Final = Statement(
    "update_reply",
    lambda _: (
        update(t.exchanges)
        .where(t.exchanges.c.attempt_id == bindparam("the_attempt"))
        .values(reply=bindparam("reply"), sealed=bindparam("sealed"))
    ),
    returns=False,
)
INSERT_AUDIT: Final = Statement("insert_audit", _insert_all(t.audit), returns=False)
INSERT_EVENT: Final = Statement("insert_event", _insert_all(t.events), returns=False)
FAN_OUT_DELIVERIES: Final = Statement(
    "fan_out_deliveries",
    _fan_out(
        t.deliveries,
        {
            "event_id": bindparam("event_id"),
            "endpoint_id": t.webhook_endpoints.c.id,
            "state": literal("pending"),
            "tries": literal(0),
            "updated_ms": bindparam("now_ms"),
        },
    ),
    returns=False,
)
FAN_OUT_JOBS: Final = Statement(
    "fan_out_jobs",
    _fan_out(
        t.jobs,
        {
            "kind": literal("deliver"),
            "subject": bindparam("event_id").concat("|").concat(t.webhook_endpoints.c.id),
            "run_at_ms": bindparam("now_ms"),
            "lease_until_ms": literal(0),
            "fence": literal(0),
            "tries": literal(0),
        },
    ),
    returns=False,
)
UPSERT_JOB: Final = Statement("upsert_job", _settle_job, returns=False)
DELETE_JOB: Final = Statement(
    "delete_job",
    lambda _: delete(t.jobs).where(
        t.jobs.c.kind == bindparam("kind"), t.jobs.c.subject == bindparam("subject")
    ),
    returns=False,
)
INSERT_INBOUND: Final = Statement(
    "insert_inbound", _insert_all(t.inbound_events, conflict="nothing"), returns=False
)


def _hold(dialect: str) -> ClauseElement:
    """Takes a reference over from the payment that was read as its ended holder, and from no other:
    who holds it now is looked at under the row's lock."""
    statement = insert_for(dialect)(t.held_references).values(
        {c.name: bindparam(c.name) for c in t.held_references.c}
    )
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["account", "reference"],
        set_={"payment_id": statement.excluded.payment_id},
        where=t.held_references.c.payment_id == bindparam("previous"),
    )


HOLD_REFERENCE: Final = Statement("hold_reference", _hold, returns=False)
SELECT_HOLDER: Final = Statement(
    "select_holder",
    lambda _: select(t.held_references.c.payment_id).where(
        t.held_references.c.account == bindparam("account"),
        t.held_references.c.reference == bindparam("reference"),
    ),
    returns=True,
)
UPSERT_HINT: Final = Statement(
    "upsert_hint", _insert_all(t.charge_hints, conflict="update"), returns=False
)


def _assign(dialect: str) -> ClauseElement:
    """The unit's first payment takes the unit's place, a later one its own, if it counts at all."""
    a = t.assignments
    before = exists().where(
        a.c.rollout_id == bindparam("rollout_id"), a.c.unit == bindparam("unit")
    )
    values = {
        "rollout_id": bindparam("rollout_id", type_=t.TEXT),
        "unit": case(
            (before, bindparam("again_unit", type_=t.TEXT)),
            else_=bindparam("unit", type_=t.TEXT),
        ),
        "payment_id": bindparam("payment_id", type_=t.TEXT),
        "canary": bindparam("canary", type_=Boolean),
        "share_ppm": case(
            (before, bindparam("again_ppm", type_=Integer)),
            else_=bindparam("share_ppm", type_=Integer),
        ),
        "assigned_ms": bindparam("assigned_ms", type_=BigInteger),
    }
    counts = or_(bindparam("again_ppm", type_=Integer) > 0, ~before)
    rows = select(*[value.label(name) for name, value in values.items()]).where(counts)
    statement = insert_for(dialect)(a).from_select(list(values), rows)
    return statement.on_conflict_do_nothing()  # type: ignore[no-any-return]


INSERT_ASSIGNMENT: Final = Statement("insert_assignment", _assign, returns=False)
INSERT_CANARY: Final = Statement(
    "insert_canary", _insert_all(t.canary_payments, conflict="nothing"), returns=False
)
READ_AGAIN: Final = Statement(
    "read_again",
    lambda _: (
        update(t.canary_payments)
        .where(
            t.canary_payments.c.rollout_id == bindparam("the_rollout"),
            t.canary_payments.c.payment_id == bindparam("the_payment"),
            t.canary_payments.c.cross_read == literal("agreed"),
        )
        .values(cross_read=literal("due"))
    ),
    returns=False,
)
_PLACE: Final = (
    t.assignments.c.rollout_id == bindparam("the_rollout"),
    or_(
        t.assignments.c.unit == bindparam("the_unit"),
        t.assignments.c.unit == bindparam("again_unit"),
    ),
    t.assignments.c.payment_id == bindparam("the_payment"),
)
"""A payment's place in a rollout, as its customer's first or by itself."""

UPDATE_FOLLOWED: Final = Statement(
    "update_followed",
    lambda _: (
        update(t.assignments)
        .where(
            *_PLACE,
            t.assignments.c.followed_failed.is_(None),
        )
        .values(followed_failed=bindparam("followed_failed"))
    ),
    returns=False,
)
UPDATE_ASSIGNMENT: Final = Statement(
    "update_assignment",
    lambda _: (
        update(t.assignments)
        .where(
            *_PLACE,
            t.assignments.c.decided_ms.is_(None),
            t.assignments.c.counted.is_(None),
        )
        .values(
            {
                name: bindparam(name)
                for name in (
                    "failed",
                    "unreadable",
                    "declined",
                    "latency_ms",
                    "decided_ms",
                )
            }
        )
    ),
    returns=False,
)
INSERT_SHADOW: Final = Statement(
    "insert_shadow", _insert_all(t.shadow_readings, conflict="nothing"), returns=False
)


def commit_change(change: Change) -> Operation[Recorded]:
    """Writes all of `change`, or nothing: `Stale` where the payment has moved on, `KeyTaken` where
    the idempotency key is bound already, `Duplicate` for a webhook that is stored already.

    Repeating a change that was committed answers `Committed` again and writes nothing.
    """
    guards = _guards(change)
    counts = yield Together([*guards, *_rows(change)], required=len(guards))
    for (statement, _), count in zip(guards, counts, strict=False):
        if not count:
            yield from _REFUSE[statement.name](change)
    return Committed()


def _guards(change: Change) -> list[Item]:
    """What must change a row each, or the whole change is refused: key, reference, webhook,
    payment."""
    guards: list[Item] = []
    if change.claim is not None:
        guards.append((INSERT_KEY, msgspec.structs.asdict(change.claim) | _NO_ANSWER))
    if change.held is not None:
        guards.append((HOLD_REFERENCE, msgspec.structs.asdict(change.held)))
    if change.inbound is not None:
        guards.append((INSERT_INBOUND, msgspec.structs.asdict(change.inbound)))
    row = _payment_row(change.payment)
    if change.expected_seq is None:
        guards.append((INSERT_PAYMENT, row))
    else:
        row |= {"the_id": change.payment.id, "expected": change.expected_seq}
        guards.append((UPDATE_PAYMENT, row))
    return guards


def _rows(change: Change) -> Iterator[Item]:
    """Everything else."""
    for attempt in change.attempts:
        yield UPSERT_ATTEMPT, _attempt_row(attempt)
    for refund in change.refunds:
        yield UPSERT_REFUND, _refund_row(refund)
    for dispute in change.disputes:
        yield UPSERT_DISPUTE, _dispute_row(dispute)
    for exchange in change.exchanges:
        yield _exchange(exchange)
    yield INSERT_AUDIT, msgspec.structs.asdict(change.audit)
    yield from _rollout_rows(change)
    for event in change.events:
        yield from event_statements(event)
    if change.answer is not None:
        yield ANSWER_KEY, _answer_row(change.answer)
    yield _look(change)


def _rollout_rows(change: Change) -> Iterator[Item]:
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
                "the_rollout": change.followed.rollout_id,
                "the_unit": first,
                "again_unit": again,
                "the_payment": change.followed.payment_id,
                "followed_failed": change.followed.failed,
            },
        )
    if change.read_again is not None:
        values = {"the_rollout": change.read_again, "the_payment": change.payment.id}
        yield READ_AGAIN, values
    if observed is not None:
        yield (
            UPDATE_ASSIGNMENT,
            {
                "the_rollout": observed.rollout_id,
                "the_unit": observed.unit,
                "again_unit": observed.again_unit,
                "the_payment": observed.payment_id,
                "failed": observed.failed,
                "unreadable": observed.unreadable,
                "declined": observed.declined,
                "latency_ms": observed.latency_ms,
                "decided_ms": observed.decided_ms,
            },
        )
    if change.shadowed is not None:
        yield INSERT_SHADOW, msgspec.structs.asdict(change.shadowed)


def event_statements(event: OutEvent) -> Iterator[Item]:
    """An outgoing event, with the delivery and the job that it owes each endpoint."""
    yield INSERT_EVENT, msgspec.structs.asdict(event)
    told = {"event_id": event.id, "account": event.account, "now_ms": event.created_ms}
    yield FAN_OUT_DELIVERIES, told
    yield FAN_OUT_JOBS, told


def _key_is_taken(change: Change) -> Operation[None]:
    claim = change.claim
    assert claim is not None, "a key was claimed"
    rows = yield SELECT_KEY, {"account": claim.account, "key": claim.key}
    taken = KeyTaken(*rows[0])
    raise Refused(Committed() if taken.token == claim.token else taken)


def _reference_is_taken(change: Change) -> Operation[None]:
    held = change.held
    assert held is not None, "a reference was to be held"
    if (yield from _is_committed(change)):
        raise Refused(Committed())
    values = {"account": held.account, "reference": held.reference}
    rows = yield SELECT_HOLDER, values
    raise Refused(ReferenceTaken(rows[0][0]))


def _is_duplicate(change: Change) -> Operation[None]:
    if (yield from _is_committed(change)):
        raise Refused(Committed())
    raise Refused(Duplicate())


def _has_moved_on(change: Change) -> Operation[None]:
    again = yield from _is_committed(change)
    raise Refused(Committed() if again else Stale())


def _is_committed(change: Change) -> Operation[bool]:
    """Whether an earlier try of this very change was committed, whatever came after it."""
    rows = yield SELECT_LINK, {"payment_id": change.payment.id, "seq": change.payment.seq}
    return bool(rows) and rows[0][0] == change.audit.hash


def store_inbound(inbound: Inbound) -> Operation[None]:
    """Stores a webhook; refuses with `Duplicate` where its event id is known."""
    ((count,),) = yield INSERT_INBOUND, msgspec.structs.asdict(inbound)
    if not count:
        raise Refused(Duplicate())
    if inbound.payment_id is not None and inbound.charge_id is not None:
        yield from note_hint(inbound.payment_id, inbound.charge_id, inbound.received_ms)


def note_hint(payment_id: str, charge_id: str, seen_ms: int) -> Operation[None]:
    """Keeps the provider's id of a charge that something named as this payment's."""
    yield UPSERT_HINT, {"payment_id": payment_id, "charge_id": charge_id, "seen_ms": seen_ms}


def _exchange(exchange: Exchange) -> tuple[Statement, dict[str, Any]]:
    row = msgspec.structs.asdict(exchange)
    if exchange.request is not None:
        return INSERT_EXCHANGE, row
    return UPDATE_REPLY, row | {"the_attempt": exchange.attempt_id}


def save_exchange(exchange: Exchange) -> Operation[None]:
    """Writes both sides of an exchange."""
    yield INSERT_EXCHANGE, msgspec.structs.asdict(exchange)


def _look(change: Change) -> tuple[Statement, dict[str, Any]]:
    name = {"kind": "settle", "subject": change.payment.id}
    if change.look_at_ms is None:
        return DELETE_JOB, name
    return UPSERT_JOB, name | fresh_job(change.look_at_ms, change.payment.seq)


def fresh_job(run_at_ms: int, age: int) -> dict[str, Any]:
    """The columns of a job made anew. `age` grows from one making of a job to the next, so that
    whoever still holds the fence of a forerunner holds nothing."""
    return {"run_at_ms": run_at_ms, "lease_until_ms": 0, "fence": age * FENCES, "tries": 0}


def _payment_row(payment: Payment) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(payment, name) for name in _PAYMENT_COLUMNS}
    row["body"] = _encode(payment)
    return row


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "payment_id": attempt.payment_id,
        "operation": attempt.operation,
        "integration": attempt.integration,
        "outcome": attempt.outcome,
        "sent_ms": attempt.sent_ms,
        "body": _encode(attempt),
    }


def _refund_row(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "payment_id": refund.payment_id,
        "status": refund.status,
        "amount_minor": refund.amount_minor,
        "provider_id": refund.provider_id,
        "body": _encode(refund),
    }


def _dispute_row(dispute: Dispute) -> dict[str, Any]:
    return {
        "id": dispute.id,
        "payment_id": dispute.payment_id,
        "state": dispute.state,
        "provider_id": dispute.provider_id,
        "body": _encode(dispute),
    }


def _answer_row(answer: Answer) -> dict[str, Any]:
    return {
        "the_account": answer.account,
        "the_key": answer.key,
        "status": answer.status,
        "body": answer.body,
        "expires_ms": answer.expires_ms,
    }


_PAYMENT_COLUMNS: Final = tuple(c.name for c in t.payments.c if c.name != "body")
_NO_ANSWER: Final[dict[str, Any]] = {"status": None, "body": None, "expires_ms": None}
_REFUSE: Final = {
    "insert_key": _key_is_taken,
    "hold_reference": _reference_is_taken,
    "insert_inbound": _is_duplicate,
    "insert_payment": _has_moved_on,
    "update_payment": _has_moved_on,
}
