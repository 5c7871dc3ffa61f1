"""Following a payment up: capture, void, refund.

Gather: the key, the books. Decide: the payments room. Record: reserved and committed before
anything is sent, and again when the outcome is known.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from tollkeeper.flows.payments.answers import (
    Key,
    Result,
    follow_up_result,
    replay,
)
from tollkeeper.flows.payments.attempts import again_through, claim_of, closed, record_outcome
from tollkeeper.flows.payments.look import settled_at_once
from tollkeeper.flows.recording import commit_surely, load
from tollkeeper.flows.runtime import World
from tollkeeper.flows.sending import Heard, Prepared, prepare, send, stored_request
from tollkeeper.kernel.errors import (
    Invalid,
    Unavailable,
)
from tollkeeper.payments.change import Answer, Claim, committed
from tollkeeper.payments.commit import KeyTaken, Stale
from tollkeeper.payments.failover import may_fail_over
from tollkeeper.payments.misreading import handed_over
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.reservation import open_capture, open_refund, open_void, sent_by

MAX_OPENINGS: Final = 12
"""Tries at starting a follow-up while others change the payment."""


async def capture(
    world: World, key: Key, payment_id: str, *, amount_minor: int | None, final: bool
) -> Result:
    """Captures all or a part of an authorization."""

    def start(books: Books, attempt_id: str, now_ms: int) -> Books:
        return open_capture(books, attempt_id, now_ms, amount_minor=amount_minor, final=final)

    return await _follow_up(world, key, payment_id, start)


async def void(world: World, key: Key, payment_id: str) -> Result:
    """Cancels an authorization, or an intent that waits for the shopper."""
    return await _follow_up(world, key, payment_id, open_void)


async def refund(
    world: World, key: Key, payment_id: str, *, amount_minor: int | None, reason: str | None
) -> Result:
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
) -> Result:
    """Reserves under the payment's lock, sends through the payment's version, records."""
    claim = claim_of(world, key, payment_id, refund_id)
    known = await world.store.load_key(key.account, key.key)
    if known is not None:
        return await replay(world, key, known)
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
) -> Result:
    payment_id = books.payment.id
    opened = await _open(world, key, books, claim, start, reason)
    if isinstance(opened, KeyTaken):
        return await replay(world, key, opened)
    books, attempt, prepared = opened
    following: Attempt | None = attempt
    stored: Answer | None = None
    while following is not None:
        attempt = following
        first = await send(world, books, attempt, prepared)
        heard = await settled_at_once(world, books, attempt, first)
        following = _following_up(world, books, attempt, heard)
        after = prepare(world, books, following, reason=reason) if following else None
        books, stored = await record_outcome(
            world, key, books, attempt, heard, prepared.request, following=following,
            prepared=after, first=first,
        )  # fmt: skip
        if following is not None and after is not None:
            following, prepared = books.attempt(following.id), after
    if heard.outcome.kind in {"failed", "declined"}:
        await world.store.enqueue_job("refresh", payment_id, world.store.now_ms())
    return follow_up_result(books, attempt.id, stored)


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
        change = closed(world, key, books, after, cause=cause, now_ms=now_ms, claim=claim)
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


def _following_up(world: World, books: Books, attempt: Attempt, heard: Heard) -> Attempt | None:
    """The second attempt at a follow-up, through another version that handles the payment's: only
    on proof that the first had no effect, and not where the provider asks for patience."""
    pinned = books.payment.integration
    if attempt.integration != pinned or not may_fail_over(heard.outcome, [pinned]):
        return None
    able = [v for v in world.siblings(pinned, books.payment.account) if pinned in v.handles]
    if not able:
        return None
    return again_through(world, attempt, able[0].name)
