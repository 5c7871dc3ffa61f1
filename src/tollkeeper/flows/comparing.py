"""Comparing a payment with what another version sees of it, and correcting what was misread."""

from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask, order_for
from tollkeeper.payments.correction import corrected
from tollkeeper.payments.payment import Books
from tollkeeper.rollouts.crossing import disagreement


async def compared(runtime: Runtime, books: Books, reader: str, actor: str) -> str | None:
    """Looks a decided payment up through `reader`, twice where it disagrees: a single reading may
    not be of this charge. `agreed`, `disagreed` where the books were corrected, or `None` where it
    must be asked again."""
    payment = books.payment
    asked_ms = runtime.store.now_ms()
    baseline = runtime.integration(reader)
    order = order_for(runtime, payment, books.attempts[0])
    said = await ask(runtime, baseline, "lookup", order)
    if said.charge is None or not said.is_known:
        return None
    now = await load(runtime, payment.id)
    if now.payment.seq != payment.seq or now.open_attempts():
        return None
    why = disagreement(payment, said.charge)
    if why is None:
        return "agreed"
    again = await ask(runtime, baseline, "lookup", order)
    # otherwise one of the two readings was not of this charge
    same = again.charge is not None and disagreement(payment, again.charge) == why
    if not same:
        return None

    def decide(current: Books) -> Books:
        if current.payment.seq != books.payment.seq:
            return current  # it has moved on: the comparison was of what is no more
        now_ms = runtime.store.now_ms()
        assert said.charge is not None
        return corrected(current, said.charge, reader, why, now_ms, asked_ms=asked_ms)

    # a change in between, as a follow-up that was begun, leaves the books as they are
    after = await record(runtime, books, decide, cause="payment.cross_read", actor=actor)
    done = after.payment.seq == books.payment.seq + 1 and after.payment.moved_from is not None
    return "disagreed" if done else None
