"""Upkeep: what is stored about the past has an end, and nothing that is owed or open has one."""

from pathlib import Path

from tests.flows.stage import Stage, stage

from tollkeeper.flows.operations import retention
from tollkeeper.flows.operations.retention import DAY_MS


async def counts(s: Stage) -> tuple[int, int]:
    exchanges = await s.store.page_exchanges("", 100)
    events = await s.store.list_events("acc_1", "evt_zzzz", 100)
    return len(exchanges), len(events)


async def test_masked_exchanges_and_events_end_and_doubtful_ones_stay(tmp_path: Path) -> None:
    async with stage(tmp_path, exchange_days=2.0, event_days=5.0) as s:
        await s.create()
        s.wire.pull("POST /v1/payment_intents", "lose")
        assert (await s.create())["_doubtful"]
        before = await counts(s)
        assert before[0] == 2
        assert before[1] > 0
        await retention.plan(s.runtime)
        for days, wanted in ((1, before), (3, (1, before[1])), (6, (1, 0))):
            s.clock.now = 1_700_000_000.0 + days * DAY_MS / 1000
            jobs = await s.store.claim_jobs(s.clock.now_ms(), 90_000, 16)
            [job] = [job for job in jobs if job.kind == "expire"]
            await retention.expire(s.runtime, job)
            assert await counts(s) == wanted
