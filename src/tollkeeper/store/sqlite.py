"""SQLite: WAL, synchronous=FULL, one writer with group commit, reads on a connection of their own.

Law: an operation is acknowledged after COMMIT. After any I/O error the process ends, since SQLite
accepts the next write after a failed fsync.
"""

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tollkeeper.kernel.errors import Unavailable
from tollkeeper.store.statements import Batch, Operation, Rollback

MAX_BATCH: Final = 64
"""Operations in one commit: enough to spread an fsync, few enough that the first waits little."""

BUSY_SECONDS: Final = 10.0
"""How long to wait for another process's write transaction (the CLI's, a migration's)."""

BUSY_PAUSE_SECONDS: Final = 0.005
"""How often the lock is asked for meanwhile."""

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
            if isinstance(item, Batch):
                item = operation.send(_batch(connection, item))
                continue
            statement, values = item
            cursor = execute(*statement.sql("sqlite", values))
            item = operation.send(cursor.fetchall() if statement.returns else [(cursor.rowcount,)])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _batch(connection: sqlite3.Connection, batch: Batch) -> list[int]:
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
    except Rollback as refused:
        connection.execute("ROLLBACK")
        return refused.result  # type: ignore[no-any-return]
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the lock that writers take."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


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

    async def write_long[T](self, operation: Operation[T]) -> T:
        return await self.write(operation)

    async def read[T](self, operation: Operation[T]) -> T:
        return run(self._connection, operation)

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T:
        return run_at_one_moment(self._connection, operation)

    async def signal(self, channel: str) -> None:
        """A file tells nobody."""
        del channel

    async def close(self) -> None:
        self._connection.close()


class _Item(NamedTuple):
    """One operation that waits for its turn; `long`: it may take more than a moment."""

    operation: Operation[Any]
    future: asyncio.Future[Any]
    long: bool


type _Answer = tuple[asyncio.Future[Any], Any, BaseException | None]


class ThreadedSQLite:
    """One writing connection, whose commits are made in a thread, and a reading connection.

    What has queued up is written together on the loop and committed in the thread: only COMMIT
    waits for the disk, and it lets go of the interpreter. Statements run in the thread would fight
    the loop for the interpreter one by one. Operations that read or write many rows run in it.

    `on_fatal(error)` is called, in either thread, after an I/O error, and must end the process.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, on_fatal: Callable[[Exception], None]) -> None:
        self._writer = connect(path)
        self._writer.execute("PRAGMA busy_timeout=0")  # the loop must not sleep in BEGIN
        self._reader = connect(path, read_only=True)
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Item] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._tasks: queue.SimpleQueue[Callable[[], list[_Answer]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="sqlite-commits", daemon=True)
        self._thread.start()

    async def write[T](self, operation: Operation[T]) -> T:
        return await self._written(operation, long=False)

    async def write_long[T](self, operation: Operation[T]) -> T:
        return await self._written(operation, long=True)

    async def read[T](self, operation: Operation[T]) -> T:
        return run(self._reader, operation)

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T:
        return run_at_one_moment(self._reader, operation)

    async def signal(self, channel: str) -> None:
        """A file tells nobody."""
        del channel

    async def close(self) -> None:
        self._closed = True
        await self._idle.wait()
        self._tasks.put(None)
        await asyncio.to_thread(self._thread.join)
        self._reader.close()
        self._writer.close()

    async def _written[T](self, operation: Operation[T], *, long: bool) -> T:
        if self._closed:
            raise Unavailable("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Item(operation, future, long))
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._next, self._loop.time() + BUSY_SECONDS)
        return await future

    def _next(self, patience_ends: float) -> None:
        """Begins the next transaction; while another process writes, tries again and again."""
        if not self._waiting:
            self._idle.set()
            return
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error) and self._loop.time() < patience_ends:
                self._loop.call_later(BUSY_PAUSE_SECONDS, self._next, patience_ends)
            else:
                self._done(self._failed(self._batch(), error))
            return
        batch = self._batch()
        if batch[0].long:
            self._tasks.put(partial(self._write_and_commit, batch))
        else:
            self._write(batch)

    def _batch(self) -> list[_Item]:
        """What is written together: a long operation alone, others up to `MAX_BATCH`."""
        waiting = self._waiting
        batch = [waiting.popleft()]
        while waiting and not waiting[0].long and not batch[0].long and len(batch) < MAX_BATCH:
            batch.append(waiting.popleft())
        return batch

    def _write(self, batch: list[_Item]) -> None:
        """Runs a batch inside the open transaction, and has it committed."""
        try:
            answers = self._run(batch)
        except sqlite3.Error as error:
            self._done(self._failed(batch, error))
        else:
            self._tasks.put(partial(self._commit, batch, answers))

    def _write_and_commit(self, batch: list[_Item]) -> list[_Answer]:
        try:
            answers = self._run(batch)
        except sqlite3.Error as error:
            return self._failed(batch, error)
        return self._commit(batch, answers)

    def _run(self, batch: list[_Item]) -> list[_Answer]:
        """A savepoint for each operation; one that is alone needs none, which saves SQLite a copy
        of each page that it changes."""
        alone = len(batch) == 1
        return [self._one(item, alone=alone) for item in batch]

    def _one(self, item: _Item, *, alone: bool) -> _Answer:
        writer = self._writer
        if not alone:
            writer.execute("SAVEPOINT operation")
        try:
            result, error = run(writer, item.operation), None
        except Rollback as refused:
            self._undo(alone=alone)
            result, error = refused.result, None
        except Exception as raised:
            if isinstance(raised, sqlite3.Error) and is_io_error(raised):
                raise
            self._undo(alone=alone)
            result, error = None, raised
        if not alone:
            writer.execute("RELEASE operation")
        return item.future, result, error

    def _undo(self, *, alone: bool) -> None:
        """Undoes one operation; where it was alone, the transaction that follows is empty."""
        self._writer.execute("ROLLBACK" if alone else "ROLLBACK TO operation")
        if alone:
            self._writer.execute("BEGIN")

    def _commit(self, batch: list[_Item], answers: list[_Answer]) -> list[_Answer]:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            return self._failed(batch, error)
        return answers

    def _failed(self, batch: list[_Item], error: sqlite3.Error) -> list[_Answer]:
        """Nothing of the batch happened; where the disk failed, the process ends."""
        if is_io_error(error):
            self._on_fatal(error)
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        told = Unavailable(f"the database did not take the write: {error}")
        return [(item.future, None, told) for item in batch]

    def _work(self) -> None:
        """The thread: whatever it is given, and then the loop goes on with the next."""
        while (task := self._tasks.get()) is not None:
            self._loop.call_soon_threadsafe(self._done, task())

    def _done(self, answers: list[_Answer]) -> None:
        for future, result, error in answers:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
        self._next(self._loop.time() + BUSY_SECONDS)
