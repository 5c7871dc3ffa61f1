"""Migrations: from empty on both databases, whole or not at all, to the tables as described."""

import asyncio
import secrets
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler
from sqlalchemy.ext.asyncio import create_async_engine
from tests.store.backends import OnPostgres, drop_database, make_database

from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.store import migrate
from tollkeeper.store.tables import metadata

MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def differences(connection: Any) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_the_head_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_sqlite_is_upgraded_to_the_tables_as_described(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "new.sqlite3"
    assert migrate.sqlite_revision(path) is None
    migrate.upgrade(f"sqlite:///{path}")
    migrate.upgrade(str(path))
    assert migrate.sqlite_revision(path) == migrate.HEAD
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_upgrade_that_is_cut_short_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.sqlite3"
    real: Any = SQLiteDDLCompiler.visit_create_table

    def break_at_jobs(self: Any, create: Any, **options: Any) -> Any:
        if create.element.name == "jobs":
            raise KeyboardInterrupt
        return real(self, create, **options)

    with monkeypatch.context() as patched:
        patched.setattr(SQLiteDDLCompiler, "visit_create_table", break_at_jobs)
        with pytest.raises(KeyboardInterrupt):
            migrate.upgrade(str(path))
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == []
    migrate.upgrade(str(path))
    assert migrate.sqlite_revision(path) == migrate.HEAD


def test_two_upgrades_of_one_file_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    program = f"from tollkeeper.store.migrate import upgrade; upgrade({str(path)!r})"
    running = [
        subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors.decode()
    assert migrate.sqlite_revision(path) == migrate.HEAD


def test_an_address_of_another_database_is_refused() -> None:
    with pytest.raises(Misconfigured):
        migrate.upgrade("mysql://localhost/x")


@pytest.mark.postgres
def test_postgres_is_upgraded_to_the_tables_as_described(postgres_server: str) -> None:
    name = f"tollkeeper_test_{secrets.token_hex(4)}"
    dsn = asyncio.run(make_database(postgres_server, name))
    try:
        failed: list[BaseException] = []

        def upgrade() -> None:
            try:
                migrate.upgrade(dsn)
            except BaseException as error:  # noqa: BLE001 - told to the test's own thread
                failed.append(error)

        threads = [threading.Thread(target=upgrade) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        migrate.upgrade(dsn)
        assert asyncio.run(_compared(dsn)) == ([], migrate.HEAD)
    finally:
        asyncio.run(drop_database(postgres_server, name))


async def _compared(dsn: str) -> tuple[list[Any], str]:
    address = dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
            head = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            return found, str(head.scalar())
    finally:
        await engine.dispose()


@pytest.mark.postgres
async def test_text_is_compared_by_bytes_whatever_the_servers_language(
    postgres: OnPostgres,
) -> None:
    found = await postgres.sql(
        "SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'text' "
        "AND table_name <> 'alembic_version' AND table_schema = 'public' "
        "AND collation_name IS DISTINCT FROM 'C'"
    )
    assert found == []
