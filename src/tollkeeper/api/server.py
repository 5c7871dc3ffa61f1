"""The server under the application: uvicorn, with the bounds that it lacks and a quiet ending.

uvicorn waits for ever for a header that never ends and stores headers of any size; here a
connection has `receive_seconds` from its first byte (or from its opening) to complete them.
"""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tollkeeper.api.application import application_for
from tollkeeper.api.problems import MEDIA_TYPE, problem
from tollkeeper.app import SystemChance, SystemClock
from tollkeeper.kernel.errors import (
    HeadersTooLarge,
    Malformed,
    RequestTimeout,
    TollkeeperError,
)
from tollkeeper.kernel.ids import new_id
from tollkeeper.settings import Settings

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the 60 s after which common load balancers drop an idle connection: they must be the
first, or they send a request into a closing one."""

MAX_HEADER_BYTES: Final = 32_768
BACKLOG: Final = 2_048


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `header_seconds` is set by a subclass, from the settings."""

    header_seconds: float = 10.0
    _watch: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_headers = True
    _tail = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle():
            self._await_headers()
        if self._in_headers:
            self._header_bytes += self._of_headers(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, HeadersTooLarge(f"headers may have {MAX_HEADER_BYTES} bytes"))
                return
        super().data_received(data)

    def _of_headers(self, data: bytes) -> int:
        """How many bytes of `data` belong to the headers, whose end may lie between two reads."""
        tail, self._tail = self._tail, (self._tail + data)[-3:]
        end = (tail + data).find(b"\r\n\r\n")
        return len(data) if end < 0 else max(0, end - len(tail))

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn calls it so
        self._refuse(400, Malformed("this is not HTTP/1.1"))

    def _idle(self) -> bool:
        """Whether nothing is underway, so that new bytes begin a request."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._watch is None and (cycle is None or cycle.response_complete)

    def _await_headers(self) -> None:
        self._in_headers, self._header_bytes, self._tail = True, 0, b""
        self._watch = self.loop.call_later(self.header_seconds, self._too_slow)

    def _headers_came(self) -> None:
        self._in_headers = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _too_slow(self) -> None:
        self._watch = None
        self._refuse(
            408,
            RequestTimeout(f"the headers did not arrive within {self.header_seconds:g} seconds"),
        )

    def _refuse(self, status: int, error: TollkeeperError) -> None:
        """Answers without the application, which never saw a request, and hangs up."""
        self._headers_came()
        if self.transport.is_closing():
            return
        request_id = new_id("req", SystemClock().now_ms(), SystemChance())
        told = msgspec.structs.replace(problem(error, request_id), status=status)
        body = msgspec.json.encode(told)
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nrequest-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
}


class Server(uvicorn.Server):
    """uvicorn's server that tells the service at once that it is draining, and ends with exit
    code 0 when it was asked to end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler
        app: Any = self.config.loaded_app
        service = app.state.service
        if service is not None:
            service.draining = True
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def run(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> bool:
    """Serves until SIGTERM or SIGINT, then lets what is inside finish for `drain_seconds`.

    `on_ready` is given the address as soon as requests are answered. False: it could not start.
    """
    server = Server(server_config(settings), on_ready)
    server.run()
    return server.started


def server_config(settings: Settings) -> uvicorn.Config:
    """Uvicorn's configuration for these settings."""
    bounded = type(
        "SettledProtocol", (BoundedProtocol,), {"header_seconds": settings.receive_seconds}
    )
    return uvicorn.Config(
        application_for(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=bounded,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
    )
