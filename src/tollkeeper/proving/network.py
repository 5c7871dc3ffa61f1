"""The network between the service and a peer, on loopback, with levers: a relay and a resolver.

Law: it listens and connects on loopback alone. A lever that is let go leaves nothing behind.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

CHUNK: Final = 65_536
PULL_SECONDS: Final = 30.0
"""How long a stalled service may take to obey its lever."""

BLACKHOLE_SECONDS: Final = 120.0
LOSS_SECONDS: Final = (0.2, 1.0, 3.0)
"""What a lost packet costs: a fast retransmission, a timeout, a SYN lost twice (RFC 6298)."""


@dataclass
class Lever:
    """What a relay does to connections: see `scenario.Tcp`. `share` of connections are hit, and
    `hits` counts them."""

    effect: str = ""
    share: float = 1.0
    seconds: float = 1.0
    bytes: int = 40
    hits: int = 0


@dataclass
class Relay:
    """Carries bytes from its own port to `upstream`, an address or the path of a socket. With `tls`
    it speaks TLS to the client."""

    upstream: tuple[str, int] | str
    tls: Callable[[], ssl.SSLContext] | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - no secret
    levers: list[Lever] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _hole: list[socket.socket] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listens on loopback."""
        context = self.tls() if self.tls is not None else None
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, ssl_handshake_timeout=5.0
            if context else None,
        )  # fmt: skip
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes everything; the port stays its own for `start`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    async def swallow(self) -> None:
        """From now on nothing answers on the port, not even the kernel: the queue of connections
        is full, so that a SYN is dropped, as a firewall does."""
        await self.stop()
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", self.port))
        hole.listen(0)
        self._hole = [hole]
        for _ in range(2):  # Linux takes one more than the length of the queue
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the standard library's signature
            filler.connect_ex(hole.getsockname())
            self._hole.append(filler)

    async def answer(self) -> None:
        """Listens again after `swallow`."""
        for one in self._hole:
            one.close()
        self._hole = []
        await self.start()

    def reset(self) -> None:
        """Ends every connection at once: a fault begins for those that are open, too."""
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()

    def _struck(self) -> Lever | None:
        for lever in self.levers:
            if self.chance.random() < lever.share:
                lever.hits += 1
                return lever
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lever = self._struck()
        effect = lever.effect if lever is not None else ""
        if effect == "refuse":
            return
        if effect == "blackhole":
            await asyncio.sleep(BLACKHOLE_SECONDS)
            return
        there, back = await self._connected()
        self._writers.add(back)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back, None))
                group.create_task(self._pass(there, writer, lever))
        except* OSError:
            pass
        finally:
            self._writers.discard(back)
            back.transport.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, str):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _pass(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, lever: Lever | None
    ) -> None:
        """Carries one direction until its end; a lever strikes what comes back."""
        while data := await source.read(CHUNK):
            # a connection that is kept alive meets a fault as well
            now = lever if lever is not None else (self._struck() if self.levers else None)
            if now is not None and self._is_client(to):
                data = await self._altered(data, now, to)
                if not data:
                    return
            to.write(data)
            await to.drain()
        with contextlib.suppress(OSError, RuntimeError):
            to.close()

    def _is_client(self, to: asyncio.StreamWriter) -> bool:
        """Whether bytes go back to the client. The other side may be a socket in a folder, which
        has no port."""
        name = to.get_extra_info("sockname")
        return isinstance(name, tuple) and name[1] == self.port

    async def _altered(self, data: bytes, lever: Lever, to: asyncio.StreamWriter) -> bytes:
        if lever.effect == "delay":
            await asyncio.sleep(lever.seconds)
        elif lever.effect == "loss":
            await asyncio.sleep(self.chance.choice(LOSS_SECONDS))
        elif lever.effect in {"reset", "refuse", "blackhole"}:
            to.transport.abort()
            raise ConnectionResetError
        elif lever.effect == "cut":
            to.write(data[: lever.bytes])
            await to.drain()
            to.transport.abort()
            raise ConnectionResetError
        return data


@dataclass
class Names(asyncio.DatagramProtocol):
    """A resolver for names of type A, over UDP on loopback (RFC 1035). `effects` by name, `*` for
    all: `timeout`, `nxdomain`, `wrong`."""

    known: dict[str, str] = field(default_factory=dict)
    effects: dict[str, tuple[str, float]] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(2))  # noqa: S311 - no secret
    port: int = 0
    hits: int = 0
    _transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Listens on loopback."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", self.port)
        )
        self.port = int(self._transport.get_extra_info("sockname")[1])

    def stop(self) -> None:
        """Closes the socket."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = read_name(data, 12)
        effect, share = self.effects.get(name, self.effects.get("*", ("", 0.0)))
        struck = effect if effect and self.chance.random() < share else ""
        self.hits += bool(struck)
        if struck == "timeout" or self._transport is None:
            return
        address = self.known.get(name)
        if struck == "wrong":
            address = WRONG
        if struck == "nxdomain" or address is None:
            self._transport.sendto(reply_of(data, end, None), addr)
        else:
            self._transport.sendto(reply_of(data, end, address), addr)


async def pull(port: int, lever: Any) -> int:
    """Sends a lever, as a line of JSON, to a program of the proving ground on loopback; gives the
    number that it answers: how often its levers struck."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(msgspec.json.encode(lever) + b"\n")
    await writer.drain()
    async with asyncio.timeout(PULL_SECONDS):
        struck = (await reader.readline()).strip()
    writer.close()
    return int(struck) if struck.isdigit() else 0


async def anchor_server() -> asyncio.Server:
    """A neutral address: it answers every request with 204, and closes the connection where it is
    asked to (RFC 9112, section 9.6)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                if b"connection: close" in request.lower():
                    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
                    return
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


WRONG: Final = "127.0.0.254"
"""A loopback address where nothing listens."""


def question_of(name: str, number: int) -> bytes:
    """A question for the address of a name."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", 1, 1)


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name at a place of a message, and where its question ends."""
    parts = []
    while at < len(data) and data[at]:
        size = data[at]
        parts.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(parts).lower(), at + 5


def reply_of(question: bytes, end: int, address: str | None) -> bytes:
    """The reply to a question: one address, or that there is no such name."""
    flags = 0x8180 if address is not None else 0x8183
    head = question[:2] + struct.pack(">HHHHH", flags, 1, int(address is not None), 0, 0)
    if address is None:
        return head + question[12:end]
    answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
    return head + question[12:end] + answer


def address_in(reply: bytes) -> str | None:
    """The address that a reply gives, `None` for no such name."""
    flags, _, answers = struct.unpack(">HHH", reply[2:8])
    if flags & 0x000F or not answers:
        return None
    return socket.inet_ntoa(reply[-4:])
