"""Reading payments back: one by id with all that belongs to it, and pages of lists."""

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, literal, select, union_all
from sqlalchemy.sql import ClauseElement

from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import Exchange, OutEvent
from tollkeeper.payments.commit import KeyTaken
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.store import tables as t
from tollkeeper.store.operations.changes import SELECT_HOLDER, SELECT_KEY
from tollkeeper.store.statements import Operation, Statement

_payment: Final = msgspec.json.Decoder(Payment).decode
_attempt: Final = msgspec.json.Decoder(Attempt).decode
_refund: Final = msgspec.json.Decoder(Refund).decode
_dispute: Final = msgspec.json.Decoder(Dispute).decode


def _books(_: str) -> ClauseElement:
    """Everything of one payment in one statement, so in one snapshot."""
    parts = [
        select(literal("p").label("part"), t.payments.c.id, t.payments.c.body).where(
            t.payments.c.id == bindparam("id")
        )
    ]
    for mark, table in (("a", t.attempts), ("r", t.refunds), ("d", t.disputes)):
        parts.append(
            select(literal(mark), table.c.id, table.c.body).where(
                table.c.payment_id == bindparam("id")
            )
        )
    return union_all(*parts)


SELECT_BOOKS: Final = Statement("select_books", _books, returns=True)
SELECT_PAYMENT: Final = Statement(
    "select_payment",
    lambda _: select(t.payments.c.body).where(t.payments.c.id == bindparam("id")),
    returns=True,
)
SELECT_BY_PROVIDER_ID: Final = Statement(
    "select_by_provider_id",
    lambda _: (
        select(t.payments.c.id)
        .where(t.payments.c.provider_id == bindparam("provider_id"))
        .order_by(t.payments.c.id)
        .limit(1)
    ),
    returns=True,
)
SELECT_EXCHANGE: Final = Statement(
    "select_exchange",
    lambda _: select(
        t.exchanges.c.attempt_id,
        t.exchanges.c.payment_id,
        t.exchanges.c.request,
        t.exchanges.c.reply,
        t.exchanges.c.sealed,
    ).where(t.exchanges.c.attempt_id == bindparam("attempt_id")),
    returns=True,
)
SELECT_AUDIT: Final = Statement(
    "select_audit",
    lambda _: (
        select(
            t.audit.c.payment_id,
            t.audit.c.seq,
            t.audit.c.at_ms,
            t.audit.c.actor,
            t.audit.c.body,
            t.audit.c.previous,
            t.audit.c.hash,
        )
        .where(t.audit.c.payment_id == bindparam("payment_id"))
        .order_by(t.audit.c.seq)
    ),
    returns=True,
)


ATTENTION: Final = "needs_attention"
"""The filter that lists what a person must look at."""


def _page(filters: tuple[str, ...], *, backwards: bool) -> Statement:
    """A page of one account's payments: newest first, or oldest first when going backwards."""

    def build(_: str) -> ClauseElement:
        table = t.payments
        query = select(table.c.body).where(table.c.account == bindparam("account"))
        for name in filters:
            if name == ATTENTION:
                query = query.where(table.c.attention.is_not(None))
            else:
                query = query.where(table.c[name] == bindparam(name))
        if backwards:
            query = query.where(table.c.id > bindparam("cursor")).order_by(table.c.id)
        else:
            query = query.where(table.c.id < bindparam("cursor")).order_by(table.c.id.desc())
        return query.limit(bindparam("limit"))

    return Statement(f"page_{'_'.join(filters)}_{backwards}", build, returns=True)


_PAGES: Final[dict[tuple[tuple[str, ...], bool], Statement]] = {}


def load_books(payment_id: str) -> Operation[Books | None]:
    """One payment with its attempts, refunds and disputes, oldest first."""
    rows = yield SELECT_BOOKS, {"id": payment_id}
    parts: dict[str, list[tuple[str, bytes]]] = {"p": [], "a": [], "r": [], "d": []}
    for mark, id_, body in rows:
        parts[mark].append((id_, body))
    if not parts["p"]:
        return None
    return Books(
        payment=_payment(parts["p"][0][1]),
        attempts=_in_order(_decoded(_attempt, parts["a"])),
        refunds=_decoded(_refund, parts["r"]),
        disputes=_decoded(_dispute, parts["d"]),
    )


def _decoded(decode: Any, rows: list[tuple[str, bytes]]) -> tuple[Any, ...]:
    return tuple([decode(body) for _, body in sorted(rows)])


def _in_order(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """By when they began: ids of one millisecond sort by chance."""
    return tuple(sorted(attempts, key=lambda a: (a.first_sent_ms, a.id)))


def load_payment(payment_id: str) -> Operation[Payment | None]:
    """One payment's own row."""
    rows = yield SELECT_PAYMENT, {"id": payment_id}
    return _payment(rows[0][0]) if rows else None


def payment_of_charge(provider_id: str) -> Operation[str | None]:
    """The id of the payment that this provider id belongs to."""
    rows = yield SELECT_BY_PROVIDER_ID, {"provider_id": provider_id}
    return rows[0][0] if rows else None


SELECT_EARLIER_CHARGE: Final = Statement(
    "select_earlier_charge",
    lambda _: (
        select(t.payments.c.provider_id, t.payments.c.integration)
        .where(
            t.payments.c.id < bindparam("before"),
            t.payments.c.provider_id.is_not(None),
        )
        .order_by(t.payments.c.id.desc())
        .limit(bindparam("limit"))
    ),
    returns=True,
)

EARLIER_LOOKED_AT: Final = 50
"""Payments before a doubtful one among which a charge of the same provider is looked for."""


def earlier_charge(provider: str, before: str) -> Operation[str | None]:
    """The provider id of the newest charge at `provider` of a payment below `before` (an id)."""
    rows = yield SELECT_EARLIER_CHARGE, {"before": before, "limit": EARLIER_LOOKED_AT}
    mine = (charge for charge, name in rows if name.partition("@")[0] == provider)
    return next(mine, None)


SELECT_LIVE_BY_REFERENCE: Final = Statement(
    "select_live_by_reference",
    lambda _: (
        select(t.payments.c.id)
        .where(
            t.payments.c.account == bindparam("account"),
            t.payments.c.reference == bindparam("reference"),
            t.payments.c.status.not_in([literal("failed"), literal("canceled")]),
        )
        .order_by(t.payments.c.id)
        .limit(1)
    ),
    returns=True,
)


def reference_holder(account: str, reference: str) -> Operation[tuple[str | None, str]]:
    """The first live payment with this reference, if any, and the payment that holds it, live or
    not; empty where none does."""
    values = {"account": account, "reference": reference}
    live = yield SELECT_LIVE_BY_REFERENCE, values
    held = yield SELECT_HOLDER, values
    return (live[0][0] if live else None), (held[0][0] if held else "")


def list_payments(
    account: str, filters: dict[str, str], cursor: str, limit: int, *, backwards: bool = False
) -> Operation[list[Payment]]:
    """At most `limit` payments below `cursor` (an id), newest first; above it, oldest first, when
    `backwards`. `filters`: any of status, customer, reference, and needs_attention, whose value
    is "true"."""
    names = tuple(sorted(filters))
    statement = _PAGES.get((names, backwards))
    if statement is None:
        statement = _PAGES[names, backwards] = _page(names, backwards=backwards)
    values = {name: value for name, value in filters.items() if name != ATTENTION}
    rows = yield statement, {**values, "account": account, "cursor": cursor, "limit": limit}
    return [_payment(body) for (body,) in rows]


PAGE_IDS: Final = Statement(
    "page_ids",
    lambda _: (
        select(t.payments.c.id)
        .where(t.payments.c.id > bindparam("after"))
        .order_by(t.payments.c.id)
        .limit(bindparam("limit"))
    ),
    returns=True,
)


def page_ids(after: str, limit: int) -> Operation[list[str]]:
    """At most `limit` payment ids above `after`, oldest first, of all accounts."""
    rows = yield PAGE_IDS, {"after": after, "limit": limit}
    return [row[0] for row in rows]


def load_exchange(attempt_id: str) -> Operation[Exchange | None]:
    """What was sent and received for one attempt, as stored."""
    rows = yield SELECT_EXCHANGE, {"attempt_id": attempt_id}
    if not rows:
        return None
    attempt, payment, request, reply, sealed = rows[0]
    return Exchange(
        attempt_id=attempt, payment_id=payment, request=request, reply=reply, sealed=bool(sealed)
    )


PAGE_EXCHANGES: Final = Statement(
    "page_exchanges",
    lambda _: (
        select(
            t.exchanges.c.attempt_id,
            t.exchanges.c.payment_id,
            t.exchanges.c.request,
            t.exchanges.c.reply,
            t.exchanges.c.sealed,
        )
        .where(t.exchanges.c.attempt_id > bindparam("after"))
        .order_by(t.exchanges.c.attempt_id)
        .limit(bindparam("limit"))
    ),
    returns=True,
)


def page_exchanges(after: str, limit: int) -> Operation[list[Exchange]]:
    """At most `limit` exchanges of attempts above `after` (an id), oldest first."""
    rows = yield PAGE_EXCHANGES, {"after": after, "limit": limit}
    return [
        Exchange(attempt_id=a, payment_id=p, request=request, reply=reply, sealed=bool(sealed))
        for a, p, request, reply, sealed in rows
    ]


def load_audit(payment_id: str) -> Operation[list[AuditRow]]:
    """One payment's audit rows in order."""
    rows = yield SELECT_AUDIT, {"payment_id": payment_id}
    return [
        AuditRow(
            payment_id=row[0],
            seq=row[1],
            at_ms=row[2],
            actor=row[3],
            body=row[4],
            previous=row[5],
            hash=row[6],
        )
        for row in rows
    ]


def load_key(account: str, key: str) -> Operation[KeyTaken | None]:
    """What an idempotency key is bound to."""
    rows = yield SELECT_KEY, {"account": account, "key": key}
    return KeyTaken(*rows[0]) if rows else None


SELECT_EVENT: Final = Statement(
    "select_event",
    lambda _: select(
        t.events.c.id,
        t.events.c.account,
        t.events.c.payment_id,
        t.events.c.type,
        t.events.c.created_ms,
        t.events.c.data,
    ).where(t.events.c.id == bindparam("id")),
    returns=True,
)
PAGE_EVENTS: Final = Statement(
    "page_events",
    lambda _: (
        select(
            t.events.c.id,
            t.events.c.account,
            t.events.c.payment_id,
            t.events.c.type,
            t.events.c.created_ms,
            t.events.c.data,
        )
        .where(t.events.c.account == bindparam("account"), t.events.c.id < bindparam("cursor"))
        .order_by(t.events.c.id.desc())
        .limit(bindparam("limit"))
    ),
    returns=True,
)


def _event(row: tuple[Any, ...]) -> OutEvent:
    return OutEvent(
        id=row[0], account=row[1], payment_id=row[2], type=row[3], created_ms=row[4], data=row[5]
    )


def load_event(event_id: str) -> Operation[OutEvent | None]:
    """One outgoing event."""
    rows = yield SELECT_EVENT, {"id": event_id}
    return _event(rows[0]) if rows else None


def list_events(account: str, cursor: str, limit: int) -> Operation[list[OutEvent]]:
    """At most `limit` events below `cursor` (an id), newest first."""
    rows = yield PAGE_EVENTS, {"account": account, "cursor": cursor, "limit": limit}
    return [_event(row) for row in rows]
