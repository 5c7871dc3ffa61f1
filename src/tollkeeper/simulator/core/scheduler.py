"""Things that will happen later: an ordered list of moments and what happens then.

Law: nothing here reads a clock but through the port; two things due at one moment happen in the
order in which they were planned.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

from tollkeeper.kernel.clock import Clock

Action = Callable[[], object]
Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]
"""Starts a task that nobody needs to await and that is kept referenced until it ends."""


class Tasks:
    """The default Spawn: tasks on the running loop, referenced until done."""

    def __init__(self) -> None:
        self._alive: dict[int, asyncio.Task[Any]] = {}
        self._count = 0

    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        self._count += 1
        number = self._count
        task = asyncio.get_running_loop().create_task(coroutine)
        self._alive[number] = task
        task.add_done_callback(lambda _: self._alive.pop(number, None))
        return task

    async def cancel(self) -> None:
        """Cancel every task that still runs and wait for it to end."""
        for task in list(self._alive.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Agenda:
    """Planned actions. `run()` carries them out on time; `fire_due()` those that are overdue."""

    def __init__(self, clock: Clock, spawn: Spawn) -> None:
        self._clock = clock
        self._spawn = spawn
        self._planned: list[tuple[int, int, Action]] = []
        self._count = 0
        self._wake = asyncio.Event()

    def after(self, seconds: float, action: Action) -> None:
        """Plan `action` for `seconds` from now."""
        due_ms = self._clock.now_ms() + int(seconds * 1000)
        self._count += 1
        heapq.heappush(self._planned, (due_ms, self._count, action))
        if self._planned[0][1] == self._count:
            self._wake.set()

    def next_due_ms(self) -> int | None:
        """When the next action is due (Unix milliseconds), or None if nothing is planned."""
        return self._planned[0][0] if self._planned else None

    def fire_due(self) -> None:
        """Carry out whatever is due, in order; what it plans for now is carried out as well."""
        planned = self._planned
        if not planned:
            return
        now_ms = self._clock.now_ms()
        while planned and planned[0][0] <= now_ms:
            heapq.heappop(planned)[2]()

    async def run(self) -> None:
        """Carry out actions as they fall due, until cancelled."""
        while True:
            self.fire_due()
            self._wake.clear()
            due_ms = self.next_due_ms()
            sleeper = None if due_ms is None else self._spawn(self._sleep_until(due_ms))
            try:
                await self._wake.wait()
            finally:
                if sleeper is not None:
                    sleeper.cancel()

    async def _sleep_until(self, due_ms: int) -> None:
        await self._clock.sleep(max(0.0, (due_ms - self._clock.now_ms()) / 1000))
        self._wake.set()
