"""PostgreSQL: the same operations on asyncpg, each one transaction.

Law: an error before COMMIT was sent means that nothing happened; a connection lost during COMMIT
means doubt, which the caller resolves by repeating the operation. A statement that is a transaction
by itself carries its own COMMIT.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from tollkeeper.kernel.errors import StoreDoubt, StoreFull, Unavailable
from tollkeeper.store.composing import MAX_COMPOSED, composed
from tollkeeper.store.statements import Batch, Operation, Result, Rollback, Statement, Values

ACQUIRE_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0
LISTEN_SECONDS: Final = 2.0
"""How long a connection that listens may take to come up; meanwhile nobody looks."""

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,
    OSError,
    TimeoutError,
)
"""The connection is gone, or was told to go: shut down, crashed, cancelled, timed out."""

_UNDONE: Final = (
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.ObjectNotInPrerequisiteStateError,
    asyncpg.exceptions.InvalidCachedStatementError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""The server undid the transaction for a reason that passes: a conflict, a full disk, a lock, a
migration, a failover to a server that still only reads."""

_NOT_AS_REQUIRED: Final = (
    asyncpg.DivisionByZeroError,
    asyncpg.exceptions.IntegrityConstraintViolationError,
)
"""How a composed statement says that a required part changed nothing: it undid itself."""


class Postgres:
    """A pool of connections; every operation is a transaction at read committed."""

    dialect = "postgresql"

    def __init__(self, pool: Any, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._listening: dict[str, tuple[Any, asyncio.Event]] = {}

    @classmethod
    async def open(cls, dsn: str, *, size: int = 10) -> "Postgres":
        """Connects to `dsn` (libpq URL) with at most `size` connections."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size,
                command_timeout=COMMAND_SECONDS,
                statement_cache_size=256,
                reset=_as_it_was,
            )
        except (*_LOST, asyncpg.PostgresError) as error:
            raise Unavailable(f"PostgreSQL cannot be reached: {error}") from error
        return cls(pool, dsn)

    async def write[T](self, operation: Operation[T]) -> T:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await _write(connection, operation)
        except asyncpg.exceptions.DiskFullError as error:
            raise StoreFull(f"PostgreSQL undid the transaction: {error}") from error
        except _UNDONE as error:
            raise Unavailable(f"PostgreSQL undid the transaction: {error}") from error
        except _LOST as error:
            raise Unavailable(f"PostgreSQL was lost before the commit: {error!r}") from error

    async def write_long[T](self, operation: Operation[T]) -> T:
        return await self.write(operation)

    async def read[T](self, operation: Operation[T]) -> T:
        return await self._read(operation, _drive)

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T:
        return await self._read(operation, _at_one_moment)

    async def _read[T](self, operation: Operation[T], how: Callable[[Any, Operation[T]], Any]) -> T:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await how(connection, operation)  # type: ignore[no-any-return]
        except (*_UNDONE, *_LOST) as error:
            raise Unavailable(f"PostgreSQL was lost: {error!r}") from error

    async def revision(self) -> str | None:
        """The schema's revision; `None` where there is none."""
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                found = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return None
        except _LOST as error:
            raise Unavailable(f"PostgreSQL was lost: {error}") from error
        return str(found) if found else None

    async def clock_offset_ms(self, local_now_ms: Callable[[], int]) -> int:
        """The server's clock less ours, in milliseconds; half the round trip is its error."""
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            before = local_now_ms()
            there = await connection.fetchval(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            )
            return int(there - (before + local_now_ms()) // 2)

    async def signal(self, channel: str) -> asyncio.Event:
        """Set at every NOTIFY on `channel`, and when the connection that listens is lost: then the
        next call listens anew, and something may have been missed."""
        connection, event = self._listening.get(channel, (None, asyncio.Event()))
        if connection is not None and not connection.is_closed():
            return event
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=LISTEN_SECONDS, command_timeout=COMMAND_SECONDS
            )
            connection.add_termination_listener(lambda *_: event.set())
            await connection.add_listener(channel, lambda *_: event.set())
        except (*_LOST, asyncpg.PostgresError) as error:
            raise Unavailable(f"PostgreSQL cannot be listened to: {error!r}") from error
        self._listening[channel] = (connection, event)
        event.set()
        return event

    async def close(self) -> None:
        """Waits for what is running, but not for ever."""
        for connection, _ in self._listening.values():
            connection.terminate()
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _as_it_was(_: Any) -> None:
    """Given back without a round trip: no operation leaves anything behind on its connection."""


async def _write[T](connection: Any, operation: Operation[T]) -> T:
    """Sends what is a transaction by itself as one; opens one for everything else."""
    try:
        first = next(operation)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # nothing to write after all
    if isinstance(first, Batch) and len(first.items) <= MAX_COMPOSED:
        counts = await _at_once(connection, first)
        if counts is not None:
            return _ended(operation, counts)
    return await _transaction(connection, operation, first)


async def _at_once(connection: Any, batch: Batch) -> list[int] | None:
    """The counts of a batch that is committed, or `None` where nothing happened since a required
    part changed no row. There is no telling a statement that was lost from a commit that was."""
    sql, parameters = composed(batch)
    try:
        row = await connection.fetchrow(sql, *parameters)
    except _NOT_AS_REQUIRED:
        return None
    except _LOST as error:
        raise StoreDoubt(f"the commit's acknowledgement was lost: {error!r}") from error
    return list(row)


def _ended[T](operation: Operation[T], counts: list[int]) -> T:
    try:
        operation.send(counts)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("an operation goes on after all that it required was committed")


async def _transaction[T](connection: Any, operation: Operation[T], first: Any) -> T:
    await connection.execute("BEGIN")
    try:
        result = await _drive(connection, operation, first)
    except Rollback as refused:
        await connection.execute("ROLLBACK")
        return refused.result  # type: ignore[no-any-return]
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    try:
        await connection.execute("COMMIT")
    except _LOST as error:
        raise StoreDoubt(f"the commit's acknowledgement was lost: {error!r}") from error
    return result


async def _at_one_moment[T](connection: Any, operation: Operation[T]) -> T:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _drive(connection, operation)


async def _drive[T](connection: Any, operation: Operation[T], item: Any = None) -> T:
    """Runs `operation` to its end; `item` is what it yielded already."""
    try:
        if item is None:
            item = next(operation)
        while True:
            if isinstance(item, Batch):
                item = operation.send(await _one_by_one(connection, item))
            else:
                item = operation.send(await _run(connection, *item))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _one_by_one(connection: Any, batch: Batch) -> list[int]:
    counts: list[int] = []
    for statement, values in batch.items:
        ((count,),) = await _run(connection, statement, values)
        counts.append(count)
        if not count and len(counts) <= batch.required:
            break
    return counts


async def _run(connection: Any, statement: Statement, values: Values) -> Result:
    sql, parameters = statement.sql("postgresql", values)
    if statement.returns:
        return await connection.fetch(sql, *parameters)  # type: ignore[no-any-return]
    tag: str = await connection.execute(sql, *parameters)
    return [(int(tag.rsplit(" ", 1)[-1]),)]
