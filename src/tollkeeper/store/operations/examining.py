"""What the doctor reads: books with their audit and columns, seals, and what is bound or owed."""

from typing import Any, Final

import msgspec
from sqlalchemy import Table, and_, bindparam, exists, literal, or_, select
from sqlalchemy.sql import ClauseElement

from tollkeeper.payments.invariants import Audited, BoundKey, Holdings, Seal, SealedHead
from tollkeeper.payments.payment import Books
from tollkeeper.store import tables as t
from tollkeeper.store.operations.queue import count_jobs
from tollkeeper.store.operations.reading import load_audit, load_books
from tollkeeper.store.statements import Operation, Statement

_PARTS: Final = {"attempts": t.attempts, "refunds": t.refunds, "disputes": t.disputes}


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name != "body"]


def _select_columns(table: Table, key: str) -> Statement:
    columns = [table.c[name] for name in _columns(table)]
    return Statement(
        f"columns_of_{table.name}",
        lambda _: select(*columns).where(table.c[key] == bindparam("id")),
        returns=True,
    )


PAYMENT_COLUMNS: Final = _select_columns(t.payments, "id")
PART_COLUMNS: Final = {name: _select_columns(table, "payment_id") for name, table in _PARTS.items()}
BOUND_KEYS: Final = Statement(
    "bound_keys",
    lambda _: select(
        t.idempotency_keys.c.account,
        t.idempotency_keys.c.key,
        t.idempotency_keys.c.fingerprint,
        t.idempotency_keys.c.payment_id,
        t.idempotency_keys.c.refund_id,
    ),
    returns=True,
)
ORPHANS: Final = Statement(
    "orphans",
    lambda _: select(t.audit.c.payment_id).where(
        t.audit.c.seq == literal(1), ~exists().where(t.payments.c.id == t.audit.c.payment_id)
    ),
    returns=True,
)
PENDING_DELIVERIES: Final = Statement(
    "pending_deliveries",
    lambda _: select(t.deliveries.c.event_id, t.deliveries.c.endpoint_id).where(
        t.deliveries.c.state == literal("pending")
    ),
    returns=True,
)
DELIVERY_JOBS: Final = Statement(
    "delivery_jobs",
    lambda _: select(t.jobs.c.subject).where(t.jobs.c.kind == literal("deliver")),
    returns=True,
)
SEALS: Final = Statement(
    "seals",
    lambda _: (
        select(t.audit_seals.c.seq, t.audit_seals.c.heads, t.audit_seals.c.previous,
               t.audit_seals.c.hash)
        .order_by(t.audit_seals.c.seq)
    ),
    returns=True,
)  # fmt: skip


def _sealed(_: str) -> ClauseElement:
    """Sealed heads beside the hash that the audit row has now; `None` where it is gone."""
    sealed, audit = t.sealed_heads, t.audit
    here = and_(audit.c.payment_id == sealed.c.payment_id, audit.c.seq == sealed.c.audit_seq)
    above = or_(
        sealed.c.payment_id > bindparam("after_id"),
        and_(
            sealed.c.payment_id == bindparam("after_id"),
            sealed.c.audit_seq > bindparam("after_seq"),
        ),
    )
    return (
        select(sealed.c.payment_id, sealed.c.audit_seq, sealed.c.seal, sealed.c.head, audit.c.hash)
        .select_from(sealed.outerjoin(audit, here))
        .where(sealed.c.payment_id >= bindparam("after_id"), above)
        .order_by(sealed.c.payment_id, sealed.c.audit_seq)
        .limit(bindparam("limit"))
    )


PAGE_SEALED: Final = Statement("page_sealed", _sealed, returns=True)


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
