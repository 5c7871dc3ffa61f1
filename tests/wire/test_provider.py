"""Every way in which talking to a provider can end, on real sockets."""

import asyncio
import datetime
import gzip
import socket
import ssl

import aiohttp.abc
import pytest
import trustme
from tests.wire.peers import QUICK, REPLY, Peer, ask, get, post, server

from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.trip import Budgets

pytestmark = pytest.mark.usefixtures("loop_factory")


def outcome(result: WireResult) -> tuple[str, str, bool]:
    """Stage, word and whether a connection was acquired, of a result that must be a failure."""
    assert result.reply is None
    assert result.failure is not None
    return result.failure.stage, result.failure.error, result.failure.acquired


async def test_a_reply_comes_back_whole_with_lower_case_header_names() -> None:
    heard: list[bytes] = []

    async def play(peer: Peer) -> None:
        heard.append(await peer.hear())
        await peer.say(REPLY)

    async with server(play) as url, HttpWire(QUICK) as wire:
        target = Target(base_url=url, headers=(("Authorization", "Bearer sk_test"),))
        result = await wire.send(post(), target)
    assert result.failure is None
    assert result.reply is not None
    assert (result.reply.status, result.reply.body) == (200, b"ok")
    assert result.reply.header("request-id") == "req_1"
    assert list(result.timings_ms) == ["connect", "dns", "send", "wait", "read"]
    head, body = heard[0].split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/charges?expand%5B%5D=customer HTTP/1.1"
    assert body == b"amount=2500"
    names = [line.split(b":")[0].lower() for line in lines[1:]]
    assert sorted(names) == [
        b"accept-encoding", b"authorization", b"content-length", b"content-type", b"host",
        b"user-agent",
    ]  # fmt: skip
    assert b"Accept-Encoding: identity" in lines


async def test_a_name_that_does_not_exist_ends_at_dns() -> None:
    result = await ask("https://provider.invalid", budgets=Budgets())
    assert outcome(result) == ("dns", "dns_error", False)


class SilentResolver(aiohttp.abc.AbstractResolver):
    """A name server that never answers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def close(self) -> None:
        pass


async def test_a_name_server_that_never_answers_ends_at_dns() -> None:
    async with HttpWire(QUICK, resolver=SilentResolver()) as wire:
        result = await wire.send(post(), Target(base_url="https://provider.test"))
    assert outcome(result) == ("dns", "dns_timeout", False)


async def test_a_port_where_nobody_listens_ends_at_connect() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = await ask(f"http://127.0.0.1:{port}")
    assert outcome(result) == ("connect", "connection_refused", False)


async def test_a_full_backlog_ends_at_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            await asyncio.sleep(0.05)
            result = await ask(f"http://127.0.0.1:{address[1]}")
        finally:
            for filler in fillers:
                filler.close()
    assert outcome(result) == ("connect", "connection_timeout", False)


async def test_a_pool_with_no_free_connection_sends_nothing() -> None:
    requests = 0

    async def play(peer: Peer) -> None:
        nonlocal requests
        await peer.hear()
        requests += 1
        await asyncio.sleep(3600)

    async with (
        server(play) as url,
        HttpWire(Budgets(connect=0.2, wait=1.0), max_connections=1) as wire,
    ):
        first = asyncio.create_task(wire.send(post(), Target(base_url=url)))
        await asyncio.sleep(0.1)
        second = await wire.send(post(), Target(base_url=url))
        assert outcome(await first) == ("wait", "http_response_timeout", True)
    assert outcome(second) == ("connect", "connection_limit_reached", False)
    assert requests == 1


def tls_server(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def polite(peer: Peer) -> None:
    while True:
        await peer.hear()
        await peer.say(REPLY)


async def test_tls_with_a_certificate_that_we_trust_works_and_is_timed() -> None:
    authority = trustme.CA()
    async with server(polite, tls_server(authority, "localhost")) as url:
        result = await ask(url, tls=trusting(authority))
    assert result.reply is not None
    assert result.timings_ms["tls"] > 0


async def test_when_the_certificate_ends_is_known_to_the_second_of_a_new_connection() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    authority.issue_cert("localhost", not_after=ends).configure_cert(context)
    async with server(polite, context) as url, HttpWire(QUICK, tls=trusting(authority)) as wire:
        first = await wire.send(post(), Target(base_url=url))
        second = await wire.send(get(), Target(base_url=url))
    assert first.certificate_until_s == int(ends.timestamp())
    assert second.reply is not None
    assert second.certificate_until_s == 0  # it went over the connection that stood


@pytest.mark.parametrize("name", ["localhost", "elsewhere.test"])
async def test_a_certificate_that_we_do_not_trust_ends_at_tls(name: str) -> None:
    """Once for an authority that nobody knows, once for another host's certificate."""
    authority = trustme.CA()
    trust = trusting(authority) if name != "localhost" else None
    async with server(polite, tls_server(authority, name)) as url:
        result = await ask(url, tls=trust)
    assert outcome(result) == ("tls", "tls_certificate_error", False)


async def test_a_certificate_that_has_expired_ends_at_tls() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    authority.issue_cert("localhost", not_after=past).configure_cert(context)
    async with server(polite, context) as url:
        result = await ask(url, tls=trusting(authority))
    assert outcome(result) == ("tls", "tls_certificate_error", False)
    assert result.failure is not None
    assert "expired" in result.failure.detail


async def test_a_peer_that_speaks_no_tls_ends_at_tls() -> None:
    async def play(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(play) as url:
        result = await ask(url.replace("http:", "https:"))
    assert outcome(result) == ("tls", "tls_protocol_error", False)


async def test_a_handshake_that_stalls_ends_at_tls() -> None:
    async def play(peer: Peer) -> None:
        await asyncio.sleep(3600)

    async with server(play) as url:
        result = await ask(url.replace("http:", "https:"))
    assert outcome(result) == ("tls", "connection_timeout", False)


async def test_a_reset_in_the_handshake_ends_at_tls() -> None:
    async def play(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.reset()

    async with server(play) as url:
        result = await ask(url.replace("http:", "https:"))
    assert outcome(result) == ("tls", "connection_terminated", False)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_peer_that_does_not_read_ends_at_send() -> None:
    async def play(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(3600)

    async with server(play) as url:
        result = await ask(url, post(b"x" * 30_000_000))
    assert outcome(result) == ("send", "connection_write_timeout", True)


async def test_silence_after_the_request_ends_at_wait() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await asyncio.sleep(3600)

    async with server(play) as url:
        result = await ask(url)
    assert outcome(result) == ("wait", "http_response_timeout", True)


@pytest.mark.parametrize("request_", [post(), get()], ids=["post", "get"])
async def test_a_reset_before_any_byte_is_not_sent_again(request_: WireRequest) -> None:
    seen = 0

    async def play(peer: Peer) -> None:
        nonlocal seen
        await peer.hear()
        seen += 1
        peer.reset()

    async with server(play) as url:
        result = await ask(url, request_)
    assert outcome(result) == ("wait", "connection_terminated", True)
    assert seen == 1


@pytest.mark.parametrize("request_", [post(), get()], ids=["post", "get"])
async def test_a_kept_connection_that_dies_with_the_request_is_a_doubt_and_not_sent_again(
    request_: WireRequest,
) -> None:
    seen = 0

    async def play(peer: Peer) -> None:
        nonlocal seen
        await peer.hear()
        await peer.say(REPLY)
        await peer.hear()
        seen += 1

    async with server(play) as url, HttpWire(QUICK) as wire:
        first = await wire.send(get(), Target(base_url=url))
        second = await wire.send(request_, Target(base_url=url))
    assert first.reply is not None
    assert "dns" not in second.timings_ms  # the connection was a kept one
    assert outcome(second) == ("wait", "connection_terminated", True)
    assert seen == 1


async def test_a_kept_connection_that_the_peer_has_closed_is_not_used() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(REPLY)

    async with server(play) as url, HttpWire(QUICK) as wire:
        for _ in range(3):
            result = await wire.send(post(), Target(base_url=url))
            assert result.reply is not None
            await asyncio.sleep(0.02)


async def test_connections_are_kept() -> None:
    connections: set[int] = set()

    async def play(peer: Peer) -> None:
        connections.add(peer.number)
        await polite(peer)

    async with server(play) as url, HttpWire(QUICK) as wire:
        for _ in range(5):
            assert (await wire.send(post(), Target(base_url=url))).reply is not None
    assert connections == {1}


async def test_a_head_that_drips_ends_at_wait() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        for byte in REPLY:
            await peer.say(bytes([byte]))
            await asyncio.sleep(0.05)

    async with server(play) as url:
        result = await ask(url)
    assert outcome(result) == ("wait", "http_response_timeout", True)


async def test_a_body_that_drips_ends_at_read() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            await peer.say(b"x")
            await asyncio.sleep(0.05)

    async with server(play) as url:
        result = await ask(url)
    assert outcome(result) == ("read", "connection_read_timeout", True)


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG = b"x" * 10_001


@pytest.mark.parametrize(
    ("said", "stage", "word"),
    [
        (HEAD + b"Content-Length: 100\r\n\r\nhalf", "read", "http_response_incomplete"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal", "read", "http_response_incomplete"),
        (HEAD + b"Content-Length: 10001\r\n\r\n" + LONG, "read", "http_response_body_size"),
        (HEAD + b"\r\n" + LONG, "read", "http_response_body_size"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "wait", "http_protocol_error"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "wait", "http_protocol_error"),
        (HEAD + b"X: " + b"y" * 100_000, "wait", "http_response_header_section_size"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", "wait", "http_protocol_error"),
        (b"HTTP/1.1 200 O", "wait", "connection_terminated"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "wait", "connection_terminated"),
    ],
    ids=[
        "cut", "cut-chunk", "oversize", "oversize-unannounced", "ssh", "tls-alert", "long-header",
        "two-lengths", "cut-head", "only-continue",
    ],
)  # fmt: skip
async def test_a_reply_that_cannot_be_trusted_is_a_doubt(
    said: bytes, stage: str, word: str
) -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(said)

    async with server(play) as url:
        result = await ask(url)
    assert outcome(result) == (stage, word, True)


async def test_a_body_of_exactly_the_bound_is_read() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(HEAD + b"Content-Length: 10000\r\n\r\n" + b"x" * 10_000)

    async with server(play) as url:
        result = await ask(url)
    assert result.reply is not None
    assert len(result.reply.body) == 10_000


async def test_a_redirect_is_a_reply_and_is_not_followed() -> None:
    seen: list[bytes] = []

    async def play(peer: Peer) -> None:
        seen.append(await peer.hear())
        await peer.say(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with server(play) as url:
        result = await ask(url)
    assert result.reply is not None
    assert result.reply.status == 307
    assert len(seen) == 1


async def test_cookies_and_proxies_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen: list[bytes] = []

    async def play(peer: Peer) -> None:
        for _ in range(2):
            seen.append(await peer.hear())
            await peer.say(HEAD + b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")

    async with server(play) as url, HttpWire(QUICK) as wire:
        for _ in range(2):
            assert (await wire.send(post(), Target(base_url=url))).reply is not None
    assert b"Cookie" not in seen[1]


async def test_a_packed_body_stays_packed() -> None:
    packed = gzip.compress(b"0" * 1_000_000)

    async def play(peer: Peer) -> None:
        await peer.hear()
        head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        await peer.say(head + packed)

    async with server(play) as url:
        result = await ask(url)
    assert result.reply is not None
    assert result.reply.body == packed


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_an_early_reply_is_the_reply_and_its_connection_is_not_used_again() -> None:
    connections: set[int] = set()

    async def play(peer: Peer) -> None:
        connections.add(peer.number)
        if peer.number > 1:
            await polite(peer)
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(3600)

    budgets = Budgets(send=2.0, wait=2.0)
    async with server(play) as url, HttpWire(budgets) as wire:
        early = await wire.send(post(b"x" * 30_000_000), Target(base_url=url))
        later = await wire.send(post(), Target(base_url=url))
    assert early.reply is not None
    assert early.reply.status == 413
    assert later.reply is not None
    assert later.reply.status == 200
    assert connections == {1, 2}


@pytest.mark.parametrize(
    ("base_url", "headers"),
    [
        ("http://localhost:1", (("X", "a\r\nInjected: 1"),)),
        ("http://", ()),
        ("ftp://localhost", ()),
        ("http://localhost:99999", ()),
        ("http://2130706433", ()),
    ],
)
async def test_a_request_that_cannot_be_said_is_never_sent(
    base_url: str, headers: tuple[tuple[str, str], ...]
) -> None:
    result = await ask(base_url, WireRequest(method="POST", path="/", headers=headers))
    assert result.failure is not None
    assert not result.failure.acquired


async def test_cancellation_is_not_swallowed_and_the_connection_is_not_kept() -> None:
    async def play(peer: Peer) -> None:
        if peer.number > 1:
            await polite(peer)
        await peer.hear()
        await asyncio.sleep(3600)

    async with server(play) as url, HttpWire(Budgets()) as wire:
        sending = asyncio.create_task(wire.send(post(), Target(base_url=url)))
        await asyncio.sleep(0.1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await wire.send(post(), Target(base_url=url))).reply is not None


async def test_the_total_bounds_every_stage() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await asyncio.sleep(3600)

    async with server(play) as url, asyncio.timeout(30):  # half of what one stage may take
        result = await ask(url, budgets=Budgets(wait=60, total=0.3))
    assert outcome(result) == ("wait", "http_response_timeout", True)
