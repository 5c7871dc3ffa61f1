"""An event loop with virtual time, seeded chance and a kill that runs no `finally`.

Everything runs in one thread. When nothing is ready, time jumps to the next timer. Each handle
belongs to the simulated process in whose context it was made; killing a process drops its handles
and keeps its coroutines referenced, as kill -9 leaves no clean-up either. A loop on which nothing
can ever run again raises `Stuck`, so that a lost wake-up is a failure and not a hang.
"""

import asyncio
import contextvars
import hashlib
import heapq
import inspect
import random
from asyncio import events
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, override

MAX_STEPS: Final = 2_000_000


class Process:
    """A simulated process: a name, a number of its start, and whether it was killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False

    @override
    def __repr__(self) -> str:
        return f"<{self.name}{' dead' if self.dead else ''}>"


CURRENT: Final[contextvars.ContextVar[Process | None]] = contextvars.ContextVar(
    "simulated_process", default=None
)


class Stuck(Exception):
    """Nothing is ready and no timer is set, but the main coroutine is not done."""


class TooLong(Exception):
    """The step limit was reached: something spins."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop. `now` is virtual seconds since its start; `chance` is the seed's random source."""

    def __init__(self, seed: int, *, max_steps: int = MAX_STEPS) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.errors: list[dict[str, Any]] = []
        self._max_steps = max_steps
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = 0
        self._owner: dict[int, Process] = {}
        self._tasks: dict[Process, list[asyncio.Task[Any]]] = {}
        self._kept: list[Any] = []
        self._digest = hashlib.blake2b(digest_size=8)

    # Scheduling

    @override
    def time(self) -> float:
        return self.now

    @override
    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    @override
    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + max(delay, 0.0), callback, *args, context=context)

    @override
    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asyncio tells the loop; a cancelled timer is skipped when its time comes."""

    @override
    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    @override
    def create_task(
        self, coro: Any, *, name: str | None = None, context: Any = None, **_: Any
    ) -> asyncio.Task[Any]:
        owner = (context or contextvars.copy_context()).get(CURRENT)
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        if owner is not None:
            self._tasks.setdefault(owner, []).append(task)
        return task

    def start_in(self, process: Process, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs `coro` as a task of `process`."""
        context = contextvars.copy_context()
        context.run(CURRENT.set, process)
        return self.create_task(coro, context=context)

    def outside(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs `coro` as a task of no process, so that no kill ends it."""
        context = contextvars.copy_context()
        context.run(CURRENT.set, None)
        return self.create_task(coro, context=context)

    def kill(self, process: Process) -> None:
        """Ends `process` at once: nothing of it runs any more, not even a `finally`."""
        process.dead = True
        self._kept.extend(self._tasks.pop(process, []))

    # Running

    def run[T](self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main` to its end in virtual time."""
        events._set_running_loop(self)  # noqa: SLF001 - how a loop becomes the running one
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()  # type: ignore[no-any-return]
        finally:
            events._set_running_loop(None)  # noqa: SLF001
            for late in asyncio.all_tasks(self):
                coro = late.get_coro()
                if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == "CORO_CREATED":
                    coro.close()  # its story ended before it began

    def _step(self) -> None:
        if not self._ready:
            self._advance()
        handle = self._ready.popleft()
        context = handle._context  # type: ignore[attr-defined]  # noqa: SLF001
        if handle.cancelled():
            return
        owner = context.get(CURRENT) if context is not None else None
        if owner is not None and owner.dead:
            self._kept.append(handle)
            return
        self.steps += 1
        if self.steps > self._max_steps:
            raise TooLong(f"{self.steps} steps, virtual time {self.now:.3f}")
        handle._run()  # noqa: SLF001 - what every loop does with a handle

    def _advance(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise Stuck(f"nothing can run at virtual time {self.now:.3f}")
        self.now = max(self.now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.now:
            self._ready.append(heapq.heappop(self._timers)[2])

    def note(self, *what: object) -> None:
        """Adds to the digest of what happened, by which two runs of a seed are compared."""
        self._digest.update(repr((round(self.now, 6), what)).encode())

    def digest(self) -> str:
        """Sixteen hex digits over all notes so far."""
        return self._digest.hexdigest()

    # What asyncio asks of a loop besides

    @override
    def get_debug(self) -> bool:
        return False

    @override
    def is_running(self) -> bool:
        return True

    @override
    def is_closed(self) -> bool:
        return False

    @override
    def close(self) -> None:
        pass

    @override
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    @override
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        raise AssertionError("threads do not exist here; something left the ports")
