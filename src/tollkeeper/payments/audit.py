"""The audit chain: one row a change, each with the hash of the one before, per payment.

A global chain would serialize every commit; instead the heads of all payments are sealed together
from time to time, each seal with the hash of the one before.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from tollkeeper.payments.payment import Attempt, Dispute, Payment, Refund

_ENCODER = msgspec.json.Encoder(order="deterministic")


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one payment. `body` is JSON: the cause and what changed.

    `hash` is the SHA-256, in hex, of `previous`, the payment's id, `seq`, `at_ms` and `body`.
    """

    payment_id: str
    seq: int
    at_ms: int
    actor: str
    body: bytes
    previous: str
    hash: str


def audit_row(
    payment: Payment,
    attempts: tuple[Attempt, ...],
    refunds: tuple[Refund, ...],
    disputes: tuple[Dispute, ...] = (),
    *,
    cause: str,
    actor: str,
    at_ms: int,
    previous: str,
) -> AuditRow:
    """The row for a change that led to `payment` (its `seq` is the row's).

    `digest` covers every row that the change writes: so no two changes share a hash, and an
    alteration of what the body does not show is seen as well.
    """
    rows = _ENCODER.encode((payment, attempts, refunds, disputes))
    body = _ENCODER.encode(
        {
            "cause": cause,
            "status": payment.status,
            "capturable": payment.capturable_minor,
            "captured": payment.captured_minor,
            "refunded": payment.refunded_minor,
            "reserved": payment.reserved_minor,
            "attempts": [[a.id, a.operation, a.integration, a.outcome] for a in attempts],
            "refunds": [[r.id, r.status, r.amount_minor] for r in refunds],
            "disputes": [[d.id, d.state, d.amount_minor] for d in disputes],
            "digest": hashlib.sha256(rows).hexdigest(),
        }
    )
    return AuditRow(
        payment_id=payment.id,
        seq=payment.seq,
        at_ms=at_ms,
        actor=actor,
        body=body,
        previous=previous,
        hash=row_hash(previous, payment.id, payment.seq, at_ms, actor, body),
    )


def row_hash(previous: str, payment_id: str, seq: int, at_ms: int, actor: str, body: bytes) -> str:
    """The hash that chains a row to the one before it."""
    head = f"{previous}\n{payment_id}\n{seq}\n{at_ms}\n{actor}\n".encode()
    return hashlib.sha256(head + body).hexdigest()


def broken_link(rows: Iterable[AuditRow]) -> str | None:
    """Why one payment's rows (in order of `seq`) are not a whole chain, or `None`."""
    previous, expected = "", 1
    for row in rows:
        if row.seq != expected:
            return f"row {expected} is missing"
        if row.previous != previous:
            return f"row {row.seq} does not follow the row before it"
        if row.hash != row_hash(previous, row.payment_id, row.seq, row.at_ms, row.actor, row.body):
            return f"row {row.seq} was altered"
        previous, expected = row.hash, expected + 1
    return None


def seal_hash(previous: str, heads: Iterable[tuple[str, str]]) -> str:
    """The hash over `previous` and every (payment id, head), in order of payment id."""
    digest = hashlib.sha256(previous.encode())
    for payment_id, head in heads:
        digest.update(f"\n{payment_id} {head}".encode())
    return digest.hexdigest()
