"""The service's real ASGI application, called directly: no socket, no thread."""

import asyncio
from typing import Any, Final

import msgspec

from tollkeeper.api.application import create_app
from tollkeeper.flows.runtime import Runtime
from tollkeeper.testing.loop import Process, VirtualLoop

API_KEY: Final = "tk_simulation"

APPS: dict[int, Any] = {}
"""One application per replica number, built once for all seeds: building routes takes long."""


class Answer(msgspec.Struct, frozen=True):
    """What a caller got."""

    status: int
    body: bytes
    replayed: bool = False

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Call(msgspec.Struct, frozen=True):
    """A request to us."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""


class Behind:
    """What the application finds behind its door: the service's world."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.store = runtime.store
        self.settings = runtime.settings
        self.draining = False


class Door:
    """A replica's door."""

    def __init__(self, number: int) -> None:
        if number not in APPS:
            APPS[number] = create_app()
        self._app = APPS[number]

    def open(self, runtime: Runtime) -> None:
        """Puts a fresh process behind the door."""
        self._app.state.service = Behind(runtime)

    async def request(
        self, loop: VirtualLoop, process: Process, call: Call, seconds: float
    ) -> Answer | None:
        """One request; `None` when there was no answer within `seconds` (or ever)."""
        answer: asyncio.Future[Answer] = loop.create_future()
        if not process.dead:
            handling = self._handle(call, answer)
            loop.start_in(process, handling)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            return None

    async def _handle(
        self,
        call: Call,
        answer: "asyncio.Future[Answer]",
    ) -> None:
        sent: list[dict[str, Any]] = []
        pending = [{"type": "http.request", "body": call.body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if pending:
                return pending.pop()
            await asyncio.get_running_loop().create_future()
            raise AssertionError("a client that waits never disconnects")

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(_scope(call), receive, send)
        parts = [m.get("body", b"") for m in sent if m["type"] == "http.response.body"]
        if not answer.done():
            replayed = (b"idempotency-replayed", b"true") in [
                (name.lower(), value) for name, value in sent[0]["headers"]
            ]
            answer.set_result(Answer(sent[0]["status"], b"".join(parts), replayed))


def _scope(call: Call) -> dict[str, Any]:
    pairs = [(name.lower().encode(), value.encode()) for name, value in call.headers]
    pairs.append((b"content-length", str(len(call.body)).encode()))
    method, path = call.method, call.path
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": pairs,
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
