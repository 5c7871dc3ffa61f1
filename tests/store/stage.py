"""Books and changes to store: as the payments room makes them, with few words."""

import itertools
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from tests.store.backends import EPOCH_MS

from tollkeeper.payments.change import Answer, Change, Exchange, IdempotencyClaim, Inbound, between
from tollkeeper.payments.outcome import Charge, Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.payments.results import apply_outcome

_NUMBERS = itertools.count(1)


def number() -> int:
    return next(_NUMBERS)


def identifier(prefix: str) -> str:
    return f"{prefix}_{number():026d}"


def event_ids() -> Iterator[str]:
    while True:
        yield identifier("evt")


def payment(**fields: Any) -> Payment:
    defaults: dict[str, Any] = {
        "id": identifier("pay"),
        "account": "acc_1",
        "amount_minor": 1_000,
        "currency": "EUR",
        "capture_method": "manual",
        "payment_method": "pm_card_visa",
        "integration": "stripe@2022-11-15",
        "created_ms": EPOCH_MS,
        "updated_ms": EPOCH_MS,
        "deadline_ms": EPOCH_MS + 120_000,
    }
    return Payment(**(defaults | fields))


def fresh_books(**fields: Any) -> Books:
    made = payment(**fields)
    attempt = Attempt(
        id=identifier("att"),
        payment_id=made.id,
        operation="authorize",
        integration=made.integration,
        amount_minor=made.amount_minor,
        first_sent_ms=EPOCH_MS,
        sent_ms=EPOCH_MS,
    )
    return Books(payment=made, attempts=(attempt,))


def change(
    before: Books | None, after: Books, *, look_at_ms: int | None = EPOCH_MS, **extra: Any
) -> Change:
    made = between(
        before, after, cause="test", actor="test", now_ms=EPOCH_MS, look_at_ms=look_at_ms,
        event_ids=event_ids(),
    )  # fmt: skip
    return replace(made, **extra)


def opening(books: Books, **extra: Any) -> Change:
    """The change that a new payment begins with, its request stored."""
    attempt = books.attempts[0]
    exchange = Exchange(attempt_id=attempt.id, payment_id=books.payment.id, request=b"request")
    return change(None, books, exchanges=(exchange,), **extra)


def authorized(books: Books) -> Books:
    """The books after the provider approved."""
    charge = Charge(
        provider_id=f"pi_{books.payment.id}",
        state="authorized",
        amount_minor=books.payment.amount_minor,
        currency=books.payment.currency,
        capturable_minor=books.payment.amount_minor,
        payment_id=books.payment.id,
        attempt_id=books.attempts[0].id,
    )
    said = Outcome(kind="approved", charge=charge)
    return apply_outcome(books, books.attempts[0], said, EPOCH_MS + 1)


def as_stored(after: Books, made: Change) -> Books:
    return replace(after, payment=made.payment)


def claim(books: Books, key: str = "key-1", **fields: Any) -> IdempotencyClaim:
    defaults: dict[str, Any] = {
        "account": books.payment.account,
        "key": key,
        "fingerprint": "f",
        "token": identifier("claim"),
        "payment_id": books.payment.id,
    }
    return IdempotencyClaim(**(defaults | fields))


def answer(books: Books, key: str = "key-1", expires_ms: int = EPOCH_MS + 1_000) -> Answer:
    return Answer(
        account=books.payment.account, key=key, status=201, body=b"{}", expires_ms=expires_ms
    )


def inbound(event_id: str = "evt_provider", payment_id: str | None = None) -> Inbound:
    return Inbound(
        provider="stripe",
        event_id=event_id,
        integration="stripe@2022-11-15",
        word="payment_intent.succeeded",
        payload=b"sealed",
        received_ms=EPOCH_MS,
        fate="queued",
        payment_id=payment_id,
    )
