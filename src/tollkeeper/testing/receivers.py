"""Receivers of pages in a simulated world: what they got, when they fail, and when a process dies
between a send and its record."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import Receiver
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.loop import CURRENT, Process, VirtualLoop

OFTEN_DOWN: Final = 0.3
OFTEN_REFUSED: Final = 0.1
OFTEN_DYING: Final = 0.08
"""Of all sends, while there is chaos: those that fail, those that never can succeed, and those
whose process dies after the receiver has the message."""

SLOWEST_SECONDS: Final = 1.5

GOT: Final = Answer(ok=True, said="taken")
DOWN: Final = Answer(ok=False, said="down")
REFUSED: Final = Answer(ok=False, said="refused", again=False)


class SimulatedNotify:
    """`Notify` of every process of a world. `got`: by the identity of a message, how often it
    arrived. `before` is called as each send begins, and `dies` kills a process."""

    def __init__(self, loop: VirtualLoop, seed: int, coverage: Coverage) -> None:
        self.got: dict[str, int] = {}
        self.calm = False
        self.before: Callable[[Message], None] = lambda _: None
        self.dies: Callable[[Process], None] = lambda _: None
        self._chance = random.Random(f"receivers/{seed}")
        self._loop = loop
        self._coverage = coverage

    async def send(self, receiver: Receiver, message: Message) -> Answer:
        chance = self._chance
        self.before(message)
        await asyncio.sleep(chance.random() * SLOWEST_SECONDS)
        draw = 1.0 if self.calm else chance.random()
        if draw < OFTEN_REFUSED:
            return REFUSED
        if draw < OFTEN_DOWN:
            return DOWN
        self.got[message.id] = self.got.get(message.id, 0) + 1
        self._loop.note("page", message.id, receiver.url)
        if self.got[message.id] > 1:
            self._coverage.count("page.repeated")
        process = CURRENT.get()
        if not self.calm and process is not None and chance.random() < OFTEN_DYING:
            self.dies(process)
        await asyncio.sleep(chance.random() * SLOWEST_SECONDS)
        return GOT
