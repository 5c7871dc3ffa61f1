"""One request on its way: the stage it has reached, how long each took, how long it may still take.

Law: `send` is entered before the first byte of a request can leave, so that a trip which ended
before it proves that nothing was sent.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import msgspec

from tollkeeper.flows.ports import Stage

STAGES: Final[tuple[Stage, ...]] = ("dns", "connect", "tls", "send", "wait", "read")
ACQUIRED: Final[frozenset[Stage]] = frozenset({"send", "wait", "read"})
"""Stages in which a connection stands, so that silence proves nothing."""


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """The longest each stage may take, in seconds, and all of them together.

    `wait` is generous, since giving up there turns a slow success into a doubt: Stripe's own
    libraries wait 80 seconds in all. A shopper at the till is why `total` is less than that.
    """

    dns: float = 5.0
    connect: float = 5.0
    tls: float = 5.0
    send: float = 10.0
    wait: float = 30.0
    read: float = 15.0
    total: float = 45.0


class Trip:
    """The running account of one request. `permit` says why an address may not be talked to."""

    __slots__ = (
        "_budgets", "_end", "_entered", "_loop", "certificate_until_s", "has_body", "limit",
        "permit", "queued", "stage", "timings_ms",
    )  # fmt: skip

    def __init__(
        self,
        budgets: Budgets,
        *,
        has_body: bool,
        permit: Callable[[str], str | None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._budgets = budgets
        self._entered = self._loop.time()
        self._end = self._entered + budgets.total
        self.stage: Stage = "connect"
        self.queued = True  # until a connection is being made or was found
        self.has_body = has_body
        self.permit = permit
        self.timings_ms: dict[str, float] = {}
        self.certificate_until_s = 0  # known where this trip made a connection with TLS
        self.limit = asyncio.timeout_at(min(self._end, self._entered + budgets.connect))

    @property
    def acquired(self) -> bool:
        """Whether a connection stood, so that the request may have been acted upon."""
        return self.stage in ACQUIRED

    def enter(self, stage: Stage) -> None:
        """Close the stage before, and start the clock of `stage`."""
        now = self.close()
        self.stage = stage
        self.queued = False
        budget: float = getattr(self._budgets, stage)
        self.limit.reschedule(min(self._end, now + budget))

    def close(self) -> float:
        """Book the time since the stage was entered; gives the loop's time."""
        now = self._loop.time()
        spent = (now - self._entered) * 1000
        self.timings_ms[self.stage] = self.timings_ms.get(self.stage, 0.0) + spent
        self._entered = now
        return now


TRIP: Final[ContextVar[Trip]] = ContextVar("trip")
"""The trip that the current task is on: aiohttp has no other way to hand it to the connector."""
