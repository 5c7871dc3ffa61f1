"""New payments while no installed version works: refused, or accepted and sent later.

A held payment has its first attempt committed as one that waits: it was never sent. Whoever sends
it commits first that it waits no more; from then on it is an attempt like any other. Where its job
was lost, settling makes a new one.
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
    if now_ms >= ends_ms:
        said = not_sent("no_version_works", "no installed version worked in time")
        await record_outcome(runtime, _key(books), books, attempt, SendResult(said, None), None)
    elif treatment(runtime, taken, HELD_PROBE_SECONDS).holds:
        await record(runtime, books, lambda b: _put_off(runtime, b), cause="held", actor=ACTOR)
        await runtime.store.postpone_job(job, now_ms + LOOK_MS)
        return
    else:
        await _send(runtime, books, attempt, taken)
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
    """Sends it through the version that carries traffic by now. Whoever commits that it waits no
    more sends it, and no other process."""
    if taken.integration != attempt.integration:
        await _send_elsewhere(runtime, books, attempt, taken)
        return
    is_mine = False

    def begin(current: Books) -> Books:
        nonlocal is_mine
        waiting = current.held()
        is_mine = waiting is not None
        if waiting is None:
            return current
        now_ms = runtime.store.now_ms()
        return with_attempt(
            current, replace(waiting, waits=False, sent_ms=now_ms, sender=runtime.sender)
        )

    books = await record(runtime, books, begin, cause="sent", actor=ACTOR)
    following = books.attempt(attempt.id)
    if is_mine and following is not None:
        prepared = prepare(runtime, books, following)
        await authorize(runtime, _key(books), books, following, prepared, taken)


async def _send_elsewhere(
    runtime: Runtime, books: Books, attempt: Attempt, taken: RouteChoice
) -> None:
    """Concludes the attempt that was never sent, and sends another through the other version."""
    made = again_through(runtime, replace(attempt, waits=False), taken.integration)
    prepared = prepare(runtime, books, made)
    heard = SendResult(not_sent("held", "another version works by now"), None)
    books, _ = await record_outcome(
        runtime, _key(books), books, attempt, heard, None, following=made, prepared=prepared
    )
    following = books.attempt(made.id)
    if following is not None:  # else others have taken it further meanwhile
        await authorize(runtime, _key(books), books, following, prepared, taken)


def _key(books: Books) -> Key:
    """No caller waits for an answer: the one who came was told to look at the payment."""
    return Key(account=books.payment.account, key="", fingerprint="", actor=ACTOR)
