"""PostgreSQL: the same operations on asyncpg, each in one transaction of its own.

Law: an error before COMMIT was sent means that nothing happened; a connection lost during COMMIT
means doubt, which the caller resolves by repeating the operation.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.store.statements import Operation, Refused

ACQUIRE_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
    TimeoutError,
)


class Postgres:
    """A pool of connections; every operation is a transaction at read committed."""

    dialect = "postgresql"

    def __init__(self, pool: Any) -> None:
        self._pool = pool

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
            )
        except (*_LOST, asyncpg.PostgresError) as error:
            raise Unavailable(f"PostgreSQL cannot be reached: {error}") from error
        return cls(pool)

    async def write[T](self, operation: Operation[T]) -> T:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await _transaction(connection, operation)
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            raise Unavailable(f"the transaction lost a conflict: {error}") from error
        except _LOST as error:
            raise Unavailable(f"PostgreSQL was lost before the commit: {error}") from error

    async def read[T](self, operation: Operation[T]) -> T:
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await _drive(connection, operation)
        except _LOST as error:
            raise Unavailable(f"PostgreSQL was lost: {error}") from error

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

    async def close(self) -> None:
        async with asyncio.timeout(ACQUIRE_SECONDS):
            await self._pool.close()


async def _transaction[T](connection: Any, operation: Operation[T]) -> T:
    await connection.execute("BEGIN")
    try:
        result = await _drive(connection, operation)
    except Refused as refused:
        await connection.execute("ROLLBACK")
        return refused.result  # type: ignore[no-any-return]
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    try:
        await connection.execute("COMMIT")
    except _LOST as error:
        raise StoreDoubt(f"the commit's acknowledgement was lost: {error}") from error
    return result


async def _drive[T](connection: Any, operation: Operation[T]) -> T:
    try:
        statement, values = next(operation)
        while True:
            sql, parameters = statement.sql("postgresql", values)
            rows: list[Any]
            if statement.returns:
                rows = await connection.fetch(sql, *parameters)
            else:
                tag: str = await connection.execute(sql, *parameters)
                rows = [(int(tag.rsplit(" ", 1)[-1]),)]
            statement, values = operation.send(rows)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
