"""Committing a Change: the one write through which every payment's row comes and goes."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollkeeper.payments.change import Answer, Change, Exchange
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
from tollkeeper.store.canaries import rollout_rows
from tollkeeper.store.events import event_statements
from tollkeeper.store.jobs import DELETE_JOB, UPSERT_JOB, fresh_job
from tollkeeper.store.statements import (
    Batch,
    Item,
    Operation,
    Rollback,
    Statement,
    insert_into,
    sql,
)
from tollkeeper.store.webhooks import INSERT_INBOUND

_encode: Final = msgspec.json.Encoder().encode

_NEVER_CHANGES: Final = frozenset(
    {"id", "account", "amount_minor", "currency", "customer", "reference", "created_ms"}
)
"""Not set again: SQLite rewrites every index on a column that is set, even to what it was."""

_SET: Final = ", ".join(
    f"{c.name} = :{c.name}" for c in t.payments.c if c.name not in _NEVER_CHANGES
)

INSERT_KEY: Final = insert_into(t.idempotency_keys, "insert_key", conflict="nothing")
SELECT_KEY: Final = sql(
    "select_key",
    """
    SELECT fingerprint, token, payment_id, refund_id, status, body, expires_ms
    FROM idempotency_keys WHERE account = :account AND key = :key
    """,
)
ANSWER_KEY: Final = sql(
    "answer_key",
    """
    UPDATE idempotency_keys SET status = :status, body = :body, expires_ms = :expires_ms
    WHERE account = :account AND key = :key
    """,
)
INSERT_PAYMENT: Final = insert_into(t.payments, "insert_payment", conflict="nothing")
UPDATE_PAYMENT: Final = sql(
    "update_payment", f"UPDATE payments SET {_SET} WHERE id = :id AND seq = :expected"
)
SELECT_LINK: Final = sql(
    "select_link", "SELECT hash FROM audit WHERE payment_id = :payment_id AND seq = :seq"
)
UPSERT_ATTEMPT: Final = insert_into(t.attempts, "upsert_attempt", conflict="update")
UPSERT_REFUND: Final = insert_into(t.refunds, "upsert_refund", conflict="update")
UPSERT_DISPUTE: Final = insert_into(t.disputes, "upsert_dispute", conflict="update")
INSERT_EXCHANGE: Final = insert_into(t.exchanges, "insert_exchange", conflict="update")
UPDATE_REPLY: Final = sql(
    "update_reply",
    "UPDATE exchanges SET sealed = :sealed, reply = :reply WHERE attempt_id = :attempt_id",
)
INSERT_AUDIT: Final = insert_into(t.audit, "insert_audit")
HOLD_REFERENCE: Final = sql(
    "hold_reference",
    """
    INSERT INTO held_references (account, reference, payment_id)
    VALUES (:account, :reference, :payment_id)
    ON CONFLICT (account, reference) DO UPDATE SET payment_id = excluded.payment_id
      WHERE held_references.payment_id = :previous
    """,
)
"""Takes a reference over from the payment that was read as its ended holder, and from no other: who
holds it now is looked at under the row's lock."""

SELECT_HOLDER: Final = sql(
    "select_holder",
    """
    SELECT payment_id FROM held_references WHERE account = :account AND reference = :reference
    """,
)


def commit_change(change: Change) -> Operation[Recorded]:
    """Writes all of `change`, or nothing: `Stale` where the payment has moved on, `KeyTaken` where
    the idempotency key is bound already, `Duplicate` for a webhook that is stored already.

    Repeating a change that was committed answers `Committed` again and writes nothing.
    """
    guards = _guards(change)
    counts = yield Batch([*guards, *_rows(change)], required=len(guards))
    for (statement, _), count in zip(guards, counts, strict=False):
        if not count:
            yield from _REFUSE[statement](change)
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
        guards.append((UPDATE_PAYMENT, row | {"expected": change.expected_seq}))
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
    yield from rollout_rows(change)
    for event in change.events:
        yield from event_statements(event)
    if change.answer is not None:
        yield ANSWER_KEY, _answer_row(change.answer)
    yield _look(change)


def _key_is_taken(change: Change) -> Operation[None]:
    claim = change.claim
    assert claim is not None, "a key was claimed"
    rows = yield SELECT_KEY, {"account": claim.account, "key": claim.key}
    taken = KeyTaken(*rows[0])
    raise Rollback(Committed() if taken.token == claim.token else taken)


def _reference_is_taken(change: Change) -> Operation[None]:
    held = change.held
    assert held is not None, "a reference was to be held"
    if (yield from _is_committed(change)):
        raise Rollback(Committed())
    values = {"account": held.account, "reference": held.reference}
    rows = yield SELECT_HOLDER, values
    raise Rollback(ReferenceTaken(rows[0][0]))


def _is_duplicate(change: Change) -> Operation[None]:
    if (yield from _is_committed(change)):
        raise Rollback(Committed())
    raise Rollback(Duplicate())


def _has_moved_on(change: Change) -> Operation[None]:
    again = yield from _is_committed(change)
    raise Rollback(Committed() if again else Stale())


def _is_committed(change: Change) -> Operation[bool]:
    """Whether an earlier try of this very change was committed, whatever came after it."""
    rows = yield SELECT_LINK, {"payment_id": change.payment.id, "seq": change.payment.seq}
    return bool(rows) and rows[0][0] == change.audit.hash


def _exchange(exchange: Exchange) -> tuple[Statement, dict[str, Any]]:
    row = msgspec.structs.asdict(exchange)
    if exchange.request is not None:
        return INSERT_EXCHANGE, row
    return UPDATE_REPLY, row


def save_exchange(exchange: Exchange) -> Operation[None]:
    """Writes both sides of an exchange."""
    yield INSERT_EXCHANGE, msgspec.structs.asdict(exchange)


def _look(change: Change) -> tuple[Statement, dict[str, Any]]:
    name = {"kind": "settle", "subject": change.payment.id}
    if change.look_at_ms is None:
        return DELETE_JOB, name
    return UPSERT_JOB, name | fresh_job(change.look_at_ms, change.payment.seq)


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
        "account": answer.account,
        "key": answer.key,
        "status": answer.status,
        "body": answer.body,
        "expires_ms": answer.expires_ms,
    }


_PAYMENT_COLUMNS: Final = tuple(c.name for c in t.payments.c if c.name != "body")
_NO_ANSWER: Final[dict[str, Any]] = {"status": None, "body": None, "expires_ms": None}
_REFUSE: Final = {
    INSERT_KEY: _key_is_taken,
    HOLD_REFERENCE: _reference_is_taken,
    INSERT_INBOUND: _is_duplicate,
    INSERT_PAYMENT: _has_moved_on,
    UPDATE_PAYMENT: _has_moved_on,
}
