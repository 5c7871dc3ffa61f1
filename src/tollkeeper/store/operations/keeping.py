"""The store's upkeep: API keys, expiry of bodies, seals over audit heads, orphans of a crash."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, false, func, literal, null, select, update
from sqlalchemy.sql import ClauseElement

from tollkeeper.flows.ports import ApiKey
from tollkeeper.kernel.ids import first_id
from tollkeeper.payments.audit import SealDigest
from tollkeeper.store import tables as t
from tollkeeper.store.statements import Item, Operation, Statement, Together, insert_for


def _upsert_key(dialect: str) -> Any:
    statement = insert_for(dialect)(t.api_keys).values(
        {c.name: bindparam(c.name) for c in t.api_keys.c}
    )
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "label": statement.excluded.label,
            "role": statement.excluded.role,
            "revoked_ms": statement.excluded.revoked_ms,
        },
    )


def _orphans(_: str) -> ClauseElement:
    """From the few jobs to their attempts: the other way would read every attempt ever made."""
    sending = exists().where(
        t.attempts.c.payment_id == t.jobs.c.subject, t.attempts.c.outcome.is_(None)
    )
    return (
        update(t.jobs)
        .where(t.jobs.c.kind == literal("settle"), sending)
        .values(run_at_ms=bindparam("now_ms"), lease_until_ms=0, fence=t.jobs.c.fence + 1)
    )


UPSERT_API_KEY: Final = Statement("upsert_api_key", _upsert_key, returns=False)
FIND_API_KEY: Final = Statement(
    "find_api_key",
    lambda _: select(*t.api_keys.c).where(t.api_keys.c.digest == bindparam("digest")),
    returns=True,
)
LIST_API_KEYS: Final = Statement(
    "list_api_keys", lambda _: select(*t.api_keys.c).order_by(t.api_keys.c.id), returns=True
)
WAKE_ORPHANS: Final = Statement("wake_orphans", _orphans, returns=False)
FREE_LEASES: Final = Statement(
    "free_leases",
    lambda _: (
        update(t.jobs)
        .where(t.jobs.c.lease_until_ms > 0)
        .values(lease_until_ms=0, fence=t.jobs.c.fence + 1)
    ),
    returns=False,
)
EXPIRE_KEYS: Final = Statement(
    "expire_keys",
    lambda _: (
        update(t.idempotency_keys)
        .where(
            t.idempotency_keys.c.body.is_not(None),
            t.idempotency_keys.c.expires_ms <= bindparam("now_ms"),
        )
        .values(status=null(), body=null())
    ),
    returns=False,
)
EXPIRE_INBOUND: Final = Statement(
    "expire_inbound",
    lambda _: (
        update(t.inbound_events)
        .where(
            t.inbound_events.c.received_ms <= bindparam("before_ms"),
            t.inbound_events.c.payload != literal(b""),
        )
        .values(payload=b"")
    ),
    returns=False,
)


FORGET_EXCHANGES: Final = Statement(
    "forget_exchanges",
    lambda _: delete(t.exchanges).where(
        t.exchanges.c.attempt_id < bindparam("before"), t.exchanges.c.sealed.is_(false())
    ),
    returns=False,
)
FORGET_DELIVERIES: Final = Statement(
    "forget_deliveries",
    lambda _: delete(t.deliveries).where(
        t.deliveries.c.event_id < bindparam("before"), t.deliveries.c.state != literal("pending")
    ),
    returns=False,
)
FORGET_EVENTS: Final = Statement(
    "forget_events",
    lambda _: delete(t.events).where(
        t.events.c.id < bindparam("before"),
        ~exists().where(t.deliveries.c.event_id == t.events.c.id),
    ),
    returns=False,
)


def _of_ended_rollouts(table: Any, *conditions: Any) -> Callable[[str], ClauseElement]:
    """Deletes rows of `table` that belong to rollouts which began before a moment and are over."""
    active = exists().where(t.rollouts.c.id == table.c.rollout_id, t.rollouts.c.active.is_(True))
    leaving = exists().where(
        t.jobs.c.kind == literal("advance"), t.jobs.c.subject == table.c.rollout_id
    )
    return lambda _: delete(table).where(
        table.c.rollout_id < bindparam("before"), ~active, ~leaving, *conditions
    )


FORGET_ROLLOUTS: Final = tuple(
    Statement(f"forget_{table.name}", _of_ended_rollouts(table, *conditions), returns=False)
    for table, conditions in (
        (t.assignments, ()),
        (t.canary_payments, ()),
        (t.shadow_readings, ()),
        (t.rollout_records, (t.rollout_records.c.told.is_(False), t.rollout_records.c.seq > 1)),
    )
)
"""Of a rollout there stay its row and the records of decisions and of what people did."""

FORGET_INBOUND: Final = Statement(
    "forget_inbound",
    lambda _: delete(t.inbound_events).where(
        t.inbound_events.c.received_ms < bindparam("before_ms")
    ),
    returns=False,
)


def _heads(_: str) -> ClauseElement:
    """Payments whose newest head no seal covers."""
    sealed = exists().where(
        t.sealed_heads.c.payment_id == t.payments.c.id,
        t.sealed_heads.c.audit_seq == t.payments.c.seq,
    )
    return (
        select(t.payments.c.id, t.payments.c.seq, t.payments.c.audit_head)
        .where(~sealed)
        .order_by(t.payments.c.id)
        .limit(bindparam("limit"))
    )


HEADS: Final = Statement("heads", _heads, returns=True)
LAST_SEAL: Final = Statement(
    "last_seal",
    lambda _: (
        select(t.audit_seals.c.seq, t.audit_seals.c.hash)
        .order_by(t.audit_seals.c.seq.desc())
        .limit(1)
    ),
    returns=True,
)
INSERT_SEALED_HEAD: Final = Statement(
    "insert_sealed_head",
    lambda d: insert_for(d)(t.sealed_heads).values(
        {c.name: bindparam(c.name) for c in t.sealed_heads.c}
    ),
    returns=False,
)
INSERT_SEAL: Final = Statement(
    "insert_seal",
    lambda d: insert_for(d)(t.audit_seals).values(
        {c.name: bindparam(c.name) for c in t.audit_seals.c}
    ),
    returns=False,
)
COUNT_PAYMENTS: Final = Statement(
    "count_payments", lambda _: select(func.count()).select_from(t.payments), returns=True
)


def save_api_key(key: ApiKey) -> Operation[None]:
    """Inserts a key, or updates its label, role and revocation."""
    yield UPSERT_API_KEY, {c.name: getattr(key, c.name) for c in t.api_keys.c}


def _api_key(row: tuple[Any, ...]) -> ApiKey:
    return ApiKey(**dict(zip((c.name for c in t.api_keys.c), row, strict=True)))


def find_api_key(digest: str) -> Operation[ApiKey | None]:
    """The key whose secret has this digest."""
    rows = yield FIND_API_KEY, {"digest": digest}
    return _api_key(tuple(rows[0])) if rows else None


def list_api_keys() -> Operation[list[ApiKey]]:
    """Every key, oldest first."""
    rows = yield LIST_API_KEYS, {}
    return [_api_key(tuple(row)) for row in rows]


def wake_orphans(now_ms: int) -> Operation[int]:
    """Makes settling of every attempt that was being sent due now, and frees all leases: only for
    a process that knows it is the only one."""
    yield FREE_LEASES, {}
    ((count,),) = yield WAKE_ORPHANS, {"now_ms": now_ms}
    return int(count)


FORGET_HINTS: Final = Statement(
    "forget_hints",
    lambda _: delete(t.charge_hints).where(t.charge_hints.c.seen_ms < bindparam("before_ms")),
    returns=False,
)


def expire(now_ms: int, keep_inbound_ms: int) -> Operation[int]:
    """Removes stored answers past their time and payloads of old webhooks; gives how many."""
    ((keys,),) = yield EXPIRE_KEYS, {"now_ms": now_ms}
    ((hooks,),) = yield EXPIRE_INBOUND, {"before_ms": now_ms - keep_inbound_ms}
    return int(keys + hooks)


def forget(exchanges_before_ms: int, events_before_ms: int) -> Operation[int]:
    """Removes what is past its time; gives how many rows. An id says when it was made."""
    count = 0
    for statement, values in (
        (FORGET_EXCHANGES, {"before": first_id("att", exchanges_before_ms)}),
        (FORGET_DELIVERIES, {"before": first_id("evt", events_before_ms)}),
        (FORGET_EVENTS, {"before": first_id("evt", events_before_ms)}),
        (FORGET_INBOUND, {"before_ms": events_before_ms}),
        (FORGET_HINTS, {"before_ms": events_before_ms}),
    ):
        ((removed,),) = yield statement, values
        count += int(removed)
    for statement in FORGET_ROLLOUTS:
        ((removed,),) = yield statement, {"before": first_id("ro", events_before_ms)}
        count += int(removed)
    return count


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
    yield Together(items, required=len(items))
    return digest.hash, len(heads)
