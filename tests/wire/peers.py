"""Peers that misbehave: raw servers on loopback, each played by a small coroutine."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.trip import Budgets

Play = Callable[["Peer"], Awaitable[None]]

QUICK = Budgets(dns=0.3, connect=0.3, tls=0.3, send=0.3, wait=0.3, read=0.3, total=5.0)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRequest-Id: req_1\r\n\r\nok"


class Peer:
    """One accepted connection, and how many requests and connections the server has seen."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def hear(self) -> bytes:
        """One whole request with a Content-Length, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def server(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback that plays `play` on each connection; gives its base URL."""
    peers: list[Peer] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer, len(peers) + 1))
        try:
            await play(peers[-1])
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, which is what these plays are about
        finally:
            writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://localhost:{port}"
    finally:
        listening.close()
        for peer in peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)


def post(body: bytes = b"amount=2500") -> WireRequest:
    return WireRequest(
        method="POST",
        path="/v1/charges",
        query="expand%5B%5D=customer",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=body,
    )


def get() -> WireRequest:
    return WireRequest(method="GET", path="/v1/charges/ch_1")


async def ask(
    base_url: str,
    request: WireRequest | None = None,
    *,
    budgets: Budgets = QUICK,
    tls: ssl.SSLContext | None = None,
    max_reply_bytes: int = 10_000,
) -> WireResult:
    """What one request on a fresh wire comes to."""
    async with HttpWire(budgets, tls=tls, max_reply_bytes=max_reply_bytes) as wire:
        return await wire.send(request or post(), Target(base_url=base_url))
