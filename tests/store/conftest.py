"""One suite, every database: a test that takes `backend` runs on each of them."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from tests.store.backends import (
    Backend,
    Inline,
    OnPostgres,
    Threaded,
    drop_database,
    make_database,
    server_dsn,
)

from tollkeeper.store import migrate


@pytest.fixture
def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    return uvloop.new_event_loop


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server that is there for this session."""
    folder = Path(tempfile.mkdtemp(prefix="tollkeeper-postgres-"))
    try:
        try:
            dsn, stop = server_dsn(folder)
        except Exception as error:  # noqa: BLE001 - whatever a foreign wheel raises
            pytest.skip(f"no PostgreSQL: set TOLLKEEPER_TEST_POSTGRES ({error!r})")
        try:
            yield dsn
        finally:
            stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: str) -> Iterator[str]:
    """A migrated database of this session's own; each test finds its tables empty."""
    name = f"tollkeeper_test_{secrets.token_hex(4)}"
    dsn = asyncio.run(make_database(postgres_server, name))
    migrate.upgrade(dsn)
    yield dsn
    asyncio.run(drop_database(postgres_server, name))


@pytest.fixture(
    params=["threaded", "inline", pytest.param("postgres", marks=pytest.mark.postgres)],
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "postgres":
        return OnPostgres(request.getfixturevalue("postgres_dsn"))
    return (Threaded if request.param == "threaded" else Inline)(tmp_path / "store.sqlite3")


@pytest.fixture
def postgres(postgres_dsn: str) -> OnPostgres:
    return OnPostgres(postgres_dsn)
