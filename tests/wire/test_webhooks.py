"""Outgoing webhooks reach receivers, and nothing that is not one."""

import asyncio
import socket

import aiohttp.abc
import pytest
import trustme
from tests.wire.peers import QUICK, Peer, server
from tests.wire.test_provider import tls_server, trusting

from tollkeeper.flows.ports import HookResult
from tollkeeper.wire.addresses import prohibited
from tollkeeper.wire.exchange import exchange, open_session
from tollkeeper.wire.trip import Trip
from tollkeeper.wire.webhooks import HookSender, refusal

pytestmark = pytest.mark.usefixtures("loop_factory")


class Book(aiohttp.abc.AbstractResolver):
    """A name server with levers: each answer it gives, in turn; the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            aiohttp.abc.ResolveResult(
                hostname=host, host=address, port=port, family=0, proto=0, flags=0
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


async def accept(peer: Peer) -> None:
    await peer.hear()
    await peer.say(b"HTTP/1.1 204 No Content\r\n\r\n")


async def post(url: str, *, allow_loopback: bool = True, book: Book | None = None) -> HookResult:
    async with HookSender(allow_loopback=allow_loopback, budgets=QUICK, resolver=book) as hook:
        return await hook.post(url, (("webhook-id", "evt_1"),), b"{}")


async def test_a_webhook_arrives_with_its_headers_and_body() -> None:
    heard: list[bytes] = []

    async def play(peer: Peer) -> None:
        heard.append(await peer.hear())
        await peer.say(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with server(play) as url:
        assert await post(f"{url}/hooks?a=b") == HookResult(status=204)
    assert heard[0].startswith(b"POST /hooks?a=b HTTP/1.1\r\n")
    assert b"webhook-id: evt_1" in heard[0]
    assert heard[0].endswith(b"\r\n\r\n{}")


async def test_tls_is_verified() -> None:
    authority = trustme.CA()
    async with server(accept, tls_server(authority, "localhost")) as url:
        async with HookSender(allow_loopback=True, tls=trusting(authority)) as hook:
            assert (await hook.post(url, (), b"{}")).status == 204
        assert await post(url) == HookResult(status=0, error="tls_certificate_error at tls")


async def test_without_the_setting_this_machine_is_out_of_reach() -> None:
    connections = 0

    async def play(peer: Peer) -> None:
        nonlocal connections
        connections += 1

    async with server(play) as url:
        secure = url.replace("http:", "https:")
        for target in (secure, secure.replace("localhost", "127.0.0.1")):
            result = await post(target, allow_loopback=False)
            assert result == HookResult(status=0, error="destination_ip_prohibited at dns")
    assert connections == 0


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:169.254.169.254"], ["64:ff9b::7f00:1"]],
)
async def test_a_name_that_leads_inside_is_not_followed(addresses: list[str]) -> None:
    result = await post("https://hooks.test/", allow_loopback=False, book=Book(addresses))
    assert result == HookResult(status=0, error="destination_ip_prohibited at dns")


async def test_without_tls_only_this_machine_is_called() -> None:
    result = await post("http://hooks.test/", book=Book(["8.8.8.8"]))
    assert result == HookResult(status=0, error="destination_ip_prohibited at dns")


async def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    """A name server that changes its answer after the check is not asked a second time."""
    book = Book(["127.0.0.1"], ["10.0.0.1"])
    async with server(accept) as url:
        port = url.rpartition(":")[2]
        assert (await post(f"http://hooks.test:{port}/", book=book)).status == 204
    assert book.asked == 1


@pytest.mark.parametrize("host", ["①②⑦.0.0.1", "0x7f.0.0.1", "127.1", "2130706433", "[::1]"])
async def test_a_disguised_loopback_is_seen_through(host: str) -> None:
    """Even where the text of the URL was not looked at: the address decides."""
    session = open_session(max_connections=1, keepalive_seconds=0, resolver=None, tls=None)
    connections = 0

    async def play(peer: Peer) -> None:
        nonlocal connections
        connections += 1

    async with server(play) as url, session:
        result = await exchange(
            session,
            Trip(QUICK, has_body=False, permit=prohibited),
            "POST",
            f"http://{host}:{url.rpartition(':')[2]}/",
            headers=(),
            body=b"",
            max_reply_bytes=None,
        )
    assert result.failure is not None
    assert not result.failure.acquired
    assert connections == 0


async def test_a_redirect_is_not_followed() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n")

    async with server(play) as url:
        assert await post(url) == HookResult(status=302)


async def test_an_endless_answer_costs_nothing() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.say(b"x" * 65_536)

    async with server(play) as url:
        assert await post(url) == HookResult(status=200)


async def test_a_silent_receiver_is_given_up_on() -> None:
    async def play(peer: Peer) -> None:
        await peer.hear()
        await asyncio.sleep(3600)

    async with server(play) as url:
        assert await post(url) == HookResult(status=0, error="http_response_timeout at wait")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.test/", "ftp://hooks.test/", "//hooks.test/", "hooks.test", "", "https://",
        "https://user:secret@hooks.test/", "https://hooks.test:99999/", "https://hooks.test:0/",
        "https://hooks.test/ ", "https://hooks.test/\r\nX: y", "https://①②⑦.0.0.1/", "https://[::1",
        "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://[64:ff9b::7f00:1]/",
        "https://hooks.test/" + "x" * 2048, "javascript:alert(1)", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_url_that_is_no_endpoint_is_refused_from_its_text(url: str) -> None:
    assert refusal(url, allow_loopback=False) is not None


async def test_a_refused_url_is_not_posted_to() -> None:
    result = await post("http://127.0.0.1:1/", allow_loopback=False)
    assert result.status == 0
    assert result.error.startswith("http_request_denied")


@pytest.mark.parametrize("url", ["https://hooks.test", "https://hooks.test:8443/a?b=c#d"])
def test_an_https_url_is_an_endpoint(url: str) -> None:
    assert refusal(url, allow_loopback=False) is None
