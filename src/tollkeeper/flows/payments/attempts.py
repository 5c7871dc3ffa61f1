"""One attempt after another: what is committed before a send, and what became of it."""

import msgspec

from tollkeeper.flows.exchanges import stored_reply, stored_request
from tollkeeper.flows.observing import (
    context_of,
    followed_of,
)
from tollkeeper.flows.payments.answers import Key, answer_of
from tollkeeper.flows.recording import record
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import Prepared, SendResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.payments.assignment import FirstResult, ShadowResult
from tollkeeper.payments.change import Answer, Change, IdempotencyClaim
from tollkeeper.payments.closing import build_change
from tollkeeper.payments.payment import Attempt, Books, Payment, is_open
from tollkeeper.payments.results import apply_outcome


def closed(
    runtime: Runtime,
    key: Key,
    before: Books | None,
    after: Books,
    *,
    cause: str,
    now_ms: int,
    claim: IdempotencyClaim,
) -> Change:
    """The change from `before` to `after`, for the caller whose key this is."""
    return build_change(
        before,
        after,
        runtime.policy(after.payment.integration),
        cause=cause,
        actor=key.actor,
        now_ms=now_ms,
        event_ids=runtime.event_ids(),
        claim=claim,
    )


def claim_of(
    runtime: Runtime, key: Key, payment_id: str, refund_id: str | None = None
) -> IdempotencyClaim:
    """The idempotency key, bound to the payment, and to the refund where there is one."""
    return IdempotencyClaim(
        account=key.account,
        key=key.key,
        fingerprint=key.fingerprint,
        token=runtime.new_id("claim"),
        payment_id=payment_id,
        refund_id=refund_id,
    )


def again_through(
    runtime: Runtime, attempt: Attempt, integration: str, pause_seconds: float = 0.0
) -> Attempt:
    """The same under a new key, `pause_seconds` from now. Attempts are told apart in time, so that
    they are read back in the order of their sending."""
    due_ms = runtime.store.now_ms() + int(pause_seconds * 1000)
    now_ms = max(due_ms, attempt.first_sent_ms + 1)
    return msgspec.structs.replace(
        attempt,
        id=runtime.new_id("att"),
        integration=integration,
        first_sent_ms=now_ms,
        sent_ms=now_ms,
    )


async def record_outcome(  # noqa: PLR0913 - what one commit holds
    runtime: Runtime,
    key: Key,
    books: Books,
    attempt: Attempt,
    heard: SendResult,
    request: WireRequest | None,
    *,
    following: Attempt | None = None,
    prepared: Prepared | None = None,
    observed: FirstResult | None = None,
    shadowed: ShadowResult | None = None,
    first: SendResult | None = None,
) -> tuple[Books, Answer | None]:
    """Commits what became of `attempt`, with the stored answer when it is the final word, which is
    given as well. `first`: the result before a look, which is what a rollout counts."""
    told: Answer | None = None

    def decide(current: Books) -> Books:
        mine = current.attempt(attempt.id)
        if mine is None or not is_open(mine) or (mine.waits != attempt.waits):
            return current  # settled, or sent, by somebody else while we were waiting
        # somebody may have ended or moved the payment meanwhile: then nothing is tried again
        was, now = books.payment, current.payment
        same = (was.status, was.integration) == (now.status, now.integration)
        again = following if same else None
        return apply_outcome(
            current, mine, heard.outcome, runtime.store.now_ms(), by=heard.by, next_attempt=again
        )

    def complete(change: Change, after: Books) -> Change:
        exchanges = stored_reply(runtime, attempt, heard.outcome, heard.reply, request)
        again = after.attempt(following.id) if following is not None else None
        if again is not None and prepared is not None:
            exchanges = (*exchanges, stored_request(runtime, again, prepared.request))
        nonlocal told
        told = None if again else answer_of(runtime, key, after, attempt)
        return msgspec.structs.replace(
            change,
            exchanges=exchanges,
            answer=told,
            observed=observed,
            shadowed=shadowed,
            read_again=_read_again(runtime, books.payment, attempt),
            followed=followed_of(runtime, books.payment, attempt, first or heard),
        )

    books = await record(
        runtime, books, decide, cause=f"{attempt.operation}.answered", actor=key.actor,
        complete=complete,
    )  # fmt: skip
    return books, told


def _read_again(runtime: Runtime, payment: Payment, attempt: Attempt) -> str | None:
    """The rollout whose candidate has just taken a follow-up: what it made of it is read again."""
    if attempt.operation == "authorize":
        return None
    facts = context_of(payment)
    running = (c for c in runtime.live.routes.canaries if c.candidate == attempt.integration)
    return next((c.rollout_id for c in running if c.condition.holds(facts)), None)
