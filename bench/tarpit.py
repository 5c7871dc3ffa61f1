"""Whether what hangs delays what does not: webhook receivers of one account, and the provider.

`./dev bench tarpit` runs two measurements over loopback, on SQLite. First an account whose sixteen
webhook receivers never answer pays all the time; how long does a doubtful payment of another
account take to settle, beside the same without those receivers? Then the provider hangs while
payments go on; how long do reads and a provider's webhooks take? Prints one row each.
Example: `./dev bench tarpit --rounds 5 --json`
"""

import argparse
import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import rig

from tollkeeper import app as root
from tollkeeper.flows.operations.keys import create_key

RECEIVERS = 16
PAYMENTS_OF_THE_TARPIT = 24
PATIENCE_SECONDS = 60.0
PAYMENTS_A_SECOND = 40
HANG_SECONDS = 12.0
SETTINGS = """
webhooks_to_loopback = true
[timeouts]
wait_seconds = 8.0
total_seconds = 10.0
"""
CLEAR = b"DELETE /_control/faults HTTP/1.1\r\nhost: bench\r\n\r\n"
INBOUND = "/v1/inbound/stripe/2022-11-15"


@contextlib.asynccontextmanager
async def tarpit() -> AsyncIterator[str]:
    """The address of a receiver that takes a request and never answers."""
    held: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(take, "127.0.0.1", 0, family=socket.AF_INET)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.close()


async def secret_of(config: Path, account: str) -> str:
    """A new key of `account`, in the database of the service that runs."""
    async with root.Service(root.read_settings(config), work=False) as opened:
        _, secret = await create_key(opened.runtime, account, "admin", "tarpit")
    return secret


def payment(secret: str, key: str) -> bytes:
    headers = {"authorization": f"Bearer {secret}", "idempotency-key": key}
    return rig.post("/v1/payments", rig.purchase(1), headers)


async def ask(port: int, request: bytes) -> tuple[int, Any]:
    async with rig.connections(port, 1) as (connection,):
        status, body = await connection.ask(request)
        return status, msgspec.json.decode(body)


async def fault(provider: str, **fields: Any) -> None:
    port = int(provider.rpartition(":")[2])
    status, told = await ask(port, rig.post("/_control/faults", fields, {}))
    assert status == 200, told


async def settling_ms(ours: rig.Service, provider: str, secret: str, key: str) -> float:
    """How long one payment in doubt takes to become known, from its answer."""
    await fault(provider, effect="reset", when="after", probability=1.0)  # looks fail as well
    status, made = await ask(ours.port, payment(secret, key))
    assert status == 202, made
    await ask(int(provider.rpartition(":")[2]), CLEAR)
    began = time.perf_counter()
    request = rig.get(f"/v1/payments/{made['id']}", secret)
    while time.perf_counter() - began < PATIENCE_SECONDS:
        _, now = await ask(ours.port, request)
        if now["outcome"] == "known":
            return (time.perf_counter() - began) * 1000
        await asyncio.sleep(0.01)
    return float("inf")


async def receivers(ours: rig.Service, provider: str, config: Path, rounds: int) -> Any:
    quiet, noisy = await secret_of(config, "quiet"), await secret_of(config, "noisy")

    async def measure(name: str) -> list[float]:
        return [
            await settling_ms(ours, provider, quiet, f"{name}-{number}") for number in range(rounds)
        ]

    control = await measure("control")
    async with tarpit() as address:
        for number in range(RECEIVERS):
            headers = {"authorization": f"Bearer {noisy}"}
            body = {"url": f"{address}/{number}"}
            status, told = await ask(ours.port, rig.post("/v1/webhook_endpoints", body, headers))
            assert status == 201, told
        requests = [payment(noisy, f"noisy-{n}") for n in range(PAYMENTS_OF_THE_TARPIT)]
        await rig.drive(ours.port, requests, 4)
        await asyncio.sleep(1.0)  # deliveries begin to hang
        beside = await measure("beside")
    middle, usual = statistics.median(beside), statistics.median(control)
    return {
        "measured": f"settling beside {RECEIVERS} hanging receivers",
        "control_ms": round(usual, 1),
        "beside_ms": round(middle, 1),
        "worst_ms": round(max(beside), 1),
        "ratio": round(middle / usual, 2),
        "requests": rounds,
    }


async def latencies(ours: rig.Service, request: bytes, until: float) -> list[float]:
    """Milliseconds of one request after another, each with a pause."""
    took = []
    async with rig.connections(ours.port, 1) as (connection,):
        while time.perf_counter() < until:
            began = time.perf_counter()
            status, _ = await connection.ask(request)
            took.append((time.perf_counter() - began) * 1000)
            assert status in {200, 400}, status  # 400: the webhook's signature was looked at
            await asyncio.sleep(0.02)
    return took


async def hanging_provider(ours: rig.Service, provider: str, name: str, *, hangs: bool) -> Any:
    if hangs:
        await fault(provider, effect="drop", when="before", probability=1.0)
    end = time.perf_counter() + HANG_SECONDS

    async def pay() -> list[int]:
        waiting = []
        number = 0
        while time.perf_counter() < end:
            number += 1
            request = payment(ours.secret, f"{name}-{number}")
            waiting.append(asyncio.create_task(ask(ours.port, request)))
            await asyncio.sleep(1 / PAYMENTS_A_SECOND)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        return [answer[0] for answer in answers if not isinstance(answer, BaseException)]

    paying, pages, webhooks = await asyncio.gather(
        pay(),
        latencies(ours, rig.get("/v1/payments?limit=20", ours.secret), end),
        latencies(ours, rig.post(INBOUND, {}, {}), end),
    )
    return {
        "measured": name,
        "get_p50_ms": round(statistics.median(pages), 2),
        "get_p99_ms": round(statistics.quantiles(pages, n=100)[98], 2),
        "webhook_p99_ms": round(statistics.quantiles(webhooks, n=100)[98], 2),
        "refused": sum(status == 503 for status in paying),
        "requests": len(pages) + len(webhooks),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--rounds", type=int, default=9, help="doubtful payments each")
    given = options.parse_args()
    with rig.workplace() as folder:
        database = str(folder / "tarpit.sqlite3")
        with (
            rig.simulator(folder) as provider,
            rig.service(folder, database, provider, SETTINGS) as ours,
        ):
            config = folder / f"service-{ours.port}.toml"
            settling = rig.run(lambda: receivers(ours, provider, config, given.rounds))
            rig.say("receivers done; now the provider")
            healthy = rig.run(lambda: hanging_provider(ours, provider, "healthy", hangs=False))
            hanging = rig.run(lambda: hanging_provider(ours, provider, "hanging", hangs=True))
    rig.show([settling], as_json=given.json)
    rig.show([healthy, hanging], as_json=given.json)


if __name__ == "__main__":
    main()
