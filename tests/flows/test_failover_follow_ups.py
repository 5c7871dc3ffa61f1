"""Captures, voids and refunds that fail through one version: rescued, watched, said, proposed."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, stage
from tests.flows.test_failover_streams import work

from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Watch
from tollkeeper.failover.streams import Stream
from tollkeeper.flows.failover import commands
from tollkeeper.kernel.errors import Invalid, ProviderRefused


async def captured(s: Stage, count: int) -> list[Any]:
    """Payments that are authorized, and captured two seconds later."""
    made = []
    for number in range(count):
        paid = await s.create(customer=f"c{s.clock.now_ms()}-{number}", capture_method="manual")
        await s.clock.advance(1)
        made.append(await s.capture(paid["id"]))
        for _ in range(4):
            await work(s)
            await s.clock.advance(0.5)
    return made


async def watched(s: Stage) -> Watch:
    found = await s.store.load_watch("stripe")
    assert found is not None
    return found


def refuses_captures(s: Stage, version: str = OLD) -> None:
    s.fault(
        "require_parameter", when="before", parameter="x", operation="payment_intents.capture",
        api_version=version[7:],
    )  # fmt: skip


async def through(s: Stage, payment: Any) -> list[str]:
    books = await s.books(payment["id"])
    return [a.integration for a in books.attempts if a.operation == "capture"]


async def test_a_fault_of_captures_is_proposed_and_moves_no_authorization(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        refuses_captures(s)
        made = await captured(s, 40)
        assert {p["status"] for p in made} == {"succeeded"}
        assert {p["integration"] for p in made} == {OLD}
        watch = await watched(s)
        assert watch.taken_out == ()
        assert not any(one.state.alarmed or one.state.share for one in watch.streams)
        assert s.runtime.live.routes.rules[-1].weights == {OLD: 100.0}
        (stream,) = watch.follow_ups
        assert (stream.operation, stream.owner, stream.proposed) == ("capture", OLD, True)
        assert stream.candidate in {MIDDLE, NEW}
        records = await s.store.list_failover_records("stripe", 1_000)
        (proposed,) = [record for record in records if record.kind == "proposed"]
        assert "tollkeeper failover follow-ups stripe@2022-08-01 capture" in proposed.reason
        assert all(record.is_same for record in records)
        tries = [await through(s, p) for p in made]
        assert [OLD, OLD] in [t[:2] for t in tries], "a coin sends some through it again"
        assert max(len(t) for t in tries) == 3
        await s.agreed()


async def test_an_operator_sends_captures_through_the_other_version(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        refuses_captures(s)
        await captured(s, 30)
        await commands.route_follow_ups(
            s.runtime, OLD, "capture", NEW, reason="it refuses captures", actor="test"
        )
        (paid,) = await captured(s, 1)
        assert (paid["integration"], await through(s, paid)) == (OLD, [NEW])
        watch = await watched(s)
        assert watch.follow_up_routes == {f"{OLD}#capture": NEW}
        assert not watch.follow_ups
        refunded = await s.refund(paid["id"])
        assert refunded["status"] in {"pending", "succeeded"}
        books = await s.books(paid["id"])
        assert books.attempts[-1].integration == OLD, "refunds were not moved"
        refuses_captures(s, NEW)
        s.core.faults.clear()
        refuses_captures(s, NEW)
        (paid,) = await captured(s, 1)
        assert await through(s, paid) == [NEW, OLD], "a refusal is rescued as before"
        await commands.route_follow_ups(
            s.runtime, OLD, "capture", "", reason="mended", actor="test"
        )
        (paid,) = await captured(s, 1)
        assert await through(s, paid) == [OLD]
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 500)
        assert "failover.follow_ups" in {event.type for event in told}
        await s.agreed()


async def test_captures_that_go_well_are_counted_and_told_of_no_one(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        await captured(s, 3)
        assert s.runtime.live.unfailed[f"{OLD}#capture"] == 3
        assert await s.store.load_watch("stripe") is None


async def test_where_every_version_refuses_captures_nothing_is_proposed(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(
            "require_parameter", when="before", parameter="x", operation="payment_intents.capture"
        )
        for _ in range(30):
            with contextlib.suppress(ProviderRefused):
                await captured(s, 1)
            for _ in range(4):
                await work(s)
                await s.clock.advance(0.5)
        (stream,) = (await watched(s)).follow_ups
        assert (stream.proposed, stream.state.none_works) == (False, True)
        await s.agreed()


async def test_replies_to_captures_that_another_version_reads_are_proposed_too(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        s.fault(
            "rename_field", object="payment_intent", path="status", to="renamed",
            operation="payment_intents.capture", api_version=OLD[7:],
        )  # fmt: skip
        made = await captured(s, 40)
        assert {p["status"] for p in made} == {"succeeded"}
        (stream,) = (await watched(s)).follow_ups
        assert stream.proposed
        await s.agreed()


@pytest.mark.parametrize(
    ("operation", "to", "said"),
    [("authorize", NEW, "no follow-up"), ("capture", "stripe@1999-01-01", "cannot take")],
)
async def test_what_cannot_be_routed_is_refused(
    tmp_path: Path, operation: str, to: str, said: str
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        with pytest.raises(Invalid, match=said):
            await commands.route_follow_ups(
                s.runtime, OLD, operation, to, reason="a test", actor="test"
            )


def test_follow_ups_are_never_a_stream_that_carries_everything() -> None:
    stream = Stream(carrying=OLD, candidate=NEW, state=State(rate=0.1), operation="capture")
    assert not stream.is_whole
