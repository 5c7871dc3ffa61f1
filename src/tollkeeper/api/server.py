"""The server under the application: uvicorn, with the bounds that it lacks and a quiet ending.

Law: every byte that a peer sends is counted against a limit, on every path, with a key or without:
request line, headers, body, what frames a body (chunk sizes, chunk extensions, trailers), pipelined
requests, and what lies between requests. A process holds a bounded number of connections.
uvicorn itself waits for ever for a header that never ends, and stores headers of any size.
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
from tollkeeper.api.incoming import DISCARD_BYTES, MAX_INBOUND_BYTES
from tollkeeper.api.problems import MEDIA_TYPE, problem
from tollkeeper.app import SystemChance, SystemClock, configure_logging
from tollkeeper.kernel.errors import (
    HeadersTooLarge,
    Malformed,
    Overloaded,
    RequestTimeout,
    TollkeeperError,
    TooLarge,
)
from tollkeeper.kernel.ids import new_id
from tollkeeper.settings import Settings

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the 60 s after which common load balancers drop an idle connection: they must be the
first, or they send a request into a closing one."""

MAX_HEADER_BYTES: Final = 32_768
MAX_HEADERS: Final = 128
"""A header of two bytes costs 150 bytes of memory, so their number is bounded as well."""

MAX_FRAMING_BYTES: Final = 65_536
"""What a body's chunk sizes, chunk extensions and trailers may have together."""

MAX_PIPELINED: Final = 16
"""Requests that one connection may have waiting behind the one that is served."""

SLICE_BYTES: Final = 4_096
"""How much of a read the parser is given at once: limits hold to within this many bytes."""

GRACE_SECONDS: Final = 5.0
"""How much longer than `receive_seconds` a body may take that the application does not read."""

BACKLOG: Final = 2_048


class Meter:
    """What one connection has sent of its current message, by the part that it belongs to."""

    __slots__ = ("body_bytes", "framing_bytes", "header_bytes", "headers", "in_body", "text_bytes")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A message begins, or is awaited."""
        self.in_body = False
        self.headers = self.header_bytes = self.text_bytes = 0
        self.body_bytes = self.framing_bytes = 0

    @property
    def has_large_headers(self) -> bool:
        """By the bytes read so far, and exactly by the parsed text of headers that are complete."""
        size = max(self.header_bytes, self.text_bytes)
        return size > MAX_HEADER_BYTES or self.headers > MAX_HEADERS

    def count(self, size: int, *, body: int) -> None:
        """`size` bytes were read, of which `body` were the body's own."""
        if self.in_body:
            self.framing_bytes += max(0, size - body)
        else:
            self.header_bytes += size


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A subclass sets the limits, from the settings."""

    header_seconds: float = 10.0
    max_body_bytes: int = MAX_INBOUND_BYTES
    max_connections: int = 1024
    quiet_since: float | None = None
    """When the last answer was complete, while no request follows it."""

    _watch: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    """Ends a connection whose peer does not read what it is sent."""

    _refused = False
    _refused_message = False
    """The parser is in a message that the application must not see; the connection ends with it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._meter = Meter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections and not self._drop_an_idle_one():
            self._refuse(503, Overloaded(f"{self.max_connections} connections are open already"))
            return
        self._await_headers()

    def _drop_an_idle_one(self) -> bool:
        """Closes the connection that has been quiet longest after an answer; false where all are
        in use."""
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol)]
        idle = [one for one in idle if one.quiet_since is not None]
        if not idle:
            return False
        min(idle, key=lambda one: one.quiet_since or 0.0).transport.close()
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.quiet_since = None if self.pipeline or self._watch else self.loop.time()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            seconds = self.header_seconds + GRACE_SECONDS
            self._stalled = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stalled()

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.quiet_since = None
        self._stop_watch()
        self._stop_stalled()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.quiet_since = None
        if self._idle():
            self._await_headers()
        for begin in range(0, len(data), SLICE_BYTES):
            if self._refused or self.transport.is_closing():
                return
            self._feed(data[begin : begin + SLICE_BYTES])

    def _feed(self, part: bytes) -> None:
        """Parses a part of a read, and counts it against the limits."""
        meter = self._meter
        before = meter.body_bytes
        super().data_received(part)
        if self._refused:
            return
        meter.count(len(part), body=max(0, meter.body_bytes - before))
        if meter.has_large_headers:
            limit = f"{MAX_HEADER_BYTES} bytes and {MAX_HEADERS} lines"
            self._refuse(431, HeadersTooLarge(f"headers may have {limit}"))
        elif meter.framing_bytes > MAX_FRAMING_BYTES:
            detail = f"chunk sizes, extensions and trailers may have {MAX_FRAMING_BYTES} bytes"
            self._refuse(413, TooLarge(detail))
        elif meter.body_bytes > self.max_body_bytes + DISCARD_BYTES:
            self._refuse(413, TooLarge(f"the body may have {self.max_body_bytes} bytes"))
        elif len(self.pipeline) > MAX_PIPELINED:
            self._refuse(400, Malformed(f"more than {MAX_PIPELINED} requests wait here already"))

    def on_message_begin(self) -> None:
        if self._refused_message:
            return
        self._meter.begin()
        if self._watch is None:  # a request behind another one has the same time
            self._await_headers()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._meter.text_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        meter = self._meter
        if meter.in_body:
            return  # a trailer is no header, and nothing reads it; its bytes are counted
        meter.headers += 1
        meter.text_bytes += len(name) + len(value) + len(": \r\n")
        if meter.headers <= MAX_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_watch()
        if self._meter.has_large_headers or len(self.pipeline) > MAX_PIPELINED:
            self._refused_message = True
            return
        self._meter.in_body = True
        self._watch = self.loop.call_later(self.header_seconds + GRACE_SECONDS, self._body_too_slow)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._meter.body_bytes += len(body)
        if not self._refused_message:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused_message:
            return
        self._stop_watch()
        self._meter.begin()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn calls it so
        self._refuse(400, Malformed("this is not HTTP/1.1"))

    def _idle(self) -> bool:
        """Whether nothing is underway, so that new bytes begin a request."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._watch is None and (cycle is None or cycle.response_complete)

    def _await_headers(self) -> None:
        self._watch = self.loop.call_later(self.header_seconds, self._headers_too_slow)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _headers_too_slow(self) -> None:
        self._watch = None
        if self.flow.read_paused:  # the peer cannot send: we do not read
            self._await_headers()
            return
        detail = f"the headers did not arrive within {self.header_seconds:g} seconds"
        self._refuse(408, RequestTimeout(detail))

    def _body_too_slow(self) -> None:
        self._watch = None
        if self.flow.read_paused:
            self._watch = self.loop.call_later(self.header_seconds, self._body_too_slow)
            return
        self._refuse(408, RequestTimeout("the body did not arrive in time"))

    def _refuse(self, status: int, error: TollkeeperError) -> None:
        """Answers without the application and hangs up. Only hangs up where the answer would be
        taken for that of another request."""
        self._stop_watch()
        self._refused = True
        if self.transport.is_closing():
            return
        if self._may_answer():
            self.transport.write(_refusal(status, error))
        self.transport.close()

    def _may_answer(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        if self._meter.in_body:
            return not self.pipeline and cycle is not None and not cycle.response_started
        return cycle is None or cycle.response_complete


def _refusal(status: int, error: TollkeeperError) -> bytes:
    """A whole answer with a problem document, after which the connection ends."""
    request_id = new_id("req", SystemClock().now_ms(), SystemChance())
    body = msgspec.json.encode(msgspec.structs.replace(problem(error, request_id), status=status))
    again = f"retry-after: {error.retry_after_seconds}\r\n" if error.retryable else ""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nrequest-id: {request_id}\r\n{again}"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
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
    configure_logging(settings)
    server = Server(server_config(settings), on_ready)
    server.run()
    return server.started


def bounded_by(settings: Settings) -> type[BoundedProtocol]:
    """The protocol of connections with the limits of these settings."""
    limits = {
        "header_seconds": settings.receive_seconds,
        "max_body_bytes": max(settings.max_body_bytes, MAX_INBOUND_BYTES),
        "max_connections": settings.max_connections,
    }
    return type("SettledProtocol", (BoundedProtocol,), limits)


def server_config(settings: Settings) -> uvicorn.Config:
    """Uvicorn's configuration for these settings."""
    return uvicorn.Config(
        application_for(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=bounded_by(settings),
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
