"""Taking money: authorize, capture, void, refund.

Gather: the key, the books. Decide: the payments room. Record: committed before anything is sent,
and again when the outcome is known. A key executes once, for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from tollkeeper.flows.payments.look import settled_at_once
from tollkeeper.flows.recording import commit_surely, load, record
from tollkeeper.flows.rollouts.observe import (
    assignment_of,
    facts_of,
    followed_of,
    is_failure,
    observed_of,
    shadowed_of,
)
from tollkeeper.flows.runtime import Reply, World
from tollkeeper.flows.sending import Heard, Prepared, prepare, send, stored_reply, stored_request
from tollkeeper.integrations.version import WireRequest
from tollkeeper.kernel.errors import (
    Fault,
    InFlight,
    Invalid,
    KeyReused,
    NotSent,
    ProviderRefused,
    ReferenceInUse,
    RefusedForNow,
    TollkeeperError,
    Unavailable,
)
from tollkeeper.payments.assignment import Observed, Shadowed
from tollkeeper.payments.change import Answer, Change, Claim, HeldReference, committed
from tollkeeper.payments.closing import close
from tollkeeper.payments.commit import Committed, KeyTaken, ReferenceTaken, Stale
from tollkeeper.payments.failover import may_fail_over, pause_seconds, tried_versions
from tollkeeper.payments.misreading import handed_over
from tollkeeper.payments.payment import Attempt, Books, CaptureMethod, Payment, is_open
from tollkeeper.payments.reservation import open_capture, open_refund, open_void, sent_by
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.view import encode, error_view, payment_view, refund_view
from tollkeeper.routing.routes import Facts, Taken

MAX_SENDS: Final = 8
"""Sends of one payment: three versions, and the pauses that a busy provider asks for."""

MAX_OPENINGS: Final = 12
"""Tries at starting a follow-up while others change the payment."""

DAY_MS: Final = 86_400_000


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request this is: the account, its idempotency key, the request's fingerprint, and the
    API key that sent it."""

    account: str
    key: str
    fingerprint: str
    actor: str


class StoredError(msgspec.Struct, frozen=True, kw_only=True):
    """An error that is the stored answer to an idempotency key."""

    code: str
    detail: str
    failure_code: str | None = None
    provider_error: dict[str, str] | None = None
    retry_after_seconds: int = 0

    @classmethod
    def of(cls, error: TollkeeperError) -> Self:
        return cls(
            code=error.code,
            detail=error.detail,
            failure_code=error.failure_code,
            provider_error=dict(error.provider_error) if error.provider_error else None,
            retry_after_seconds=error.retry_after_seconds,
        )

    def error(self) -> TollkeeperError:
        """The error as it was raised."""
        kinds = {kind.code: kind for kind in (NotSent, ProviderRefused, RefusedForNow)}
        error = kinds[self.code](self.detail)
        error.failure_code, error.provider_error = self.failure_code, self.provider_error
        error.retry_after_seconds = self.retry_after_seconds or error.retry_after_seconds
        return error


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


async def create(world: World, key: Key, asked: NewPayment) -> Reply:
    """Authorizes (and with `capture_method` automatic captures) a new payment."""
    before_ms = world.store.now_ms()
    id_ = world.new_id("pay")
    facts = Facts(
        unit=asked.customer or id_,
        payment_id=id_,
        currency=asked.currency,
        account=key.account,
        country=asked.country,
    )
    fault = world.amount_fault(facts, asked.amount_minor)
    if fault is not None:
        return await _refused(world, key, fault)
    taken = world.take(facts, before_ms, asked.amount_minor)
    with world.places.at(taken.integration, key.account):
        return await _create(world, key, asked, id_, taken, before_ms)


async def _create(
    world: World, key: Key, asked: NewPayment, id_: str, taken: Taken, before_ms: int
) -> Reply:
    payment = _payment(world, key, asked, id_, taken.integration, before_ms)
    attempt = _first_attempt(world, payment, before_ms)
    books = Books(payment=payment, attempts=(attempt,))
    prepared = prepare(world, books, attempt)
    claim = _claim(world, key, payment.id)
    change = _closed(world, key, None, books, cause="created", now_ms=before_ms, claim=claim)
    held = None
    if asked.unique_reference and asked.reference is not None:
        known = await world.store.load_key(key.account, key.key)
        if known is not None:
            return await _replay(world, key, known)
        held = await _held_reference(world, key.account, asked.reference, payment.id)
    result = await commit_surely(
        world,
        msgspec.structs.replace(
            change,
            exchanges=(stored_request(world, attempt, prepared),),
            assignment=assignment_of(taken, id_, before_ms),
            held=held,
        ),
    )
    if isinstance(result, KeyTaken):
        return await _replay(world, key, result)
    if isinstance(result, ReferenceTaken):
        known = await world.store.load_key(key.account, key.key)
        if known is not None:
            return await _replay(world, key, known)  # the same request came twice at once
        raise _reference_taken(asked.reference or "", result.payment_id)
    assert isinstance(result, Committed), result
    books = await _authorize(world, key, committed(books, change), attempt, prepared, taken)
    return _payment_reply(books, created=True)


async def _held_reference(
    world: World, account: str, reference: str, payment_id: str
) -> HeldReference:
    """The reference, to be held with the payment; raises `Conflict` where a live payment has it."""
    live, holder = await world.store.reference_holder(account, reference)
    if live is not None:
        raise _reference_taken(reference, live)
    return HeldReference(
        account=account, reference=reference, payment_id=payment_id, previous=holder
    )


def _reference_taken(reference: str, payment_id: str) -> ReferenceInUse:
    return ReferenceInUse(f"payment {payment_id} is live and has the reference {reference!r}")


async def _refused(world: World, key: Key, fault: Fault) -> Reply:
    """Raises `Invalid`; the replay of a payment that was taken before keeps its answer."""
    known = await world.store.load_key(key.account, key.key)
    if known is not None:
        return await _replay(world, key, known)
    raise Invalid(fault.detail, faults=(fault,))


def _payment(
    world: World, key: Key, asked: NewPayment, id_: str, chosen: str, now_ms: int
) -> Payment:
    settings = world.settings
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


def _first_attempt(world: World, payment: Payment, now_ms: int) -> Attempt:
    return Attempt(
        id=world.new_id("att"),
        payment_id=payment.id,
        operation="authorize",
        sender=world.sender,
        integration=payment.integration,
        amount_minor=payment.amount_minor,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
    )


async def _authorize(
    world: World, key: Key, books: Books, attempt: Attempt, prepared: Prepared, taken: Taken
) -> Books:
    """Sends the attempt, and after proof of no effect the next one, until one is decided. Only the
    first counts in a rollout, as it was before anything helped it."""
    waited = Patience(world.settings.patience_seconds)
    for number in range(MAX_SENDS):
        first, latency_ms = await _counted_send(world, books, attempt, prepared, taken, number)
        heard = await settled_at_once(world, books, attempt, first)
        following = _following(world, books, attempt, heard, waited)
        counts = number == 0 and taken.canary is not None
        next_prepared = prepare(world, books, following) if following else None
        books = await _record_outcome(
            world,
            key,
            books,
            attempt,
            heard,
            prepared.request,
            following=following,
            prepared=next_prepared,
            observed=observed_of(taken, attempt, first, latency_ms, world.store.now_ms())
            if counts
            else None,
            shadowed=shadowed_of(world, taken, books, attempt, prepared, first) if counts else None,
        )
        if following is None or next_prepared is None:
            break
        if books.attempt(following.id) is None:
            break  # another process settled the payment meanwhile
        await world.clock.sleep(max(0, following.first_sent_ms - world.store.now_ms()) / 1000)
        attempt, prepared = following, next_prepared
    return books


async def _counted_send(
    world: World, books: Books, attempt: Attempt, prepared: Prepared, taken: Taken, number: int
) -> tuple[Heard, int]:
    """Sends, with a canary's payment among those whose result is outstanding meanwhile; gives the
    milliseconds that it took as well."""
    began = world.clock.monotonic()
    if number or not taken.is_canary or taken.canary is None:
        heard = await send(world, books, attempt, prepared)
        return heard, int((world.clock.monotonic() - began) * 1000)
    rollout_id = taken.canary.rollout_id
    world.canary_sent(rollout_id)
    failed: bool | None = None
    try:
        heard = await send(world, books, attempt, prepared)
        failed = is_failure(heard)
    finally:
        world.canary_heard(rollout_id, failed=failed)
    return heard, int((world.clock.monotonic() - began) * 1000)


@dataclass
class Patience:
    """What one payment has waited for a provider that says "not now"."""

    left_seconds: float
    pauses: int = 0


def _following(
    world: World, books: Books, attempt: Attempt, heard: Heard, patience: Patience
) -> Attempt | None:
    """The next attempt, where the class of the result allows one: after a pause through the same
    version, or at once through another one that is left."""
    pause = pause_seconds(heard.outcome, patience.pauses, patience.left_seconds)
    if pause is not None:
        patience.pauses += 1
        patience.left_seconds -= pause
        return _again(world, attempt, attempt.integration, pause)
    tried = tried_versions(books.attempts)
    if not may_fail_over(heard.outcome, tried):
        return None
    name = world.next_version(facts_of(books.payment), books.payment.amount_minor, tried)
    return _again(world, attempt, name) if name is not None else None


def _following_up(world: World, books: Books, attempt: Attempt, heard: Heard) -> Attempt | None:
    """The second attempt at a follow-up, through another version that handles the payment's: only
    on proof that the first had no effect, and not where the provider asks for patience."""
    pinned = books.payment.integration
    if attempt.integration != pinned or not may_fail_over(heard.outcome, [pinned]):
        return None
    able = [v for v in world.siblings(pinned, books.payment.account) if pinned in v.handles]
    if not able:
        return None
    return _again(world, attempt, able[0].name)


def _again(world: World, attempt: Attempt, integration: str, pause_seconds: float = 0.0) -> Attempt:
    """The same under a new key, `pause_seconds` from now. Attempts are told apart in time, so that
    they are read back in the order of their sending."""
    due_ms = world.store.now_ms() + int(pause_seconds * 1000)
    now_ms = max(due_ms, attempt.first_sent_ms + 1)
    return msgspec.structs.replace(
        attempt,
        id=world.new_id("att"),
        integration=integration,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
    )


async def _record_outcome(  # noqa: PLR0913 - what one commit holds
    world: World,
    key: Key,
    books: Books,
    attempt: Attempt,
    heard: Heard,
    request: WireRequest | None,
    *,
    following: Attempt | None = None,
    prepared: Prepared | None = None,
    observed: Observed | None = None,
    shadowed: Shadowed | None = None,
    first: Heard | None = None,
) -> Books:
    """Commits what became of `attempt`, with the stored answer when it is the final word. `first`:
    the result as it was before a look, which is what a rollout counts."""

    def decide(current: Books) -> Books:
        mine = current.attempt(attempt.id)
        if mine is None or not is_open(mine):
            return current  # settled by somebody else while we were waiting
        # somebody may have ended or moved the payment meanwhile: then nothing is tried again
        was, now = books.payment, current.payment
        same = (was.status, was.integration) == (now.status, now.integration)
        again = following if same else None
        return apply_outcome(
            current, mine, heard.outcome, world.store.now_ms(), by=heard.by, next_attempt=again
        )

    def complete(change: Change, after: Books) -> Change:
        exchanges = stored_reply(world, attempt, heard, request)
        again = after.attempt(following.id) if following is not None else None
        if again is not None and prepared is not None:
            exchanges = (*exchanges, stored_request(world, again, prepared))
        answer = None if again else _answer(world, key, after, attempt)
        return msgspec.structs.replace(
            change,
            exchanges=exchanges,
            answer=answer,
            observed=observed,
            shadowed=shadowed,
            read_again=_read_again(world, books.payment, attempt),
            followed=followed_of(world, books.payment, attempt, first or heard),
        )

    return await record(
        world, books, decide, cause=f"{attempt.operation}.answered", actor=key.actor,
        complete=complete,
    )  # fmt: skip


def _read_again(world: World, payment: Payment, attempt: Attempt) -> str | None:
    """The rollout whose candidate has just taken a follow-up: what it made of it is read again."""
    if attempt.operation == "authorize":
        return None
    facts = facts_of(payment)
    running = (c for c in world.routes.canaries if c.candidate == attempt.integration)
    return next((c.rollout_id for c in running if c.condition.holds(facts)), None)


def _answer(world: World, key: Key, after: Books, attempt: Attempt) -> Answer | None:
    """The answer to store for replays; none while the outcome is unknown: a replay then gets the
    payment as it is, which settling makes known."""
    done = after.attempt(attempt.id)
    if done is None or is_open(done):
        return None
    refused = refusal_of(done)
    if refused is not None:
        status, body = 0, encode(StoredError.of(refused))
    elif attempt.refund_id is not None:
        refund = after.refund(attempt.refund_id)
        assert refund is not None, "a refund attempt has its refund"
        status, body = 201, encode(refund_view(after, refund))
    else:
        created = attempt.operation == "authorize"
        status, body = 201 if created else 200, encode(payment_view(after.payment))
    expires_ms = world.store.now_ms() + int(world.settings.answer_days * DAY_MS)
    return Answer(account=key.account, key=key.key, status=status, body=body, expires_ms=expires_ms)


def refusal_of(attempt: Attempt) -> TollkeeperError | None:
    """The error that a follow-up without effect is answered with. A payment is a resource that says
    by itself what became of it; and so is a refund, unless it may be taken another time."""
    may_repeat = attempt.result_class == "A" or attempt.later
    if attempt.operation == "authorize" or (attempt.operation == "refund" and not may_repeat):
        return None
    if attempt.outcome not in {"failed", "declined"}:
        return None
    kind: type[TollkeeperError] = ProviderRefused
    if may_repeat:
        kind = NotSent if attempt.result_class == "A" else RefusedForNow
    refused = kind(f"the {attempt.operation} had no effect: {attempt.detail}")
    refused.failure_code = attempt.failure_code
    refused.retry_after_seconds = attempt.wait_s or refused.retry_after_seconds
    words = error_view(attempt.error)
    refused.provider_error = msgspec.to_builtins(words) if words is not None else None
    return refused


async def capture(
    world: World, key: Key, payment_id: str, *, amount_minor: int | None, final: bool
) -> Reply:
    """Captures all or a part of an authorization."""

    def start(books: Books, attempt_id: str, now_ms: int) -> Books:
        return open_capture(books, attempt_id, now_ms, amount_minor=amount_minor, final=final)

    return await _follow_up(world, key, payment_id, start)


async def void(world: World, key: Key, payment_id: str) -> Reply:
    """Cancels an authorization, or an intent that waits for the shopper."""
    return await _follow_up(world, key, payment_id, open_void)


async def refund(
    world: World, key: Key, payment_id: str, *, amount_minor: int | None, reason: str | None
) -> Reply:
    """Gives back all or a part of what was captured."""
    refund_id = world.new_id("re")

    def start(books: Books, attempt_id: str, now_ms: int) -> Books:
        return open_refund(
            books, attempt_id, refund_id, now_ms, amount_minor=amount_minor, reason=reason
        )

    return await _follow_up(world, key, payment_id, start, refund_id=refund_id, reason=reason)


async def _follow_up(
    world: World,
    key: Key,
    payment_id: str,
    start: Callable[[Books, str, int], Books],
    *,
    refund_id: str | None = None,
    reason: str | None = None,
) -> Reply:
    """Reserves under the payment's lock, sends through the payment's version, records."""
    claim = _claim(world, key, payment_id, refund_id)
    known = await world.store.load_key(key.account, key.key)
    if known is not None:
        return await _replay(world, key, known)
    books = await load(world, payment_id, key.account)
    with world.places.at(books.payment.integration, key.account):
        return await _follow_up_at(world, key, books, claim, start, reason)


async def _follow_up_at(
    world: World,
    key: Key,
    books: Books,
    claim: Claim,
    start: Callable[[Books, str, int], Books],
    reason: str | None,
) -> Reply:
    payment_id = books.payment.id
    opened = await _open(world, key, books, claim, start, reason)
    if isinstance(opened, KeyTaken):
        return await _replay(world, key, opened)
    books, attempt, prepared = opened
    following: Attempt | None = attempt
    while following is not None:
        attempt = following
        first = await send(world, books, attempt, prepared)
        heard = await settled_at_once(world, books, attempt, first)
        following = _following_up(world, books, attempt, heard)
        after = prepare(world, books, following, reason=reason) if following else None
        books = await _record_outcome(
            world, key, books, attempt, heard, prepared.request, following=following,
            prepared=after, first=first,
        )  # fmt: skip
        if following is not None and after is not None:
            following, prepared = books.attempt(following.id), after
    if heard.outcome.kind in {"failed", "declined"}:
        await world.store.enqueue_job("refresh", payment_id, world.store.now_ms())
    return _follow_up_reply(books, attempt.id)


async def _open(
    world: World,
    key: Key,
    books: Books,
    claim: Claim,
    start: Callable[[Books, str, int], Books],
    reason: str | None,
) -> tuple[Books, Attempt, Prepared] | KeyTaken:
    attempt_id = world.new_id("att")
    for _ in range(MAX_OPENINGS):
        now_ms = world.store.now_ms()
        carried = _carried(world, books, now_ms)
        after = sent_by(start(carried, attempt_id, now_ms), attempt_id, world.sender)
        attempt = after.attempt(attempt_id)
        assert attempt is not None, "a follow-up starts an attempt"
        _check_amount(world, after, attempt)
        prepared = prepare(world, after, attempt, reason=reason)
        cause = f"{attempt.operation}.started"
        change = _closed(world, key, books, after, cause=cause, now_ms=now_ms, claim=claim)
        exchange = stored_request(world, attempt, prepared)
        change = msgspec.structs.replace(change, exchanges=(exchange,))
        result = await commit_surely(world, change)
        if isinstance(result, KeyTaken):
            return result
        if not isinstance(result, Stale):
            return committed(after, change), attempt, prepared
        books = await load(world, books.payment.id)
    raise Unavailable(f"payment {books.payment.id} is being changed by too many at once")


def _carried(world: World, books: Books, now_ms: int) -> Books:
    """The books, with a version that handles the payment in place of one that was retired."""
    name = books.payment.integration
    if name in world.installed:
        return books
    others = world.siblings(name, books.payment.account)
    able = next((v.name for v in others if name in v.handles), None)
    # before the attempt, which is told apart from those through the version that is gone
    return books if able is None else handed_over(books, able, now_ms - 1)


def _check_amount(world: World, books: Books, attempt: Attempt) -> None:
    """Raises `Invalid` for a part that the payment's provider is known to refuse."""
    if attempt.operation == "void":
        return
    version = world.integration(attempt.integration)
    fault = version.amount_fault(attempt.amount_minor, books.payment.currency)
    if fault is not None and fault.pointer == "/amount_minor":
        raise Invalid(fault.detail, faults=(fault,))


def _closed(
    world: World,
    key: Key,
    before: Books | None,
    after: Books,
    *,
    cause: str,
    now_ms: int,
    claim: Claim,
) -> Change:
    return close(
        before,
        after,
        world.policy(after.payment.integration),
        cause=cause,
        actor=key.actor,
        now_ms=now_ms,
        event_ids=world.event_ids(),
        claim=claim,
    )


def _claim(world: World, key: Key, payment_id: str, refund_id: str | None = None) -> Claim:
    return Claim(
        account=key.account,
        key=key.key,
        fingerprint=key.fingerprint,
        token=world.new_id("claim"),
        payment_id=payment_id,
        refund_id=refund_id,
    )


async def _replay(world: World, key: Key, taken: KeyTaken) -> Reply:
    """The answer to a key that is bound already: the stored one, or the payment as it now is."""
    if taken.fingerprint != key.fingerprint:
        raise KeyReused("this idempotency key came with another request before")
    stored = _stored(world, taken)
    if stored is not None:
        return stored
    books = await load(world, taken.payment_id, key.account)
    if any(a.outcome is None for a in books.open_attempts()):
        raise InFlight("the first request with this key has not been answered yet")
    # the answer may have been stored between the two reads
    again = await world.store.load_key(key.account, key.key)
    stored = _stored(world, again) if again is not None else None
    if stored is not None:
        return stored
    if taken.refund_id is not None:
        refund = books.refund(taken.refund_id)
        assert refund is not None, "a refund's key is bound to its refund"
        view = refund_view(books, refund)
        doubtful = view.outcome == "unknown"
        return Reply(body=encode(view), created=True, doubtful=doubtful, replayed=True)
    return msgspec.structs.replace(_payment_reply(books), replayed=True)


def _stored(world: World, taken: KeyTaken) -> Reply | None:
    """The stored answer while it lasts; raises where it was an error."""
    fresh = taken.expires_ms is not None and world.store.now_ms() < taken.expires_ms
    if taken.body is None or taken.status is None or not fresh:
        return None
    if taken.status == 0:
        raise stored_error(taken.body)
    return Reply(body=taken.body, created=taken.status == 201, replayed=True)


def stored_error(body: bytes) -> TollkeeperError:
    """The error that was stored as an answer."""
    return msgspec.json.decode(body, type=StoredError).error()


def _follow_up_reply(books: Books, attempt_id: str) -> Reply:
    attempt = books.attempt(attempt_id)
    assert attempt is not None, "an attempt never goes away"
    refused = refusal_of(attempt)
    if refused is not None:
        raise refused
    if attempt.refund_id is None:
        return _payment_reply(books)
    refund = books.refund(attempt.refund_id)
    assert refund is not None, "a refund attempt has its refund"
    view = refund_view(books, refund)
    return Reply(body=encode(view), created=True, doubtful=view.outcome == "unknown")


def _payment_reply(books: Books, *, created: bool = False) -> Reply:
    payment = books.payment
    doubtful = not payment.outcome_known or payment.status == "processing"
    return Reply(body=encode(payment_view(payment)), created=created, doubtful=doubtful)
