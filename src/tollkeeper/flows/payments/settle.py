"""Settling: walking one payment up the ladder until its truth is known, or it is time to wait.

Gather: one question to the provider at a time. Decide: the ladder and the reconciler. Record: every
step that could move money is committed before it is taken. Runs as a durable job, so a crash at any
point leaves a row and a job that go on.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tollkeeper.flows.live.health import OURS_SECONDS
from tollkeeper.flows.ports import Job
from tollkeeper.flows.recording import load, record
from tollkeeper.flows.runtime import World
from tollkeeper.flows.sending import (
    Heard,
    Prepared,
    ask,
    masked,
    opened_reply,
    opened_request,
    order_for,
    prepare,
    reread,
    send,
    stored_reply,
    stored_request,
)
from tollkeeper.integrations.version import Integration, OperationInput, WireRequest
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.change import Change, Exchange
from tollkeeper.payments.judging import (
    charge_mismatch,
    may_be_charge_of,
    may_be_refund_of,
    may_send_elsewhere,
)
from tollkeeper.payments.ladder import (
    DONE,
    Look,
    Step,
    being_sent,
    known_provider_id,
    late_again_ms,
    look_at_ms,
    looked,
    next_step,
    not_executed,
    replay_proves,
    replaying,
    with_key_answer,
    worked_on,
)
from tollkeeper.payments.late import made_too_late, open_reversal, still_reversible, to_be_undone
from tollkeeper.payments.outcome import (
    Charge,
    DisputeSeen,
    Operation,
    Outcome,
    RefundSeen,
    UnreadRow,
)
from tollkeeper.payments.payment import Attempt, Books, is_open
from tollkeeper.payments.reconcile import (
    for_a_person,
    is_overtaken,
    is_second,
    reconcile_charge,
    reconcile_disputes,
    reconcile_refunds,
    unread_may_be_refund,
    with_second,
)
from tollkeeper.payments.reservation import MAY_BE_ABANDONED, open_abandon, sent_by, sent_through
from tollkeeper.payments.restoring import HOLDING
from tollkeeper.payments.results import apply_outcome

MAX_STEPS: Final = 14
"""Steps in one pass: the ladder has eight rungs, a cancellation is followed by a lookup, and before
absence counts the provider is asked once more."""

MAX_PAGES: Final = 200
"""Pages of one listing; a longer one is taken for unanswered, not for empty."""

FIND_MARGIN_S: Final = 300
"""How far the provider's clock may be from ours when charges are listed by creation time."""

LATE_MARGIN_S: Final = 3_600
"""How far back a late look reaches: the provider's clock may have been off when the charge was
made, and be right again."""

NEAR_S: Final = 10
"""How far from the send a charge is looked for at first: a busy account makes thousands in the
whole window, and a charge that is there needs no proof that nothing else is."""

MAX_LATE_PAGES: Final = 50
"""Pages of a listing that looks for what may have shown up late; reconciliation reads the rest."""

ACTOR: Final = "settling"


class Pass:
    """One pass over one payment: its books, and what was learned so far."""

    def __init__(self, world: World, books: Books, *, refresh: bool) -> None:
        self.world = world
        self.books = books
        self.look = Look()
        self.refresh = refresh

    def learn(self, **learned: object) -> None:
        self.look = msgspec.structs.replace(self.look, **learned)

    @property
    def skew_ms(self) -> int:
        """The clock of the payment's provider, less ours."""
        return self.world.health(provider_of(self.books)).skew_ms

    async def record(
        self,
        decide: Callable[[Books], Books],
        cause: str,
        complete: Callable[[Change, Books], Change] = lambda change, _: change,
    ) -> None:
        """Records a decision; exchanges of attempts that it settles are masked in the same commit,
        so that no crash leaves what is private sealed for ever."""
        sealed = await self._sealed()

        def masking(change: Change, after: Books) -> Change:
            return _masking(self.world, complete(change, after), sealed)

        self.books = await record(
            self.world, self.books, decide, cause=cause, actor=ACTOR, complete=masking
        )

    async def _sealed(self) -> dict[str, Exchange]:
        """What is stored sealed of the attempts that are open."""
        found = [await self.world.store.load_exchange(a.id) for a in self.books.open_attempts()]
        return {e.attempt_id: e for e in found if e is not None and e.sealed}


def _masking(world: World, change: Change, sealed: Mapping[str, Exchange]) -> Change:
    told = {exchange.attempt_id for exchange in change.exchanges}
    extra = [
        masked(world, attempt, sealed[attempt.id])
        for attempt in change.attempts
        if attempt.id in sealed and attempt.id not in told and not is_open(attempt)
    ]
    return msgspec.structs.replace(change, exchanges=(*change.exchanges, *extra))


async def settle(world: World, job: Job) -> None:
    """Runs one `settle` or `refresh` job."""
    try:
        books = await load(world, job.subject)
    except NotFound:
        await world.store.finish_job(job)
        return
    current = Pass(world, books, refresh=job.kind == "refresh")
    await _take_hint(current)
    answered = await walk(current)
    if job.kind == "refresh" and (not answered or current.books.open_attempts()):
        delay_ms = min(60_000, 500 << min(job.tries, 7))
        await world.store.postpone_job(job, world.store.now_ms() + delay_ms)
    elif job.kind == "refresh":
        await world.store.finish_job(job)
    else:
        await _let_go(current, job, answered=answered)


async def look_now(world: World, books: Books, charge_id: str) -> Books:
    """Looks at a payment at once, at the charge `charge_id` that something named as its own; gives
    the books as they then are."""
    current = Pass(world, books, refresh=True)
    if books.payment.provider_id is None:
        current.learn(hint=charge_id)
    elif charge_id != books.payment.provider_id:
        await _look_for_second(current, charge_id)
    await walk(current)
    return current.books


def provider_of(books: Books) -> str:
    """The name of the provider that the payment is at."""
    return books.payment.integration.partition("@")[0]


async def _take_hint(current: Pass) -> None:
    """Takes along a charge's id that a webhook or a listing named: where the payment knows no
    charge it is where to look, and where it knows another one there may be two."""
    payment = current.books.payment
    if payment.provider_id is not None and not current.refresh:
        return
    hint = await current.world.store.hinted_charge(payment.id)
    if hint is None or hint == payment.provider_id:
        return
    if payment.provider_id is None:
        current.learn(hint=hint)
    elif hint not in (payment.attention or ""):
        await _look_for_second(current, hint)


async def _look_for_second(current: Pass, hint: str) -> None:
    """A charge that is not the payment's, and names it: where it holds money a person must know."""
    said = await _ask(current, "lookup", _order(current, hint))
    charge = said.charge
    if charge is None or not is_second(current.books, charge):
        return
    await current.record(lambda books: with_second(books, charge), "settling.second_charge")


async def walk(current: Pass) -> bool:
    """Takes steps until nothing more can be learned now; whether every question was answered."""
    for _ in range(MAX_STEPS + len(current.books.open_attempts())):
        exchange = await _open_exchange(current)
        step = next_step(
            current.books,
            current.look,
            current.world.policy(current.books.payment.integration),
            current.world.store.now_ms(),
            reply_stored=exchange,
            refresh=current.refresh,
            only_sender=current.world.only_sender,
        )
        if step.kind in {"wait", "done"}:
            await _end(current, step)
            break
        await _STEPS[step.kind](current, step)
    look = current.look
    return not (
        look.charge_failed or look.refunds_failed or look.refunds_unread or look.disputes_failed
    )


async def _open_exchange(current: Pass) -> bool:
    """Whether the first open attempt's reply lies in the store, still sealed."""
    for attempt in worked_on(current.books):
        exchange = await current.world.store.load_exchange(attempt.id)
        return exchange is not None and exchange.sealed and exchange.reply is not None
    return False


async def _end(current: Pass, step: Step) -> None:
    """Counts a pass that did not settle what is open, so that the next one comes later: for each
    attempt that it worked on."""
    if step == DONE:
        return
    now_ms = current.world.store.now_ms()
    policy = current.world.policy(current.books.payment.integration)

    def decide(books: Books) -> Books:
        for attempt in worked_on(books):
            if not being_sent(attempt, policy, now_ms, current.world.only_sender):
                books = looked(books, attempt, policy, now_ms)
        return books

    await current.record(decide, "settling.looked")


async def _let_go(current: Pass, job: Job, *, answered: bool) -> None:
    """Gives the job back when nothing was committed that moved it; every commit set it anew."""
    world = current.world
    policy = world.policy(current.books.payment.integration)
    now_ms = world.store.now_ms()
    due = look_at_ms(current.books, policy, now_ms)
    if not answered and not current.books.open_attempts():
        again = late_again_ms(current.books, now_ms)
        due = min((at for at in (due, again) if at is not None), default=None)
    if due is None:
        await world.store.finish_job(job)
    else:
        await world.store.postpone_job(job, due)


async def _reread(current: Pass, step: Step) -> None:
    attempt = _subject(current, step)
    current.learn(reread=True)
    exchange = await current.world.store.load_exchange(attempt.id)
    reply = opened_reply(current.world, exchange) if exchange is not None else None
    if exchange is None or reply is None:
        return
    said = reread(current.world, current.books, attempt, reply)
    if said is not None:
        request = opened_request(current.world, exchange)
        await _apply(current, attempt, Heard(said, reply, "reread"), request)


async def _lookup(current: Pass, step: Step) -> None:
    world = current.world
    provider_id = known_provider_id(current.books, current.look)
    assert provider_id is not None, "a lookup needs the provider's id"
    asked_ms = world.store.now_ms()
    said = await _ask(current, "lookup", _order(current, provider_id))
    charge = said.charge
    hinted = current.books.payment.provider_id is None
    not_ours = said.kind == "failed" or (
        charge is not None and charge.payment_id != current.books.payment.id
    )
    if hinted and not_ours:
        # what named the id was mistaken: find the charge by our reference instead
        current.learn(hint=None)
        await (_find(current, step) if step.attempt is not None else _search(current, step))
    elif said.kind != "approved" or charge is None:
        current.learn(charge_failed=True)
    else:
        await _saw_charge(current, charge, asked_ms, "lookup")


async def _find(current: Pass, step: Step) -> None:
    """Looks for the charge around its send."""
    attempt = _subject(current, step)
    until_ms = attempt.sent_ms + NEAR_S * 1000
    await _look_through(current, attempt, NEAR_S, until_ms, MAX_PAGES)
    current.learn(charge_near=current.look.charge is None)


async def _search(current: Pass, step: Step) -> None:
    """Looks for the charge wherever it could be: only this proves that there is none."""
    attempt = _subject(current, step)
    until_ms = current.world.store.now_ms() + FIND_MARGIN_S * 1000
    if is_open(attempt):
        await _look_through(current, attempt, FIND_MARGIN_S, until_ms, MAX_PAGES)
    else:
        await _look_through(current, attempt, LATE_MARGIN_S, until_ms, MAX_LATE_PAGES)
    current.learn(charge_near=False)


async def _look_through(
    current: Pass, attempt: Attempt, before_s: int, until_ms: int, pages: int
) -> None:
    """Lists charges made from `before_s` before the payment's first send until `until_ms`."""
    asked_ms = current.world.store.now_ms()
    found, whole = await _listed(current, before_s, until_ms, pages)
    ours = [c for c in found if c.attempt_id == attempt.id] if is_open(attempt) else found
    if ours:
        live = [c for c in ours if c.state in HOLDING]
        await _saw_charge(current, (live or ours)[0], asked_ms, "listing")
    elif whole:
        current.learn(charge=None, charge_asked_ms=asked_ms)
    else:
        current.learn(charge_failed=True)


async def _listed(
    current: Pass, before_s: int, until_ms: int, pages: int
) -> tuple[list[Charge], bool]:
    """The payment's charges, and whether the listing proves that there are no others: it was
    answered to its end, no row of it could be one of ours, and the clocks agree."""
    books = current.books
    first_ms = min(a.first_sent_ms for a in books.attempts)
    skew_s = current.skew_ms // 1000
    order = msgspec.structs.replace(
        _order(current, None),
        created_from_s=first_ms // 1000 - before_s + min(0, skew_s),
        created_to_s=until_ms // 1000 + max(0, skew_s),
    )
    found: list[Charge] = []
    whole = True
    for _ in range(pages):
        said = await _ask(current, "find", order)
        if said.kind != "approved":
            return found, False
        found += [c for c in said.charges if c.payment_id == books.payment.id]
        whole = whole and not any(may_be_charge_of(books.payment, row) for row in said.unread)
        if said.next_cursor is None:
            return found, whole and abs(current.skew_ms) <= FIND_MARGIN_S * 1000
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    return found, False


async def _saw_charge(current: Pass, charge: Charge, asked_ms: int, by: str) -> None:
    if charge_mismatch(current.books.payment, charge) is not None:
        # a reading that cannot be of our charge proves nothing, and absence least of all
        current.learn(charge_failed=True)
        return
    current.learn(charge=charge, charge_asked_ms=asked_ms)
    now_ms = current.world.store.now_ms()
    await current.record(
        lambda books: reconcile_charge(books, charge, now_ms, by=by, asked_ms=asked_ms),
        f"settling.{by}",
    )
    if is_overtaken(current.books, charge):
        current.learn(charge_failed=True)


async def _list_refunds(current: Pass, step: Step) -> None:
    provider_id = known_provider_id(current.books, current.look)
    assert provider_id is not None, "refunds belong to a charge"
    order = _order(current, provider_id)
    asked_ms = current.world.store.now_ms()
    seen: list[RefundSeen] = []
    unread: list[UnreadRow] = []
    for _ in range(MAX_PAGES):
        said = await _ask(current, "list_refunds", order)
        if said.kind != "approved":
            current.learn(refunds_failed=True)
            return
        seen += said.refunds
        unread += said.unread
        if said.next_cursor is None:
            break
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    else:
        current.learn(refunds_failed=True)
        return
    misshown = any(_is_misshown(current.books, item) for item in seen)
    misshown = misshown or any(_may_be_in_doubt(current.books, item) for item in seen)
    if misshown or any(_may_be_refund_of(current.books, row) for row in unread):
        current.learn(refunds_failed=True)  # what was read counts, and proves no absence
    # every row of the list is of this charge: what cannot be read now is read another time
    current.learn(refunds_asked_ms=asked_ms, refunds_unread=bool(unread))
    true = tuple(item for item in seen if not _is_misshown(current.books, item))
    new_ids = tuple(current.world.new_id("re") for _ in true)
    now_ms = current.world.store.now_ms()
    releases = current.world.releases
    await current.record(
        lambda books: reconcile_refunds(
            books, true, new_ids, now_ms, by="listing", releases=releases
        ),
        "settling.refunds",
    )


def _may_be_refund_of(books: Books, row: UnreadRow) -> bool:
    """Whether a row that could not be read is a refund of ours in doubt, or could be."""
    return unread_may_be_refund(books, row, [attempt.id for attempt in books.open_attempts()])


async def _list_disputes(current: Pass, step: Step) -> None:
    """Reads the charge's disputes, so that a lost webhook hides none."""
    provider_id = current.books.payment.provider_id
    assert provider_id is not None, "disputes belong to a charge"
    current.learn(disputes_asked=True)
    order = _order(current, provider_id)
    seen: list[DisputeSeen] = []
    for _ in range(MAX_PAGES):
        said = await _ask(current, "list_disputes", order)
        if said.kind != "approved" or said.unread:
            current.learn(disputes_failed=True)
        seen += said.disputes
        if said.next_cursor is None:
            break
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    now_ms = current.world.store.now_ms()
    told_s = (now_ms + current.skew_ms) // 1000
    dated = tuple(msgspec.structs.replace(item, told_s=told_s) for item in seen)
    new_ids = tuple(current.world.new_id("dp") for _ in dated)
    await current.record(
        lambda books: reconcile_disputes(books, dated, new_ids, now_ms), "settling.disputes"
    )


def _may_be_in_doubt(books: Books, seen: RefundSeen) -> bool:
    """Whether a refund without a reference could be one of ours that is not settled."""
    known = any(refund.provider_id == seen.provider_id for refund in books.refunds)
    currency = books.payment.currency
    return not known and any(may_be_refund_of(a, currency, seen) for a in books.open_attempts())


def _is_misshown(books: Books, seen: RefundSeen) -> bool:
    """Whether `seen` is by its reference a refund of ours in doubt, and otherwise is not: then the
    listing proves nothing about it."""
    mine = next((a for a in books.open_attempts() if a.id == seen.attempt_id), None)
    if mine is None:
        return False
    same = (seen.amount_minor, seen.currency) == (mine.amount_minor, books.payment.currency)
    return not same


async def _replay(current: Pass, step: Step) -> None:
    """Sends the same bytes with the same key again, after committing that it will. A provider that
    is asked too much already is left alone until the next pass."""
    attempt = _subject(current, step)
    world = current.world
    current.learn(replayed=current.look.replayed | {attempt.id})
    exchange = await world.store.load_exchange(attempt.id)
    request = opened_request(world, exchange) if exchange is not None else None
    if request is None:
        return
    health = world.health(provider_of(current.books))
    now = world.clock.monotonic()
    if now < health.quiet_until:
        return  # it asked to be left alone
    if now > health.shows_ours_at + OURS_SECONDS and await _key_shows_ours(current) is False:
        return  # under another account's key nothing of ours is there, and all would be paid again
    try:
        async with health.turn():
            await _send_again(current, attempt, request)
    except TimeoutError:
        return


async def _send_again(current: Pass, attempt: Attempt, request: WireRequest) -> None:
    world = current.world
    now_ms = world.store.now_ms()

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        return replaying(books, mine, now_ms) if mine is not None and is_open(mine) else books

    await current.record(decide, "settling.replaying")
    mine = current.books.attempt(attempt.id)
    if mine is None or not is_open(mine):
        return
    prepared = Prepared(world.integration(attempt.integration), request)
    heard = await send(world, current.books, mine, prepared)
    if replay_proves(heard.outcome):
        again = msgspec.structs.replace(heard, by="replay")
        unwanted = made_too_late(current.books.payment, mine, heard.outcome, now_ms)
        await _apply(current, mine, again, request, unwanted=unwanted)
    else:
        await current.record(
            lambda books: with_key_answer(books, mine.id, heard.outcome), "settling.replayed"
        )


async def _cancel(current: Pass, step: Step) -> None:
    """Cancels an intent that could still be confirmed; its payment fails when that is proved."""
    world = current.world
    current.learn(canceled=True)
    charge = current.look.charge
    assert charge is not None, "only a charge that was seen is cancelled"
    attempt_id = world.new_id("att")

    def begin(books: Books) -> Books:
        may_be = books.payment.status in MAY_BE_ABANDONED
        if not may_be or any(a.operation == "void" for a in books.open_attempts()):
            return books
        opened = open_abandon(books, attempt_id, charge.provider_id, world.store.now_ms())
        opened = sent_through(opened, attempt_id, _canceller(world, books))
        return sent_by(opened, attempt_id, world.sender)

    await _send_new(current, attempt_id, begin, "settling.cancelling")


async def _send_new(
    current: Pass, attempt_id: str, begin: Callable[[Books], Books], cause: str
) -> None:
    """Commits the attempt that `begin` starts, where it starts one, and sends it."""
    world = current.world
    prepared: list[Prepared] = []

    def decide(books: Books) -> Books:
        prepared.clear()
        return begin(books)

    def complete(change: Change, after: Books) -> Change:
        attempt = after.attempt(attempt_id)
        assert attempt is not None, "what is sent has an attempt"
        prepared.append(prepare(world, after, attempt))
        exchange = stored_request(world, attempt, prepared[-1])
        return msgspec.structs.replace(change, exchanges=(exchange,))

    await current.record(decide, cause, complete)
    attempt = current.books.attempt(attempt_id)
    if attempt is not None and prepared:
        heard = await send(world, current.books, attempt, prepared[-1])
        await _apply(current, attempt, heard, prepared[-1].request)


def _canceller(world: World, books: Books) -> str:
    """The payment's version; after it refused to cancel, one that handles it."""
    pinned = books.payment.integration
    before = [a for a in books.attempts if a.operation == "void" and a.integration == pinned]
    able = _able(world, pinned, books.payment.account)
    refused = bool(before) and may_send_elsewhere(before[-1].result_class) and not before[-1].later
    return able[0].name if refused and able else pinned


async def _reverse(current: Pass, step: Step) -> None:
    """Gives back a charge that showed up late, after committing that it will."""
    world = current.world
    attempt_id, refund_id = world.new_id("att"), world.new_id("re")

    def begin(books: Books) -> Books:
        if not books.payment.reversing or books.open_attempts() or not still_reversible(books):
            return books
        opened = open_reversal(books, attempt_id, refund_id, world.store.now_ms())
        return sent_by(opened, attempt_id, world.sender)

    await _send_new(current, attempt_id, begin, "settling.reversing")


async def _key_shows_ours(current: Pass) -> bool | None:
    """Whether our key still opens the account that our charges are in: one that was there before
    this payment must still be seen. Nothing is concluded from another account's empty list. `None`
    where nobody can say: the provider does not answer, or takes no key of ours at all."""
    world, books = current.world, current.books
    known = books.payment.provider_id
    if known is None:  # what a webhook named is in our account, even where it is the first of all
        known = await world.store.hinted_charge(books.payment.id)
    if known is None:
        known = await world.store.earlier_charge(provider_of(books), books.payment.id)
    if known is None:
        return True  # the first payment of all: there is nothing to compare with
    said = await _ask(current, "lookup", _order(current, known))
    provider = provider_of(books)
    if said.kind == "approved":
        world.health(provider).shows_ours_at = world.clock.monotonic()
        return True
    if said.kind != "failed" or (said.refusal is not None and said.refusal.ours):
        return None
    world.tell(
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


async def _not_executed(current: Pass, step: Step) -> None:
    attempt = _subject(current, step)
    if not await _key_shows_ours(current):  # unknown counts as no
        current.learn(charge_failed=True, refunds_failed=True)
        return
    if not current.look.account_shown:
        # the list may have been another account's still: it is asked again, between two such looks
        current.learn(
            account_shown=True, charge_asked_ms=None, refunds_asked_ms=None, charge_near=False
        )
        return
    now_ms = current.world.store.now_ms()

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        if mine is None or not is_open(mine) or mine.sent_ms != attempt.sent_ms:
            return books
        return not_executed(books, mine, now_ms)

    await current.record(decide, "settling.not_found")


async def _apply(
    current: Pass,
    attempt: Attempt,
    heard: Heard,
    request: WireRequest | None,
    *,
    unwanted: bool = False,
) -> None:
    """Records what a reading or a send told about `attempt`. `unwanted`: what it made is undone."""
    world = current.world

    def decide(books: Books) -> Books:
        mine = books.attempt(attempt.id)
        if mine is None or not is_open(mine):
            return books
        after = apply_outcome(books, mine, heard.outcome, world.store.now_ms(), by=heard.by)
        return to_be_undone(after) if unwanted else after

    def complete(change: Change, _: Books) -> Change:
        exchanges = stored_reply(world, attempt, heard, request)
        return msgspec.structs.replace(change, exchanges=exchanges)

    await current.record(decide, f"settling.{heard.by}", complete)


async def _ask(current: Pass, operation: Operation, order: OperationInput) -> Outcome:
    """Asks through the payment's version, and where that cannot read the answer, or some row of it,
    through each other version that declares it can handle it. A candidate that was not proved is
    asked last: its payments are settled by the reading of a version that was."""
    world = current.world
    name, account = current.books.payment.integration, current.books.payment.account
    askers = [world.integration(name), *_able(world, name, account)]
    if not world.routes.is_proved(name, account):
        askers = [*askers[1:], askers[0]]
    first: Outcome | None = None
    for version in askers:
        said = await ask(world, version, operation, order)
        silent = said.doubt is not None and said.doubt.kind == "silence"
        if silent or (said.kind != "unknown" and not _is_gone(said) and not said.unread):
            return said
        if first is None or (first.kind == "unknown" and said.kind == "approved"):
            first = said
    assert first is not None, "a payment's own version can always be asked"
    return first


def _is_gone(said: Outcome) -> bool:
    """Whether a status alone refused it, as a version's that is no more: another one may ask."""
    return said.refusal is not None and said.refusal.code.startswith("http_")


def _able(world: World, name: str, account: str) -> list[Integration]:
    return [v for v in world.siblings(name, account) if name in v.handles]


def _order(current: Pass, provider_id: str | None) -> OperationInput:
    payment = current.books.payment
    attempt = current.books.attempts[-1]
    order = order_for(current.world, payment, attempt)
    return msgspec.structs.replace(order, provider_id=provider_id)


def _subject(current: Pass, step: Step) -> Attempt:
    """The attempt that a step is about; the last authorization where it is about the payment."""
    if step.attempt is not None:
        return step.attempt
    return [a for a in current.books.attempts if a.operation == "authorize"][-1]


_STEPS: Final = {
    "reread": _reread,
    "lookup": _lookup,
    "find": _find,
    "search": _search,
    "list_refunds": _list_refunds,
    "list_disputes": _list_disputes,
    "reverse": _reverse,
    "replay": _replay,
    "cancel": _cancel,
    "not_executed": _not_executed,
}
