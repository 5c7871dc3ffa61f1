"""The core repeats itself: the same seed and the same requests give the same bytes, always."""

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.simulator.stage import merchant

from tollkeeper.simulator.stripe.config import SimulatorConfig

ROOT = Path(__file__).parents[2]


async def _story() -> str:
    """A busy hour, as a digest of every reply and of the books."""
    received: list[bytes] = []

    async def deliver(url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        received.append(repr(headers).encode() + body)
        return 200 if len(received) % 3 else 500

    shop = merchant(config=SimulatorConfig(latency_seconds=0.2), deliver=deliver)
    running = asyncio.ensure_future(shop.core.run())
    shop.core.world.issuer.approve_rate = 0.7
    await shop.fault("slow_tail", seconds=3, fraction=0.2)
    await shop.fault("late_effect", seconds=9, probability=0.1)
    hooks = {"url": "https://a.example", "enabled_events[]": "*"}
    asyncio.ensure_future(shop.post("/v1/webhook_endpoints", hooks))  # noqa: RUF006 - short-lived
    tasks = []
    for number in range(60):
        method = "manual" if number % 3 else "automatic"
        key = f"key-{number % 50}"
        tasks.append(asyncio.ensure_future(shop.pay(idempotency_key=key, capture_method=method)))
        await shop.clock.advance(0.7)
    await shop.clock.advance(3600)
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(repr(task.result().reply).encode())
    for body in received:
        digest.update(body)
    digest.update(repr(shop.core.ledger()).encode())
    running.cancel()
    return digest.hexdigest()


async def test_the_same_seed_tells_the_same_story_twice() -> None:
    assert await _story() == await _story()


def test_the_order_of_hashes_changes_nothing() -> None:
    code = (
        "import asyncio\n"
        "from tests.simulator.test_repeatability import _story\n"
        "print(asyncio.run(_story()))"
    )
    digests = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        digests.add(ran.stdout)
    assert len(digests) == 1
