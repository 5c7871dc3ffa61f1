"""Payments over HTTP: take, capture, void, refund; read one, or page through many."""

from typing import Final, get_args

from tollkeeper.api.answers import Answer, Header, json_answer
from tollkeeper.api.calls import NEWEST, Call, bad_parameter
from tollkeeper.api.requests import (
    CapturePayment,
    ClearAttention,
    CreatePayment,
    RefundPayment,
    VoidPayment,
    meaning_of_payment,
)
from tollkeeper.api.views import (
    AttemptList,
    AuditList,
    DisputeList,
    PaymentPage,
    RefundList,
    attempt_view,
    audit_view,
)
from tollkeeper.flows.payments import attention, follow_up
from tollkeeper.flows.payments import create as create_flow
from tollkeeper.flows.payments import read as read_flow
from tollkeeper.flows.payments.answers import Result
from tollkeeper.flows.recording import load
from tollkeeper.kernel.errors import NotFound
from tollkeeper.kernel.ids import is_id
from tollkeeper.payments.payment import Payment, Status
from tollkeeper.payments.view import dispute_view, payment_view, refund_view

FILTERS: Final[tuple[str, ...]] = ("customer", "needs_attention", "reference", "status")
MAX_FILTER: Final = 255
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
DOUBT_SECONDS: Final = b"1"
OLDER, NEWER = "older.", "newer."
"""What a cursor begins with: which way its page lies."""


async def create(call: Call) -> Answer:
    asked, raw = call.asked(CreatePayment, meaning_of_payment)
    fields = {name: getattr(asked, name) for name in asked.__struct_fields__}
    return told(
        await create_flow.create(call.runtime, call.intent(raw), create_flow.NewPayment(**fields))
    )


async def capture(call: Call) -> Answer:
    payment_id = call.id("payment_id", "pay")
    asked, raw = call.asked(CapturePayment, optional=True)
    reply = await follow_up.capture(
        call.runtime,
        call.intent(raw),
        payment_id,
        amount_minor=asked.amount_minor,
        final=asked.final,
    )
    return told(reply)


async def void(call: Call) -> Answer:
    payment_id = call.id("payment_id", "pay")
    _, raw = call.asked(VoidPayment, optional=True)
    return told(await follow_up.void(call.runtime, call.intent(raw), payment_id))


async def refund(call: Call) -> Answer:
    payment_id = call.id("payment_id", "pay")
    asked, raw = call.asked(RefundPayment, optional=True)
    reply = await follow_up.refund(
        call.runtime,
        call.intent(raw),
        payment_id,
        amount_minor=asked.amount_minor,
        reason=asked.reason,
    )
    return told(reply)


def told(result: Result) -> Answer:
    """A flow's result as an answer: 202 while the outcome is not known, so that nobody retries
    blindly; 201 for what was made."""
    headers: list[Header] = []
    status = 200
    if result.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    if result.created or result.doubtful:
        headers.append((b"location", _location(result)))
        status = 201
    if result.doubtful:
        headers.append((b"retry-after", DOUBT_SECONDS))
        status = 202
    answer = Answer(status, result.body, headers=headers)
    answer.told = None if result.replayed else result.view
    return answer


def _location(result: Result) -> bytes:
    path = f"/v1/payments/{result.payment_id}"
    return (f"{path}/refunds/{result.refund_id}" if result.refund_id else path).encode()


async def read(call: Call) -> Answer:
    payment = await _owned(call)
    return json_answer(payment_view(payment))


async def _owned(call: Call) -> Payment:
    payment_id = call.id("payment_id", "pay")
    return await read_flow.one(call.runtime.store, payment_id, call.account)


async def page(call: Call) -> Answer:
    call.only(("cursor", "limit", *FILTERS))
    filters = {name: _filter(name, call.query[name]) for name in FILTERS if name in call.query}
    limit = call.limit()
    backwards, cursor = _cursor(call.query.get("cursor"))
    found = await read_flow.page(
        call.runtime.store, call.account, filters, cursor, limit + 1, backwards=backwards
    )
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    older = more or (backwards and bool(found))
    newer = more if backwards else "cursor" in call.query and bool(found)
    return json_answer(
        PaymentPage(
            data=[payment_view(payment) for payment in found],
            has_more=older,
            next_cursor=OLDER + found[-1].id if older else None,
            previous_cursor=NEWER + found[0].id if newer else None,
        )
    )


def _filter(name: str, value: str) -> str:
    if name == "status" and value not in STATUSES:
        raise bad_parameter("status", f"one of {', '.join(STATUSES)}")
    if name == "needs_attention" and value != "true":
        raise bad_parameter(name, "true, or left out")
    if not 1 <= len(value) <= MAX_FILTER or "\0" in value:
        raise bad_parameter(name, f"1 to {MAX_FILTER} characters, none of them NUL")
    return value


def _cursor(given: str | None) -> tuple[bool, str]:
    """Whether to go backwards, and the id to go from."""
    if given is None:
        return False, f"pay_{NEWEST}"
    backwards, id_ = given.startswith(NEWER), given[len(OLDER) :]
    if not given.startswith((OLDER, NEWER)) or not is_id(id_, "pay"):
        raise bad_parameter("cursor", "a cursor comes from an earlier page's answer")
    return backwards, id_


async def refunds(call: Call) -> Answer:
    books = await load(call.runtime, call.id("payment_id", "pay"), call.account)
    return json_answer(RefundList(data=[refund_view(books, item) for item in books.refunds]))


async def read_refund(call: Call) -> Answer:
    books = await load(call.runtime, call.id("payment_id", "pay"), call.account)
    refund_id = call.id("refund_id", "re")
    found = books.refund(refund_id)
    if found is None:
        raise NotFound(f"no refund {refund_id}")
    return json_answer(refund_view(books, found))


async def disputes(call: Call) -> Answer:
    books = await load(call.runtime, call.id("payment_id", "pay"), call.account)
    currency = books.payment.currency
    return json_answer(DisputeList(data=[dispute_view(item, currency) for item in books.disputes]))


async def read_dispute(call: Call) -> Answer:
    books = await load(call.runtime, call.id("payment_id", "pay"), call.account)
    dispute_id = call.id("dispute_id", "dp")
    found = next((item for item in books.disputes if item.id == dispute_id), None)
    if found is None:
        raise NotFound(f"no dispute {dispute_id}")
    return json_answer(dispute_view(found, books.payment.currency))


async def attempts(call: Call) -> Answer:
    books = await load(call.runtime, call.id("payment_id", "pay"), call.account)
    return json_answer(AttemptList(data=[attempt_view(item) for item in books.attempts]))


async def clear_attention(call: Call) -> Answer:
    payment_id = call.id("payment_id", "pay")
    asked, _ = call.asked(ClearAttention)
    assert call.key is not None, "clearing asks for a key"
    after = await attention.clear(
        call.runtime,
        payment_id,
        account=call.account,
        reason=asked.reason,
        actor=call.key.id,
    )
    return json_answer(payment_view(after))


async def audit(call: Call) -> Answer:
    payment = await _owned(call)
    rows = await read_flow.trail(call.runtime.store, payment.id)
    return json_answer(AuditList(data=[audit_view(row) for row in rows]))
