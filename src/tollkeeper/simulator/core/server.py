"""The simulator's HTTP: a small server that can also fail like a network.

It speaks enough of HTTP/1.1 for clients that behave (keep-alive, chunked bodies, 100-continue),
and drops, resets or truncates when a reply says so, which frameworks do not offer.
"""

import asyncio
import socket
import struct
from collections import deque
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools

from tollkeeper.simulator.core.messages import MAX_BODY_BYTES, SimProvider, SimReply, SimRequest

HOLD_SECONDS: Final = 300.0
"""The longest that a dropped connection is kept open for a client that does not give up."""

MAX_PIPELINED: Final = 64

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """One client's connection: requests are answered in order."""

    def __init__(self, core: SimProvider) -> None:
        self._core = core
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[SimRequest] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._keep_alive = True
        self._expects_continue = False
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._body_bytes = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, but do what those do.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(501)
        except httptools.HttpParserError:
            self._refuse(400)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        # A request that was taken up is finished all the same, as at a real provider.
        self._transport = None
        self._waiting.clear()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body, self._body_bytes = b"", [], [], 0
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        if name.lower() == b"expect":
            self._expects_continue = True

    def on_headers_complete(self) -> None:
        if self._expects_continue and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(413)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode()
        request = SimRequest(method, unquote(path), query, self._headers, b"".join(self._body))
        self._keep_alive = self._parser.should_keep_alive()
        self._waiting.append(request)
        if len(self._waiting) > MAX_PIPELINED:
            self._refuse(429)
        elif self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    # Answering

    async def _work(self) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            await self._send(await self._core.handle(request))
        self._worker = None

    async def _send(self, reply: SimReply) -> None:
        if self._transport is None:
            return
        match reply.ending:
            case "drop":
                await self._hold(min(reply.hold_seconds or HOLD_SECONDS, HOLD_SECONDS))
            case "reset":
                self._reset()
            case "truncate":
                self._transport.write(_head(reply) + reply.body[: reply.truncate_at])
                self._close()
            case "send":
                await self._send_whole(reply)

    async def _send_whole(self, reply: SimReply) -> None:
        assert self._transport is not None
        if reply.body_delay_seconds:
            self._transport.write(_head(reply))
            await asyncio.sleep(reply.body_delay_seconds)
            if self._transport is not None:
                self._transport.write(reply.body)
        else:
            self._transport.write(_head(reply) + reply.body)
        if not self._keep_alive:
            self._close()

    async def _hold(self, seconds: float) -> None:
        """Say nothing, until the client hangs up or the bound is reached."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._transport is not None and loop.time() < deadline:
            await asyncio.sleep(0.05)
        self._reset()

    def _reset(self) -> None:
        """Close so that the peer sees a TCP reset."""
        if self._transport is None:
            return
        peer: Any = self._transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
        self._transport = None

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._transport.write(_head(SimReply(status, [("connection", "close")], b"")))
            self._close()


def _head(reply: SimReply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(f"content-length: {len(reply.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def start_server(
    core: SimProvider, host: str, port: int, *, backlog: int = 1024
) -> asyncio.Server:
    """Listen on `host`:`port` (0 lets the system choose)."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(core), host, port, backlog=backlog)
