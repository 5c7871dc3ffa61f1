"""CPU that a payment's two transactions cost us, beside the same SQL on the raw drivers.

`./dev bench store` commits 2,000 payments (opening, then the provider's answer with one event) on
SQLite and on PostgreSQL and prints CPU milliseconds a payment of this process, without the server's
or the kernel's on its behalf. PostgreSQL comes from the wheel, or from TOLLKEEPER_TEST_POSTGRES.
"""

import asyncio
import resource
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.store import stage
from tests.store.backends import LeverClock, drop_database, make_database, server_dsn

from tollkeeper.payments.change import Change
from tollkeeper.store import migrate
from tollkeeper.store.commit import commit_change
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.sqlite import ThreadedSQLite, connect
from tollkeeper.store.statements import Batch
from tollkeeper.store.store import SqlStore

PAYMENTS = 2_000
WARM = 200
AT_ONCE = 16
DATABASE = "tollkeeper_bench"

type Pair = tuple[Change, Change]


def pairs(count: int) -> list[Pair]:
    """The two changes of each of `count` payments, made before anything is measured."""
    made = []
    for _ in range(count):
        books = stage.fresh_books()
        key = stage.identifier("key")
        opening = stage.opening(books, claim=stage.claim(books, key))
        before = stage.as_stored(books, opening)
        after = stage.authorized(before)
        exchange = replace(opening.exchanges[0], request=b"q" * 600, reply=b"r" * 900, sealed=False)
        answered = stage.change(
            before, after, exchanges=(exchange,), answer=stage.answer(books, key)
        )
        made.append((opening, answered))
    return made


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measured(what: str, pay: Callable[[Pair], Awaitable[None]]) -> None:
    """Runs PAYMENTS payments, one and AT_ONCE at a time, and prints what one cost."""
    await in_turns(pairs(WARM), pay, AT_ONCE)
    for at_once in (1, AT_ONCE):
        work = pairs(PAYMENTS)
        before, started = cpu_seconds(), asyncio.get_running_loop().time()
        await in_turns(work, pay, at_once)
        cpu, wall = cpu_seconds() - before, asyncio.get_running_loop().time() - started
        cost = f"{cpu / PAYMENTS * 1000:7.3f} ms CPU {PAYMENTS / wall:8.0f} payments/s"
        print(f"{what:30} {at_once:3} at once {cost}")


async def in_turns(work: list[Pair], pay: Callable[[Pair], Awaitable[None]], at_once: int) -> None:
    left = iter(work)

    async def worker() -> None:
        for pair in left:
            await pay(pair)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def texts(dialect: str, change: Change) -> list[tuple[str, tuple[Any, ...]]]:
    """The SQL of a change, for a driver that is asked nothing else."""
    batch = next(commit_change(change))
    assert isinstance(batch, Batch)
    return [statement.sql(dialect, values) for statement, values in batch.items]


def pay_through(store: SqlStore) -> Callable[[Pair], Awaitable[None]]:
    async def pay(pair: Pair) -> None:
        for change in pair:
            await store.commit(change)

    return pay


async def on_sqlite(folder: Path) -> None:
    path = folder / "bench.sqlite3"
    migrate.upgrade(str(path))
    raw = connect(path)

    async def pay_raw(pair: Pair) -> None:
        for change in pair:
            raw.execute("BEGIN IMMEDIATE")
            for sql, values in texts("sqlite", change):
                raw.execute(sql, values)
            raw.execute("COMMIT")

    await measured("SQLite, raw, a commit each", pay_raw)
    raw.close()
    store = SqlStore(ThreadedSQLite(path, _end), LeverClock())
    await measured("SQLite, ours", pay_through(store))
    await store.close()


def _end(error: Exception) -> None:
    raise SystemExit(f"the disk failed: {error}") from error


async def on_postgres(dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=AT_ONCE, max_size=AT_ONCE)

    async def pay_raw(pair: Pair) -> None:
        for change in pair:
            async with pool.acquire() as connection, connection.transaction():
                for sql, values in texts("postgresql", change):
                    await connection.execute(sql, *values)

    await measured("PostgreSQL, raw, one by one", pay_raw)
    await pool.close()
    store = SqlStore(await Postgres.open(dsn, size=AT_ONCE), LeverClock())
    await measured("PostgreSQL, ours", pay_through(store))
    await store.close()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-bench-"))
    dsn, stop = server_dsn(folder)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(f"sqlite {sqlite3.sqlite_version}, {PAYMENTS} payments each")
            runner.run(on_sqlite(folder))
            address = runner.run(make_database(dsn, DATABASE))
        migrate.upgrade(address)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(on_postgres(address))
            runner.run(drop_database(dsn, DATABASE))
    finally:
        stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
