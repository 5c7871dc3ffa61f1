"""The bare provider call, for comparison: our client sends a payment's request and nothing else.

Started by the other measurements in a process of its own; prints CPU and latency a call as JSON.
"""

import argparse
import asyncio
import sys
import time

import msgspec
import uvloop

from tollkeeper.flows.ports import Target
from tollkeeper.integrations.stripe.v2022_11_15 import INTEGRATION
from tollkeeper.integrations.version import OperationInput, WireRequest
from tollkeeper.wire.provider import HttpWire

PROVIDER_KEY = "sk_test_tollkeeper"
WARM = 200


def requests(name: str, count: int) -> list[WireRequest]:
    return [
        INTEGRATION.request(
            "authorize",
            OperationInput(
                payment_id=f"pay_{name}{number:024}",
                attempt_id=f"att_{name}{number:024}",
                amount_minor=1000 + number % 9000,
                currency="EUR",
                payment_method="pm_card_visa",
                return_url="http://127.0.0.1:8080/v1/return/pay_1",
            ),
        )
        for number in range(count)
    ]


async def send_all(
    wire: HttpWire, target: Target, work: list[WireRequest], at_once: int
) -> list[float]:
    left, latencies = iter(work), []

    async def caller() -> None:
        for request in left:
            began = time.perf_counter()
            result = await wire.send(request, target)
            latencies.append((time.perf_counter() - began) * 1000)
            assert result.reply is not None, result
            assert result.reply.status == 200, result

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return latencies


async def measure(url: str, count: int, at_once: int) -> dict[str, float]:
    target = Target(base_url=url, headers=INTEGRATION.credentials({"secret_key": PROVIDER_KEY}))
    async with HttpWire() as wire:
        await send_all(wire, target, requests(f"w{at_once}", WARM), at_once)
        work = requests(f"c{at_once}", count)
        before = time.process_time()
        latencies = sorted(await send_all(wire, target, work, at_once))
        spent = time.process_time() - before
    return {
        "cpu_ms": spent / count * 1000,
        "p50_ms": latencies[count // 2],
        "p99_ms": latencies[int(count * 0.99)],
    }


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("--calls", type=int, default=2000)
    options.add_argument("--at-once", type=int, default=1)
    given = options.parse_args()
    found = uvloop.run(measure(given.url, given.calls, given.at_once))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
