"""A topic of the store: its operations as methods, each run by whichever driver is behind it.

A topic's module has the SQL, the operations and the class that offers them, so that an operation is
said once. The class satisfies by shape the port that its feature declares.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any, Final, Literal, Protocol, Self, overload

from tollkeeper.store.statements import Operation


class Driver(Protocol):
    """Runs operations: `write` as one durable atomic unit, `write_long` likewise where it reads or
    writes many rows; `read` for one statement, which sees one moment by itself;
    `read_at_one_moment` for several that must see the same one."""

    async def write[T](self, operation: Operation[T]) -> T: ...

    async def write_long[T](self, operation: Operation[T]) -> T: ...

    async def read[T](self, operation: Operation[T]) -> T: ...

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T: ...

    async def signal(self, channel: str) -> asyncio.Event | None:
        """Set at every notification on `channel`; `None` where there are none."""
        ...

    async def close(self) -> None: ...


class StoreClock(Protocol):
    """The clock that waiting windows are counted by."""

    def now_ms(self) -> int: ...


class Topic:
    """What every topic holds: the driver, and the store's own clock."""

    def __init__(self, driver: Driver, clock: StoreClock) -> None:
        self.driver = driver
        self.clock = clock
        self._numbers = count()
        self._under_way: dict[int, int] = {}

    async def watched[T](self, running: Coroutine[Any, Any, T]) -> T:
        """Runs a short operation, and knows meanwhile since when it has been under way."""
        number = next(self._numbers)
        self._under_way[number] = self.clock.now_ms() // 1000
        try:
            return await running
        finally:
            del self._under_way[number]

    def stuck(self, until_s: int) -> Mapping[int, int]:
        """How many short operations that began in or before second `until_s` are not over, by the
        second in which they began. What may take long by its nature is left out."""
        return Counter(began for began in self._under_way.values() if began <= until_s)


type Way = Literal["write", "write_long", "read", "read_at_one_moment"]

SHORT: Final = frozenset({"write", "read"})
"""Operations that take milliseconds while all is well."""


class Method[**P, T]:
    """An operation as an async method of its topic, with the operation's own signature."""

    def __init__(self, operation: Callable[P, Operation[T]], way: Way) -> None:
        self.operation = operation
        self.way = way
        self.__doc__ = operation.__doc__

    @overload
    def __get__(self, topic: None, owner: type) -> Self: ...

    @overload
    def __get__(self, topic: Topic, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, topic: Topic | None, owner: type) -> Any:
        if topic is None:
            return self
        run, operation = getattr(topic.driver, self.way), self.operation
        if self.way in SHORT:
            watched = topic.watched

            def watch(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
                return watched(run(operation(*args, **kwargs)))

            return watch

        def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            return run(operation(*args, **kwargs))  # type: ignore[no-any-return]

        return call


def reads[**P, T](operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """One reading statement."""
    return Method(operation, "read")


def reads_at_one_moment[**P, T](operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """Several reading statements that see the same commits."""
    return Method(operation, "read_at_one_moment")


def writes[**P, T](operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """One durable atomic unit."""
    return Method(operation, "write")


def writes_long[**P, T](operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """One durable atomic unit that reads or writes many rows."""
    return Method(operation, "write_long")
