"""The audit chain: one row a change, each with the hash of the one before, per payment.

A global chain would serialize every commit; instead the heads that have changed are sealed together
from time to time, each seal with the hash of the one before. What a seal covers is kept, so that a
sealed payment that is gone, or whose chain was written anew, is found by whoever trusts the newest
seal.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

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


def audit_row(  # noqa: PLR0913 - what one row says
    payment: Payment,
    attempts: tuple[Attempt, ...],
    refunds: tuple[Refund, ...],
    disputes: tuple[Dispute, ...] = (),
    *,
    cause: str,
    actor: str,
    at_ms: int,
    previous: str,
    claim: str | None = None,
) -> AuditRow:
    """The row for a change that led to `payment` (its `seq` is the row's).

    Every row that the change writes has its digest here, so that no two changes share a hash, and
    an alteration of what the body does not show is seen as well. `claim` is the digest of the
    idempotency key that the change bound, if any.
    """
    body = _ENCODER.encode(
        {
            "cause": cause,
            "status": payment.status,
            "capturable": payment.capturable_minor,
            "captured": payment.captured_minor,
            "refunded": payment.refunded_minor,
            "reserved": payment.reserved_minor,
            "attempts": [
                (a.id, a.operation, a.integration, a.outcome, row_digest(a)) for a in attempts
            ],
            "refunds": [(r.id, r.status, r.amount_minor, row_digest(r)) for r in refunds],
            "disputes": [(d.id, d.state, d.amount_minor, row_digest(d)) for d in disputes],
            "digest": row_digest(payment),
            "key": claim,
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


def row_digest(row: Attempt | Dispute | Payment | Refund) -> str:
    """128 bits over a whole row, in hex. A payment's is taken before its new head is known.

    Fields that were added since the first release count only up to the last one that is set, so
    that a row which was written without them keeps its digest.
    """
    text = _ENCODER.encode(row)
    for unset in _ADDED[type(row)]:
        if not text.endswith(unset):
            break
        text = text[: -len(unset)] + b"}"
    return _digest(text)


_LAST_OF_FIRST_RELEASE: Final[dict[type[msgspec.Struct], str]] = {
    Attempt: "later", Dispute: "updated_ms", Payment: "audit_head", Refund: "failure_code",
}  # fmt: skip


def _added(kind: type[msgspec.Struct]) -> tuple[bytes, ...]:
    """How each field that was added later ends the encoded row while it is not set, last first."""
    fields = msgspec.structs.fields(kind)
    names = [field.name for field in fields]
    later = fields[names.index(_LAST_OF_FIRST_RELEASE[kind]) + 1 :]
    return tuple(
        b"," + _ENCODER.encode({field.encode_name: field.default})[1:] for field in reversed(later)
    )


_ADDED: Final = {kind: _added(kind) for kind in _LAST_OF_FIRST_RELEASE}


def key_digest(account: str, key: str, fingerprint: str, refund_id: str | None) -> str:
    """128 bits over what an idempotency key is and what it is bound to, in hex."""
    return _digest(_ENCODER.encode((account, key, fingerprint, refund_id)))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class AttemptEntry(msgspec.Struct, frozen=True, array_like=True):
    """What a row says of an attempt; `digest` is that of the attempt as the change wrote it."""

    id: str
    operation: str
    integration: str
    outcome: str | None
    digest: str


class MoneyEntry(msgspec.Struct, frozen=True, array_like=True):
    """What a row says of a refund or a dispute."""

    id: str
    status: str
    amount_minor: int
    digest: str


class AuditBody(msgspec.Struct, frozen=True):
    """What doctors read of a row's body."""

    status: str
    digest: str
    attempts: list[AttemptEntry]
    refunds: list[MoneyEntry]
    disputes: list[MoneyEntry]
    key: str | None = None


read_body = msgspec.json.Decoder(AuditBody).decode
"""Raises msgspec.MsgspecError for what `audit_row` did not write."""


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


class SealDigest:
    """The hash of one seal: over the seal before it and every (payment id, head) that it seals, in
    order of payment id."""

    def __init__(self, previous: str) -> None:
        self._running = hashlib.sha256(previous.encode())

    def add(self, payment_id: str, head: str) -> None:
        self._running.update(f"\n{payment_id} {head}".encode())

    @property
    def hash(self) -> str:
        return self._running.hexdigest()


def seal_hash(previous: str, heads: Iterable[tuple[str, str]]) -> str:
    """The hash of the seal after `previous` over `heads`."""
    digest = SealDigest(previous)
    for payment_id, head in heads:
        digest.add(payment_id, head)
    return digest.hash
