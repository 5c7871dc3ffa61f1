"""Every byte that a peer can send is counted: who never stops sending is hung up on."""

import asyncio
import contextlib
import json
import resource
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.doors.programs import service, simulator
from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.api import server
from tollkeeper.api.admission import MAX_ARRIVING_BYTES, admission_of
from tollkeeper.kernel.errors import Overloaded

MEGABYTE = 1 << 20
MOST_BYTES = 8 * MEGABYTE
"""What a connection may take at most before it is hung up on, socket buffers included."""

INBOUND = "/v1/inbound/stripe/2022-11-15"
PATHS = (INBOUND, "/v1/payments", "/nowhere", "/health", "/v1/inbound/unknown/none")
CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _connect(it: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", urlsplit(it.url).port)


async def flood(port: int | None, head: bytes, piece: bytes, *, most: int = 64 * MEGABYTE) -> int:
    """Sends `head` and then `piece` again and again; how many bytes went before the hang-up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(reader.read())
    sent = 0
    try:
        writer.write(head)
        while sent < most and not reading.done():
            writer.write(piece)
            sent += len(piece)
            async with asyncio.timeout(20):
                await writer.drain()
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return sent


PIECES = {
    "trailers": (CHUNKED + b"0\r\n", b"X-Trailer: " + b"t" * 1000 + b"\r\n"),
    "a trailer without an end": (CHUNKED + b"0\r\nX: ", b"t" * 65_536),
    "small trailers": (CHUNKED + b"0\r\n", b"a:b\r\n" * 10_000),
    "a chunk extension": (CHUNKED + b"5;e=", b"x" * 65_536),
    "chunk extensions": (CHUNKED, b"1;" + b"e" * 1000 + b"\r\nb\r\n"),
    "small chunks": (CHUNKED, b"1\r\nb\r\n" * 10_000),
    "a chunked body": (CHUNKED, b"10000\r\n" + b"b" * 65_536 + b"\r\n"),
    "a body with a length": (
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"b" * 65_536,
    ),
    "a body that is not read": (
        b"GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"b" * 65_536,
    ),
    "a request line": (b"GET %s?", b"q" * 65_536),
    "a method": (b"%.0sPOST", b"T" * 65_536),
    "a header": (b"GET %s HTTP/1.1\r\nX: ", b"h" * 65_536),
    "headers": (b"GET %s HTTP/1.1\r\nHost: x\r\n", b"X-Header: " + b"h" * 1000 + b"\r\n"),
    "small headers": (b"GET %s HTTP/1.1\r\nHost: x\r\n", b"a:b\r\n" * 10_000),
    "empty lines": (b"%.0s", b"\r\n" * 30_000),
    "after an upgrade": (
        b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"w" * 65_536,
    ),
    "a tunnel": (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", b"w" * 65_536),
    "headers behind a request": (
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nX: ",
        b"h" * 65_536,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
async def test_a_connection_that_never_stops_sending_is_hung_up_on(
    tmp_path: Path, name: str
) -> None:
    head, piece = PIECES[name]
    async with stage(tmp_path, receive_seconds=5.0) as it:
        port = urlsplit(it.url).port
        for path in PATHS:
            sent = await flood(port, head % path.encode(), piece)
            assert sent <= MOST_BYTES, (path, sent)
        assert (await it.get("/health", role=None)).status == 200


@pytest.mark.parametrize("name", ["small trailers", "a trailer without an end", "small headers"])
def test_a_flood_leaves_the_programs_memory_as_it_was(tmp_path: Path, name: str) -> None:
    head, piece = PIECES[name]

    def resident_bytes(pid: int) -> int:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    async def floods(port: int | None) -> None:
        lines = [flood(port, head % INBOUND.encode(), piece) for _ in range(8)]
        await asyncio.gather(*lines)

    with simulator() as provider, service(tmp_path, provider.url) as program:
        before = resident_bytes(program.process.pid)
        asyncio.run(floods(urlsplit(program.url).port))
        assert resident_bytes(program.process.pid) - before < 64 * MEGABYTE


async def test_what_is_too_much_is_answered_before_the_hang_up(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        for name, status, code in (
            ("trailers", 413, "body_too_large"),
            ("chunk extensions", 413, "body_too_large"),
            ("small headers", 431, "headers_too_large"),
        ):
            head, piece = PIECES[name]
            reader, writer = await _connect(it)
            writer.write(head % INBOUND.encode() + (piece * 200)[:70_000])
            async with asyncio.timeout(5):
                whole = await reader.read()
            top, _, body = whole.partition(b"\r\n\r\n")
            assert int(top.split(b" ")[1]) == status, name
            assert json.loads(body)["code"] == code
            writer.close()


async def test_ordinary_chunks_and_trailers_are_taken(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = json.dumps(PAYMENT).encode()
        chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body)
        head = (
            b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Idempotency-Key: k\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n"
        ) % it.keys["service"][1].encode()
        reader, writer = await _connect(it)
        for _ in range(2):
            trailer = b"0\r\nAuthorization: Bearer none\r\nX-Sum: 1\r\n\r\n"
            writer.write(head + chunks + trailer)
            top = await reader.readuntil(b"\r\n\r\n")
            assert b" 201 " in top
            length = int(top.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()
        assert len(it.simulator.core.ledger().charges) == 1


async def test_a_few_pipelined_requests_are_answered_in_order_and_many_are_not(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        reader, writer = await _connect(it)
        writer.write(one * 8)
        for _ in range(8):
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"status":"ok"}'))
        writer.close()
        reader, writer = await _connect(it)
        writer.write(one * 5_000)
        answers = b""
        with contextlib.suppress(ConnectionResetError):  # most of it was never read
            async with asyncio.timeout(5):
                while part := await reader.read(65_536):
                    answers += part
        assert answers.count(b"HTTP/1.1 200") <= server.MAX_PIPELINED + 1
        writer.close()


async def test_an_answer_under_way_is_not_cut_by_what_comes_behind_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = json.dumps(PAYMENT).encode()
        head = (
            b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Idempotency-Key: k\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
        ) % (it.keys["service"][1].encode(), len(body))
        reader, writer = await _connect(it)
        writer.write(head + body + b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
        async with asyncio.timeout(5):
            whole = await reader.read()
        assert b" 431 " not in whole  # the caller would take it for the payment's answer
        writer.close()
        again = await it.post("/v1/payments", PAYMENT, key="k")
        assert again.status in {201, 409}


async def test_connections_are_bounded_and_the_next_one_is_told(tmp_path: Path) -> None:
    async with stage(tmp_path, max_connections=8) as it:
        held = [await _connect(it) for _ in range(8)]
        reader, writer = await _connect(it)
        async with asyncio.timeout(5):
            whole = await reader.read()
        assert whole.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in whole
        writer.close()
        for _, other in held:
            other.close()
        await asyncio.sleep(0.1)
        assert (await it.get("/health", role=None)).status == 200


async def test_a_connection_that_is_idle_after_an_answer_makes_room(tmp_path: Path) -> None:
    async with stage(tmp_path, max_connections=4) as it:
        ask = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        held = []
        for _ in range(6):
            reader, writer = await _connect(it)
            writer.write(ask)
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            held.append((reader, writer))
        async with asyncio.timeout(5):
            await held[0][0].read()  # the one that was quiet longest was closed
        held[-1][1].write(ask)
        await held[-1][0].readexactly(len(b'{"status":"ok"}'))
        assert b" 200 " in await held[-1][0].readuntil(b"\r\n\r\n")
        for _, writer in held:
            writer.close()


async def _ask_without_reading(peer: socket.socket) -> None:
    for _ in range(600):
        with contextlib.suppress(BlockingIOError):
            peer.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.01)


async def test_a_peer_that_does_not_read_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.1)
    async with stage(tmp_path, receive_seconds=0.5) as it:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(peer, ("127.0.0.1", urlsplit(it.url).port))
            with pytest.raises(ConnectionError):
                await _ask_without_reading(peer)
        assert (await it.get("/health", role=None)).status == 200


async def test_bodies_that_are_arriving_share_a_bound(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        desk = admission_of(it.app.state)
        with desk.arriving() as hold:
            hold(MAX_ARRIVING_BYTES - 10)
            reply = await it.post("/v1/payments", PAYMENT)
            assert (reply.status, reply.body["code"]) == (503, "overloaded")
            with pytest.raises(Overloaded):
                hold(11)
        assert (await it.post("/v1/payments", PAYMENT)).status == 201
        assert desk.arriving_bytes == 0
