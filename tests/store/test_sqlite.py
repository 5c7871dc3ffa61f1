"""SQLite's own promises: group commit, durability before acknowledgement, and the end at an I/O
error."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.store import stage
from tests.store.backends import EPOCH_MS, LeverClock

from tollkeeper.kernel.errors import Unavailable
from tollkeeper.payments.commit import Committed, KeyTaken
from tollkeeper.store import jobs, migrate
from tollkeeper.store.commit import commit_change
from tollkeeper.store.sqlite import ThreadedSQLite, connect
from tollkeeper.store.statements import Operation
from tollkeeper.store.store import SqlStore

REPOSITORY = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from tests.store import stage
from tests.store.backends import LeverClock
from tollkeeper.store.store import SqlStore
from tollkeeper.store.sqlite import ThreadedSQLite

async def main(path):
    store = SqlStore(ThreadedSQLite(Path(path), lambda error: None), LeverClock())
    async def write():
        while True:
            books = stage.fresh_books()
            await store.commit(stage.opening(books, claim=stage.claim(books, books.payment.id)))
            sys.stdout.write(books.payment.id + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*(write() for _ in range(8)))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "store.sqlite3"
    migrate.upgrade(str(file))
    return file


def opened(path: Path, fatal: Any = None) -> ThreadedSQLite:
    return ThreadedSQLite(path, fatal or (lambda error: None))


def failing(subject: str, error: Exception) -> Operation[None]:
    yield from jobs.enqueue_job("refresh", subject, EPOCH_MS)
    raise error


async def test_an_operation_that_fails_disturbs_no_neighbor_in_its_batch(path: Path) -> None:
    driver = opened(path)
    store = SqlStore(driver, LeverClock())
    books, rival = stage.fresh_books(), stage.fresh_books()
    work = [
        asyncio.ensure_future(driver.write(operation))
        for operation in (
            jobs.enqueue_job("refresh", "first", EPOCH_MS),
            commit_change(stage.opening(books, claim=stage.claim(books))),
            failing("lost", ZeroDivisionError("ours")),
            commit_change(stage.opening(rival, claim=stage.claim(rival))),
            failing("lost too", sqlite3.IntegrityError("theirs")),
            jobs.enqueue_job("refresh", "last", EPOCH_MS),
        )
    ]
    results = await asyncio.gather(*work, return_exceptions=True)
    assert [type(r) for r in results] == [
        type(None), Committed, ZeroDivisionError, KeyTaken, sqlite3.IntegrityError, type(None),
    ]  # fmt: skip
    claimed = await store.claim_jobs(EPOCH_MS, 1, 10)
    assert [job.subject for job in claimed] == ["first", "last", books.payment.id]
    assert await store.load_payment(rival.payment.id) is None
    await store.close()


async def test_a_long_operation_runs_beside_the_loop_and_keeps_its_place(path: Path) -> None:
    driver = opened(path)
    hold, ran_in = threading.Event(), []

    def long() -> Operation[None]:
        ran_in.append(threading.current_thread())
        assert hold.wait(5)
        yield from jobs.enqueue_job("refresh", "long", EPOCH_MS)

    first = asyncio.ensure_future(driver.write_long(long()))
    second = asyncio.ensure_future(driver.write(jobs.enqueue_job("refresh", "b", EPOCH_MS)))
    await asyncio.sleep(0.05)
    assert await driver.read(jobs.count_jobs()) == {}
    assert not second.done()
    hold.set()
    await asyncio.gather(first, second)
    assert ran_in[0] is not threading.current_thread()
    assert await driver.read(jobs.count_jobs()) == {"refresh": (2, EPOCH_MS)}
    await driver.close()


async def test_a_caller_who_went_away_hurts_nobody(path: Path) -> None:
    driver = opened(path)
    store = SqlStore(driver, LeverClock())
    gone = asyncio.ensure_future(store.enqueue_job("refresh", "a", EPOCH_MS))
    await asyncio.sleep(0)
    gone.cancel()
    await store.enqueue_job("refresh", "b", EPOCH_MS)
    assert await store.count_jobs() == {"refresh": (2, EPOCH_MS)}
    await store.close()


async def test_what_is_queued_is_committed_before_the_store_closes(path: Path) -> None:
    store = SqlStore(opened(path), LeverClock())
    work = [
        asyncio.ensure_future(store.enqueue_job("refresh", f"{n}", EPOCH_MS)) for n in range(200)
    ]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*work)
    with pytest.raises(Unavailable):
        await store.enqueue_job("refresh", "late", EPOCH_MS)
    assert connect(path).execute("SELECT count(*) FROM jobs").fetchone() == (200,)


async def test_a_full_disk_ends_the_process(path: Path) -> None:
    errors: list[Exception] = []
    driver = opened(path, errors.append)
    driver._writer.execute("PRAGMA max_page_count = 1")  # at the size it has, and no more
    store = SqlStore(driver, LeverClock())
    results: list[object] = []
    for _ in range(30):
        books = stage.fresh_books(description="x" * 4_000)
        results.append(
            (await asyncio.gather(store.commit(stage.opening(books)), return_exceptions=True))[0]
        )
        if errors:
            break
    assert errors, "the database never became full"
    assert getattr(errors[0], "sqlite_errorname", "") == "SQLITE_FULL"
    assert isinstance(results[-1], Unavailable)
    acknowledged = sum(r == Committed() for r in results)
    count = connect(path, read_only=True).execute("SELECT count(*) FROM payments").fetchone()
    assert count == (acknowledged,)
    await store.close()


async def test_a_file_that_is_no_database_ends_the_process(path: Path) -> None:
    errors: list[Exception] = []
    driver = opened(path, errors.append)
    driver._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"not a database" * 400)
    with pytest.raises((Unavailable, sqlite3.DatabaseError)):
        await driver.write(jobs.enqueue_job("refresh", "a", EPOCH_MS))
    assert errors
    await driver.close()


async def test_the_writer_is_durable_and_waits_for_other_processes(path: Path) -> None:
    driver = opened(path)
    assert driver._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert driver._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, other.execute, ["COMMIT"]).start()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    busy = asyncio.ensure_future(others())
    await driver.write(jobs.enqueue_job("refresh", "a", EPOCH_MS))
    busy.cancel()
    assert turns > 5, "the loop was blocked meanwhile"
    await driver.close()
    other.close()


async def test_waiting_for_another_process_has_an_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.store.sqlite.BUSY_SECONDS", 0.05)
    driver = opened(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await driver.write(jobs.enqueue_job("refresh", "a", EPOCH_MS))
    other.execute("COMMIT")
    await driver.write(jobs.enqueue_job("refresh", "b", EPOCH_MS))
    assert await driver.read(jobs.count_jobs()) == {"refresh": (1, EPOCH_MS)}
    await driver.close()
    other.close()


@pytest.mark.slow
@pytest.mark.parametrize("lines", [3, 40, 150])
def test_every_acknowledged_write_survives_a_kill(path: Path, lines: int) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    connection = connect(path)
    rows = connection.execute("SELECT id FROM payments").fetchall()
    assert {id_ for id_ in acknowledged if id_} <= {row[0] for row in rows}
    halves = connection.execute(
        "SELECT count(*) FROM payments p WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE "
        "a.payment_id = p.id) OR NOT EXISTS (SELECT 1 FROM jobs j WHERE j.subject = p.id) OR NOT "
        "EXISTS (SELECT 1 FROM idempotency_keys k WHERE k.payment_id = p.id)"
    ).fetchone()
    assert halves == (0,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
