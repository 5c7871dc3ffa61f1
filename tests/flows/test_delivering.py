"""Outgoing events: signed for every current secret, tried again, and never without a fate."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook
from tests.flows.stage import Stage, stage

from tollkeeper.flows.operations import retention
from tollkeeper.flows.webhooks import deliver, endpoints


async def with_endpoint(s: Stage) -> tuple[str, str]:
    made, secret = await endpoints.create_endpoint(s.runtime, "acc_1", "https://shop.example/h", "")
    return made.id, secret


async def test_events_are_signed_so_that_the_standards_library_accepts_them(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        endpoint, old = await with_endpoint(s)
        s.clock.now = time.time()  # the library has a clock of its own
        _, new = await endpoints.rotate_secret(s.runtime, "acc_1", endpoint, keep_previous=True)
        await s.create()
        await s.work(1)
        ((headers, body),) = s.hook.posted
        for secret in (old, new):
            assert Webhook(secret).verify(body, headers)["type"] == "payment.succeeded"
        (row,) = await s.store.list_deliveries(endpoint, 10)
        assert (row.state, row.tries, row.last_status) == ("delivered", 1, 200)
        assert headers["webhook-id"] == row.event_id


async def test_a_receiver_that_is_away_is_tried_again_and_at_last_given_up(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        endpoint, _ = await with_endpoint(s)
        s.hook.statuses = [500] * 99
        await s.create()
        await s.work(10 * 86_400)
        (row,) = await s.store.list_deliveries(endpoint, 10)
        assert (row.state, row.tries) == ("undeliverable", len(deliver.RETRY_SECONDS) + 1)
        assert len(s.hook.posted) == row.tries
        assert len({headers["webhook-id"] for headers, _ in s.hook.posted}) == 1


@pytest.mark.parametrize("how", ["gone", "ended"])
async def test_an_endpoint_that_is_gone_gets_nothing_more(tmp_path: Path, how: str) -> None:
    async with stage(tmp_path) as s:
        endpoint, _ = await with_endpoint(s)
        s.hook.statuses = [410]
        await s.create()
        if how == "ended":
            await endpoints.end_endpoint(s.runtime, "acc_1", endpoint)
        await s.work(3_600)
        (row,) = await s.store.list_deliveries(endpoint, 10)
        assert row.state == "undeliverable"
        assert len(s.hook.posted) == (1 if how == "gone" else 0)
        await s.agreed()


async def test_upkeep_expires_and_seals_and_puts_itself_off(tmp_path: Path) -> None:
    async with stage(tmp_path, answer_days=1, inbound_days=1) as s:
        await retention.plan(s.runtime)
        await retention.plan(s.runtime)
        key = s.key("k")
        await s.create(key=key)
        await s.work(2 * 86_400)
        known = await s.store.load_key("acc_1", "k")
        assert known is not None
        assert known.body is None
        jobs = await s.store.count_jobs()
        assert {kind: count for kind, (count, _) in jobs.items()} == {"expire": 1, "seal_audit": 1}
        assert all(due > s.clock.now_ms() - 1 for _, due in jobs.values())


async def test_a_secret_sealed_with_another_key_does_not_block_the_others(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        endpoint, _ = await with_endpoint(s)
        known = await s.store.load_endpoint(endpoint)
        assert known is not None
        await s.store.save_endpoint(replace(known, secrets=("bm90IG91cnM=", *known.secrets)))
        await s.create()
        await s.work(1)
        assert len(s.hook.posted) == 1
        await s.store.save_endpoint(replace(known, secrets=("bm90IG91cnM=",)))
        await s.create()
        await s.work(10 * 86_400)
        rows = await s.store.list_deliveries(endpoint, 10)
        assert sorted(row.state for row in rows) == ["delivered", "undeliverable"]
        assert len(s.hook.posted) == 1
