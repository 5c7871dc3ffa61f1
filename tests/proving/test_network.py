"""The network of the proving ground: a relay whose levers strike, a resolver that can fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.proving.network import (
    WRONG,
    Lever,
    Names,
    Relay,
    address_in,
    question_of,
    read_name,
    reply_of,
)

NAMES = st.from_regex(r"[a-z]{1,20}(\.[a-z]{1,20}){0,3}", fullmatch=True)


@given(NAMES, st.integers(0, 0xFFFF), st.ip_addresses(v=4))
def test_a_question_is_answered_with_its_address(name: str, number: int, address: object) -> None:
    question = question_of(name, number)
    found, end = read_name(question, 12)
    assert (found, end) == (name, len(question))
    reply = reply_of(question, end, str(address))
    assert reply[:2] == question[:2]
    assert address_in(reply) == str(address)
    assert address_in(reply_of(question, end, None)) is None


@given(st.binary(max_size=100))
def test_any_datagram_is_survived(data: bytes) -> None:
    names = Names()
    if len(data) >= 12:
        names.datagram_received(data, ("127.0.0.1", 1))


async def asked(names: Names, name: str) -> str | None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes] = loop.create_future()

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.set_result(data)

    transport, _ = await loop.create_datagram_endpoint(
        Asking, remote_addr=("127.0.0.1", names.port)
    )
    transport.sendto(question_of(name, 7))
    try:
        async with asyncio.timeout(0.5):
            return address_in(await heard)
    finally:
        transport.close()


async def test_the_resolver_fails_as_it_is_told() -> None:
    names = Names(known={"provider.test": "127.0.0.1"})
    await names.start()
    try:
        assert await asked(names, "provider.test") == "127.0.0.1"
        assert await asked(names, "other.test") is None
        names.effects["provider.test"] = ("wrong", 1.0)
        assert await asked(names, "provider.test") == WRONG
        names.effects["provider.test"] = ("nxdomain", 1.0)
        assert await asked(names, "provider.test") is None
        names.effects = {"*": ("timeout", 1.0)}
        with pytest.raises(TimeoutError):
            await asked(names, "provider.test")
    finally:
        names.stop()


@asynccontextmanager
async def relayed() -> AsyncIterator[Relay]:
    """A relay before a server that answers each line with a hundred bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readline():
                writer.write(b"x" * 99 + b"\n")
        except ConnectionResetError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    relay = Relay(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
        server.close()


async def got(relay: Relay, seconds: float = 1.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    try:
        writer.write(b"go\n")
        async with asyncio.timeout(seconds):
            return await reader.read(1_000)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.transport.abort()
        await asyncio.sleep(0.01)


async def test_the_relay_carries_and_each_lever_strikes() -> None:
    async with relayed() as relay:
        assert len(await got(relay)) == 100
        relay.levers = [Lever("refuse")]
        assert await got(relay) in {b"", b"reset"}
        relay.levers = [Lever("cut", bytes=10)]
        assert len(await got(relay)) in {10, 5}
        relay.levers = [Lever("reset")]
        assert await got(relay) in {b"", b"reset"}
        relay.levers = [Lever("delay", seconds=0.3)]
        with pytest.raises(TimeoutError):
            await got(relay, 0.1)
        relay.levers = [Lever("blackhole")]
        with pytest.raises(TimeoutError):
            await got(relay, 0.2)
        relay.levers = []
        assert len(await got(relay)) == 100


async def test_a_relay_that_swallows_lets_no_connection_come_about() -> None:
    async with relayed() as relay:
        await relay.swallow()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.open_connection("127.0.0.1", relay.port)
        await relay.answer()
        assert len(await got(relay)) == 100
