"""The acts of a settlement run: reread, send again, cancel, reverse, conclude.

Law: what could move money is committed before it is sent.
"""

from collections.abc import Callable

import msgspec

from tollkeeper.flows.exchanges import opened_reply, opened_request, stored_reply, stored_request
from tollkeeper.flows.live.health import OURS_SECONDS
from tollkeeper.flows.payments.settlement_run import (
    SettlementRun,
    able_versions,
    ask_versions,
    order_of,
    provider_of,
    subject_of,
)
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import Prepared, SendResult, prepare, reread, send
from tollkeeper.integrations.version import WireRequest
from tollkeeper.payments.change import Change
from tollkeeper.payments.judging import (
    may_send_elsewhere,
)
from tollkeeper.payments.late import made_too_late, open_reversal, still_reversible, to_be_undone
from tollkeeper.payments.payment import Attempt, Books, is_open
from tollkeeper.payments.reconcile import (
    for_a_person,
)
from tollkeeper.payments.reservation import MAY_BE_ABANDONED, open_abandon, sent_by, sent_through
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.settlement import (
    Step,
    not_executed,
    replay_proves,
    replaying,
    with_key_answer,
)


async def reread_stored(current: SettlementRun, step: Step) -> None:
    attempt = subject_of(current, step)
    current.learn(reread=True)
    exchange = await current.runtime.store.load_exchange(attempt.id)
    reply = opened_reply(current.runtime, exchange) if exchange is not None else None
    if exchange is None or reply is None:
        return
    found = reread(current.runtime, current.books, attempt, reply)
    if found is not None:
        _, said = found
        request = opened_request(current.runtime, exchange)
        await _apply(current, attempt, SendResult(said, reply, "reread"), request)


async def replay(current: SettlementRun, step: Step) -> None:
    """Sends the same bytes with the same key again, after committing that it will. A provider that
    is asked too much already is left alone until the next pass."""
    attempt = subject_of(current, step)
    runtime = current.runtime
    current.learn(replayed=current.look.replayed | {attempt.id})
    exchange = await runtime.store.load_exchange(attempt.id)
    request = opened_request(runtime, exchange) if exchange is not None else None
    if request is None:
        return
    health = runtime.live.health(provider_of(current.books))
    now = runtime.clock.monotonic()
    if now < health.quiet_until:
        return  # it asked to be left alone
    if now > health.shows_ours_at + OURS_SECONDS and await _key_shows_ours(current) is False:
        return  # under another account's key nothing of ours is there, and all would be paid again
    try:
        async with health.turn():
            await _send_again(current, attempt, request)
    except TimeoutError:
        return


async def _send_again(current: SettlementRun, attempt: Attempt, request: WireRequest) -> None:
    runtime = current.runtime
    now_ms = runtime.store.now_ms()

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        return replaying(books, mine, now_ms) if mine is not None and is_open(mine) else books

    await current.record(decide, "settling.replaying")
    mine = current.books.attempt(attempt.id)
    if mine is None or not is_open(mine):
        return
    prepared = Prepared(runtime.integration(attempt.integration), request)
    heard = await send(runtime, current.books, mine, prepared)
    if replay_proves(heard.outcome):
        again = msgspec.structs.replace(heard, by="replay")
        unwanted = made_too_late(current.books.payment, mine, heard.outcome, now_ms)
        await _apply(current, mine, again, request, unwanted=unwanted)
    else:
        await current.record(
            lambda books: with_key_answer(books, mine.id, heard.outcome), "settling.replayed"
        )


async def cancel(current: SettlementRun, step: Step) -> None:
    """Cancels an intent that could still be confirmed; its payment fails when that is proved."""
    runtime = current.runtime
    current.learn(canceled=True)
    charge = current.look.charge
    assert charge is not None, "only a charge that was seen is cancelled"
    attempt_id = runtime.new_id("att")

    def begin(books: Books) -> Books:
        may_be = books.payment.status in MAY_BE_ABANDONED
        if not may_be or any(a.operation == "void" for a in books.open_attempts()):
            return books
        opened = open_abandon(books, attempt_id, charge.provider_id, runtime.store.now_ms())
        opened = sent_through(opened, attempt_id, _canceller(runtime, books))
        return sent_by(opened, attempt_id, runtime.sender)

    await _send_new(current, attempt_id, begin, "settling.cancelling")


async def _send_new(
    current: SettlementRun, attempt_id: str, begin: Callable[[Books], Books], cause: str
) -> None:
    """Commits the attempt that `begin` starts, where it starts one, and sends it."""
    runtime = current.runtime
    prepared: list[Prepared] = []

    def decide(books: Books) -> Books:
        prepared.clear()
        return begin(books)

    def complete(change: Change, after: Books) -> Change:
        attempt = after.attempt(attempt_id)
        assert attempt is not None, "what is sent has an attempt"
        prepared.append(prepare(runtime, after, attempt))
        exchange = stored_request(runtime, attempt, prepared[-1].request)
        return msgspec.structs.replace(change, exchanges=(exchange,))

    await current.record(decide, cause, complete)
    attempt = current.books.attempt(attempt_id)
    if attempt is not None and prepared:
        heard = await send(runtime, current.books, attempt, prepared[-1])
        await _apply(current, attempt, heard, prepared[-1].request)


def _canceller(runtime: Runtime, books: Books) -> str:
    """The payment's version; after it refused to cancel, one that handles it."""
    pinned = books.payment.integration
    before = [a for a in books.attempts if a.operation == "void" and a.integration == pinned]
    able = able_versions(runtime, pinned, books.payment.account)
    refused = bool(before) and may_send_elsewhere(before[-1].result_class) and not before[-1].later
    return able[0].name if refused and able else pinned


async def reverse(current: SettlementRun, step: Step) -> None:
    """Gives back a charge that showed up late, after committing that it will."""
    runtime = current.runtime
    attempt_id, refund_id = runtime.new_id("att"), runtime.new_id("re")

    def begin(books: Books) -> Books:
        if not books.payment.reversing or books.open_attempts() or not still_reversible(books):
            return books
        opened = open_reversal(books, attempt_id, refund_id, runtime.store.now_ms())
        return sent_by(opened, attempt_id, runtime.sender)

    await _send_new(current, attempt_id, begin, "settling.reversing")


async def _key_shows_ours(current: SettlementRun) -> bool | None:
    """Whether our key still opens the account that our charges are in: one that was there before
    this payment must still be seen. Nothing is concluded from another account's empty list. `None`
    where nobody can say: the provider does not answer, or takes no key of ours at all."""
    runtime, books = current.runtime, current.books
    known = books.payment.provider_id
    if known is None:  # what a webhook named is in our account, even where it is the first of all
        known = await runtime.store.hinted_charge(books.payment.id)
    if known is None:
        known = await runtime.store.earlier_charge(provider_of(books), books.payment.id)
    if known is None:
        return True  # the first payment of all: there is nothing to compare with
    said = await ask_versions(current, "lookup", order_of(current, known))
    provider = provider_of(books)
    if said.is_answer:
        runtime.live.health(provider).shows_ours_at = runtime.clock.monotonic()
        return True
    if not said.is_refused or (said.refusal is not None and said.refusal.ours):
        return None
    runtime.tell(
        "our_charges_are_not_in_this_account",
        provider=provider, charge=known, payment=books.payment.id,
    )  # fmt: skip
    note = (
        f"the key of {provider} does not open the account that our charges are in: {known} is not "
        "in it. Nothing is sent again and nothing concluded. Next: put back the key of the account "
        "that has this charge"
    )
    await current.record(lambda now: for_a_person(now, note), "settling.another_account")
    return False


async def conclude_not_executed(current: SettlementRun, step: Step) -> None:
    attempt = subject_of(current, step)
    if not await _key_shows_ours(current):  # unknown counts as no
        current.learn(charge_failed=True, refunds_failed=True)
        return
    if not current.look.account_shown:
        # the list may have been another account's still: it is asked again, between two such looks
        current.learn(
            account_shown=True, charge_asked_ms=None, refunds_asked_ms=None, charge_near=False
        )
        return
    now_ms = current.runtime.store.now_ms()

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        if mine is None or not is_open(mine) or mine.sent_ms != attempt.sent_ms:
            return books
        return not_executed(books, mine, now_ms)

    await current.record(decide, "settling.not_found")


async def _apply(
    current: SettlementRun,
    attempt: Attempt,
    heard: SendResult,
    request: WireRequest | None,
    *,
    unwanted: bool = False,
) -> None:
    """Records what a reading or a send told about `attempt`. `unwanted`: what it made is undone."""
    runtime = current.runtime

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        if mine is None or not is_open(mine):
            return books
        after = apply_outcome(books, mine, heard.outcome, runtime.store.now_ms(), by=heard.by)
        return to_be_undone(after) if unwanted else after

    def complete(change: Change, _: Books) -> Change:
        exchanges = stored_reply(runtime, attempt, heard.outcome, heard.reply, request)
        return msgspec.structs.replace(change, exchanges=exchanges)

    await current.record(decide, f"settling.{heard.by}", complete)
