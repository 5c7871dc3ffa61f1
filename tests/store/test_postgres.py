"""PostgreSQL's own failures: nothing happened, or doubt that a repetition resolves."""

import asyncio

import asyncpg
import pytest
from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, LeverClock, OnPostgres
from tests.store.proxies import relay

from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.payments.change import Change
from tollkeeper.payments.commit import Committed, KeyTaken, Stale
from tollkeeper.store import jobs
from tollkeeper.store.commit import commit_change
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.statements import Operation
from tollkeeper.store.store import SqlStore

pytestmark = pytest.mark.postgres


async def kill_backends(postgres: OnPostgres) -> None:
    await postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_a_connection_killed_inside_a_transaction_means_nothing_happened(
    postgres: OnPostgres,
) -> None:
    async with postgres.store() as store:
        locker = await asyncpg.connect(postgres.dsn)
        await store.enqueue_job("refresh", "a", EPOCH_MS)
        try:
            async with locker.transaction():
                await locker.execute("SELECT 1 FROM jobs FOR UPDATE")

                def two() -> Operation[None]:
                    yield from jobs.enqueue_job("refresh", "b", EPOCH_MS)
                    yield from jobs.enqueue_job("refresh", "a", EPOCH_MS)

                writing = asyncio.ensure_future(store.driver.write(two()))
                await asyncio.sleep(0.2)
                await postgres.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                    "datname = current_database() AND wait_event_type = 'Lock'"
                )
                with pytest.raises(Unavailable):
                    await writing
        finally:
            await locker.close()
        assert await store.count_jobs() == {"refresh": (1, EPOCH_MS)}


async def test_idle_connections_that_were_killed_are_replaced(postgres: OnPostgres) -> None:
    async with postgres.store() as store:
        await store.count_jobs()
        await kill_backends(postgres)
        for _ in range(3):  # the first may still meet a dead connection
            try:
                await store.enqueue_job("refresh", "a", EPOCH_MS)
            except (Unavailable, StoreDoubt):
                continue
            break
        assert await store.count_jobs() == {"refresh": (1, EPOCH_MS)}


@pytest.mark.parametrize("text", [b"COMMIT", b""], ids=["at COMMIT", "composed"])
async def test_a_lost_acknowledgement_is_doubt_and_repeating_it_settles_it(
    postgres: OnPostgres, text: bytes
) -> None:
    async with postgres.store() as beside, relay(postgres.dsn) as through:
        store = SqlStore(await Postgres.open(through.dsn, size=1), LeverClock())
        books, earlier = stage.fresh_books(), stage.fresh_books()
        await store.commit(stage.opening(earlier, claim=stage.claim(earlier, "key-0")))
        change = stage.opening(books, claim=stage.claim(books))
        through.swallow(text or books.payment.id.encode())
        with pytest.raises(StoreDoubt):
            await (store.driver.write(_in_two_steps(change)) if text else store.commit(change))
        assert through.struck == 1
        assert await beside.load_payment(books.payment.id) == change.payment
        assert await store.commit(change) == Committed()
        assert len(await beside.load_audit(books.payment.id)) == 1
        await store.close()


def _in_two_steps(change: Change) -> Operation[object]:
    yield from jobs.enqueue_job("refresh", "first", EPOCH_MS)
    result: object = yield from commit_change(change)
    return result


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")


async def test_conflicts_between_transactions_mean_nothing_happened(postgres: OnPostgres) -> None:
    async with postgres.store() as store:
        await store.enqueue_job("refresh", "a", EPOCH_MS)
        await store.enqueue_job("refresh", "b", EPOCH_MS)

        begun: set[str] = set()

        def both(first: str, second: str) -> Operation[None]:
            yield from jobs.enqueue_job("refresh", first, EPOCH_MS)
            begun.add(first)
            while len(begun) < 2:  # each holds one row before it wants the other's
                yield jobs.COUNT_JOBS, {}
            yield from jobs.enqueue_job("refresh", second, EPOCH_MS)

        results = await asyncio.gather(
            store.driver.write(both("a", "b")),
            store.driver.write(both("b", "a")),
            return_exceptions=True,
        )
        assert sorted(type(r).__name__ for r in results) == ["NoneType", "Unavailable"]


async def test_a_pool_that_is_used_up_is_unavailable_and_not_a_hang(
    postgres: OnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.store.postgres.ACQUIRE_SECONDS", 0.2)
    async with postgres.store():
        driver = await Postgres.open(postgres.dsn, size=1)
        async with driver._pool.acquire():
            with pytest.raises(Unavailable):
                await driver.read(jobs.count_jobs())
            with pytest.raises(Unavailable):
                await driver.write(jobs.enqueue_job("refresh", "a", EPOCH_MS))
        await driver.close()


async def test_a_cancelled_operation_leaves_its_connection_clean(postgres: OnPostgres) -> None:
    async with postgres.store() as beside:
        await beside.enqueue_job("refresh", "a", EPOCH_MS)
        store = SqlStore(await Postgres.open(postgres.dsn, size=1), LeverClock())
        locker = await asyncpg.connect(postgres.dsn)
        async with locker.transaction():
            await locker.execute("SELECT 1 FROM jobs FOR UPDATE")

            def two() -> Operation[None]:
                yield from jobs.enqueue_job("refresh", "b", EPOCH_MS)
                yield from jobs.enqueue_job("refresh", "a", EPOCH_MS)

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await store.driver.write(two())
        await locker.close()
        assert await store.count_jobs() == {"refresh": (1, EPOCH_MS)}
        await store.enqueue_job("refresh", "c", EPOCH_MS)
        assert await beside.count_jobs() == {"refresh": (2, EPOCH_MS)}
        await store.close()


async def test_the_composed_statement_and_the_single_ones_agree(postgres: OnPostgres) -> None:
    async with postgres.store() as store:
        books = stage.fresh_books()
        opening = stage.opening(books, claim=stage.claim(books))
        assert await store.driver.write(_in_two_steps(opening)) == Committed()
        before = stage.as_stored(books, opening)
        after = stage.authorized(before)
        update = stage.change(before, after)
        late = stage.change(before, replace(after, payment=replace(after.payment, reference="r")))
        taken = stage.opening(stage.fresh_books(), claim=stage.claim(books))
        assert await store.driver.write(_in_two_steps(update)) == Committed()
        for write in (store.commit, lambda c: store.driver.write(_in_two_steps(c))):
            assert await write(late) == Stale()
            assert await write(update) == Committed()
            assert isinstance(await write(taken), KeyTaken)


async def test_the_servers_clock_is_measured(postgres: OnPostgres) -> None:
    driver = await Postgres.open(postgres.dsn)
    offset = await driver.clock_offset_ms(lambda: 0)
    ((there,),) = await postgres.sql("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    assert abs(offset - there) < 5_000
    await driver.close()


async def test_a_replica_hears_of_new_routes_and_listens_again_when_it_was_cut_off(
    postgres: OnPostgres,
) -> None:
    async with postgres.store() as here, postgres.store() as there:
        heard = await here.routing_signal()
        assert heard is not None
        assert heard.is_set(), "something may have come before it listened"
        heard.clear()
        await there.reset_rules()
        async with asyncio.timeout(20):
            await heard.wait()
        heard.clear()
        await postgres.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
        async with asyncio.timeout(20):
            await heard.wait()
        again = await here.routing_signal()
        assert again is not None
        again.clear()
        await there.reset_rules()
        async with asyncio.timeout(20):
            await again.wait()
