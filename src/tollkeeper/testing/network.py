"""The network between our processes and the provider, with everything that networks do."""

import asyncio
from typing import Final

import msgspec

from tollkeeper.flows.ports import HookResult, Stage, Target, WireFailure, WireResult
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.loop import CURRENT, Process, VirtualLoop

WAIT_SECONDS: Final = 6.0
"""How long the simulated wire waits for a reply before it gives up."""

MAX_LATENESS_SECONDS: Final = 2.0
"""The longest that a request which its sender gave up on may still be under way to the provider."""


class Weather(msgspec.Struct):
    """How bad the network is: probabilities a request, and seconds. Quiet is all zero.
    `refuse_after`: a reply becomes a refusal that no table knows, although the effect is there."""

    refuse: float = 0.0
    lose_request: float = 0.0
    lose_reply: float = 0.0
    late_request: float = 0.0
    latency_seconds: float = 0.02
    tail: float = 0.0
    refuse_after: float = 0.0


REFUSAL: Final = (
    b'{"error": {"type": "invalid_request_error", "message": "a refusal of tomorrow",'
    b' "code": "code_of_tomorrow"}}'
)
"""What `refuse_after` puts in place of a reply, after the effect: a lie that one look finds."""


class SimulatedWire:
    """`Wire` straight into a simulator's core; a client that dies changes nothing over there."""

    def __init__(
        self, loop: VirtualLoop, core: SimulatorCore, weather: Weather, coverage: Coverage
    ) -> None:
        self._loop = loop
        self._core = core
        self.weather = weather
        self._coverage = coverage
        self.running: dict[str, tuple[Process | None, int]] = {}
        self.sent_s: dict[str, float] = {}

    async def send(self, request: WireRequest, target: Target) -> WireResult:
        chance, weather = self._loop.chance, self.weather
        operation = f"{request.method} {request.path.split('/')[2]}"
        if request.method == "POST":
            self.sent_s[dict(request.headers).get("idempotency-key", "")] = self._loop.now
        with self._coverage.point(f"wire.request {operation}"):
            await self._pause()
        if chance.random() < weather.refuse:
            self._coverage.count("wire.refused", operation)
            return _failed("connect", "connection_refused", acquired=False)
        if chance.random() < weather.lose_request:
            self._coverage.count("wire.request_lost", operation)
            await asyncio.sleep(WAIT_SECONDS)
            return _failed("wait", "http_response_timeout", acquired=True)
        if chance.random() < weather.late_request:
            self._coverage.count("wire.request_late", operation)
            self._loop.outside(self._arrive_late(request, target))
            return _failed("wait", "connection_terminated", acquired=True)
        reply = self._loop.create_future()
        self._loop.outside(self._arrive(request, target, reply))
        return await self._hear(reply, request, operation)

    async def _hear(
        self, reply: "asyncio.Future[SimReply]", request: WireRequest, operation: str
    ) -> WireResult:
        try:
            with self._coverage.point(f"wire.reply {operation}"):
                async with asyncio.timeout(WAIT_SECONDS):
                    answer = await reply
                    await self._pause()
        except TimeoutError:
            self._coverage.count("wire.timeout", operation)
            return _failed("wait", "http_response_timeout", acquired=True)
        if answer.ending != "send" or self._loop.chance.random() < self.weather.lose_reply:
            self._coverage.count("wire.reply_lost", operation)
            return _failed("read", "http_response_incomplete", acquired=True)
        self._note_running(request, answer)
        headers = tuple((name.lower(), value) for name, value in answer.headers)
        body, status = answer.body, answer.status
        if self._is_denied(operation, answer):
            self._coverage.count("refusal.after_effect")
            body, status = REFUSAL, 400
        return WireResult(reply=WireReply(status=status, headers=headers, body=body))

    def _note_running(self, request: WireRequest, answer: SimReply) -> None:
        """Notes which process was told how often in a row that a key is in use."""
        key = dict(request.headers).get("idempotency-key", "")
        process, count = self.running.pop(key, (None, 0))
        if key and answer.status == 409 and b"idempotency_key_in_use" in answer.body:
            here = CURRENT.get()
            self.running[key] = (here, count + 1 if here is process else 1)

    def is_running(self, key: str) -> bool:
        """Whether a process that lives was told twice, and last, that a request with this key is
        still running at the provider."""
        process, count = self.running.get(key, (None, 0))
        return process is not None and not process.dead and count > 1

    def _is_denied(self, operation: str, answer: SimReply) -> bool:
        """Whether a refusal comes in place of a success: never of one that was stored, since the
        provider says of it that it repeats the truth."""
        if not operation.startswith("POST") or answer.status != 200:
            return False
        stored = ("idempotent-replayed", "true") in answer.headers
        return not stored and self._loop.chance.random() < self.weather.refuse_after

    async def _arrive(
        self, request: WireRequest, target: Target, reply: "asyncio.Future[SimReply]"
    ) -> None:
        answer = await self._core.handle(_sim_request(request, target))
        if answer.ending == "drop":
            return  # never answered
        if not reply.done():
            reply.set_result(answer)

    async def _arrive_late(self, request: WireRequest, target: Target) -> None:
        await asyncio.sleep(self._loop.chance.random() * MAX_LATENESS_SECONDS)
        await self._core.handle(_sim_request(request, target))

    async def _pause(self) -> None:
        chance, weather = self._loop.chance, self.weather
        seconds = chance.random() * weather.latency_seconds
        if chance.random() < weather.tail:
            seconds += chance.random() * MAX_LATENESS_SECONDS
        await asyncio.sleep(seconds)


def _sim_request(request: WireRequest, target: Target) -> SimRequest:
    return SimRequest(
        method=request.method,
        path=request.path,
        query_string=request.query,
        headers=[*request.headers, *target.headers],
        body=request.body,
    )


def _failed(stage: Stage, error: str, *, acquired: bool) -> WireResult:
    return WireResult(failure=WireFailure(stage=stage, error=error, acquired=acquired))


HANG_SECONDS: Final = 10.0
"""When a delivery to an endpoint that hangs is given up."""


class SimulatedHook:
    """`Hook` to merchants: one who is sometimes away, and a hostile one (`hanging`) whose endpoint
    accepts and never answers. `heard` counts the deliveries by event id."""

    def __init__(self, loop: VirtualLoop, coverage: Coverage) -> None:
        self._loop = loop
        self._coverage = coverage
        self.away = 0.0
        self.hanging = ""
        self.heard: dict[str, int] = {}

    def refusal(self, url: str) -> str | None:
        del url
        return None

    async def post(self, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> HookResult:
        del body
        if url == self.hanging:
            return await self._hang()
        await asyncio.sleep(self._loop.chance.random() * 0.1)
        if self._loop.chance.random() < self.away:
            return HookResult(status=0, error="connection_refused")
        event_id = dict(headers)["webhook-id"]
        self.heard[event_id] = self.heard.get(event_id, 0) + 1
        return HookResult(status=200)

    async def _hang(self) -> HookResult:
        self._coverage.count("hostile.hung")
        await asyncio.sleep(HANG_SECONDS)
        return HookResult(status=0, error="http_response_timeout")
