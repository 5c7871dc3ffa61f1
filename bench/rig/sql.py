"""The same SQL without HTTP and without a provider: how many payments the store alone can take.

Started by `throughput.py` in a process of its own; prints payments a second as JSON.
"""

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import uvloop
from msgspec.structs import replace

from tollkeeper import app as root
from tollkeeper.kernel.ids import new_id
from tollkeeper.payments.change import (
    Answer,
    Change,
    Exchange,
    IdempotencyClaim,
    between,
    committed,
)
from tollkeeper.payments.outcome import Charge, Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.view import encode, payment_view
from tollkeeper.settings import Settings

REQUEST_BYTES, REPLY_BYTES = 520, 2_400
"""What an exchange with the simulator takes."""

chance = root.SystemChance()


def changes_of(number: int, now_ms: int) -> tuple[Change, Change]:
    """The two changes of an ordinary payment: opened, and captured."""
    books = _opened(number, now_ms)
    payment, attempt = books.payment, books.attempts[0]
    claim = IdempotencyClaim(
        account="default",
        key=secrets.token_hex(16),
        fingerprint=secrets.token_hex(32),
        token=new_id("claim", now_ms, chance),
        payment_id=payment.id,
    )
    exchange = Exchange(
        attempt_id=attempt.id, payment_id=payment.id, request=os.urandom(REQUEST_BYTES)
    )
    opening = _change(None, books, now_ms, look_at_ms=now_ms + 32_000)
    opening = replace(opening, claim=claim, exchanges=(exchange,))
    books = committed(books, opening)
    after = apply_outcome(books, attempt, _captured(payment, attempt), now_ms + 1)
    answered = _change(books, after, now_ms + 1, look_at_ms=None)
    masked = replace(exchange, reply=b"r" * REPLY_BYTES, sealed=False)
    answer = Answer(
        account=claim.account,
        key=claim.key,
        status=201,
        body=encode(payment_view(after.payment)),
        expires_ms=now_ms + 30 * 86_400_000,
    )
    return opening, replace(answered, exchanges=(masked,), answer=answer)


def _opened(number: int, now_ms: int) -> Books:
    payment = Payment(
        id=new_id("pay", now_ms, chance),
        account="default",
        amount_minor=1000 + number % 9000,
        currency="EUR",
        capture_method="automatic",
        payment_method="pm_card_visa",
        integration="stripe@2022-11-15",
        created_ms=now_ms,
        updated_ms=now_ms,
        deadline_ms=now_ms + 120_000,
        customer=f"customer-{number % 997}",
        reference=f"order-{number}",
    )
    attempt = Attempt(
        id=new_id("att", now_ms, chance),
        payment_id=payment.id,
        operation="authorize",
        integration=payment.integration,
        amount_minor=payment.amount_minor,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
        sender="bench",
    )
    return Books(payment=payment, attempts=(attempt,))


def _captured(payment: Payment, attempt: Attempt) -> Outcome:
    charge = Charge(
        provider_id=f"pi_{secrets.token_hex(12)}",
        state="captured",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        capturable_minor=0,
        captured_minor=payment.amount_minor,
        refunded_minor=0,
        payment_id=payment.id,
        attempt_id=attempt.id,
    )
    return Outcome(kind="approved", charge=charge)


def _change(before: Books | None, after: Books, now_ms: int, look_at_ms: int | None) -> Change:
    return between(
        before,
        after,
        cause="bench",
        actor="key_bench",
        now_ms=now_ms,
        look_at_ms=look_at_ms,
        event_ids=_event_ids(now_ms),
    )


def _event_ids(now_ms: int) -> Iterator[str]:
    while True:
        yield new_id("evt", now_ms, chance)


async def commit_all(store: Any, work: list[tuple[Change, Change]], at_once: int) -> None:
    left = iter(work)

    async def writer() -> None:
        for pair in left:
            for change in pair:
                await store.commit(change)

    await asyncio.gather(*(writer() for _ in range(at_once)))


async def measure(database: str, count: int, at_once: int) -> dict[str, float]:
    settings = Settings(database=database, database_connections=min(at_once, 10))
    store = await root.open_store(settings)
    now_ms = store.now_ms()
    work = [changes_of(number, now_ms + number) for number in range(count)]
    cpu, began = time.process_time(), time.perf_counter()
    await commit_all(store, work, at_once)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    await store.close()
    return {"per_second": count / seconds, "cpu_ms": spent / count * 1000}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("database")
    options.add_argument("--payments", type=int, default=2000)
    options.add_argument("--at-once", type=int, default=1)
    given = options.parse_args()
    root.upgrade_database(Settings(database=given.database))
    found = uvloop.run(measure(given.database, given.payments, given.at_once))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
