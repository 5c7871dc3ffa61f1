"""Taking a payment: authorize, and capture where the shop wants it at once.

Gather: the key, the route. Decide: the payments room. Record: committed before anything is sent,
and again when the outcome is known.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.flows.exchanges import stored_request
from tollkeeper.flows.observing import (
    assignment_of,
    context_of,
    evidence_of,
    is_failure,
    note_begun,
    note_first,
    observed_of,
    shadowed_of,
)
from tollkeeper.flows.payments.answers import Key, Result, payment_result, replay
from tollkeeper.flows.payments.attempts import again_through, claim_of, closed, record_outcome
from tollkeeper.flows.payments.look import settled_at_once
from tollkeeper.flows.payments.treatment import HOLD_MS, LOOK_MS, treatment
from tollkeeper.flows.recording import commit_surely
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import Prepared, SendResult, prepare, send
from tollkeeper.kernel.errors import (
    Invalid,
    NoVersionWorks,
    ReferenceInUse,
    TollkeeperError,
)
from tollkeeper.payments.change import Answer, HeldReference, committed
from tollkeeper.payments.commit import Committed, KeyTaken, ReferenceTaken
from tollkeeper.payments.failover import may_fail_over, pause_seconds, tried_versions
from tollkeeper.payments.payment import Attempt, Books, CaptureMethod, Payment
from tollkeeper.routing.routes import RouteChoice, RoutingContext

MAX_SENDS: Final = 8
"""Sends of one payment: three versions, and the pauses that a busy provider asks for."""


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as asked for, validated at the door."""

    amount_minor: int
    currency: str
    payment_method: str
    capture_method: CaptureMethod = "automatic"
    multicapture: bool = False
    customer: str | None = None
    country: str | None = None
    reference: str | None = None
    description: str | None = None
    return_url: str | None = None
    metadata: dict[str, str] = {}
    unique_reference: bool = False


async def create(runtime: Runtime, key: Key, asked: NewPayment) -> Result:
    """Authorizes (and with `capture_method` automatic captures) a new payment."""
    before_ms = runtime.store.now_ms()
    id_ = runtime.new_id("pay")
    facts = RoutingContext(
        unit=asked.customer or id_,
        payment_id=id_,
        currency=asked.currency,
        account=key.account,
        country=asked.country,
    )
    fault = runtime.router.amount_fault(facts, asked.amount_minor)
    if fault is not None:
        return await _refused(runtime, key, Invalid(fault.detail, faults=(fault,)))
    taken = runtime.router.choose(facts, before_ms, asked.amount_minor, runtime.live.withheld())
    if taken.share is not None and taken.share.none_works:
        known = await runtime.store.load_key(key.account, key.key)
        if known is not None:  # a replay sends nothing, and must not use up a probe
            return await replay(runtime, key, known)
    treated = treatment(runtime, taken)
    if treated.refuses:
        return await _refused(runtime, key, _none_works(taken))
    if treated.holds:
        return await _create(runtime, key, asked, id_, taken, before_ms, is_held=True)
    with runtime.live.places.at(taken.integration, key.account):
        return await _create(runtime, key, asked, id_, taken, before_ms)


def _none_works(taken: RouteChoice) -> TollkeeperError:
    provider = taken.integration.partition("@")[0]
    return NoVersionWorks(f"no installed version of {provider} works at the moment")


async def _create(
    runtime: Runtime,
    key: Key,
    asked: NewPayment,
    id_: str,
    taken: RouteChoice,
    before_ms: int,
    *,
    is_held: bool = False,
) -> Result:
    payment = _payment(runtime, key, asked, id_, taken.integration, before_ms)
    attempt = _first_attempt(runtime, payment, before_ms)
    if is_held:
        provider = runtime.provider(taken.integration.partition("@")[0])
        later_ms = int(provider.accept_seconds * 1000)
        payment = replace(payment, deadline_ms=payment.deadline_ms + later_ms)
        attempt = replace(attempt, sent_ms=before_ms + HOLD_MS, waits=True)
    books = Books(payment=payment, attempts=(attempt,))
    prepared = prepare(runtime, books, attempt)
    claim = claim_of(runtime, key, payment.id)
    change = closed(runtime, key, None, books, cause="created", now_ms=before_ms, claim=claim)
    held = None
    if asked.unique_reference and asked.reference is not None:
        known = await runtime.store.load_key(key.account, key.key)
        if known is not None:
            return await replay(runtime, key, known)
        held = await _held_reference(runtime, key.account, asked.reference, payment.id)
    result = await commit_surely(
        runtime,
        msgspec.structs.replace(
            change,
            exchanges=(stored_request(runtime, attempt, prepared.request),),
            assignment=None if is_held else assignment_of(taken, id_, before_ms),
            held=held,
        ),
    )
    if isinstance(result, KeyTaken):
        return await replay(runtime, key, result)
    if isinstance(result, ReferenceTaken):
        known = await runtime.store.load_key(key.account, key.key)
        if known is not None:
            return await replay(runtime, key, known)  # the same request came twice at once
        raise _reference_taken(asked.reference or "", result.payment_id)
    assert isinstance(result, Committed), result
    made = committed(books, change)
    if is_held:
        await runtime.store.enqueue_job("send_held", id_, before_ms + LOOK_MS)
        return payment_result(made, created=True)
    books, stored = await authorize(runtime, key, made, attempt, prepared, taken)
    return payment_result(books, stored, created=True)


async def _held_reference(
    runtime: Runtime, account: str, reference: str, payment_id: str
) -> HeldReference:
    """The reference, to be held with the payment; raises `Conflict` where a live payment has it."""
    live, holder = await runtime.store.reference_holder(account, reference)
    if live is not None:
        raise _reference_taken(reference, live)
    return HeldReference(
        account=account, reference=reference, payment_id=payment_id, previous=holder
    )


def _reference_taken(reference: str, payment_id: str) -> ReferenceInUse:
    return ReferenceInUse(f"payment {payment_id} is live and has the reference {reference!r}")


async def _refused(runtime: Runtime, key: Key, error: TollkeeperError) -> Result:
    """Raises `error`; the replay of a payment that was taken before keeps its answer."""
    known = await runtime.store.load_key(key.account, key.key)
    if known is not None:
        return await replay(runtime, key, known)
    raise error


def _payment(
    runtime: Runtime, key: Key, asked: NewPayment, id_: str, chosen: str, now_ms: int
) -> Payment:
    settings = runtime.settings
    return Payment(
        id=id_,
        account=key.account,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        capture_method=asked.capture_method,
        payment_method=asked.payment_method,
        integration=chosen,
        created_ms=now_ms,
        updated_ms=now_ms,
        deadline_ms=now_ms + int(settings.shopper_deadline_seconds * 1000),
        multicapture=asked.multicapture,
        customer=asked.customer,
        country=asked.country,
        reference=asked.reference,
        description=asked.description,
        return_url=asked.return_url,
        metadata=asked.metadata,
        unique_reference=asked.unique_reference,
    )


def _first_attempt(runtime: Runtime, payment: Payment, now_ms: int) -> Attempt:
    return Attempt(
        id=runtime.new_id("att"),
        payment_id=payment.id,
        operation="authorize",
        sender=runtime.sender,
        integration=payment.integration,
        amount_minor=payment.amount_minor,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
    )


async def authorize(
    runtime: Runtime,
    key: Key,
    books: Books,
    attempt: Attempt,
    prepared: Prepared,
    taken: RouteChoice,
) -> tuple[Books, Answer | None]:
    """Sends the attempt, and after proof of no effect the next one, until one is decided. Only the
    first counts in a rollout, as it was before anything helped it."""
    waited = Patience(runtime.settings.patience_seconds)
    stored: Answer | None = None
    sends: list[SendResult] = []
    versions: list[str] = []
    await note_begun(runtime, books, taken, attempt.integration)
    for number in range(MAX_SENDS):
        first = await _counted_send(runtime, books, attempt, prepared, taken, number)
        heard = await settled_at_once(runtime, books, attempt, first)
        sends.append(evidence_of(first, heard))
        versions.append(attempt.integration)
        following = _following(runtime, books, attempt, heard, waited, taken)
        counts = number == 0 and taken.canary is not None
        next_prepared = prepare(runtime, books, following) if following else None
        books, stored = await record_outcome(
            runtime,
            key,
            books,
            attempt,
            heard,
            prepared.request,
            following=following,
            prepared=next_prepared,
            observed=observed_of(taken, attempt, first, runtime.store.now_ms()) if counts else None,
            shadowed=shadowed_of(runtime, taken, books, attempt, prepared, first)
            if counts
            else None,
        )
        if following is None or next_prepared is None:
            break
        if books.attempt(following.id) is None:
            break  # another process settled the payment meanwhile
        await runtime.clock.sleep(max(0, following.first_sent_ms - runtime.store.now_ms()) / 1000)
        attempt, prepared = following, next_prepared
    if not (taken.is_canary and taken.canary is not None and taken.canary.is_running):
        await note_first(runtime, books, taken, versions, sends, tossed=waited.tossed)
    return books, stored


async def _counted_send(
    runtime: Runtime,
    books: Books,
    attempt: Attempt,
    prepared: Prepared,
    taken: RouteChoice,
    number: int,
) -> SendResult:
    """Sends, with a canary's payment among those whose result is outstanding meanwhile."""
    if number or not taken.is_canary or taken.canary is None:
        return await send(runtime, books, attempt, prepared)
    rollout_id = taken.canary.rollout_id
    runtime.live.canary_sent(rollout_id)
    failed: bool | None = None
    try:
        heard = await send(runtime, books, attempt, prepared)
        failed = is_failure(heard)
    finally:
        runtime.live.canary_heard(rollout_id, runtime.store.now_ms(), failed=failed)
    return heard


@dataclass
class Patience:
    """What one payment has waited for a provider that says "not now", and whether a coin was tossed
    for its second attempt."""

    left_seconds: float
    pauses: int = 0
    tossed: bool = False


def _following(
    runtime: Runtime,
    books: Books,
    attempt: Attempt,
    heard: SendResult,
    patience: Patience,
    taken: RouteChoice,
) -> Attempt | None:
    """The next attempt, where the class of the result allows one: after a pause through the same
    version, or at once through another one that is left."""
    pause = pause_seconds(heard.outcome, patience.pauses, patience.left_seconds)
    if pause is not None:
        patience.pauses += 1
        patience.left_seconds -= pause
        return again_through(runtime, attempt, attempt.integration, pause)
    tried = tried_versions(books.attempts)
    if not may_fail_over(heard.outcome, tried):
        return None
    # a fair coin: only so does it show whether a second try through another version helps
    is_tossed = len(tried) == 1 and runtime.live.is_coin_due(
        attempt.integration, runtime.clock.monotonic()
    )
    patience.tossed = patience.tossed or is_tossed
    if is_tossed and runtime.chance.bits(1):
        return again_through(runtime, attempt, attempt.integration)
    name = runtime.router.next_version(
        context_of(books.payment),
        books.payment.amount_minor,
        tried,
        first=taken.share.candidate if taken.share is not None else "",
    )
    return again_through(runtime, attempt, name) if name is not None else None
