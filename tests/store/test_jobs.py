"""Jobs: a lease, a fence, and nothing ever dropped or done by two at once."""

import asyncio

from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend, OnPostgres

from tollkeeper.flows.ports import Due, Endpoint, Job

LEASE_MS = 1_000


async def test_a_due_job_is_claimed_once_and_again_after_its_lease(backend: Backend) -> None:
    async with backend.store() as store:
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        await store.enqueue_job("refresh", "pay_2", EPOCH_MS + 1)
        (job,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 10)
        assert (job.kind, job.subject, job.tries) == ("refresh", "pay_1", 1)
        assert await store.claim_jobs(EPOCH_MS, LEASE_MS, 10) == []
        later = EPOCH_MS + LEASE_MS
        first, second = await store.claim_jobs(later, LEASE_MS, 10)
        assert (first.subject, first.tries) == ("pay_1", 2)
        assert second.subject == "pay_2"
        assert first.fence > job.fence


async def test_the_earliest_are_claimed_first_and_no_more_than_asked(backend: Backend) -> None:
    async with backend.store() as store:
        for n in range(10):
            await store.enqueue_job("refresh", f"pay_{n}", EPOCH_MS - n)
        claimed = await store.claim_jobs(EPOCH_MS, LEASE_MS, 3)
        assert [job.subject for job in claimed] == ["pay_7", "pay_8", "pay_9"]
        assert len(await store.claim_jobs(EPOCH_MS, LEASE_MS, 100)) == 7


async def test_who_lost_the_fence_may_neither_finish_nor_postpone(backend: Backend) -> None:
    async with backend.store() as store:
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        (lost,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        (held,) = await store.claim_jobs(EPOCH_MS + LEASE_MS, LEASE_MS, 1)
        assert not await store.finish_job(lost)
        assert not await store.postpone_job(lost, EPOCH_MS)
        assert await store.postpone_job(held, EPOCH_MS + 5)
        assert await store.next_job_ms(EPOCH_MS) == EPOCH_MS + 5
        (again,) = await store.claim_jobs(EPOCH_MS + 5, LEASE_MS, 1)
        assert await store.finish_job(again)
        assert await store.count_jobs() == {}


async def test_a_job_asked_for_again_is_taken_from_its_holder(backend: Backend) -> None:
    async with backend.store() as store:
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        (held,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS + 1)
        assert not await store.finish_job(held)
        assert await store.count_jobs() == {"refresh": (1, EPOCH_MS + 1)}


async def test_a_job_made_anew_is_safe_from_the_holder_of_its_forerunner(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        (lost,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        now_ms = EPOCH_MS + LEASE_MS
        (held,) = await store.claim_jobs(now_ms, LEASE_MS, 1)
        await store.finish_job(held)
        await store.enqueue_job("refresh", "pay_1", now_ms)
        (fresh,) = await store.claim_jobs(now_ms, LEASE_MS, 1)
        assert not await store.finish_job(lost)
        assert await store.finish_job(fresh)


async def test_settling_made_anew_is_safe_from_the_holder_of_its_forerunner(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        (lost,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        before = stage.as_stored(books, opening)
        settled = stage.authorized(before)
        done = stage.change(before, settled, look_at_ms=None)
        await store.commit(done)
        after = stage.as_stored(settled, done)
        await store.commit(stage.change(after, before))
        (fresh,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        assert not await store.finish_job(lost)
        assert await store.finish_job(fresh)


async def test_a_commit_moves_its_payments_look_and_takes_it_from_its_holder(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books)
        await store.commit(opening)
        (held,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        assert held.kind == "settle"
        before = stage.as_stored(books, opening)
        change = stage.change(before, stage.authorized(before), look_at_ms=EPOCH_MS + 50)
        await store.commit(change)
        assert not await store.postpone_job(held, EPOCH_MS + 9_999)
        assert await store.next_job_ms(EPOCH_MS) == EPOCH_MS + 50


async def test_two_workers_never_hold_one_job(backend: Backend) -> None:
    async with backend.store() as store:
        for n in range(40):
            await store.enqueue_job("refresh", f"pay_{n:02d}", EPOCH_MS)
        claims = (store.claim_jobs(EPOCH_MS, LEASE_MS, 7) for _ in range(8))
        claimed = [job.subject for jobs in await asyncio.gather(*claims) for job in jobs]
        assert len(claimed) == len(set(claimed))
        rest = await store.claim_jobs(EPOCH_MS, LEASE_MS, 40)
        assert sorted(claimed + [job.subject for job in rest]) == [
            f"pay_{n:02d}" for n in range(40)
        ]


async def test_no_job_is_waited_for_that_is_leased(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.next_job_ms(EPOCH_MS) is None
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        assert await store.next_job_ms(EPOCH_MS) is None
        assert await store.next_job_ms(EPOCH_MS + LEASE_MS) == EPOCH_MS


async def test_orphans_of_a_crash_are_woken_and_leases_freed(backend: Backend) -> None:
    async with backend.store() as store:
        sending, settled = stage.fresh_books(), stage.fresh_books()
        await store.commit(stage.opening(sending, look_at_ms=EPOCH_MS + 30_000))
        opening = stage.opening(settled, look_at_ms=EPOCH_MS + 30_000)
        await store.commit(opening)
        before = stage.as_stored(settled, opening)
        await store.commit(
            stage.change(before, stage.authorized(before), look_at_ms=EPOCH_MS + 30_000)
        )
        await store.enqueue_job("refresh", "pay_x", EPOCH_MS)
        (held,) = await store.claim_jobs(EPOCH_MS, LEASE_MS, 1)
        assert await store.wake_orphans(EPOCH_MS + 1) == 1
        woken = await store.claim_jobs(EPOCH_MS + 1, LEASE_MS, 10)
        assert [job.subject for job in woken] == ["pay_x", sending.payment.id]
        assert not await store.finish_job(held)


async def test_a_locked_job_is_skipped_and_not_waited_for(postgres: OnPostgres) -> None:
    import asyncpg  # noqa: PLC0415 - this test alone is about its locks

    async with postgres.store() as store:
        await store.enqueue_job("refresh", "pay_1", EPOCH_MS)
        await store.enqueue_job("refresh", "pay_2", EPOCH_MS)
        other = await asyncpg.connect(postgres.dsn)
        try:
            async with other.transaction():
                await other.execute("SELECT 1 FROM jobs WHERE subject = 'pay_1' FOR UPDATE")
                async with asyncio.timeout(5):
                    claimed = await store.claim_jobs(EPOCH_MS, LEASE_MS, 10)
        finally:
            await other.close()
        assert [job.subject for job in claimed] == ["pay_2"]


async def test_jobs_are_counted_by_kind(backend: Backend) -> None:
    async with backend.store() as store:
        for kind, subject, at in (("b", "1", 5), ("a", "1", 9), ("b", "2", 3)):
            await store.enqueue_job(kind, subject, EPOCH_MS + at)
        assert await store.count_jobs() == {"a": (1, EPOCH_MS + 9), "b": (2, EPOCH_MS + 3)}
        assert not await store.finish_job(Job("a", "1", 12345, 1))


async def test_due_jobs_of_a_kind_come_with_their_account_and_their_peer(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        books = stage.fresh_books()
        await store.commit(stage.opening(books))
        await store.enqueue_job("settle", "pay_gone", EPOCH_MS - 1)
        await store.enqueue_job("refresh", books.payment.id, EPOCH_MS)
        payment = books.payment
        nothing: dict[str, list[str]] = {"full_accounts": [], "full_peers": []}
        gone, mine = await store.list_due("settle", "payments", EPOCH_MS, **nothing, limit=9)
        assert gone == Due("pay_gone")
        provider = payment.integration.partition("@")[0]
        assert mine == Due(payment.id, payment.account, provider)
        for full in ({"full_accounts": [payment.account]}, {"full_peers": [provider]}):
            left = await store.list_due("settle", "payments", EPOCH_MS, **nothing | full, limit=9)
            assert left == [gone]
        assert await store.list_due("settle", "none", EPOCH_MS - 1, **nothing, limit=9) == [gone]
        (first,) = await store.list_due("settle", "payments", EPOCH_MS, **nothing, limit=1)
        assert first == gone


async def test_due_deliveries_are_told_apart_by_endpoint_and_account(backend: Backend) -> None:
    async with backend.store() as store:
        for name, account in (("we_1", "acc_1"), ("we_2", "acc_2")):
            await store.save_endpoint(
                Endpoint(
                    id=name, account=account, url="https://x.example", secrets=(), enabled=True,
                    created_ms=EPOCH_MS,
                )
            )  # fmt: skip
            await store.enqueue_job("deliver", f"evt_1|{name}", EPOCH_MS)
        one, two = Due("evt_1|we_1", "acc_1", "we_1"), Due("evt_1|we_2", "acc_2", "we_2")
        for accounts, peers, left in (
            ([], [], [one, two]), (["acc_1"], [], [two]), ([], ["we_2", 'a"|]'], [one]),
        ):  # fmt: skip
            found = await store.list_due(
                "deliver", "deliveries", EPOCH_MS, full_accounts=accounts, full_peers=peers, limit=9
            )
            assert sorted(found, key=lambda due: due.subject) == left


async def test_of_named_jobs_those_are_claimed_that_are_due_and_free(backend: Backend) -> None:
    async with backend.store() as store:
        for subject, at_ms in (("a", EPOCH_MS), ("b", EPOCH_MS), ("later", EPOCH_MS + 9)):
            await store.enqueue_job("deliver", subject, at_ms)
        await store.enqueue_job("settle", "b", EPOCH_MS)
        (held,) = await store.claim_these("deliver", ["a"], EPOCH_MS, LEASE_MS)
        assert (held.kind, held.subject, held.tries) == ("deliver", "a", 1)
        named = ["a", "b", "later", "absent"]
        (other,) = await store.claim_these("deliver", named, EPOCH_MS, LEASE_MS)
        assert other.subject == "b"
        assert await store.claim_these("deliver", named, EPOCH_MS, LEASE_MS) == []
        claims = (store.claim_these("settle", ["b"], EPOCH_MS, LEASE_MS) for _ in range(4))
        assert len([job for jobs in await asyncio.gather(*claims) for job in jobs]) == 1
        assert await store.finish_job(held)
