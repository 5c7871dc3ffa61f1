"""New payments while no installed version works: refused, or accepted and sent later.

A held payment has its first attempt committed with a moment of sending that has not come. Whoever
holds its job moves that moment on while nothing works. If no process is left to do so, settling
takes the attempt over as one whose sender has died, and loses nothing.
"""

from typing import Final

from msgspec.structs import replace

from tollkeeper.flows.observing import context_of
from tollkeeper.flows.payments.answers import Key
from tollkeeper.flows.payments.attempts import again_through, record_outcome
from tollkeeper.flows.payments.create import authorize
from tollkeeper.flows.payments.treatment import HOLD_MS, LOOK_MS, treatment
from tollkeeper.flows.ports import Job
from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import SendResult, prepare
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.judging import not_sent
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.results import with_attempt
from tollkeeper.routing.routes import RouteChoice

ACTOR: Final = "held"

HELD_PROBE_SECONDS: Final = 30.0
"""Where no new payments come that show whether a version works again, a held one does so often."""


async def send_held(runtime: Runtime, job: Job) -> None:
    """Runs one `send_held` job, whose subject is the payment."""
    try:
        books = await load(runtime, job.subject)
    except NotFound:
        await runtime.store.finish_job(job)
        return
    attempt = books.held()
    if attempt is None:
        await runtime.store.finish_job(job)
        return
    payment, now_ms = books.payment, runtime.store.now_ms()
    taken = _choose(runtime, books)
    provider = taken.integration.partition("@")[0]
    ends_ms = payment.created_ms + int(runtime.provider(provider).accept_seconds * 1000)
    if not treatment(runtime, taken, HELD_PROBE_SECONDS).holds:
        await _send(runtime, books, attempt, taken)
    elif now_ms < ends_ms:
        await record(runtime, books, lambda b: _put_off(runtime, b), cause="held", actor=ACTOR)
        await runtime.store.postpone_job(job, now_ms + LOOK_MS)
        return
    else:
        said = not_sent("no_version_works", "no installed version worked in time")
        await record_outcome(runtime, _key(books), books, attempt, SendResult(said, None), None)
    await runtime.store.finish_job(job)


def _put_off(runtime: Runtime, books: Books) -> Books:
    attempt = books.held()
    if attempt is None:
        return books
    return with_attempt(books, replace(attempt, sent_ms=runtime.store.now_ms() + HOLD_MS))


def _choose(runtime: Runtime, books: Books) -> RouteChoice:
    """The version for it now. It counts in no rollout: those compare payments of one time."""
    payment = books.payment
    every = [canary.rollout_id for canary in runtime.live.routes.canaries]
    now_ms = runtime.store.now_ms()
    taken = runtime.router.choose(context_of(payment), now_ms, payment.amount_minor, every)
    return replace(taken, canary=None, is_canary=False)


async def _send(runtime: Runtime, books: Books, attempt: Attempt, taken: RouteChoice) -> None:
    if taken.integration != attempt.integration:
        made = again_through(runtime, attempt, taken.integration)
        prepared = prepare(runtime, books, made)
        heard = SendResult(not_sent("held", "another version works by now"), None)
        books, _ = await record_outcome(
            runtime, _key(books), books, attempt, heard, None, following=made, prepared=prepared
        )
        following = books.attempt(made.id)
    else:
        now_ms = runtime.store.now_ms()
        books = await record(
            runtime,
            books,
            lambda b: with_attempt(b, replace(mine, sent_ms=now_ms)) if (mine := b.held()) else b,
            cause="sent",
            actor=ACTOR,
        )
        following = books.held()
        prepared = prepare(runtime, books, attempt)
    if following is None:
        return  # others have taken it further meanwhile
    await authorize(runtime, _key(books), books, following, prepared, taken)


def _key(books: Books) -> Key:
    """No caller waits for an answer: the one who came was told to look at the payment."""
    return Key(account=books.payment.account, key="", fingerprint="", actor=ACTOR)
