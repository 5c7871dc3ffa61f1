"""What callers are told: the result of an operation that moves money, and its stored answer.

Law: a key executes once, for ever. A repetition gets the answer that was stored, or the payment as
it now is.
"""

from typing import Final, Self

import msgspec

from tollkeeper.flows.recording import load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import (
    InFlight,
    KeyReused,
    NotSent,
    ProviderRefused,
    RefusedForNow,
    TollkeeperError,
)
from tollkeeper.payments.change import Answer
from tollkeeper.payments.commit import KeyTaken
from tollkeeper.payments.payment import Attempt, Books, Refund, is_open
from tollkeeper.payments.view import (
    PaymentView,
    RefundView,
    encode,
    error_view,
    payment_view,
    refund_view,
)

DAY_MS: Final = 86_400_000


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request this is: the account, its idempotency key, the request's fingerprint, and the
    API key that sent it."""

    account: str
    key: str
    fingerprint: str
    actor: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation came to. `view` is the payment or the refund; a repetition of an answer
    that was stored has only its `body` (JSON). `created`: a resource was made; `doubtful`: its
    outcome is not known yet; `replayed`: this is a repetition."""

    payment_id: str
    refund_id: str | None = None
    view: PaymentView | RefundView | None = None
    stored: bytes | None = None
    created: bool = False
    doubtful: bool = False
    replayed: bool = False

    @property
    def body(self) -> bytes:
        """The public representation as JSON: as it was stored, where it was."""
        return encode(self.view) if self.stored is None else self.stored


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


def answer_of(runtime: Runtime, key: Key, after: Books, attempt: Attempt) -> Answer | None:
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
    expires_ms = runtime.store.now_ms() + int(runtime.settings.answer_days * DAY_MS)
    return Answer(account=key.account, key=key.key, status=status, body=body, expires_ms=expires_ms)


def refusal_of(attempt: Attempt) -> TollkeeperError | None:
    """The error that a follow-up without effect is answered with. A payment is a resource that says
    by itself what became of it; and so is a refund, unless it may be taken another time."""
    may_repeat = attempt.was_not_sent or attempt.later
    if attempt.operation == "authorize" or (attempt.operation == "refund" and not may_repeat):
        return None
    if not attempt.had_no_effect:
        return None
    kind: type[TollkeeperError] = ProviderRefused
    if may_repeat:
        kind = NotSent if attempt.was_not_sent else RefusedForNow
    refused = kind(f"the {attempt.operation} had no effect: {attempt.detail}")
    refused.failure_code = attempt.failure_code
    refused.retry_after_seconds = attempt.wait_s or refused.retry_after_seconds
    words = error_view(attempt.error)
    refused.provider_error = msgspec.to_builtins(words) if words is not None else None
    return refused


async def replay(runtime: Runtime, key: Key, taken: KeyTaken) -> Result:
    """The answer to a key that is bound already: the stored one, or the payment as it now is."""
    if taken.fingerprint != key.fingerprint:
        raise KeyReused("this idempotency key came with another request before")
    stored = _stored(runtime, taken)
    if stored is not None:
        return stored
    books = await load(runtime, taken.payment_id, key.account)
    held = books.held()
    if held is not None:
        return msgspec.structs.replace(payment_result(books), replayed=True)
    if any(a.outcome is None for a in books.open_attempts()):
        raise InFlight("the first request with this key has not been answered yet")
    # the answer may have been stored between the two reads
    again = await runtime.store.load_key(key.account, key.key)
    stored = _stored(runtime, again) if again is not None else None
    if stored is not None:
        return stored
    if taken.refund_id is not None:
        refund = books.refund(taken.refund_id)
        assert refund is not None, "a refund's key is bound to its refund"
        return msgspec.structs.replace(_refund_result(books, refund), replayed=True)
    return msgspec.structs.replace(payment_result(books), replayed=True)


def _stored(runtime: Runtime, taken: KeyTaken) -> Result | None:
    """The stored answer while it lasts; raises where it was an error."""
    fresh = taken.expires_ms is not None and runtime.store.now_ms() < taken.expires_ms
    if taken.body is None or taken.status is None or not fresh:
        return None
    if taken.status == 0:
        raise stored_error(taken.body)
    return Result(
        payment_id=taken.payment_id,
        refund_id=taken.refund_id,
        stored=taken.body,
        created=taken.status == 201,
        replayed=True,
    )


def stored_error(body: bytes) -> TollkeeperError:
    """The error that was stored as an answer."""
    return msgspec.json.decode(body, type=StoredError).error()


def follow_up_result(books: Books, attempt_id: str, stored: Answer | None) -> Result:
    """What a follow-up is answered with; raises where it had no effect. `stored`: its answer, where
    that is the final word."""
    attempt = books.attempt(attempt_id)
    assert attempt is not None, "an attempt never goes away"
    refused = refusal_of(attempt)
    if refused is not None:
        raise refused
    if attempt.refund_id is None:
        return payment_result(books, stored)
    refund = books.refund(attempt.refund_id)
    assert refund is not None, "a refund attempt has its refund"
    return _refund_result(books, refund, stored)


def payment_result(books: Books, stored: Answer | None = None, *, created: bool = False) -> Result:
    """The payment as a result."""
    payment = books.payment
    return Result(
        payment_id=payment.id,
        view=payment_view(payment),
        stored=stored.body if stored is not None else None,
        created=created,
        doubtful=payment.is_doubtful,
    )


def _refund_result(books: Books, refund: Refund, stored: Answer | None = None) -> Result:
    view = refund_view(books, refund)
    return Result(
        payment_id=refund.payment_id,
        refund_id=refund.id,
        view=view,
        stored=stored.body if stored is not None else None,
        created=True,
        doubtful=view.is_doubtful,
    )
