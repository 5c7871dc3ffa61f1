"""Rollouts end to end over the real store and the provider's core: routes, evidence, rollback."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage, version_of

from tollkeeper.app import handlers
from tollkeeper.flows import routes
from tollkeeper.flows.rollouts import commands, controller, explain, starting
from tollkeeper.kernel.errors import Conflict, GateClosed, Invalid
from tollkeeper.rollouts.rollout import Plan, Rollout
from tollkeeper.testing.misread import misreading

PLAN = Plan(
    steps_percent=(50, 100), dwell_seconds=0.5, shadow_payments=2, floor_percent=50, alpha=0.01
)


async def begin(at: Stage, plan: Plan = PLAN, candidate: str = NEW) -> Rollout:
    return await starting.begin_rollout(
        at.runtime, candidate, plan, override="a test", actor="test"
    )


async def work(at: Stage) -> None:
    """Everything that is due; the controller looks once."""
    run = handlers(at.runtime)
    now_ms = at.store.now_ms()
    for job in await at.store.claim_jobs(now_ms, 30_000, 500):
        if job.kind != "advance":
            await run[job.kind](job)
            continue
        found = await controller.look(at.runtime, job)
        if found is not None and found.is_active:
            await at.store.postpone_job(job, at.store.now_ms())
        else:
            await controller.advance(at.runtime, job)


async def shop(at: Stage, count: int, first: int = 0, **fields: Any) -> list[Any]:
    bought = []
    for number in range(first, first + count):
        bought.append(await at.create(customer=f"c{number}", **fields))
        at.clock.now += 0.05
    await work(at)
    return bought


async def running(at: Stage, plan: Plan = PLAN) -> Rollout:
    made = await begin(at, plan)
    await shop(at, 4)
    found = await commands.load_rollout(at.runtime, made.id)
    assert found.status == "running", found.waiting
    return found


async def test_the_shadow_sends_nothing_and_reads_live_replies(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await begin(at, replace(PLAN, shadow_payments=6))
        await shop(at, 5)
        assert {version_of(request) for request in at.wire.posts()} == {MIDDLE.partition("@")[2]}
        found = await commands.load_rollout(at.runtime, made.id)
        assert (found.status, found.shadows.computed) == ("shadow", 5)
        await shop(at, 2, first=10)
        found = await commands.load_rollout(at.runtime, made.id)
        assert found.status == "running"


async def test_a_healthy_candidate_is_promoted_and_takes_everything(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        for number in range(1, 250):
            await shop(at, 20, first=number * 100)
            at.clock.now += 5
            if (await commands.load_rollout(at.runtime, made.id)).status == "promoted":
                break
        found = await commands.load_rollout(at.runtime, made.id)
        assert found.status == "promoted", found.waiting
        paid = await shop(at, 5, first=90_000)
        assert {payment["integration"] for payment in paid} == {NEW}
        explained = await explain.explain(at.runtime, made.id)
        assert explained.same
        await at.agreed()


async def test_a_late_rollback_restores_the_routes_from_before(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        await commands.promote(at.runtime, made.id, reason="on my word", actor="test")
        assert {p["integration"] for p in await shop(at, 3, first=50)} == {NEW}
        await commands.roll_back(at.runtime, made.id, reason="slow refunds", actor="test")
        assert {p["integration"] for p in await shop(at, 3, first=60)} == {MIDDLE}
        with pytest.raises(Conflict):
            await commands.roll_back(at.runtime, made.id, reason="again", actor="test")


async def test_a_rollback_after_the_watch_still_looks_up_what_the_version_took(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, watch_seconds=1))
        await commands.promote(at.runtime, made.id, reason="on my word", actor="test")
        (taken, *_) = await shop(at, 3, first=50)
        at.clock.now += 5
        for _ in range(3):
            await work(at)
        assert not (await commands.load_rollout(at.runtime, made.id)).is_active
        assert "advance" not in await at.store.count_jobs()
        await commands.roll_back(at.runtime, made.id, reason="slow refunds", actor="test")
        for _ in range(4):
            await work(at)
            await at.clock.advance(1)
        books = await at.store.load_books(taken["id"])
        assert books is not None
        assert (books.payment.integration, books.payment.moved_from) == (MIDDLE, NEW)


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": "sunset", "when": "before", "status": 410},
        {"effect": "require_parameter", "when": "before", "parameter": "mandate_data"},
        {"effect": "ignore_version", "when": "before", "to": OLD.partition("@")[2]},
    ],
    ids=lambda fault: fault["effect"],
)
async def test_a_broken_candidate_is_taken_out_and_no_shopper_sees_it(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        at.fault(**fault, operation="payment_intents.create", api_version=NEW.partition("@")[2])
        bought = []
        for number in range(1, 30):
            bought += await shop(at, 4, first=number * 100)
            if (await commands.load_rollout(at.runtime, made.id)).status == "rolled_back":
                break
        found = await commands.load_rollout(at.runtime, made.id)
        assert found.status == "rolled_back", found.waiting
        assert found.share_ppm == 0
        assert {payment["status"] for payment in bought} == {"succeeded"}
        assert not any(payment["_doubtful"] for payment in bought)
        assert {p["integration"] for p in await shop(at, 5, first=9_000)} == {MIDDLE}
        await at.agreed()


async def test_a_reply_in_doubt_is_never_sent_again_and_settles_through_the_baseline(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, rescue_seconds=0) as at:
        await running(at)
        at.fault(
            "rename_field", object="payment_intent", path="status", to="state",
            operation="payment_intents.*", api_version=NEW.partition("@")[2],
        )  # fmt: skip
        bought = await shop(at, 12, first=100)
        doubtful = [payment for payment in bought if payment["_doubtful"]]
        assert doubtful
        creates = [r for r in at.wire.posts() if r.path == "/v1/payment_intents"]
        assert len(creates) == 16
        for _ in range(12):
            await at.clock.advance(2)
            await work(at)
        await at.agreed()


async def test_one_misread_payment_takes_a_candidate_out_and_is_corrected(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW, "declined"))
        made = await running(at)
        bought = await shop(at, 8, first=100)
        misread = [p for p in bought if p["status"] == "failed"]
        assert misread, "the candidate took captured for declined"
        for _ in range(8):
            await at.clock.advance(2)
            await work(at)
        found = await commands.load_rollout(at.runtime, made.id)
        assert found.status == "rolled_back"
        assert "cross-read" in found.reason
        books = await at.store.load_books(misread[0]["id"])
        assert books is not None
        assert (books.payment.status, books.payment.integration) == ("succeeded", MIDDLE)
        await at.agreed()


async def test_a_charge_that_was_to_be_captured_at_once_is_not_believed_to_be_a_hold(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        alter(at.runtime, installed=misreading(at.runtime.installed, NEW))
        await running(at)
        bought = await shop(at, 8, first=100)
        assert {p["status"] for p in bought} == {"succeeded"}
        await at.agreed()


async def test_the_gate_asks_for_a_passing_check_or_a_reason(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        with pytest.raises(GateClosed):
            await starting.begin_rollout(at.runtime, NEW, PLAN, actor="test")
        made = await starting.begin_rollout(at.runtime, NEW, PLAN, override="known", actor="test")
        (first,) = await explain.all_records(at.runtime, made.id)
        assert "gate overridden: known" in first.detail


async def test_what_cannot_be_rolled_out_is_refused(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as at:
        with pytest.raises(Invalid, match="not installed"):
            await begin(at, candidate="stripe@1999-01-01")
        with pytest.raises(Conflict, match="carries 100 %"):
            await begin(at, candidate=MIDDLE)
        for steps in ((), (5, 5), (100,), (0, 5), (50, 120)):
            with pytest.raises(Invalid):
                await begin(at, replace(PLAN, steps_percent=steps))
        await begin(at)
        with pytest.raises(Conflict, match="another rollout"):
            await begin(at, candidate=OLD)


async def test_the_kill_switch_needs_no_controller(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at)
        other = at.replica("second")
        await routes.refresh(other)
        (stopped,) = await commands.stop_all(other, reason="incident", actor="test")
        assert (stopped.id, stopped.status, stopped.share_ppm) == (made.id, "stopped", 0)
        await routes.refresh(at.runtime)
        assert {p["integration"] for p in await shop(at, 6, first=100)} == {MIDDLE}


async def test_a_canary_without_a_controller_falls_back_when_its_share_runs_out(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as at:
        await running(at)
        at.clock.now += 11
        for number in range(6):
            payment = await at.create(customer=f"late-{number}")
            assert payment["integration"] == MIDDLE


async def test_three_failures_in_a_row_pause_a_canary_on_this_replica(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, most_outstanding=50))
        at.fault("sunset", when="before", status=410, api_version=NEW.partition("@")[2])
        number = 0
        while not at.runtime.live.is_tripped(made.id):
            number += 1
            assert number < 40
            await at.create(customer=f"trip-{number}")
        assert {(await at.create(customer=f"x-{n}"))["integration"] for n in range(6)} == {MIDDLE}


async def test_a_gate_waits_and_an_approval_opens_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, replace(PLAN, pause_at=(50,)))
        for number in range(1, 250):
            await shop(at, 20, first=number * 100)
            at.clock.now += 5
            found = await commands.load_rollout(at.runtime, made.id)
            if "approval" in found.waiting:
                break
        assert found.status == "running"
        assert "approval" in found.waiting
        await commands.approve(at.runtime, made.id, actor="test")
        await shop(at, 20, first=9_000)
        assert (await commands.load_rollout(at.runtime, made.id)).status == "promoted"
