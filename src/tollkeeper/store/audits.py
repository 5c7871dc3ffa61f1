"""What the doctor reads: books with their audit and columns, and seals over the audit's heads."""

from typing import Any, Final

import msgspec
from sqlalchemy import Table

from tollkeeper.payments.audit import SealDigest
from tollkeeper.payments.invariants import Audited, BoundKey, Holdings, Seal, SealedHead
from tollkeeper.payments.payment import Books
from tollkeeper.store import tables as t
from tollkeeper.store.jobs import count_jobs
from tollkeeper.store.payments import load_audit, load_books
from tollkeeper.store.statements import Batch, Item, Operation, Statement, insert_into, sql
from tollkeeper.store.topic import Topic, reads, reads_at_one_moment, writes_long

_PARTS: Final = {"attempts": t.attempts, "refunds": t.refunds, "disputes": t.disputes}


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name != "body"]


def _select_columns(table: Table, key: str) -> Statement:
    text = f"SELECT {', '.join(_columns(table))} FROM {table.name} WHERE {key} = :id"
    return sql(f"columns_of_{table.name}", text)


PAYMENT_COLUMNS: Final = _select_columns(t.payments, "id")
PART_COLUMNS: Final = {name: _select_columns(table, "payment_id") for name, table in _PARTS.items()}
BOUND_KEYS: Final = sql(
    "bound_keys", "SELECT account, key, fingerprint, payment_id, refund_id FROM idempotency_keys"
)
ORPHANS: Final = sql(
    "orphans",
    """
    SELECT payment_id FROM audit
    WHERE seq = 1 AND NOT EXISTS (SELECT 1 FROM payments WHERE payments.id = audit.payment_id)
    """,
)
PENDING_DELIVERIES: Final = sql(
    "pending_deliveries", "SELECT event_id, endpoint_id FROM deliveries WHERE state = 'pending'"
)
DELIVERY_JOBS: Final = sql("delivery_jobs", "SELECT subject FROM jobs WHERE kind = 'deliver'")
SEALS: Final = sql("seals", "SELECT seq, heads, previous, hash FROM audit_seals ORDER BY seq")
PAGE_SEALED: Final = sql(
    "page_sealed",
    """
    SELECT s.payment_id, s.audit_seq, s.seal, s.head, a.hash
    FROM sealed_heads s
    LEFT JOIN audit a ON a.payment_id = s.payment_id AND a.seq = s.audit_seq
    WHERE s.payment_id >= :after_id
      AND (s.payment_id > :after_id OR (s.payment_id = :after_id AND s.audit_seq > :after_seq))
    ORDER BY s.payment_id, s.audit_seq LIMIT :limit
    """,
)
"""Sealed heads beside the hash that the audit row has now; `NULL` where it is gone."""

HEADS: Final = sql(
    "heads",
    """
    SELECT id, seq, audit_head FROM payments
    WHERE NOT EXISTS (
      SELECT 1 FROM sealed_heads s WHERE s.payment_id = payments.id AND s.audit_seq = payments.seq)
    ORDER BY id LIMIT :limit
    """,
)
"""Payments whose newest head no seal covers."""

LAST_SEAL: Final = sql("last_seal", "SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1")
INSERT_SEALED_HEAD: Final = insert_into(t.sealed_heads, "insert_sealed_head")
INSERT_SEAL: Final = insert_into(t.audit_seals, "insert_seal")


def seals() -> Operation[list[Seal]]:
    """Every seal, oldest first."""
    rows = yield SEALS, {}
    return [Seal(*row) for row in rows]


def page_sealed(after: tuple[str, int], limit: int) -> Operation[list[SealedHead]]:
    """At most `limit` sealed heads above `after` (payment id, audit row), in that order."""
    values = {"after_id": after[0], "after_seq": after[1], "limit": limit}
    rows = yield PAGE_SEALED, values
    return [SealedHead(*row) for row in rows]


def load_audited(payment_id: str) -> Operation[Audited | None]:
    """One payment's books with its audit rows, and what is wrong with the rows as such."""
    audit = yield from load_audit(payment_id)
    try:
        books = yield from load_books(payment_id)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Audited(payment_id, None, audit, (f"row unreadable: {error}",))
    if books is None:
        return None
    faults = yield from _column_faults(payment_id, books)
    return Audited(payment_id, books, audit, tuple(faults))


def _column_faults(payment_id: str, books: Books) -> Operation[list[str]]:
    """Columns that say something else than the row's body."""
    rows = yield PAYMENT_COLUMNS, {"id": payment_id}
    faults = _differing("payment", _columns(t.payments), {books.payment.id: books.payment}, rows)
    for name, table in _PARTS.items():
        if items := {item.id: item for item in getattr(books, name)}:
            rows = yield PART_COLUMNS[name], {"id": payment_id}
            faults += _differing(name[:-1], _columns(table), items, rows)
    return faults


def _differing(what: str, names: list[str], items: dict[str, Any], rows: Any) -> list[str]:
    faults = []
    for row in rows:
        told = dict(zip(names, row, strict=True))
        item = items.get(told["id"])
        if item is None:
            faults.append(f"{what} {told['id']} has another one's body")
            continue
        for name, value in told.items():
            if value != getattr(item, name):
                faults.append(f"{what} {item.id}: column {name} is not what its body says")
    return faults


def holdings() -> Operation[Holdings]:
    """What the store holds besides books: bound keys, jobs, deliveries, rows without a payment."""
    bound = yield BOUND_KEYS, {}
    orphans = yield ORPHANS, {}
    pending = yield PENDING_DELIVERIES, {}
    subjects = yield DELIVERY_JOBS, {}
    waiting = yield from count_jobs()
    return Holdings(
        bound={row[1]: row[3] for row in bound},
        keys=tuple(BoundKey(*row) for row in bound),
        orphans=frozenset(row[0] for row in orphans),
        waiting=waiting,
        pending_deliveries=frozenset(f"{row[0]}|{row[1]}" for row in pending),
        delivery_jobs=frozenset(row[0] for row in subjects),
    )


def seal_audit(now_ms: int, limit: int) -> Operation[tuple[str, int]]:
    """Writes one seal over at most `limit` audit heads that none covers yet; gives its hash, and
    how many it covers."""
    last = yield LAST_SEAL, {}
    seq: int = (last[0][0] if last else 0) + 1
    previous: str = last[0][1] if last else ""
    heads = yield HEADS, {"limit": limit}
    digest = SealDigest(previous)
    items: list[Item] = []
    for payment_id, audit_seq, head in heads:
        digest.add(payment_id, head)
        row = {"payment_id": payment_id, "audit_seq": audit_seq, "seal": seq, "head": head}
        items.append((INSERT_SEALED_HEAD, row))
    row = {"seq": seq, "at_ms": now_ms, "heads": len(heads), "previous": previous}
    items.append((INSERT_SEAL, row | {"hash": digest.hash}))
    yield Batch(items, required=len(items))
    return digest.hash, len(heads)


class Audits(Topic):
    """The audit, for the doctor."""

    seals = reads(seals)
    page_sealed = reads(page_sealed)
    load_audited = reads_at_one_moment(load_audited)
    holdings = reads_at_one_moment(holdings)
    seal_audit = writes_long(seal_audit)
