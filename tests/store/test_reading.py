"""Reading: pages without gaps or repetitions, and views that were true at one moment."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.flows.ports import ApiKey
from tollkeeper.payments.audit import seal_hash
from tollkeeper.payments.change import OutEvent
from tollkeeper.payments.invariants import check_books
from tollkeeper.store.store import SqlStore

NEWEST = "pay_" + "z" * 26


async def stored(store: SqlStore, count: int, **fields: object) -> list[str]:
    ids = []
    for _ in range(count):
        books = stage.fresh_books(**fields)
        await store.commit(stage.opening(books))
        ids.append(books.payment.id)
    return ids


async def test_pages_walk_the_whole_list_both_ways(backend: Backend) -> None:
    async with backend.store() as store:
        ids = await stored(store, 7)
        await stored(store, 2, account="acc_2")
        seen, cursor = [], NEWEST
        while page := await store.list_payments("acc_1", {}, cursor, 3):
            seen += [p.id for p in page]
            cursor = page[-1].id
        assert seen == ids[::-1]
        back = await store.list_payments("acc_1", {}, ids[2], 3, backwards=True)
        assert [p.id for p in back] == ids[3:6]


async def test_pages_are_filtered(backend: Backend) -> None:
    async with backend.store() as store:
        ids = await stored(store, 2, customer="c", reference="r")
        await stored(store, 1, customer="c")
        await stored(store, 1, reference="r")
        both = {"customer": "c", "reference": "r", "status": "processing"}
        page = await store.list_payments("acc_1", both, NEWEST, 10)
        assert [p.id for p in page] == ids[::-1]
        assert await store.list_payments("acc_1", {"status": "failed"}, NEWEST, 10) == []
        marked = await stored(store, 1, customer="c", attention="look")
        page = await store.list_payments("acc_1", {"needs_attention": "true"}, NEWEST, 10)
        assert [p.id for p in page] == marked
        theirs = {"needs_attention": "true", "reference": "r"}
        assert await store.list_payments("acc_1", theirs, NEWEST, 10) == []


async def test_ids_are_walked_oldest_first_over_all_accounts(backend: Backend) -> None:
    async with backend.store() as store:
        ids = await stored(store, 3) + await stored(store, 2, account="acc_2")
        assert await store.page_ids("", 4) == ids[:4]
        assert await store.page_ids(ids[3], 4) == ids[4:]


async def test_events_are_paged_by_account(backend: Backend) -> None:
    async with backend.store() as store:
        events: list[OutEvent] = []
        for _ in range(3):
            books = stage.fresh_books()
            opening = stage.opening(books)
            await store.commit(opening)
            before = stage.as_stored(books, opening)
            change = stage.change(before, stage.authorized(before))
            await store.commit(change)
            events += change.events
        page = await store.list_events("acc_1", "evt_" + "z" * 26, 2)
        assert page == events[:0:-1]
        assert await store.list_events("acc_1", page[-1].id, 2) == events[:1]
        assert await store.list_events("acc_2", "evt_" + "z" * 26, 2) == []


async def test_absent_things_are_none(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.load_books("pay_0") is None
        assert await store.load_payment("pay_0") is None
        assert await store.load_event("evt_0") is None
        assert await store.load_audit("pay_0") == []
        assert await store.load_audited("pay_0") is None
        assert await store.load_key("acc_1", "k") is None


async def test_keys_are_found_by_digest_and_changed(backend: Backend) -> None:
    key = ApiKey(
        id="key_1", digest="d", account="acc_1", role="admin", label="l", api_version="v",
        created_ms=EPOCH_MS,
    )  # fmt: skip
    async with backend.store() as store:
        await store.save_api_key(key)
        await store.save_api_key(replace(key, id="key_0", digest="e"))
        assert await store.find_api_key("d") == key
        revoked = replace(key, revoked_ms=EPOCH_MS + 1)
        await store.save_api_key(revoked)
        assert await store.find_api_key("d") == revoked
        assert [k.id for k in await store.list_api_keys()] == ["key_0", "key_1"]
        assert await store.find_api_key("none") is None


async def test_seals_chain_over_every_head(backend: Backend) -> None:
    async with backend.store() as store:
        empty, _ = await store.seal_audit(EPOCH_MS, 10)
        books = [stage.fresh_books() for _ in range(3)]
        heads = []
        for item in books:
            change = stage.opening(item)
            await store.commit(change)
            heads.append((item.payment.id, change.payment.audit_head))
        second, count = await store.seal_audit(EPOCH_MS + 1, 10)
        assert (second, count) == (seal_hash(empty, heads), 3)
        third, count = await store.seal_audit(EPOCH_MS + 2, 10)  # nothing has changed since
        assert (third, count) == (seal_hash(second, []), 0)
        rows = await backend.sql("SELECT seq, heads, previous, hash FROM audit_seals ORDER BY seq")
        assert rows == [(1, 0, "", empty), (2, 3, empty, second), (3, 0, second, third)]
        sealed = await store.page_sealed(("", 0), 10)
        assert [(s.payment_id, s.head) for s in sealed] == heads
        assert {(s.audit_seq, s.seal, s.found == s.head) for s in sealed} == {(1, 2, True)}
        first = (sealed[0].payment_id, sealed[0].audit_seq)
        assert await store.page_sealed(first, 1) == sealed[1:2]


async def test_holdings_show_what_is_bound_and_waiting(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        await store.commit(stage.opening(books, claim=stage.claim(books)))
        held = await store.holdings()
        assert held.bound == {"key-1": books.payment.id}
        assert held.waiting == {"settle": (1, EPOCH_MS)}


@pytest.mark.slow
async def test_an_examined_payment_is_seen_at_one_moment(backend: Backend) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        current = stage.as_stored(books, opening)
        writing = True

        async def write() -> None:
            nonlocal current, writing
            for n in range(60):
                after = replace(current, payment=replace(current.payment, attention=f"{n}"))
                change = stage.change(current, after)
                await store.commit(change)
                current = stage.as_stored(after, change)
            writing = False

        async def examine() -> None:
            while writing:
                found = await store.load_audited(books.payment.id)
                assert found is not None
                assert found.books is not None
                assert found.faults == ()
                assert list(check_books(found.books, found.audit)) == []
                await asyncio.sleep(0)

        await asyncio.gather(write(), examine(), examine())
