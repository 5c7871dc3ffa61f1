"""Payments in the store: one by id with all that belongs to it, and pages of lists."""

from typing import Any, Final

import msgspec

from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import Change, Exchange
from tollkeeper.payments.commit import KeyTaken, Recorded
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.store.commit import (
    INSERT_EXCHANGE,
    SELECT_HOLDER,
    SELECT_KEY,
    commit_change,
)
from tollkeeper.store.statements import Operation, Row, Statement, sql
from tollkeeper.store.topic import Topic, reads, reads_at_one_moment, writes

_payment: Final = msgspec.json.Decoder(Payment).decode
_attempt: Final = msgspec.json.Decoder(Attempt).decode
_refund: Final = msgspec.json.Decoder(Refund).decode
_dispute: Final = msgspec.json.Decoder(Dispute).decode

EARLIER_LOOKED_AT: Final = 50
"""Payments before a doubtful one among which a charge of the same provider is looked for."""

ATTENTION: Final = "needs_attention"
"""The filter that lists what a person must look at."""

SELECT_BOOKS: Final = sql(
    "select_books",
    """
    SELECT 'p' AS part, id, body FROM payments WHERE id = :id
    UNION ALL SELECT 'a', id, body FROM attempts WHERE payment_id = :id
    UNION ALL SELECT 'r', id, body FROM refunds WHERE payment_id = :id
    UNION ALL SELECT 'd', id, body FROM disputes WHERE payment_id = :id
    """,
)
"""Everything of one payment in one statement, so in one snapshot."""

SELECT_PAYMENT: Final = sql("select_payment", "SELECT body FROM payments WHERE id = :id")
SELECT_BY_PROVIDER_ID: Final = sql(
    "select_by_provider_id",
    "SELECT id FROM payments WHERE provider_id = :provider_id ORDER BY id LIMIT 1",
)
SELECT_EARLIER_CHARGE: Final = sql(
    "select_earlier_charge",
    """
    SELECT provider_id, integration FROM payments
    WHERE id < :before AND provider_id IS NOT NULL ORDER BY id DESC LIMIT :limit
    """,
)
SELECT_LIVE_BY_REFERENCE: Final = sql(
    "select_live_by_reference",
    """
    SELECT id FROM payments
    WHERE account = :account AND reference = :reference AND status NOT IN ('failed', 'canceled')
    ORDER BY id LIMIT 1
    """,
)
PAGE_IDS: Final = sql(
    "page_ids", "SELECT id FROM payments WHERE id > :after ORDER BY id LIMIT :limit"
)
RECENT: Final = sql(
    "recent_payments",
    "SELECT body FROM payments WHERE id >= :from_id ORDER BY id DESC LIMIT :limit",
)
SELECT_EXCHANGE: Final = sql(
    "select_exchange",
    """
    SELECT attempt_id, payment_id, request, reply, sealed FROM exchanges
    WHERE attempt_id = :attempt_id
    """,
)
PAGE_EXCHANGES: Final = sql(
    "page_exchanges",
    """
    SELECT attempt_id, payment_id, request, reply, sealed FROM exchanges
    WHERE attempt_id > :after ORDER BY attempt_id LIMIT :limit
    """,
)
SELECT_AUDIT: Final = sql(
    "select_audit",
    """
    SELECT payment_id, seq, at_ms, actor, body, previous, hash FROM audit
    WHERE payment_id = :payment_id ORDER BY seq
    """,
)
_PAGES: Final[dict[tuple[tuple[str, ...], bool], Statement]] = {}


def page(filters: tuple[str, ...], *, backwards: bool) -> Statement:
    """A page of one account's payments: newest first, or oldest first when going backwards."""
    known = _PAGES.get((filters, backwards))
    if known is None:
        conditions = ["account = :account"]
        conditions += [
            "attention IS NOT NULL" if name == ATTENTION else f"{name} = :{name}"
            for name in filters
        ]
        conditions.append("id > :cursor" if backwards else "id < :cursor")
        order = "id" if backwards else "id DESC"
        text = f"""
            SELECT body FROM payments WHERE {" AND ".join(conditions)}
            ORDER BY {order} LIMIT :limit
            """
        known = sql(f"page_{'_'.join(filters)}_{backwards}", text)
        _PAGES[filters, backwards] = known
    return known


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


def earlier_charge(provider: str, before: str) -> Operation[str | None]:
    """The provider id of the newest charge at `provider` of a payment below `before` (an id)."""
    rows = yield SELECT_EARLIER_CHARGE, {"before": before, "limit": EARLIER_LOOKED_AT}
    mine = (charge for charge, name in rows if name.partition("@")[0] == provider)
    return next(mine, None)


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
    statement = page(tuple(sorted(filters)), backwards=backwards)
    values = {name: value for name, value in filters.items() if name != ATTENTION}
    rows = yield statement, {**values, "account": account, "cursor": cursor, "limit": limit}
    return [_payment(body) for (body,) in rows]


def page_ids(after: str, limit: int) -> Operation[list[str]]:
    """At most `limit` payment ids above `after`, oldest first, of all accounts."""
    rows = yield PAGE_IDS, {"after": after, "limit": limit}
    return [row[0] for row in rows]


def recent_payments(from_id: str, limit: int) -> Operation[list[Payment]]:
    """At most `limit` payments from an id on, of all accounts, the newest first."""
    rows = yield RECENT, {"from_id": from_id, "limit": limit}
    return [_payment(body) for (body,) in rows]


def load_exchange(attempt_id: str) -> Operation[Exchange | None]:
    """What was sent and received for one attempt, as stored."""
    rows = yield SELECT_EXCHANGE, {"attempt_id": attempt_id}
    return _exchange(rows[0]) if rows else None


def page_exchanges(after: str, limit: int) -> Operation[list[Exchange]]:
    """At most `limit` exchanges of attempts above `after` (an id), oldest first."""
    rows = yield PAGE_EXCHANGES, {"after": after, "limit": limit}
    return [_exchange(row) for row in rows]


def _exchange(row: Row) -> Exchange:
    attempt_id, payment_id, request, reply, sealed = row
    return Exchange(
        attempt_id=attempt_id,
        payment_id=payment_id,
        request=request,
        reply=reply,
        sealed=bool(sealed),
    )


def save_exchange(exchange: Exchange) -> Operation[None]:
    """Writes both sides of an exchange."""
    yield INSERT_EXCHANGE, msgspec.structs.asdict(exchange)


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


class Payments(Topic):
    """Payments and all that belongs to them."""

    load_books = reads(load_books)
    load_payment = reads(load_payment)
    payment_of_charge = reads(payment_of_charge)
    earlier_charge = reads(earlier_charge)
    reference_holder = reads_at_one_moment(reference_holder)
    list_payments = reads(list_payments)
    page_ids = reads(page_ids)
    recent_payments = reads(recent_payments)
    load_exchange = reads(load_exchange)
    page_exchanges = reads(page_exchanges)
    save_exchange = writes(save_exchange)
    load_audit = reads(load_audit)
    load_key = reads(load_key)

    async def commit(self, change: Change) -> Recorded:
        """Writes all of `change`, or nothing: see `commit_change`."""
        return await self.watched(self.driver.write(self.commit_operation(change)))

    def commit_operation(self, change: Change) -> Operation[Recorded]:
        """The operation that `commit` runs."""
        return commit_change(change)
