"""The real SQLite store on the virtual loop, with latency, lost acknowledgements and absences."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Final, override

import msgspec

from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.payments.change import Change
from tollkeeper.payments.commit import Committed, Recorded
from tollkeeper.store.sqlite import InlineSQLite, run
from tollkeeper.store.statements import Operation
from tollkeeper.store.store import SqlStore
from tollkeeper.store.tables import metadata
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.loop import VirtualLoop
from tollkeeper.testing.ports import VirtualClock


class Disk(msgspec.Struct):
    """How the store behaves: probabilities a write, and seconds."""

    doubt: float = 0.0
    absent: float = 0.0
    latency_seconds: float = 0.004


SCHEMA: Final[list[str]] = []


def new_database() -> sqlite3.Connection:
    """A fresh database in memory; it outlives the processes that use it."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - only here
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415

    if not SCHEMA:
        dialect = sqlite.dialect()
        for table in metadata.sorted_tables:
            SCHEMA.append(str(CreateTable(table).compile(dialect=dialect)))
            SCHEMA.extend(
                str(CreateIndex(index).compile(dialect=dialect))
                for index in sorted(table.indexes, key=lambda i: str(i.name))
            )
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
    for statement in SCHEMA:
        connection.execute(statement)
    return connection


class SimulatedDriver(InlineSQLite):
    """Operations are atomic; what happens before and after one is the seed's."""

    def __init__(
        self, loop: VirtualLoop, connection: sqlite3.Connection, disk: Disk, coverage: Coverage
    ) -> None:
        super().__init__(connection)
        self.connection = connection
        self._loop = loop
        self.disk = disk
        self._coverage = coverage
        self.after_write: Callable[[str], None] = lambda _: None

    @override
    async def write[T](self, operation: Operation[T]) -> T:
        chance = self._loop.chance
        name = getattr(operation, "__name__", "operation").removesuffix("_change")
        with self._coverage.point(f"store.before {name}"):
            await asyncio.sleep(chance.random() * self.disk.latency_seconds)
        if chance.random() < self.disk.absent:
            self._coverage.count("store.unavailable")
            raise Unavailable("simulated: the store is away")
        result = await super().write(operation)
        self.after_write(name)
        with self._coverage.point(f"store.after {name}"):
            await asyncio.sleep(chance.random() * self.disk.latency_seconds)
        if chance.random() < self.disk.doubt:
            self._coverage.count("store.lost_acknowledgement")
            raise StoreDoubt("simulated: the acknowledgement was lost")
        return result

    def now[T](self, operation: Operation[T]) -> T:
        """Reads at once, for the checker."""
        return run(self.connection, operation)


class WatchedStore(SqlStore):
    """Calls `on_commit(payment_id)` within the step in which a change became durable."""

    def __init__(
        self, driver: SimulatedDriver, clock: VirtualClock, on_commit: Callable[[Change], None]
    ) -> None:
        super().__init__(driver, clock)
        self._on_commit = on_commit

    @override
    async def commit(self, change: Change) -> Recorded:
        return await self.driver.write(_watched(super().commit_operation(change), change, self))

    def committed(self, change: Change) -> None:
        self._on_commit(change)


def _watched(
    operation: Operation[Recorded], change: Change, store: WatchedStore
) -> Operation[Recorded]:
    result = yield from operation
    if isinstance(result, Committed):
        store.committed(change)
    return result


_watched.__name__ = "commit_change"
