"""While no installed version works, new payments are sent, held or refused, as the policy says."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import NEW, OLD, Stage, stage
from tests.flows.test_failover import watched
from tests.flows.test_failover_streams import rest, shop

from tollkeeper.flows import routes
from tollkeeper.flows.payments import holding
from tollkeeper.kernel.errors import NoVersionWorks


def policy(s: Stage, none_works: str, **fields: Any) -> None:
    mine = replace(s.settings.providers["stripe"], none_works=none_works, **fields)
    alter(s.runtime, settings=replace(s.settings, providers={"stripe": mine}))


async def broken_for_all(s: Stage) -> None:
    """Until the watch says that no version works."""
    s.fault("require_parameter", when="before", parameter="x", operation="*.create")
    for _ in range(60):
        await shop(s, 1)
        watch = await s.store.load_watch("stripe")
        if watch is not None and any(one.state.none_works for one in watch.wholes):
            return
    raise AssertionError("nobody noticed")


async def test_by_default_payments_are_sent_as_ever(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        await broken_for_all(s)
        bought = await shop(s, 10)
        assert {p["status"] for p in bought} == {"failed"}


async def test_a_pause_refuses_and_keeps_nothing_until_a_version_works(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "pause")
        await broken_for_all(s)
        assert (await s.create())["status"] == "failed", "a probe"
        before = len(s.core.ledger().intents)
        with pytest.raises(NoVersionWorks) as refused:
            await s.create()
        assert refused.value.retry_after_seconds == 10
        assert len(s.core.ledger().intents) == before
        s.core.faults.clear()
        paid: list[Any] = []
        for _ in range(60):
            try:
                paid += await shop(s, 1)
            except NoVersionWorks:
                await rest(s, 2)
        assert {p["status"] for p in paid} == {"succeeded"}
        assert len(paid) > 20
        assert not any(one.state.none_works for one in (await watched(s)).streams)
        told = await s.store.list_events(s.settings.watch_account, "evt_~", 500)
        assert {"failover.none_works", "failover.works_again"} <= {event.type for event in told}
        await s.agreed()


async def test_a_replay_of_a_payment_that_was_made_is_not_refused(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "pause")
        key = s.key("mine")
        made = await s.create(key=key)
        await broken_for_all(s)
        await s.create()
        again = await s.create(key=key)
        assert (again["id"], again["_replayed"]) == (made["id"], True)


async def held(s: Stage, count: int) -> list[Any]:
    await broken_for_all(s)
    await s.create()  # a probe may go first
    bought = [await s.create() for _ in range(count)]
    assert {(p["status"], p["_doubtful"]) for p in bought} == {("processing", True)}
    return bought


async def test_a_repetition_of_an_accepted_payment_gets_the_payment(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept")
        await held(s, 1)
        key = s.key("mine")
        made = await s.create(key=key)
        again = await s.create(key=key)
        assert (again["id"], again["_replayed"], again["_doubtful"]) == (made["id"], True, True)
        s.core.faults.clear()
        await shop(s, 20)
        await rest(s, 60)
        later = await s.create(key=key)
        assert (later["id"], later["status"]) == (made["id"], "succeeded")


async def test_accepted_payments_are_sent_when_a_version_works_again(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept")
        bought = await held(s, 5)
        asked = len(s.wire.posts())
        await rest(s, 20)
        assert len(s.wire.posts()) == asked, "nothing is sent meanwhile"
        s.core.faults.clear()
        await shop(s, 20)
        await rest(s, 60)
        books = [await s.books(p["id"]) for p in bought]
        assert Counter(b.payment.status for b in books) == {"succeeded": 5}
        await s.agreed()


async def test_accepted_payments_go_through_the_version_that_carries_traffic_by_then(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept")
        one = {name: version for name, version in s.runtime.installed.items() if name == OLD}
        everything = dict(s.runtime.installed)
        alter(s.runtime, installed=one)
        bought = await held(s, 3)
        s.core.faults.clear()
        alter(s.runtime, installed=everything)
        await routes.set_weights(s.runtime, {NEW: 100.0}, reason="a repair", actor="test")
        await rest(s, 30)
        books = [await s.books(p["id"]) for p in bought]
        assert {b.payment.status for b in books} == {"succeeded"}
        assert {b.payment.integration for b in books} == {NEW}
        await s.agreed()


async def test_an_accepted_payment_fails_when_its_time_is_over_and_nothing_was_sent(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept", accept_seconds=20.0)
        bought = await held(s, 3)
        intents = len(s.core.ledger().intents)
        await rest(s, 120)
        books = [await s.books(p["id"]) for p in bought]
        assert {b.payment.status for b in books} == {"failed"}
        assert Counter(b.payment.failure_code for b in books)["not_sent"] == 3
        assert len(s.core.ledger().intents) == intents
        await s.agreed()


async def test_a_held_payment_whose_process_died_is_settled(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept")
        (bought,) = await held(s, 1)
        for job in await s.store.claim_jobs(s.clock.now_ms() + 5_000, 1, 100):
            if job.kind == "send_held":
                await s.store.finish_job(job)
        s.core.faults.clear()
        await rest(s, 120)
        books = await s.books(bought["id"])
        assert books.payment.status == "succeeded"
        await s.agreed()


async def test_a_held_payment_that_was_sent_is_settled_and_never_sent_through_another(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        policy(s, "accept")
        (bought,) = await held(s, 1)
        s.core.faults.clear()
        dead = s.replica("second", alone=False)
        alter(dead, settings=s.runtime.settings)
        await routes.refresh(dead)

        class DiedError(Exception):
            pass

        async def die(*_: Any) -> None:
            raise DiedError

        s.wire.before = die
        for _ in range(60):
            jobs = await s.store.claim_jobs(s.clock.now_ms(), 1, 100)
            mine = [job for job in jobs if job.kind == "send_held"]
            if mine:
                s.clock.now += 40  # so that it is a probe
                with contextlib.suppress(DiedError):
                    await holding.send_held(dead, mine[0])
            if (await s.books(bought["id"])).held() is None:
                break
            s.clock.now += 5
        s.wire.before = None
        assert (await s.books(bought["id"])).held() is None, "it was sent, and its sender died"
        await routes.set_weights(s.runtime, {NEW: 100.0}, reason="a repair", actor="test")
        await rest(s, 200)
        assert (await s.books(bought["id"])).payment.outcome_known
        await s.agreed()
