"""Comparing a payment with what another version sees, where the provider has changed it since."""

from pathlib import Path
from typing import Any

import pytest
from tests.altering import alter
from tests.flows.stage import MIDDLE, PROVIDER_KEY, Stage, stage

from tollkeeper.flows.failover.checking import check
from tollkeeper.flows.ports import Job, TrialRow
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.testing.misread import misreading


async def checked(s: Stage, id_: str) -> list[TrialRow]:
    """What looking the payment up says of the versions."""
    await check(s.runtime, Job(kind="failover_check", subject=f"{MIDDLE}|{id_}", fence=0, tries=9))
    return [row for row in await s.store.list_trials("stripe", 0, "", 99) if row.verdict]


async def captured_by_hand(s: Stage, held: Any) -> None:
    headers = [("authorization", f"Bearer {PROVIDER_KEY}")]
    path = f"/v1/payment_intents/{held['provider_id']}/capture"
    reply = await s.core.handle(SimRequest("POST", path, "", headers, b""))
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("ends", ["expires", "is captured by hand"])
async def test_a_hold_that_ends_at_the_provider_was_not_misread(tmp_path: Path, ends: str) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        if ends == "expires":
            await s.control(f"intents/{held['provider_id']}/expire")
        else:
            await captured_by_hand(s, held)
        assert [(r.version, r.verdict) for r in await checked(s, held["id"])] == [
            (MIDDLE, "agreed")
        ]
        await s.work(60)
        books = await s.books(held["id"])
        assert books.payment.status == ("canceled" if ends == "expires" else "succeeded")
        assert books.payment.integration == MIDDLE
        await s.agreed()


async def test_a_capture_that_is_taken_for_a_hold_was_misread(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        alter(s.runtime, installed=misreading(s.runtime.installed, MIDDLE))
        held = await s.held()
        await captured_by_hand(s, held)
        assert [(r.version, r.verdict) for r in await checked(s, held["id"])] == [
            (MIDDLE, "disagreed")
        ]
        assert (await s.books(held["id"])).payment.status == "succeeded"


async def test_while_its_own_version_is_silent_a_hold_that_ended_says_nothing(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        held = await s.held()
        await s.control(f"intents/{held['provider_id']}/expire")
        s.fault("drop", when="before", operation="*", api_version=MIDDLE.partition("@")[2])
        assert await checked(s, held["id"]) == []
