"""Committing changes: all or nothing, once, and the same answer to whoever repeats it."""

import asyncio

from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.payments.audit import broken_link
from tollkeeper.payments.change import Exchange, OutEvent
from tollkeeper.payments.commit import Committed, Duplicate, KeyTaken, Stale
from tollkeeper.payments.payment import Dispute, Refund
from tollkeeper.payments.results import with_refund


async def counts(backend: Backend) -> dict[str, int]:
    found = {}
    for table in ("payments", "attempts", "refunds", "exchanges", "audit", "events", "jobs"):
        ((found[table],),) = await backend.sql(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
    ((found["keys"],),) = await backend.sql("SELECT count(*) FROM idempotency_keys")
    return found


async def test_what_was_committed_is_read_back_whole(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books(
            metadata={"order": "ümläut"}, customer="c", reference="r", multicapture=True
        )
        change = stage.opening(books)
        assert await store.commit(change) == Committed()
        stored = await store.load_books(books.payment.id)
        assert stored == stage.as_stored(books, change)
        assert await store.load_payment(books.payment.id) == change.payment
        audit = await store.load_audit(books.payment.id)
        assert audit == [change.audit]
        assert broken_link(audit) is None


async def test_an_update_moves_every_part_together(backend: Backend) -> None:
    async with backend.store() as store:
        first = stage.fresh_books()
        opening = stage.opening(first)
        await store.commit(opening)
        before = stage.as_stored(first, opening)
        after = stage.authorized(before)
        refund = Refund(
            id=stage.identifier("re"), payment_id=first.payment.id, amount_minor=10,
            status="pending", origin="external", created_ms=EPOCH_MS, updated_ms=EPOCH_MS,
            provider_id="re_1",
        )  # fmt: skip
        dispute = Dispute(
            id=stage.identifier("dp"), payment_id=first.payment.id, provider_id="dp_1",
            state="open", amount_minor=10, reason="fraudulent", created_ms=EPOCH_MS,
            updated_ms=EPOCH_MS,
        )  # fmt: skip
        after = replace(with_refund(after, refund), disputes=(dispute,))
        change = stage.change(before, after, look_at_ms=None)
        assert await store.commit(change) == Committed()
        assert await store.load_books(first.payment.id) == stage.as_stored(after, change)
        assert [row.seq for row in await store.load_audit(first.payment.id)] == [1, 2]
        assert await store.payment_of_charge(f"pi_{first.payment.id}") == first.payment.id
        assert await store.payment_of_charge("pi_other") is None
        assert await store.count_jobs() == {}
        assert {e.type for e in change.events} == {
            "payment.requires_capture", "refund.pending", "dispute.open",
        }  # fmt: skip
        for event in change.events:
            assert await store.load_event(event.id) == event


async def test_attempts_come_back_in_the_order_in_which_they_began(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        first = books.attempts[0]
        # ids made in one millisecond sort by chance; the order of sending must not
        second = replace(first, id="att_0", first_sent_ms=first.first_sent_ms + 1)
        await store.commit(stage.opening(replace(books, attempts=(first, second))))
        stored = await store.load_books(books.payment.id)
        assert stored is not None
        assert [a.id for a in stored.attempts] == [first.id, second.id]


async def test_a_change_of_books_that_moved_on_is_stale_and_leaves_no_trace(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        before = stage.as_stored(books, opening)
        await store.commit(stage.change(before, stage.authorized(before)))
        held = await counts(backend)
        late = replace(before, payment=replace(before.payment, attention="look"))
        change = stage.change(before, late, claim=stage.claim(before, "key-2"))
        assert await store.commit(change) == Stale()
        assert await counts(backend) == held
        assert await store.load_key("acc_1", "key-2") is None


async def test_a_change_of_a_payment_that_does_not_exist_is_stale(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        assert await store.commit(stage.change(books, stage.authorized(books))) == Stale()


async def test_a_repeated_commit_answers_committed_and_writes_nothing(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books, claim=stage.claim(books))
        before = stage.as_stored(books, opening)
        update = stage.change(before, stage.authorized(before))
        for change in (opening, opening, update, update):
            assert await store.commit(change) == Committed()
        held = await counts(backend)
        assert held["audit"] == 2
        # even after the payment has moved on, what was committed was committed
        after = stage.as_stored(stage.authorized(before), update)
        marked = replace(after, payment=replace(after.payment, attention="look"))
        await store.commit(stage.change(after, marked))
        held = await counts(backend)
        assert await store.commit(update) == Committed()
        assert await store.commit(opening) == Committed()
        assert await counts(backend) == held


async def test_a_taken_key_tells_what_it_is_bound_to(backend: Backend) -> None:
    async with backend.store() as store:
        books, other = stage.fresh_books(), stage.fresh_books()
        mine = stage.claim(books)
        await store.commit(stage.opening(books, claim=mine))
        held = await counts(backend)
        taken = await store.commit(stage.opening(other, claim=stage.claim(other)))
        assert taken == KeyTaken(fingerprint="f", token=mine.token, payment_id=books.payment.id)
        assert taken == await store.load_key("acc_1", "key-1")
        assert await counts(backend) == held
        elsewhere = stage.fresh_books(account="acc_2")
        assert (
            await store.commit(stage.opening(elsewhere, claim=stage.claim(elsewhere)))
            == Committed()
        )


async def test_an_answer_is_stored_with_its_change_until_it_expires(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books, claim=stage.claim(books, refund_id="re_1"))
        await store.commit(opening)
        before = stage.as_stored(books, opening)
        after = stage.authorized(before)
        await store.commit(stage.change(before, after, answer=stage.answer(books)))
        known = await store.load_key("acc_1", "key-1")
        assert known is not None
        assert (known.status, known.body, known.expires_ms) == (201, b"{}", EPOCH_MS + 1_000)
        assert await store.expire(EPOCH_MS + 999, 0) == 0
        assert await store.expire(EPOCH_MS + 1_000, 0) == 1
        known = await store.load_key("acc_1", "key-1")
        assert known is not None
        assert (known.status, known.body) == (None, None)
        assert (known.payment_id, known.refund_id) == (books.payment.id, "re_1")


async def test_a_webhook_stored_with_its_change_is_stored_once(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        before = stage.as_stored(books, opening)
        after = stage.authorized(before)
        hook = stage.inbound(payment_id=books.payment.id)
        change = stage.change(before, after, inbound=hook)
        assert await store.commit(change) == Committed()
        again = stage.change(stage.as_stored(after, change), before, inbound=hook)
        assert await store.commit(again) == Duplicate()
        assert await store.receive(hook) == Duplicate()
        stored = await store.load_payment(books.payment.id)
        assert stored == change.payment


async def test_of_many_changes_to_one_payment_one_wins_each_step(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        current = stage.as_stored(books, opening)
        for step in range(3):
            rivals = [
                stage.change(
                    current, replace(current, payment=replace(current.payment, reference=f"{n}"))
                )
                for n in range(8)
            ]
            results = await asyncio.gather(*(store.commit(rival) for rival in rivals))
            assert sorted(type(r).__name__ for r in results) == ["Committed"] + ["Stale"] * 7
            winner = rivals[results.index(Committed())]
            assert await store.load_payment(books.payment.id) == winner.payment
            assert winner.payment.seq == step + 2
            current = replace(current, payment=winner.payment)
        assert broken_link(await store.load_audit(books.payment.id)) is None


async def test_of_many_claims_of_one_key_one_wins(backend: Backend) -> None:
    async with backend.store() as store:
        rivals = [stage.fresh_books() for _ in range(8)]
        changes = [stage.opening(books, claim=stage.claim(books)) for books in rivals]
        results = await asyncio.gather(*(store.commit(change) for change in changes))
        winners = [b for b, r in zip(rivals, results, strict=True) if r == Committed()]
        assert len(winners) == 1
        losers = [r for r in results if isinstance(r, KeyTaken)]
        assert {r.payment_id for r in losers} == {winners[0].payment.id}
        assert len(losers) == 7
        assert (await counts(backend))["payments"] == 1


async def test_an_exchange_keeps_its_request_when_its_reply_comes(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        id_ = books.attempts[0].id
        expected = Exchange(attempt_id=id_, payment_id=books.payment.id, request=b"request")
        assert await store.load_exchange(id_) == expected
        before = stage.as_stored(books, opening)
        reply = replace(expected, request=None, reply=b"reply")
        change = stage.change(before, stage.authorized(before), exchanges=(reply,))
        await store.commit(change)
        assert await store.load_exchange(id_) == replace(expected, reply=b"reply")
        masked = replace(expected, request=b"m", reply=b"m", sealed=False)
        await store.save_exchange(masked)
        assert await store.load_exchange(id_) == masked
        assert await store.load_exchange("att_none") is None


async def test_a_change_with_many_parts_is_one_commit(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        refunds = tuple(
            Refund(
                id=stage.identifier("re"), payment_id=books.payment.id, amount_minor=1,
                status="succeeded", origin="external", created_ms=EPOCH_MS + n,
                updated_ms=EPOCH_MS, provider_id=f"re_{n}",
            )
            for n in range(70)
        )  # fmt: skip
        events = tuple(
            OutEvent(
                id=stage.identifier("evt"), account="acc_1", payment_id=books.payment.id,
                type="refund.succeeded", created_ms=EPOCH_MS, data=b"{}",
            )
            for _ in range(70)
        )  # fmt: skip
        whole = replace(books, refunds=refunds)
        change = stage.opening(whole, events=events, claim=stage.claim(books))
        assert await store.commit(change) == Committed()
        assert await store.commit(change) == Committed()
        stored = await store.load_books(books.payment.id)
        assert stored is not None
        assert stored.refunds == refunds
        assert len(await store.list_events("acc_1", "evt_~", 100)) == 70
