"""Settling: taking one payment step by step until its outcome is known, or it is time to wait.

Gather: one question to the provider at a time. Decide: the ladder and the reconciler. Record: every
step that could move money is committed before it is taken. Runs as a durable job, so that a crash
at any point leaves a row and a job that go on.
"""

from typing import Final

from tollkeeper.flows.payments.acts import (
    cancel,
    conclude_not_executed,
    replay,
    reread_stored,
    reverse,
)
from tollkeeper.flows.payments.questions import (
    find,
    list_disputes,
    list_refunds,
    look_for_second,
    lookup,
    search,
)
from tollkeeper.flows.payments.settlement_run import SettlementRun
from tollkeeper.flows.payments.treatment import HOLD_MS
from tollkeeper.flows.ports import Job
from tollkeeper.flows.recording import load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.payment import Books
from tollkeeper.payments.settlement import (
    DONE,
    Step,
    being_sent,
    late_again_ms,
    look_at_ms,
    looked,
    next_step,
    worked_on,
)

MAX_STEPS: Final = 14
"""Steps in one pass: the ladder has eight rungs, a cancellation is followed by a lookup, and before
absence counts the provider is asked once more."""


async def settle(runtime: Runtime, job: Job) -> None:
    """Runs one `settle` or `refresh` job."""
    try:
        books = await load(runtime, job.subject)
    except NotFound:
        await runtime.store.finish_job(job)
        return
    if books.held() is not None:  # it was never sent, and whoever was to send it may be gone
        now_ms = runtime.store.now_ms()
        await runtime.store.enqueue_job("send_held", job.subject, now_ms)
        await runtime.store.postpone_job(job, now_ms + HOLD_MS)
        return
    current = SettlementRun(runtime, books, refresh=job.kind == "refresh")
    await _take_hint(current)
    answered = await run_steps(current)
    if job.kind == "refresh" and (not answered or current.books.open_attempts()):
        delay_ms = min(60_000, 500 << min(job.tries, 7))
        await runtime.store.postpone_job(job, runtime.store.now_ms() + delay_ms)
    elif job.kind == "refresh":
        await runtime.store.finish_job(job)
    else:
        await _let_go(current, job, answered=answered)


async def look_now(runtime: Runtime, books: Books, charge_id: str) -> Books:
    """Looks at a payment at once, at the charge `charge_id` that something named as its own; gives
    the books as they then are."""
    current = SettlementRun(runtime, books, refresh=True)
    if books.payment.provider_id is None:
        current.learn(hint=charge_id)
    elif charge_id != books.payment.provider_id:
        await look_for_second(current, charge_id)
    await run_steps(current)
    return current.books


async def _take_hint(current: SettlementRun) -> None:
    """Takes along a charge's id that a webhook or a listing named: where the payment knows no
    charge it is where to look, and where it knows another one there may be two."""
    payment = current.books.payment
    if payment.provider_id is not None and not current.refresh:
        return
    hint = await current.runtime.store.hinted_charge(payment.id)
    if hint is None or hint == payment.provider_id:
        return
    if payment.provider_id is None:
        current.learn(hint=hint)
    elif hint not in (payment.attention or ""):
        await look_for_second(current, hint)


async def run_steps(current: SettlementRun) -> bool:
    """Takes steps until nothing more can be learned now; whether every question was answered."""
    for _ in range(MAX_STEPS + len(current.books.open_attempts())):
        exchange = await _open_exchange(current)
        step = next_step(
            current.books,
            current.look,
            current.runtime.policy(current.books.payment.integration),
            current.runtime.store.now_ms(),
            reply_stored=exchange,
            refresh=current.refresh,
            only_sender=current.runtime.only_sender,
        )
        if step.kind in {"wait", "done"}:
            await _end(current, step)
            break
        await _STEPS[step.kind](current, step)
    look = current.look
    return not (
        look.charge_failed or look.refunds_failed or look.refunds_unread or look.disputes_failed
    )


async def _open_exchange(current: SettlementRun) -> bool:
    """Whether the first open attempt's reply lies in the store, still sealed."""
    for attempt in worked_on(current.books):
        exchange = await current.runtime.store.load_exchange(attempt.id)
        return exchange is not None and exchange.sealed and exchange.reply is not None
    return False


async def _end(current: SettlementRun, step: Step) -> None:
    """Counts a pass that did not settle what is open, so that the next one comes later: for each
    attempt that it worked on."""
    if step == DONE:
        return
    now_ms = current.runtime.store.now_ms()
    policy = current.runtime.policy(current.books.payment.integration)

    def decide(books: Books) -> Books:
        for attempt in worked_on(books):
            if not being_sent(attempt, policy, now_ms, current.runtime.only_sender):
                books = looked(books, attempt, policy, now_ms)
        return books

    await current.record(decide, "settling.looked")


async def _let_go(current: SettlementRun, job: Job, *, answered: bool) -> None:
    """Gives the job back when nothing was committed that moved it; every commit set it anew."""
    runtime = current.runtime
    policy = runtime.policy(current.books.payment.integration)
    now_ms = runtime.store.now_ms()
    due = look_at_ms(current.books, policy, now_ms)
    if not answered and not current.books.open_attempts():
        again = late_again_ms(current.books, now_ms)
        due = min((at for at in (due, again) if at is not None), default=None)
    if due is None:
        await runtime.store.finish_job(job)
    else:
        await runtime.store.postpone_job(job, due)


_STEPS: Final = {
    "reread": reread_stored,
    "lookup": lookup,
    "find": find,
    "search": search,
    "list_refunds": list_refunds,
    "list_disputes": list_disputes,
    "reverse": reverse,
    "replay": replay,
    "cancel": cancel,
    "not_executed": conclude_not_executed,
}
