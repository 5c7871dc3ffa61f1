"""SQLite: WAL, synchronous=FULL, one writer with group commit, reads on a connection of their own.

Law: an operation is acknowledged after COMMIT. After any I/O error the process ends, since SQLite
accepts the next write after a failed fsync.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tollkeeper.kernel.errors import Unavailable
from tollkeeper.store.statements import Operation, Refused, Together

MAX_BATCH: Final = 64
"""Operations in one commit: enough to spread an fsync, few enough that the first waits little."""

BUSY_SECONDS: Final = 10.0
"""How long to wait for another process's write transaction (the CLI's, a migration's)."""

CACHED_STATEMENTS: Final = 256


def connect(path: Path | str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode with the pragmas that durability needs."""
    if read_only:
        connection = sqlite3.connect(
            f"file:{path}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            timeout=BUSY_SECONDS,
        )
    else:
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS,
            timeout=BUSY_SECONDS,
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        # a savepoint copies the pages that change under it; of a batch they would go to a file
        connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def run[T](connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """Drives one operation to its end inside whatever transaction is open."""
    execute = connection.execute
    try:
        item = next(operation)
        while True:
            if isinstance(item, Together):
                item = operation.send(_together(connection, item))
                continue
            statement, values = item
            cursor = execute(*statement.sql("sqlite", values))
            item = operation.send(cursor.fetchall() if statement.returns else [(cursor.rowcount,)])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _together(connection: sqlite3.Connection, batch: Together) -> list[int]:
    counts: list[int] = []
    for statement, values in batch.items:
        counts.append(connection.execute(*statement.sql("sqlite", values)).rowcount)
        if not counts[-1] and len(counts) <= batch.required:
            break
    return counts


def run_at_one_moment[T](connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """A reading operation of several statements, all of which see the same commits."""
    connection.execute("BEGIN")
    try:
        return run(connection, operation)
    finally:
        connection.execute("ROLLBACK")


def run_alone[T](connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """One operation in a transaction of its own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = run(connection, operation)
    except Refused as refused:
        connection.execute("ROLLBACK")
        return refused.result  # type: ignore[no-any-return]
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


def is_io_error(error: sqlite3.Error) -> bool:
    """Whether the disk failed, so that nothing this process believes of the file is safe."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }


class InlineSQLite:
    """Runs every operation at once on the calling task: for simulations and command-line tools."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def write[T](self, operation: Operation[T]) -> T:
        return run_alone(self._connection, operation)

    async def read[T](self, operation: Operation[T]) -> T:
        return run(self._connection, operation)

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T:
        return run_at_one_moment(self._connection, operation)

    async def close(self) -> None:
        self._connection.close()


type _Item = tuple[Operation[Any], asyncio.Future[Any]]
type _Answer = tuple[asyncio.Future[Any], Any, BaseException | None]


class ThreadedSQLite:
    """One writer thread that commits what has queued up together, and a reading connection.

    `on_fatal(error)` is called in the writer thread after an I/O error and must end the process.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, on_fatal: Callable[[Exception], None]) -> None:
        self._writer = connect(path)
        self._reader = connect(path, read_only=True)
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write[T](self, operation: Operation[T]) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((operation, future))
        return await future

    async def read[T](self, operation: Operation[T]) -> T:
        return run(self._reader, operation)

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T:
        return run_at_one_moment(self._reader, operation)

    async def close(self) -> None:
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            ending = False
            while len(batch) < MAX_BATCH and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    ending = True
                    break
                batch.append(item)
            self._commit(batch)
            if ending:
                return

    def _commit(self, batch: list[_Item]) -> None:
        """One transaction for the whole batch, a savepoint for each operation in it. One that is
        alone needs none, which saves SQLite a copy of each page that it changes."""
        answers: list[_Answer] = []
        alone = len(batch) == 1
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            answers.extend(self._one(*item, alone=alone) for item in batch)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            answers = [(future, None, self._failed(error)) for _, future in batch]
        self._loop.call_soon_threadsafe(_resolve, answers)

    def _one(
        self, operation: Operation[Any], future: asyncio.Future[Any], *, alone: bool
    ) -> _Answer:
        writer = self._writer
        if not alone:
            writer.execute("SAVEPOINT operation")
        try:
            result, error = run(writer, operation), None
        except Refused as refused:
            self._undo(alone=alone)
            result, error = refused.result, None
        except Exception as raised:
            if isinstance(raised, sqlite3.Error) and is_io_error(raised):
                raise
            self._undo(alone=alone)
            result, error = None, raised
        if not alone:
            writer.execute("RELEASE operation")
        return future, result, error

    def _undo(self, *, alone: bool) -> None:
        """Undoes one operation; where it was alone, the transaction that follows is empty."""
        self._writer.execute("ROLLBACK" if alone else "ROLLBACK TO operation")
        if alone:
            self._writer.execute("BEGIN")

    def _failed(self, error: sqlite3.Error) -> Unavailable:
        if is_io_error(error):
            self._on_fatal(error)
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        return Unavailable(f"the database did not take the write: {error}")


def _resolve(answers: list[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
