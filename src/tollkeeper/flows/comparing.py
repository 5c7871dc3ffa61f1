"""Comparing a payment with what another version sees of it, and correcting what was misread."""

import msgspec
from msgspec.structs import replace

from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask, order_for
from tollkeeper.payments.correction import corrected
from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Books
from tollkeeper.rollouts.crossing import disagreement, may_have_changed


class Sight(msgspec.Struct, frozen=True):
    """What the version `reader` sees of a payment. `why`: what it sees otherwise than the books;
    empty where it agrees."""

    reader: str
    charge: Charge
    why: str
    asked_ms: int


async def compared(runtime: Runtime, books: Books, reader: str, actor: str) -> str | None:
    """Looks a decided payment up through `reader`, which is believed. `agreed`, `disagreed` where
    the books were corrected, or `None` where it must be asked again."""
    seen = await looked_at(runtime, books, reader)
    if seen is None:
        return None
    if not seen.why:
        return "agreed"
    return "disagreed" if await believe(runtime, books, seen, actor) else None


async def looked_at(runtime: Runtime, books: Books, reader: str) -> Sight | None:
    """What `reader` sees of a decided payment, looked at twice where it disagrees: a single reading
    may not be of this charge. Where the charge may have changed since, the payment's own version is
    asked as well, and what it sees too was not misread. `None` where it must be asked again."""
    payment = books.payment
    asked_ms = runtime.store.now_ms()
    version = runtime.integration(reader)
    order = order_for(runtime, payment, books.attempts[0])
    said = await ask(runtime, version, "lookup", order)
    if said.charge is None or not said.is_known:
        return None
    now = await load(runtime, payment.id)
    if now.payment.seq != payment.seq or now.open_attempts():
        return None
    why = disagreement(payment, said.charge)
    if why is None:
        return Sight(reader, said.charge, "", asked_ms)
    again = await ask(runtime, version, "lookup", order)
    # otherwise one of the two readings was not of this charge
    same = again.charge is not None and disagreement(payment, again.charge) == why
    if not same:
        return None
    if may_have_changed(payment, said.charge):
        own = await ask(runtime, runtime.integration(payment.integration), "lookup", order)
        if own.charge is None or not own.is_known:
            return None
        if disagreement(payment, own.charge) == why:  # nothing was misread
            await runtime.store.enqueue_job("refresh", payment.id, runtime.store.now_ms())
            return Sight(reader, said.charge, "", asked_ms)
    return Sight(reader, said.charge, why, asked_ms)


async def believe(runtime: Runtime, books: Books, seen: Sight, actor: str) -> bool:
    """Corrects the books by what was seen. False where they were changed in between, as by a
    follow-up that was begun: the reading must be made again."""

    def decide(current: Books) -> Books:
        if current.payment.seq != books.payment.seq:
            return current  # it has moved on: the comparison was of what is no more
        now_ms = runtime.store.now_ms()
        return corrected(
            current, seen.charge, seen.reader, seen.why, now_ms, asked_ms=seen.asked_ms
        )

    after = await record(runtime, books, decide, cause="payment.cross_read", actor=actor)
    return after.payment.seq == books.payment.seq + 1 and after.payment.moved_from is not None


async def call_for_a_person(runtime: Runtime, books: Books, seen: Sight, actor: str) -> None:
    """Says that two versions see a payment differently, and that none could tell which is right."""
    why = f"{seen.reader} sees it otherwise than {books.payment.integration}: {seen.why}"

    def decide(current: Books) -> Books:
        if current.payment.attention is not None:
            return current
        return replace(
            current,
            payment=replace(current.payment, attention=why[:1000], attention_until="cleared"),
        )

    await record(runtime, books, decide, cause="payment.disputed", actor=actor)
