"""Numbered cases in a child process: a case that hangs or kills its process is a failure as well.

The law: each case either ends within the limit or is named, and the cases after it still run.
"""

import multiprocessing
import time
from collections.abc import Callable, Generator, Iterator
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

LOOK_SECONDS: Final = 0.1
"""How often the child is looked at."""


class Failed(NamedTuple):
    """A case that went wrong, and how: the exception's name, `Hang` or `Died`."""

    case: int
    kind: str
    text: str


class Progress(NamedTuple):
    """How many cases have ended."""

    cases: int


def watched(
    run: Callable[[int], None], first: int, count: int, limit_seconds: float
) -> Generator[Failed | Progress]:
    """Runs cases `first` to `first + count`; yields failures as they come, and progress between."""
    context = multiprocessing.get_context("fork")
    end = first + count
    while first < end:
        ours, theirs = context.Pipe(duplex=False)
        current = context.Value("q", first, lock=False)
        child = context.Process(target=_cases, args=(run, first, end, current, theirs), daemon=True)
        child.start()
        theirs.close()
        since, seen = time.monotonic(), first
        try:
            while child.is_alive() and time.monotonic() - since <= limit_seconds:
                yield from _told(ours, LOOK_SECONDS)
                if current.value != seen:
                    since, seen = time.monotonic(), current.value
                    yield Progress(seen)
        finally:  # also where nobody wants to know more
            hung = child.is_alive()
            child.kill()
            child.join()
        yield from _told(ours, 0)
        first = int(current.value) + 1
        if hung:
            yield Failed(first - 1, "Hang", f"not done within {limit_seconds} s")
        elif child.exitcode:
            yield Failed(first - 1, "Died", f"its process ended with {child.exitcode}")
    yield Progress(end)


def _told(connection: Connection, seconds: float) -> Iterator[Failed]:
    try:
        while connection.poll(seconds):
            yield Failed(*connection.recv())
    except EOFError:
        time.sleep(seconds)  # the child has closed its end: it is about to be gone


def _cases(
    run: Callable[[int], None], first: int, end: int, current: Any, connection: Connection
) -> None:
    for case in range(first, end):
        current.value = case
        try:
            run(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            connection.send((case, type(error).__name__, str(error)[:200]))
    current.value = end
    connection.close()
