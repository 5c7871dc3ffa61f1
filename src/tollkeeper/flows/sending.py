"""Sending one attempt: build the request, send it, read the reply."""

import asyncio
from typing import Final

import msgspec

from tollkeeper.flows.live.counting import Shopper
from tollkeeper.flows.live.sampling import sample
from tollkeeper.flows.live.trips import trip_of
from tollkeeper.flows.ports import WireFailure, WireResult
from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.version import Integration, OperationInput, WireReply, WireRequest
from tollkeeper.payments.foreign import checked
from tollkeeper.payments.judging import judge, not_sent, silence
from tollkeeper.payments.outcome import Doubt, Operation, Outcome
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.payments.rereading import agreeing, is_contradicted
from tollkeeper.signals.cells import cell_of
from tollkeeper.signals.counts import Cell
from tollkeeper.signals.observation import Observation, Trip, observe

ASK_SECONDS: Final = 8.0
"""How long a question may take. A send waits longer, since giving up on it makes a doubt."""

ASK_TRIES: Final = 3


class Prepared(msgspec.Struct, frozen=True):
    """A built request, or why it could not be built."""

    integration: Integration
    request: WireRequest | None
    error: str = ""


class SendResult(msgspec.Struct, frozen=True):
    """What one send came to, judged. `by` says which reading told us; `unreadable`: the version
    that sent it could not read the reply, and `read_by` the one that did; `own` is what the version
    that sent it made of it. `observation`: what was seen of this send; `None` for
    what was read without one."""

    outcome: Outcome
    reply: WireReply | None
    by: str = "reply"
    unreadable: bool = False
    read_by: str = ""
    own: Outcome | None = None
    observation: Observation | None = None


def order_for(runtime: Runtime, payment: Payment, attempt: Attempt) -> OperationInput:
    """What a version may need to know to build the request of `attempt`."""
    return OperationInput(
        payment_id=payment.id,
        attempt_id=attempt.id,
        amount_minor=attempt.amount_minor,
        currency=payment.currency,
        capture_method=payment.capture_method,
        payment_method=payment.payment_method,
        multicapture=payment.multicapture,
        final=attempt.final,
        return_url=f"{runtime.settings.public_url}/v1/return/{payment.id}",
        description=payment.description,
        reference=payment.reference,
        metadata=payment.metadata,
        provider_id=payment.provider_id or attempt.provider_id,
    )


def prepare(
    runtime: Runtime, books: Books, attempt: Attempt, *, reason: str | None = None
) -> Prepared:
    """Builds the request of `attempt`. A version that raises is class A, not our caller's 500."""
    integration = runtime.integration(attempt.integration)
    order = order_for(runtime, books.payment, attempt)
    if reason is not None:
        order = msgspec.structs.replace(order, reason=reason)
    try:
        return Prepared(integration, integration.request(attempt.operation, order))
    except Exception as error:  # noqa: BLE001 - any bug of a version's must end as class A
        return Prepared(integration, None, f"{type(error).__name__}: {error}")


async def send(runtime: Runtime, books: Books, attempt: Attempt, prepared: Prepared) -> SendResult:
    """Sends the prepared request and judges what came back. Never sends twice."""
    began = runtime.clock.monotonic()
    if prepared.request is None:
        said = not_sent("build_error", prepared.error)
        return _observed(
            runtime, books, attempt, SendResult(said, None), said, _trip(runtime, began, "")
        )
    counting = runtime.live.counting
    number = counting.begin(
        runtime.store.now_ms(),
        prepared.integration.provider,
        attempt.integration,
        attempt.operation,
    )
    try:
        integration, request = prepared.integration, prepared.request
        result = await runtime.exchange(integration, attempt.operation, request, books.payment.id)
    finally:
        counting.end(number)
    return interpret(runtime, books, attempt, prepared.integration, result, began)


def interpret(
    runtime: Runtime,
    books: Books,
    attempt: Attempt,
    integration: Integration,
    result: WireResult,
    began: float,
) -> SendResult:
    """Judges a result; an unreadable reply is read again with the other installed versions. `began`
    is when the send began, in seconds on the monotonic clock."""
    reply = result.reply
    runtime.live.health(integration.provider).saw_certificate(result.certificate_until_s)
    trip = _trip(runtime, began, integration.provider, result)
    if reply is None:
        said = _unanswered(result)
        return _observed(runtime, books, attempt, SendResult(said, None), said, trip)
    runtime.live.counting.compare_clocks(trip.at_ms, reply)
    said = judge(books.payment, attempt, read_by(integration, attempt.operation, reply))
    _note_health(runtime, integration, attempt.operation, said)
    heard = SendResult(said, reply, unreadable=said.is_unreadable)
    if not said.is_known:
        _asked_to_wait(runtime, integration, reply)
        other = reread(runtime, books, attempt, reply)
        if other is not None:
            name, read = other
            heard = SendResult(read, reply, "reread", unreadable=said.is_unreadable, read_by=name)
    return _observed(runtime, books, attempt, heard, said, trip)


def _unanswered(result: WireResult) -> Outcome:
    failure = result.failure
    assert failure is not None, "a result is a reply or a failure"
    if failure.acquired:
        return silence(failure.stage, failure.error)
    return not_sent(failure.error, f"{failure.stage} {failure.detail}")


def _asked_to_wait(runtime: Runtime, integration: Integration, reply: WireReply) -> None:
    health = runtime.live.health(integration.provider)
    health.asked_to_wait(reply.wait_s(), runtime.clock.monotonic())


def _observed(
    runtime: Runtime, books: Books, attempt: Attempt, heard: SendResult, said: Outcome, trip: Trip
) -> SendResult:
    """`heard` with the observation of its send, which is given to the live state as well. `said` is
    what the version that sent it read."""
    payment = books.payment
    seen = msgspec.structs.replace(
        observe(attempt.integration, attempt.operation, said, trip),
        account=payment.account,
        currency=payment.currency,
    )
    runtime.live.observe(seen)
    _sample(runtime, _count(runtime, seen, books, attempt), heard.reply)
    return msgspec.structs.replace(heard, own=said, observation=seen)


def _trip(runtime: Runtime, began: float, provider: str, result: WireResult | None = None) -> Trip:
    total_ms = int((runtime.clock.monotonic() - began) * 1000)
    return trip_of(runtime.clock.now_ms(), total_ms, provider, result)


def _sample(runtime: Runtime, cell: Cell, reply: WireReply | None) -> None:
    sample(runtime.live.sampling, cell, reply, runtime.store.now_ms(), runtime.fields_read)


def _count(runtime: Runtime, seen: Observation, books: Books, attempt: Attempt) -> Cell:
    """Counts one attempt for the detectors, in the cell that it gives."""
    payment = books.payment
    before = sum(
        one.operation == attempt.operation and one.refund_id == attempt.refund_id
        for one in books.attempts
    )
    cell = cell_of(
        seen,
        host=runtime.live.counting.host,
        settings=runtime.fingerprint(seen.provider),
        repeat=max(0, before - 1),
        country=payment.country or "",
    )
    shopper = Shopper(
        customer=payment.customer or "",
        payment_id=payment.id,
        method=payment.payment_method or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        account=payment.account,
    )
    runtime.live.counting.add(
        cell, runtime.store.now_ms(), seen.total_ms, phases_ms=seen.phases_ms, shopper=shopper
    )
    return cell


def read_by(integration: Integration, operation: Operation, reply: WireReply) -> Outcome:
    """What a version reads. One that raises has not understood: its bug is nobody else's 500."""
    try:
        return checked(integration.outcome(operation, reply))
    except Exception as error:  # noqa: BLE001 - any bug of a version's must end as a doubt
        detail = f"{integration.name} raised {type(error).__name__}: {error}"[:300]
        return Outcome(kind="unknown", doubt=Doubt("decode", detail=detail))


def _note_health(
    runtime: Runtime, integration: Integration, operation: Operation, said: Outcome
) -> None:
    health = runtime.live.health(integration.provider)
    if health.heard(operation, said, runtime.clock.monotonic()):
        runtime.tell(
            "provider_refuses_our_key", integration=integration.name, refusal=health.refusing
        )


def reread(
    runtime: Runtime, books: Books, attempt: Attempt, reply: WireReply
) -> tuple[str, Outcome] | None:
    """What another installed version proves from the same bytes, and its name; or `None`. A decline
    that another reading of them contradicts proves nothing."""
    others = runtime.router.other_versions(attempt.integration, books.payment.account)
    # the candidate of a failover first: what another one reads says nothing about it
    shares = runtime.live.routes.shares.get(attempt.integration, ())
    candidates = {share.candidate for share in shares}
    ordered = sorted(others, key=lambda other: other.name not in candidates)
    own = runtime.integration(attempt.integration)
    readings = {one.name: read_by(one, attempt.operation, reply) for one in (own, *ordered)}
    for version in ordered:
        said = agreeing(books.payment, attempt, readings[version.name])
        if said is not None and not is_contradicted(attempt, said, readings.values()):
            return version.name, said
    return None


async def ask(
    runtime: Runtime, integration: Integration, operation: Operation, order: OperationInput
) -> Outcome:
    """Asks a reading question (lookup, find, list_refunds); moves no money, so that silence and
    errors are met by asking again at once, a few times."""
    health = runtime.live.health(integration.provider)
    for _ in range(ASK_TRIES - 1):
        said = await ask_once(runtime, integration, operation, order, ASK_SECONDS)
        if not said.may_be_asked_again:
            return said
        if runtime.clock.monotonic() < health.quiet_until:
            return said  # it asked to be left alone
    return await ask_once(runtime, integration, operation, order, ASK_SECONDS)


async def ask_once(
    runtime: Runtime,
    integration: Integration,
    operation: Operation,
    order: OperationInput,
    seconds: float,
) -> Outcome:
    """Asks a reading question once, within `seconds`; a provider that is asked too much already
    counts as silent, and so does one that cannot be asked this."""
    if operation not in integration.capabilities.asks:
        return silence("wait", f"{integration.name} does not answer {operation}")
    health = runtime.live.health(integration.provider)
    try:
        async with health.turn():
            said = await _asked(runtime, integration, operation, order, seconds)
    except TimeoutError:
        return silence("wait", "too many questions to this provider are open")
    _note_health(runtime, integration, operation, said)
    return said


async def _asked(
    runtime: Runtime,
    integration: Integration,
    operation: Operation,
    order: OperationInput,
    seconds: float,
) -> Outcome:
    request, began = integration.request(operation, order), runtime.clock.monotonic()
    try:
        async with asyncio.timeout(seconds):
            result = await runtime.exchange(integration, operation, request, order.payment_id)
    except TimeoutError:
        late = WireFailure(stage="wait", error="http_response_timeout", acquired=True)
        result = WireResult(failure=late)
    runtime.live.health(integration.provider).saw_certificate(result.certificate_until_s)
    said = _answer(runtime, integration, operation, result, seconds)
    trip = _trip(runtime, began, integration.provider, result)
    seen = observe(integration.name, operation, said, trip)
    runtime.live.observe(seen)
    _sample(runtime, _count_question(runtime, seen, order), result.reply)
    return said


def _count_question(runtime: Runtime, seen: Observation, order: OperationInput) -> Cell:
    """Counts one question for the detectors, in the cell that it gives."""
    counting = runtime.live.counting
    cell = cell_of(seen, host=counting.host, settings=runtime.fingerprint(seen.provider))
    counting.add(
        cell,
        runtime.store.now_ms(),
        seen.total_ms,
        phases_ms=seen.phases_ms,
        shopper=Shopper(payment_id=order.payment_id),
    )
    return cell


def _answer(
    runtime: Runtime,
    integration: Integration,
    operation: Operation,
    result: WireResult,
    seconds: float,
) -> Outcome:
    reply, failure = result.reply, result.failure
    if reply is None:
        assert failure is not None, "a result is a reply or a failure"
        return silence(failure.stage, failure.error or f"no answer within {seconds:g} seconds")
    dated_ms = reply.date_ms()
    if dated_ms is not None:
        runtime.live.health(integration.provider).skew_ms = dated_ms - runtime.store.now_ms()
    said = read_by(integration, operation, reply)
    if not said.is_known:
        _asked_to_wait(runtime, integration, reply)
    return said
