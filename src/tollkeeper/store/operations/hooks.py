"""Webhooks in and out: stored inbound events, endpoints, and the ledger of deliveries."""

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, literal, select, update

from tollkeeper.flows.ports import Delivery, Endpoint, Job
from tollkeeper.payments.change import Inbound
from tollkeeper.store import tables as t
from tollkeeper.store.operations.changes import note_hint, store_inbound
from tollkeeper.store.operations.queue import enqueue_job, finish_job, postpone_job
from tollkeeper.store.statements import Operation, Refused, Statement, insert_for

_encode: Final = msgspec.json.Encoder().encode
_endpoint: Final = msgspec.json.Decoder(Endpoint).decode


def _upsert_endpoint(dialect: str) -> Any:
    statement = insert_for(dialect)(t.webhook_endpoints).values(
        {c.name: bindparam(c.name) for c in t.webhook_endpoints.c}
    )
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={"enabled": statement.excluded.enabled, "body": statement.excluded.body},
    )


UPSERT_ENDPOINT: Final = Statement("upsert_endpoint", _upsert_endpoint, returns=False)
SELECT_ENDPOINT: Final = Statement(
    "select_endpoint",
    lambda _: select(t.webhook_endpoints.c.body).where(t.webhook_endpoints.c.id == bindparam("id")),
    returns=True,
)
LIST_ENDPOINTS: Final = Statement(
    "list_endpoints",
    lambda _: (
        select(t.webhook_endpoints.c.body)
        .where(t.webhook_endpoints.c.account == bindparam("account"))
        .order_by(t.webhook_endpoints.c.id)
    ),
    returns=True,
)
UPDATE_DELIVERY: Final = Statement(
    "update_delivery",
    lambda _: (
        update(t.deliveries)
        .where(
            t.deliveries.c.event_id == bindparam("the_event"),
            t.deliveries.c.endpoint_id == bindparam("the_endpoint"),
        )
        .values(
            state=bindparam("state"),
            tries=bindparam("tries"),
            last_status=bindparam("last_status"),
            last_error=bindparam("last_error"),
            updated_ms=bindparam("updated_ms"),
        )
    ),
    returns=False,
)
SELECT_DELIVERY: Final = Statement(
    "select_delivery",
    lambda _: select(*t.deliveries.c).where(
        t.deliveries.c.event_id == bindparam("event_id"),
        t.deliveries.c.endpoint_id == bindparam("endpoint_id"),
    ),
    returns=True,
)
LIST_DELIVERIES: Final = Statement(
    "list_deliveries",
    lambda _: (
        select(*t.deliveries.c)
        .where(t.deliveries.c.endpoint_id == bindparam("endpoint_id"))
        .order_by(t.deliveries.c.event_id.desc())
        .limit(bindparam("limit"))
    ),
    returns=True,
)


def receive(inbound: Inbound, trace_at_ms: int | None = None) -> Operation[Any]:
    """Stores a webhook and enqueues the payment's `refresh`, in one commit; `Duplicate` when its
    event id is known. An event of a charge that the books do not know gets a `trace` job at
    `trace_at_ms` instead."""
    yield from store_inbound(inbound)
    if inbound.payment_id is not None:
        yield from enqueue_job("refresh", inbound.payment_id, inbound.received_ms)
    elif trace_at_ms is not None and inbound.charge_id is not None:
        subject = f"{inbound.integration}|{inbound.charge_id}"
        yield from enqueue_job("trace", subject, trace_at_ms)


MATCH_INBOUND: Final = Statement(
    "match_inbound",
    lambda _: (
        update(t.inbound_events)
        .where(
            t.inbound_events.c.charge_id == bindparam("the_charge"),
            t.inbound_events.c.fate == literal("unmatched"),
        )
        .values(fate=literal("queued"), payment_id=bindparam("the_payment"))
    ),
    returns=False,
)


def match_inbound(job: Job, charge_id: str, payment_id: str, now_ms: int) -> Operation[bool]:
    """Gives the events about a charge to the payment whose it is, which is looked at now; ends the
    `trace` job. Does nothing where the job's fence has moved on."""
    if not (yield from finish_job(job)):
        raise Refused(False)  # noqa: FBT003 - the operation's answer
    yield MATCH_INBOUND, {"the_charge": charge_id, "the_payment": payment_id}
    yield from note_hint(payment_id, charge_id, now_ms)
    yield from enqueue_job("refresh", payment_id, now_ms)
    return True


def hint(payment_id: str, charge_id: str, now_ms: int) -> Operation[None]:
    """Keeps a charge's id for a payment, and looks at the payment now."""
    yield from note_hint(payment_id, charge_id, now_ms)
    yield from enqueue_job("refresh", payment_id, now_ms)


SELECT_HINT: Final = Statement(
    "select_hint",
    lambda _: select(t.charge_hints.c.charge_id).where(
        t.charge_hints.c.payment_id == bindparam("payment_id")
    ),
    returns=True,
)


def hinted_charge(payment_id: str) -> Operation[str | None]:
    """The charge that a webhook or a listing named last as this payment's."""
    rows = yield SELECT_HINT, {"payment_id": payment_id}
    return rows[0][0] if rows else None


def save_endpoint(endpoint: Endpoint) -> Operation[None]:
    """Inserts or updates an endpoint."""
    yield (
        UPSERT_ENDPOINT,
        {
            "id": endpoint.id,
            "account": endpoint.account,
            "enabled": endpoint.enabled,
            "body": _encode(endpoint),
        },
    )


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
        raise Refused(False)  # noqa: FBT003 - the operation's answer
    row = msgspec.structs.asdict(delivery)
    row |= {"the_event": delivery.event_id, "the_endpoint": delivery.endpoint_id}
    yield UPDATE_DELIVERY, row
    return True


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(**dict(zip((c.name for c in t.deliveries.c), row, strict=True)))


def load_delivery(event_id: str, endpoint_id: str) -> Operation[Delivery | None]:
    """The ledger row of one event for one endpoint."""
    rows = yield SELECT_DELIVERY, {"event_id": event_id, "endpoint_id": endpoint_id}
    return _delivery(tuple(rows[0])) if rows else None


def list_deliveries(endpoint_id: str, limit: int) -> Operation[list[Delivery]]:
    """At most `limit` rows of one endpoint's ledger, newest event first."""
    rows = yield LIST_DELIVERIES, {"endpoint_id": endpoint_id, "limit": limit}
    return [_delivery(tuple(row)) for row in rows]
