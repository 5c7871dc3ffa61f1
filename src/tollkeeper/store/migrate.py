"""Bringing a database to the newest schema: Alembic's revisions, run over either driver.

Revisions expand first and contract in a later release, so that old and new replicas can share a
database during an upgrade.
"""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any, Final

from tollkeeper.kernel.errors import Misconfigured, Unavailable
from tollkeeper.store.sqlite import connect

HEAD: Final = "0013"
"""The newest revision; a test holds that it is Alembic's head."""


def is_postgres(url: str) -> bool:
    """Whether `url` names PostgreSQL; anything else is a path of a SQLite file."""
    return url.startswith(("postgresql://", "postgres://"))


def sqlite_path(url: str) -> Path:
    """The file that `url` (`sqlite:///path` or a plain path) names."""
    path = url.removeprefix("sqlite:///")
    if "://" in path:
        raise Misconfigured(f"database {url!r}: use a file path or a postgresql:// address")
    return Path(path)


def upgrade(url: str) -> None:
    """Migrates the database at `url` to the newest revision; blocks until done."""
    if is_postgres(url):
        try:
            asyncio.run(_upgrade_postgres(url))
        except OSError as error:
            raise Unavailable(f"PostgreSQL cannot be reached: {error}") from error
        return
    path = sqlite_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # for its owner alone, and so are the files that SQLite puts beside it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Misconfigured(f"database {path} cannot be opened: {error.strerror}") from error
    if sqlite_revision(path) == HEAD:
        return
    _upgrade_sqlite(path)


def _upgrade_sqlite(path: Path) -> None:
    """Runs the revisions in one transaction, which sqlite3 opens by itself only for some
    statements; others who migrate the same file wait for it."""
    from sqlalchemy import StaticPool, create_engine, event  # noqa: PLC0415 - slow, seldom needed

    raw = connect(path)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            run_revisions(connection)
    finally:
        engine.dispose()
        raw.close()


def sqlite_revision(path: Path) -> str | None:
    """The revision of the SQLite file at `path`; `None` for a new or foreign file."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return None
        raise Misconfigured(f"database {path} cannot be read: {error}") from error
    return str(row[0]) if row else None


async def _upgrade_postgres(url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - slow, seldom needed

    address = url.replace("postgres://", "postgresql://", 1)
    engine = create_async_engine(address.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            # two replicas that start together migrate one after the other
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7203001)")
            await connection.run_sync(run_revisions)
    finally:
        await engine.dispose()


def run_revisions(connection: Any) -> None:
    """Runs what is missing on an open SQLAlchemy connection."""
    from alembic import command  # noqa: PLC0415 - slow to import, seldom needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
