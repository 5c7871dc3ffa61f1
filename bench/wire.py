"""CPU per request of our wire, beside aiohttp alone and aiohttp with empty trace hooks.

One process sends 4,000 POSTs over one kept connection to a peer in another process; only the
sender's CPU counts. `./dev bench wire` prints the best of three rounds in microseconds.
"""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Awaitable, Callable
from typing import cast

import aiohttp
import uvloop

from tollkeeper.flows.ports import Target
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.provider import HttpWire

REQUESTS = 4_000
ROUNDS = 3
REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1500\r\n\r\n"
    + b"x" * 1500
)
BODY = b"amount=100&currency=eur&confirm=true&" * 6
HEADERS = (
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Idempotency-Key", "att_1"),
    ("Stripe-Version", "2022-11-15"),
)
CREDENTIALS = (("Authorization", "Bearer sk_test"),)
HOOKS = ("on_request_start", "on_request_headers_sent", "on_request_chunk_sent", "on_request_end")


class Peer(asyncio.Protocol):
    """Answers whatever it hears, at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.transport.write(REPLY)


def serve(listening: socket.socket) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Peer, sock=listening)
        await server.serve_forever()

    uvloop.run(forever())


async def best(once: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of CPU per call, the best round."""
    figures = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            await once()
        figures.append((time.process_time() - started) / REQUESTS * 1e6)
    return min(figures)


async def ours(url: str) -> float:
    request = WireRequest(method="POST", path="/v1/payment_intents", headers=HEADERS, body=BODY)
    target = Target(base_url=url, headers=CREDENTIALS)
    async with HttpWire() as wire:
        assert (await wire.send(request, target)).reply is not None
        return await best(lambda: wire.send(request, target))


async def bare(url: str, *, hooks: tuple[str, ...] = ()) -> float:
    async def heard(*_: object) -> None: ...

    tracing = aiohttp.TraceConfig()
    for hook in hooks:
        getattr(tracing, hook).append(heard)
    configs = [tracing] if hooks else []
    async with aiohttp.ClientSession(trace_configs=configs) as session:

        async def once() -> bytes:
            address = f"{url}/v1/payment_intents"
            headers = dict(HEADERS + CREDENTIALS)
            async with session.post(address, data=BODY, headers=headers) as reply:
                return await reply.read()

        return await best(once)


async def measure(url: str) -> None:
    print(f"wire                  {await ours(url):6.1f} µs")
    print(f"aiohttp               {await bare(url):6.1f} µs")
    print(f"aiohttp, empty hooks  {await bare(url, hooks=HOOKS):6.1f} µs")


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = multiprocessing.Process(target=serve, args=(listening,), daemon=True)
        peer.start()
        uvloop.run(measure(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        peer.terminate()
        peer.join()
