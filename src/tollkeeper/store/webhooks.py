"""Webhooks in and out: stored inbound events, endpoints, and the ledger of deliveries."""

from typing import Any, Final

import msgspec

from tollkeeper.flows.ports import Delivery, Endpoint, Job
from tollkeeper.payments.change import Inbound
from tollkeeper.payments.commit import Duplicate
from tollkeeper.store import tables as t
from tollkeeper.store.jobs import enqueue_job, finish_job, postpone_job
from tollkeeper.store.statements import Operation, Rollback, columns_of, insert_into, sql
from tollkeeper.store.topic import Topic, reads, writes

_encode: Final = msgspec.json.Encoder().encode
_endpoint: Final = msgspec.json.Decoder(Endpoint).decode

INSERT_INBOUND: Final = insert_into(t.inbound_events, "insert_inbound", conflict="nothing")
MATCH_INBOUND: Final = sql(
    "match_inbound",
    """
    UPDATE inbound_events SET fate = 'queued', payment_id = :payment_id
    WHERE charge_id = :charge_id AND fate = 'unmatched'
    """,
)
UPSERT_HINT: Final = insert_into(t.charge_hints, "upsert_hint", conflict="update")
SELECT_HINT: Final = sql(
    "select_hint", "SELECT charge_id FROM charge_hints WHERE payment_id = :payment_id"
)
UPSERT_ENDPOINT: Final = sql(
    "upsert_endpoint",
    """
    INSERT INTO webhook_endpoints (id, account, enabled, body)
    VALUES (:id, :account, :enabled, :body)
    ON CONFLICT (id) DO UPDATE SET enabled = excluded.enabled, body = excluded.body
    """,
)
SELECT_ENDPOINT: Final = sql("select_endpoint", "SELECT body FROM webhook_endpoints WHERE id = :id")
LIST_ENDPOINTS: Final = sql(
    "list_endpoints", "SELECT body FROM webhook_endpoints WHERE account = :account ORDER BY id"
)
UPDATE_DELIVERY: Final = sql(
    "update_delivery",
    """
    UPDATE deliveries SET state = :state, tries = :tries, last_status = :last_status,
      last_error = :last_error, updated_ms = :updated_ms
    WHERE event_id = :event_id AND endpoint_id = :endpoint_id
    """,
)
SELECT_DELIVERY: Final = sql(
    "select_delivery",
    f"""
    SELECT {columns_of(t.deliveries)} FROM deliveries
    WHERE event_id = :event_id AND endpoint_id = :endpoint_id
    """,
)
LIST_DELIVERIES: Final = sql(
    "list_deliveries",
    f"""
    SELECT {columns_of(t.deliveries)} FROM deliveries
    WHERE endpoint_id = :endpoint_id ORDER BY event_id DESC LIMIT :limit
    """,
)


# In


def receive(inbound: Inbound, trace_at_ms: int | None = None) -> Operation[Duplicate | None]:
    """Stores a webhook and enqueues the payment's `refresh`, in one commit; `Duplicate` when its
    event id is known. An event of a charge that the books do not know gets a `trace` job at
    `trace_at_ms` instead."""
    ((count,),) = yield INSERT_INBOUND, msgspec.structs.asdict(inbound)
    if not count:
        raise Rollback(Duplicate())
    if inbound.payment_id is not None and inbound.charge_id is not None:
        yield from note_hint(inbound.payment_id, inbound.charge_id, inbound.received_ms)
    if inbound.payment_id is not None:
        yield from enqueue_job("refresh", inbound.payment_id, inbound.received_ms)
    elif trace_at_ms is not None and inbound.charge_id is not None:
        subject = f"{inbound.integration}|{inbound.charge_id}"
        yield from enqueue_job("trace", subject, trace_at_ms)
    return None


def match_inbound(job: Job, charge_id: str, payment_id: str, now_ms: int) -> Operation[bool]:
    """Gives the events about a charge to the payment whose it is, which is looked at now; ends the
    `trace` job. Does nothing where the job's fence has moved on."""
    if not (yield from finish_job(job)):
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    yield MATCH_INBOUND, {"charge_id": charge_id, "payment_id": payment_id}
    yield from note_hint(payment_id, charge_id, now_ms)
    yield from enqueue_job("refresh", payment_id, now_ms)
    return True


def note_hint(payment_id: str, charge_id: str, seen_ms: int) -> Operation[None]:
    """Keeps the provider's id of a charge that something named as this payment's."""
    yield UPSERT_HINT, {"payment_id": payment_id, "charge_id": charge_id, "seen_ms": seen_ms}


def hint(payment_id: str, charge_id: str, now_ms: int) -> Operation[None]:
    """Keeps a charge's id for a payment, and looks at the payment now."""
    yield from note_hint(payment_id, charge_id, now_ms)
    yield from enqueue_job("refresh", payment_id, now_ms)


def hinted_charge(payment_id: str) -> Operation[str | None]:
    """The charge that a webhook or a listing named last as this payment's."""
    rows = yield SELECT_HINT, {"payment_id": payment_id}
    return rows[0][0] if rows else None


# Out


def save_endpoint(endpoint: Endpoint) -> Operation[None]:
    """Inserts or updates an endpoint."""
    row = {"id": endpoint.id, "account": endpoint.account, "enabled": endpoint.enabled}
    yield UPSERT_ENDPOINT, row | {"body": _encode(endpoint)}


def load_endpoint(endpoint_id: str) -> Operation[Endpoint | None]:
    """One endpoint."""
    rows = yield SELECT_ENDPOINT, {"id": endpoint_id}
    return _endpoint(rows[0][0]) if rows else None


def list_endpoints(account: str) -> Operation[list[Endpoint]]:
    """An account's endpoints, oldest first."""
    rows = yield LIST_ENDPOINTS, {"account": account}
    return [_endpoint(body) for (body,) in rows]


def finish_delivery(job: Job, delivery: Delivery, run_at_ms: int | None) -> Operation[bool]:
    """Writes the ledger row and finishes the job, or postpones it to `run_at_ms`; does neither
    where the job's fence has moved on."""
    held = yield from finish_job(job) if run_at_ms is None else postpone_job(job, run_at_ms)
    if not held:
        raise Rollback(False)  # noqa: FBT003 - the operation's answer
    yield UPDATE_DELIVERY, msgspec.structs.asdict(delivery)
    return True


def load_delivery(event_id: str, endpoint_id: str) -> Operation[Delivery | None]:
    """The ledger row of one event for one endpoint."""
    rows = yield SELECT_DELIVERY, {"event_id": event_id, "endpoint_id": endpoint_id}
    return _delivery(tuple(rows[0])) if rows else None


def list_deliveries(endpoint_id: str, limit: int) -> Operation[list[Delivery]]:
    """At most `limit` rows of one endpoint's ledger, newest event first."""
    rows = yield LIST_DELIVERIES, {"endpoint_id": endpoint_id, "limit": limit}
    return [_delivery(tuple(row)) for row in rows]


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(**dict(zip((c.name for c in t.deliveries.c), row, strict=True)))


class Webhooks(Topic):
    """Webhooks in and out."""

    receive = writes(receive)
    match_inbound = writes(match_inbound)
    hint = writes(hint)
    hinted_charge = reads(hinted_charge)
    save_endpoint = writes(save_endpoint)
    load_endpoint = reads(load_endpoint)
    list_endpoints = reads(list_endpoints)
    finish_delivery = writes(finish_delivery)
    load_delivery = reads(load_delivery)
    list_deliveries = reads(list_deliveries)
