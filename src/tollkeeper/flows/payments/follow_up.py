"""Following a payment up: capture, void, refund.

Gather: the key, the books. Decide: the payments room. Record: reserved and committed before
anything is sent, and again when the outcome is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.flows.exchanges import stored_request
from tollkeeper.flows.observing import evidence_of, note_follow_up
from tollkeeper.flows.payments.answers import (
    Key,
    Result,
    follow_up_result,
    replay,
)
from tollkeeper.flows.payments.attempts import again_through, claim_of, closed, record_outcome
from tollkeeper.flows.payments.look import settled_at_once
from tollkeeper.flows.recording import commit_surely, load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import Prepared, SendResult, prepare, send
from tollkeeper.kernel.errors import (
    Invalid,
    Unavailable,
)
from tollkeeper.payments.change import Answer, IdempotencyClaim, committed
from tollkeeper.payments.commit import KeyTaken, Stale
from tollkeeper.payments.correction import reassign
from tollkeeper.payments.failover import may_fail_over
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.reservation import (
    open_capture,
    open_refund,
    open_void,
    routed_through,
    sent_by,
)
from tollkeeper.routing.routes import follow_up_key

MAX_OPENINGS: Final = 12
"""Tries at starting a follow-up while others change the payment."""


async def capture(
    runtime: Runtime, key: Key, payment_id: str, *, amount_minor: int | None, final: bool
) -> Result:
    """Captures all or a part of an authorization."""

    def start(books: Books, attempt_id: str, now_ms: int) -> Books:
        return open_capture(books, attempt_id, now_ms, amount_minor=amount_minor, final=final)

    return await _follow_up(runtime, key, payment_id, start)


async def void(runtime: Runtime, key: Key, payment_id: str) -> Result:
    """Cancels an authorization, or an intent that waits for the shopper."""
    return await _follow_up(runtime, key, payment_id, open_void)


async def refund(
    runtime: Runtime, key: Key, payment_id: str, *, amount_minor: int | None, reason: str | None
) -> Result:
    """Gives back all or a part of what was captured."""
    refund_id = runtime.new_id("re")

    def start(books: Books, attempt_id: str, now_ms: int) -> Books:
        return open_refund(
            books, attempt_id, refund_id, now_ms, amount_minor=amount_minor, reason=reason
        )

    return await _follow_up(runtime, key, payment_id, start, refund_id=refund_id, reason=reason)


async def _follow_up(
    runtime: Runtime,
    key: Key,
    payment_id: str,
    start: Callable[[Books, str, int], Books],
    *,
    refund_id: str | None = None,
    reason: str | None = None,
) -> Result:
    """Reserves under the payment's lock, sends through the payment's version, records."""
    claim = claim_of(runtime, key, payment_id, refund_id)
    known = await runtime.store.load_key(key.account, key.key)
    if known is not None:
        return await replay(runtime, key, known)
    books = await load(runtime, payment_id, key.account)
    with runtime.live.places.at(books.payment.integration, key.account):
        return await _follow_up_at(runtime, key, books, claim, start, reason)


async def _follow_up_at(
    runtime: Runtime,
    key: Key,
    books: Books,
    claim: IdempotencyClaim,
    start: Callable[[Books, str, int], Books],
    reason: str | None,
) -> Result:
    payment_id = books.payment.id
    opened = await _open(runtime, key, books, claim, start, reason)
    if isinstance(opened, KeyTaken):
        return await replay(runtime, key, opened)
    books, attempt, prepared = opened
    payment, begun = books.payment, attempt
    tries = Tries([], [])
    following: Attempt | None = attempt
    stored: Answer | None = None
    while following is not None:
        attempt = following
        first = await send(runtime, books, attempt, prepared)
        heard = await settled_at_once(runtime, books, attempt, first)
        tries.versions.append(attempt.integration)
        tries.sends.append(evidence_of(first, heard))
        following = _following_up(runtime, books, attempt, heard, tries)
        after = prepare(runtime, books, following, reason=reason) if following else None
        books, stored = await record_outcome(
            runtime, key, books, attempt, heard, prepared.request, following=following,
            prepared=after, first=first,
        )  # fmt: skip
        if following is not None and after is not None:
            following, prepared = books.attempt(following.id), after
    if payment.moved_from is None:
        versions, sends = tries.versions, tries.sends
        await note_follow_up(runtime, payment, begun, versions, sends, tossed=tries.tossed)
    if heard.outcome.had_no_effect:
        await runtime.store.enqueue_job("refresh", payment_id, runtime.store.now_ms())
    return follow_up_result(books, attempt.id, stored)


async def _open(
    runtime: Runtime,
    key: Key,
    books: Books,
    claim: IdempotencyClaim,
    start: Callable[[Books, str, int], Books],
    reason: str | None,
) -> tuple[Books, Attempt, Prepared] | KeyTaken:
    attempt_id = runtime.new_id("att")
    for _ in range(MAX_OPENINGS):
        now_ms = runtime.store.now_ms()
        carried = _carried(runtime, books, now_ms)
        after = sent_by(start(carried, attempt_id, now_ms), attempt_id, runtime.sender)
        attempt = after.attempt(attempt_id)
        assert attempt is not None, "a follow-up starts an attempt"
        after, attempt = _routed(runtime, after, attempt)
        _check_amount(runtime, after, attempt)
        prepared = prepare(runtime, after, attempt, reason=reason)
        cause = f"{attempt.operation}.started"
        change = closed(runtime, key, books, after, cause=cause, now_ms=now_ms, claim=claim)
        exchange = stored_request(runtime, attempt, prepared.request)
        change = msgspec.structs.replace(change, exchanges=(exchange,))
        result = await commit_surely(runtime, change)
        if isinstance(result, KeyTaken):
            return result
        if not isinstance(result, Stale):
            return committed(after, change), attempt, prepared
        books = await load(runtime, books.payment.id)
    raise Unavailable(f"payment {books.payment.id} is being changed by too many at once")


def _routed(runtime: Runtime, books: Books, attempt: Attempt) -> tuple[Books, Attempt]:
    """The attempt through the version that an operator's route names, where there is one."""
    payment = books.payment
    name = runtime.router.follow_up_version(payment.integration, payment.account, attempt.operation)
    if name == attempt.integration:
        return books, attempt
    routed = routed_through(books, attempt.id, name)
    mine = routed.attempt(attempt.id)
    assert mine is not None, "a route changes the version alone"
    return routed, mine


def _carried(runtime: Runtime, books: Books, now_ms: int) -> Books:
    """The books, with a version that handles the payment in place of one that was retired."""
    name = books.payment.integration
    if name in runtime.installed:
        return books
    others = runtime.router.other_versions(name, books.payment.account)
    able = next((v.name for v in others if name in v.handles), None)
    # before the attempt, which is told apart from those through the version that is gone
    return books if able is None else reassign(books, able, now_ms - 1)


def _check_amount(runtime: Runtime, books: Books, attempt: Attempt) -> None:
    """Raises `Invalid` for a part that the payment's provider is known to refuse."""
    if attempt.operation == "void":
        return
    version = runtime.integration(attempt.integration)
    fault = version.amount_fault(attempt.amount_minor, books.payment.currency)
    if fault is not None and fault.pointer == "/amount_minor":
        raise Invalid(fault.detail, faults=(fault,))


def _following_up(
    runtime: Runtime, books: Books, attempt: Attempt, heard: SendResult, tries: "Tries"
) -> Attempt | None:
    """The next attempt at a follow-up: only on proof that the one before had no effect, and not
    where the provider asks for patience. Through another version that handles the payment's, or,
    where a fair coin says so, once more through the first one, so that it shows whether the other
    one helps."""
    tried = tries.versions
    if len(set(tried)) > 1 or not may_fail_over(heard.outcome, tried):
        return None
    payment = books.payment
    key = follow_up_key(tried[0], attempt.operation)
    is_tossed = len(tried) == 1 and runtime.live.is_coin_due(key, runtime.clock.monotonic())
    tries.tossed = tries.tossed or is_tossed
    if is_tossed and runtime.chance.bits(1):
        return again_through(runtime, attempt, tried[0])
    able = [payment.integration, *runtime.router.able_names(payment.integration, payment.account)]
    name = next((one for one in able if one not in tried), None)
    if name is None:
        return None
    return replace(again_through(runtime, attempt, name), routed=False)


@dataclass
class Tries:
    """The versions that one follow-up went through, what came of each, and whether a coin was
    tossed."""

    versions: list[str]
    sends: list[SendResult]
    tossed: bool = False
