"""Opening the store that the settings name."""

import os
from typing import Final

from tollkeeper.app.logging import log
from tollkeeper.app.system import ServerClock, SystemClock
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.settings import Settings
from tollkeeper.store import migrate
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.sqlite import ThreadedSQLite
from tollkeeper.store.store import SqlStore

FATAL_EXIT: Final = 70
"""EX_SOFTWARE of sysexits: the supervisor starts us again, and the store is read anew."""


async def open_store(settings: Settings) -> SqlStore:
    """The store that `settings.database` names, as it is; migrate it first."""
    clock = SystemClock()
    if migrate.is_postgres(settings.database):
        driver = await Postgres.open(settings.database, size=settings.database_connections)
        _require_head(await driver.revision(), settings)
        server = ServerClock(clock)
        await server.measure(driver)
        return SqlStore(driver, server)
    path = migrate.sqlite_path(settings.database)
    _require_head(migrate.sqlite_revision(path), settings)
    return SqlStore(ThreadedSQLite(path, _exit_on_io_error), clock)


def _require_head(revision: str | None, settings: Settings) -> None:
    if revision == migrate.HEAD:
        return
    name = settings.database.rpartition("@")[2]  # without a password
    found = f"its schema is {revision}" if revision else "it holds no schema of ours"
    raise Misconfigured(
        f"database {name}: {found}, not {migrate.HEAD}; run `tollkeeper db migrate`"
    )


def upgrade_database(settings: Settings) -> str:
    """Brings the database to the newest schema, and blocks until done; gives its revision."""
    migrate.upgrade(settings.database)
    return migrate.HEAD


def _exit_on_io_error(error: Exception) -> None:
    log.critical("database_io_error", error=str(error))
    os._exit(FATAL_EXIT)
