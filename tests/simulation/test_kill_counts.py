"""kill -9 of the real service: what was counted stays exact, but for the last second's counts."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from tollkeeper import app as root
from tollkeeper.testing.kill import Yard

SPARE_SECONDS = 20.0
"""How long a slow machine may take to write what a second's batch has."""


class Quiet(Yard):
    """A yard in which nothing goes wrong but the kill."""

    faults = ()

    async def pay(self, first: int, count: int) -> None:
        body = {"amount_minor": 1_000, "currency": "EUR", "payment_method": "pm_card_visa"}
        for number in range(first, first + count):
            assert await self._post("/v1/payments", body, f"pay-{number}") is not None

    async def counted_from(self, least: int) -> int:
        """What is counted, once it is so many or time is up; one batch more may follow."""
        for _ in range(int(SPARE_SECONDS)):
            if await self.counted() >= least:
                break
            await asyncio.sleep(1.0)
        await asyncio.sleep(2.0)
        return await self.counted()

    async def counted(self) -> int:
        """Attempts to authorize in the batches of all processes."""
        store = await root.open_store(root.read_settings(self.folder / "replica-0.toml"))
        try:
            now_s = store.now_ms() // 1000
            batches = await store.list_batches(now_s - 300, now_s + 1)
        finally:
            await store.close()
        return sum(
            line.tally.n
            for batch in batches
            for line in batch.counted
            if (line.cell.kind, line.cell.operation) == ("attempt", "authorize")
        )


async def _counts(yard: Quiet) -> tuple[int, int, int]:
    """What is counted before a kill, after it, and after more payments."""
    async with aiohttp.ClientSession() as yard.session:
        try:
            await yard.open()
            await yard.pay(0, 12)
            before = await yard.counted_from(12)
            await yard.pay(12, 3)
            await yard.replicas[0].end(signal.SIGKILL)
            killed = await yard.counted()
            await yard.start(0)
            await yard.pay(15, 5)
            return before, killed, await yard.counted_from(killed + 5)
        finally:
            await yard.close()


@pytest.mark.timeout(120)
def test_a_kill_loses_the_counts_of_its_last_second_alone(tmp_path: Path) -> None:
    yard = Quiet(tmp_path, str(tmp_path / "counts.sqlite3"), 1, 7)
    before, killed, after = asyncio.run(_counts(yard))
    assert before == 12
    assert 12 <= killed <= 15
    assert after == killed + 5
