"""The door's own bounds: slow headers, slow bodies, too many at once, too many from one key."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.doors.stage import PAYMENT, Stage, stage

from tollkeeper.settings import Timeouts
from tollkeeper.simulator.stripe.config import SimulatorConfig

REQUEST = (
    b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Idempotency-Key: k\r\nAuthorization: Bearer %s\r\n"
)


async def _connect(it: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", urlsplit(it.url).port)


async def _answer(reader: asyncio.StreamReader, seconds: float = 5.0) -> tuple[int, bytes]:
    """The status and the body of an answer after which the connection is closed."""
    async with asyncio.timeout(seconds):
        whole = await reader.read()
    head, _, body = whole.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def _head(it: Stage) -> bytes:
    return REQUEST % it.keys["service"][1].encode()


async def _trickle(writer: asyncio.StreamWriter) -> None:
    """A header that grows for longer than any answer is waited for."""
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(200):
        await asyncio.sleep(0.1)
        writer.write(b"y\r\nZ: ")


async def test_headers_that_never_end_are_hung_up_on(tmp_path: Path) -> None:
    async with stage(tmp_path, receive_seconds=0.5) as it:
        reader, writer = await _connect(it)
        trickling = asyncio.create_task(_trickle(writer))
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert not trickling.done()  # each piece would have begun the time again
        trickling.cancel()
        writer.close()


async def test_a_connection_that_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async with stage(tmp_path, receive_seconds=0.3) as it:
        reader, writer = await _connect(it)
        status, _ = await _answer(reader, 2.0)
        assert status == 408
        writer.close()


async def test_the_second_request_of_a_connection_has_the_same_bound(tmp_path: Path) -> None:
    async with stage(tmp_path, receive_seconds=0.3) as it:
        reader, writer = await _connect(it)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b'{"status":"ok"}'))
        await asyncio.sleep(0.6)  # a quiet connection between requests is kept
        writer.write(b"GET /health HT")
        status, _ = await _answer(reader, 2.0)
        assert status == 408
        writer.close()


async def test_a_body_that_trickles_is_hung_up_on(tmp_path: Path) -> None:
    async with stage(tmp_path, receive_seconds=0.5) as it:
        reader, writer = await _connect(it)
        writer.write(_head(it) + b"Content-Length: 200\r\n\r\n")
        drip = asyncio.create_task(_drip(writer))
        status, body = await _answer(reader)
        drip.cancel()
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert it.simulator.core.ledger().intents == []
        writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", [b"", b"\r\nHost: a\r\n\r\n"], ids=["open", "whole"])
@pytest.mark.parametrize("size", [40_000, 100_000])
async def test_headers_are_bounded(tmp_path: Path, size: int, end: bytes) -> None:
    async with stage(tmp_path) as it:
        reader, writer = await _connect(it)
        writer.write(b"GET /v1/payments HTTP/1.1\r\nX: " + b"x" * size + end)
        status, body = await _answer(reader)
        problem = json.loads(body)
        assert (status, problem["code"]) == (431, "headers_too_large")
        assert problem["request_id"].startswith("req_")
        writer.close()


async def test_a_large_body_is_no_header_wherever_the_reads_part(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        body = b" " * 50_000
        head = (
            b"POST /v1/payments HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 50000"
            b"\r\nAuthorization: Bearer tk_none\r\n\r"
        )
        reader, writer = await _connect(it)
        writer.write(head)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"\n" + body)
        status, _ = await _answer(reader)
        assert status == 401
        writer.close()


async def test_a_compressed_body_is_refused(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        reply = await it.post("/v1/payments", PAYMENT, headers={"Content-Encoding": "gzip"})
        assert (reply.status, reply.body["code"]) == (415, "unsupported_media_type")
        assert reply.body["errors"][0]["pointer"] == "content-encoding"


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_not_http_is_told_so(tmp_path: Path, rubbish: bytes) -> None:
    async with stage(tmp_path) as it:
        reader, writer = await _connect(it)
        writer.write(rubbish)
        status, body = await _answer(reader)
        assert (status, json.loads(body)["code"]) == (400, "malformed_request")
        writer.close()


async def test_a_client_that_hangs_up_early_pays_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        _, writer = await _connect(it)
        writer.write(_head(it) + b'Content-Length: 500\r\n\r\n{"amount_minor"')
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.1)
        assert (await it.get("/health", role=None)).status == 200
        assert it.simulator.core.ledger().intents == []


async def test_a_client_that_hangs_up_late_has_paid_and_may_ask(tmp_path: Path) -> None:
    async with stage(tmp_path, config=SimulatorConfig(latency_seconds=0.3)) as it:
        _, writer = await _connect(it)
        body = json.dumps(PAYMENT).encode()
        writer.write(_head(it) + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.1)
        writer.close()
        await it.until("/v1/payments", lambda page: page["data"][0]["status"] == "succeeded")
        again = await it.post("/v1/payments", PAYMENT, key="k")
        assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
        assert len(it.simulator.core.ledger().charges) == 1


async def test_too_many_at_once_are_sent_away_at_once(tmp_path: Path) -> None:
    slow = SimulatorConfig(latency_seconds=2.0)
    patient = Timeouts(wait_seconds=10.0, total_seconds=12.0)
    async with stage(tmp_path, config=slow, max_in_flight=4, timeouts=patient) as it:
        inside = [asyncio.create_task(it.post("/v1/payments", PAYMENT)) for _ in range(4)]
        await asyncio.sleep(0.2)
        away = await it.post("/v1/payments", PAYMENT)
        assert not any(task.done() for task in inside)
        assert (away.status, away.body["code"]) == (503, "overloaded")
        assert (away.headers["retry-after"], away.body["retryable"]) == ("1", True)
        for path in ("/health", "/ready", "/metrics"):
            assert (await it.get(path, role=None)).status == 200
        assert [(await task).status for task in inside] == [201] * 4
        assert (await it.post("/v1/payments", PAYMENT)).status == 201
        counted = (await it.get("/metrics", role=None)).raw.decode()
        assert 'tollkeeper_http_shed_total{reason="overloaded"} 1.0' in counted


async def test_a_key_that_is_too_quick_is_slowed_down_and_nobody_else(tmp_path: Path) -> None:
    async with stage(tmp_path, requests_per_second_per_key=5.0) as it:
        replies = [await it.get("/v1/payments") for _ in range(8)]
        assert [reply.status for reply in replies].count(200) in {5, 6}
        slowed = next(reply for reply in replies if reply.status == 429)
        assert slowed.body["code"] == "rate_limited"
        assert slowed.headers["retry-after"] == "1"
        assert (await it.get("/v1/payments", role="viewer")).status == 200
        await asyncio.sleep(0.4)
        assert (await it.get("/v1/payments")).status == 200


async def test_who_sends_slowly_takes_nobody_s_place(tmp_path: Path) -> None:
    async with stage(tmp_path, max_in_flight=2) as it:
        head = (
            b"POST /v1/inbound/stripe/2022-11-15 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        )
        slow = [await _connect(it) for _ in range(4)]
        for _, writer in slow:
            writer.write(head + b"{")
        await asyncio.sleep(0.1)
        assert (await it.post("/v1/payments", PAYMENT)).status == 201
        for _, writer in slow:
            writer.close()
