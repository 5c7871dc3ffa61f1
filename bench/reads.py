"""Reading with many payments stored: one by id, and pages of twenty with and without filters.

`./dev bench reads` fills a database with 1,000 and then 100,000 payments through the store's own
operations, many in one transaction, and asks the running service for random payments and pages,
one at a time. Prints latency and CPU of the service a request.
Example: `./dev bench reads --store sqlite --stored 1000 100000 1000000`
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import rig
from rig.sql import changes_of

from tollkeeper.payments.change import Change
from tollkeeper.store import migrate
from tollkeeper.store.commit import commit_change
from tollkeeper.store.sqlite import connect
from tollkeeper.store.sqlite import run as run_operation
from tollkeeper.store.statements import Batch

REQUESTS = 600
BLOCK = 2_000
DAY_MS = 86_400_000


def block(first: int, count: int, now_ms: int) -> Iterator[Change]:
    """The changes of `count` payments, a few milliseconds apart, so that ids spread in time."""
    for number in range(first, first + count):
        yield from changes_of(number, now_ms - 90 * DAY_MS + number * 7)


class OnSQLite:
    """Fills a file. It is synced at the end: nobody waits for a single payment here."""

    def __init__(self, path: str) -> None:
        migrate.upgrade(path)
        self._connection = connect(path)
        self._connection.execute("PRAGMA synchronous=OFF")

    def fill(self, changes: Iterator[Change]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for change in changes:
            run_operation(self._connection, commit_change(change))
        self._connection.execute("COMMIT")

    def ids(self, count: int) -> list[str]:
        rows = self._connection.execute("SELECT id FROM payments").fetchall()
        return random.Random(1).choices([row[0] for row in rows], k=count)

    def close(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.execute("ANALYZE")
        self._connection.close()


class OnPostgres:
    """Fills a database with the same statements, many rows at a time."""

    def __init__(self, dsn: str) -> None:
        migrate.upgrade(dsn)
        self._runner = asyncio.Runner()
        self._connection: Any = self._runner.run(asyncpg.connect(dsn))

    def fill(self, changes: Iterator[Change]) -> None:
        texts: dict[str, list[tuple[Any, ...]]] = {}
        for change in changes:
            batch = next(commit_change(change))
            assert isinstance(batch, Batch), "a change is one batch"
            for statement, values in batch.items:
                text, parameters = statement.sql("postgresql", values)
                texts.setdefault(text, []).append(parameters)
        self._runner.run(self._execute(texts))

    async def _execute(self, texts: dict[str, list[tuple[Any, ...]]]) -> None:
        async with self._connection.transaction():
            for text, rows in texts.items():
                await self._connection.executemany(text, rows)

    def ids(self, count: int) -> list[str]:
        rows = self._runner.run(self._connection.fetch("SELECT id FROM payments"))
        return random.Random(1).choices([row[0] for row in rows], k=count)

    def close(self) -> None:
        self._runner.run(self._connection.execute("VACUUM ANALYZE"))
        self._runner.run(self._connection.close())
        self._runner.close()


def fill(store: str, database: str, first: int, until: int, now_ms: int) -> list[str]:
    """Adds payments `first` to `until`; gives random ids of what is stored."""
    filler: OnSQLite | OnPostgres
    filler = OnSQLite(database) if store == "sqlite" else OnPostgres(database)
    for begin in range(first, until, BLOCK):
        filler.fill(block(begin, min(BLOCK, until - begin), now_ms))
        if begin // BLOCK % 25 == 24:
            rig.say(f"{store}: {begin + BLOCK} payments stored")
    ids = filler.ids(REQUESTS)
    filler.close()
    return ids


def questions(ids: list[str], stored: int) -> dict[str, list[str]]:
    """Paths by what they ask for."""
    numbers = random.Random(2).choices(range(stored), k=REQUESTS)
    return {
        "by id": [f"/v1/payments/{id_}" for id_ in ids],
        "newest page": ["/v1/payments?limit=20"] * REQUESTS,
        "page from the middle": [f"/v1/payments?limit=20&cursor=older.{id_}" for id_ in ids],
        "by status": ["/v1/payments?limit=20&status=succeeded"] * REQUESTS,
        "by a status that none has": ["/v1/payments?limit=20&status=canceled"] * REQUESTS,
        "by customer": [f"/v1/payments?limit=20&customer=customer-{n % 997}" for n in numbers],
        "by reference": [f"/v1/payments?limit=20&reference=order-{n}" for n in numbers],
    }


def ask(ours: rig.Service, paths: list[str]) -> dict[str, Any]:
    requests = [rig.get(path, ours.secret) for path in paths]
    rig.run(lambda: rig.drive(ours.port, requests[:50], 1))
    before = ours.program.cpu_seconds()
    load = rig.run(lambda: rig.drive(ours.port, requests, 1))
    assert set(load.statuses) == {200}, load.statuses
    return {
        "p50_ms": round(load.percentile_ms(0.5), 2),
        "p99_ms": round(load.percentile_ms(0.99), 2),
        "cpu_ms": round((ours.program.cpu_seconds() - before) / len(requests) * 1000, 3),
    }


def measured(folder: Path, store: str, database: str, sizes: list[int]) -> Iterator[dict[str, Any]]:
    first, now_ms = 0, int(os.times().elapsed) + 1_780_000_000_000
    for stored in sizes:
        ids = fill(store, database, first, stored, now_ms)
        first = stored
        with rig.service(folder, database, "http://127.0.0.1:9") as ours:
            for what, paths in questions(ids, stored).items():
                yield {"store": store, "stored": stored, "asked": what, **ask(ours, paths)}


def main() -> None:
    options = rig.parser(__doc__)
    options.add_argument(
        "--stored", type=int, nargs="+", default=[1_000, 100_000], help="sizes, ascending"
    )
    given = options.parse_args()
    found: list[dict[str, Any]] = []
    with rig.workplace() as folder, rig.databases(folder, rig.stores(given.store)) as urls:
        for store, database in urls.items():
            found += measured(folder, store, database, given.stored)
            if store == "sqlite":
                size = Path(database).stat().st_size
                rig.say(f"sqlite {sqlite3.sqlite_version}: the file has {size / 1e6:.0f} MB")
    rig.show(found, as_json=given.json)


if __name__ == "__main__":
    main()
