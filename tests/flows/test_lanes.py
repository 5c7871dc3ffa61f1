"""Lanes of jobs: one kind, one account or one peer that hangs leaves the slots of the others."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.flows.stage import LeverClock, Stage, stage

from tollkeeper.app import JOBS, handlers
from tollkeeper.flows.live.breakers import FIRST_REST_MS, LONGEST_REST_MS, THRESHOLD, Breakers
from tollkeeper.flows.ports import Due, Endpoint, HookResult, Job
from tollkeeper.flows.webhooks import deliver, endpoints
from tollkeeper.jobs.lanes import Lane, Running, lanes_for
from tollkeeper.jobs.worker import Worker
from tollkeeper.store import migrate
from tollkeeper.store.sqlite import InlineSQLite, connect
from tollkeeper.store.store import SqlStore

LIMITS = {"per_account": 4, "per_endpoint": 2}


def lane(kind: str, **changes: Any) -> Lane:
    fields: dict[str, Any] = {"kind": kind, "slots": 8, "per_account": 8, "per_peer": 8} | changes
    return Lane(**fields)


class Plant:
    """A store, a clock with a lever, and a worker whose jobs hang where a test says so."""

    def __init__(self, folder: Path, lanes: tuple[Lane, ...], resting: list[str]) -> None:
        path = folder / "jobs.sqlite3"
        migrate.upgrade(str(path))
        self.clock = LeverClock()
        self.store: Any = SqlStore(InlineSQLite(connect(path)), self.clock)
        self.hanging: set[str] = set()
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: list[tuple[str, str]] = []
        self.worker = Worker(
            self.store, self.clock, dict.fromkeys((one.kind for one in lanes), self.handle),
            concurrency=sum(one.slots for one in lanes), on_error=self.failed, lanes=lanes,
            resting=lambda _: resting,
        )  # fmt: skip

    def failed(self, job: Job, error: BaseException) -> None:
        raise AssertionError(job) from error

    async def handle(self, job: Job) -> None:
        party = job.subject.rpartition("|")[2]
        self.running[party] += 1
        self.most[party] = max(self.most[party], self.running[party])
        if job.kind in self.hanging or party in self.hanging:
            await self.clock.sleep(20)
        self.running[party] -= 1
        self.done.append((job.kind, job.subject))
        await self.store.finish_job(job)

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.worker.run())
        await self.clock.advance(seconds)
        self.worker.stop()
        self.seen = list(self.done)
        await self.clock.advance(60)
        await running
        await self.store.close()

    async def endpoint(self, name: str, account: str) -> None:
        await self.store.save_endpoint(
            Endpoint(id=name, account=account, url="https://x.example", secrets=(),
                     enabled=True, created_ms=0)
        )  # fmt: skip

    async def deliveries(self, endpoint: str, count: int) -> None:
        for number in range(count):
            subject = f"evt_{endpoint}_{number}|{endpoint}"
            await self.store.enqueue_job("deliver", subject, self.clock.now_ms())


def lanes_of(kind: str) -> tuple[Lane, ...]:
    """The lane of one kind, when 64 jobs may run at once."""
    return tuple(one for one in lanes_for(JOBS, 64, **LIMITS) if one.kind == kind)


def test_every_kind_has_a_lane_with_slots_of_its_own(tmp_path: Path) -> None:
    for concurrency in (1, 8, 64, 500):
        lanes = lanes_for(JOBS, concurrency, **LIMITS)
        assert [one.kind for one in lanes] == list(handlers(None))  # type: ignore[arg-type]
        assert concurrency <= sum(one.slots for one in lanes) <= concurrency + len(JOBS)
        for one in lanes:
            assert one.slots >= 1
            assert 1 <= one.per_account <= one.slots
            assert 1 <= one.per_peer <= one.slots


@given(st.integers(1, 5), st.integers(1, 200))
def test_one_more_kind_takes_few_slots_of_the_others(slots: int, concurrency: int) -> None:
    added = replace(JOBS["watch"], slots=slots)
    before = {one.kind: one.slots for one in lanes_for(JOBS, concurrency, **LIMITS)}
    after = lanes_for({**JOBS, "added": added}, concurrency, **LIMITS)
    lost = [before[one.kind] - one.slots for one in after if one.kind in before]
    assert max(lost) <= 2 + before["settle"] * slots // 64
    assert sum(one.slots for one in after) >= concurrency


@pytest.mark.parametrize("hanging", sorted(JOBS))
async def test_a_kind_that_hangs_leaves_every_other_kind_its_slots(
    tmp_path: Path, hanging: str
) -> None:
    plant = Plant(tmp_path, lanes_for(JOBS, 8, **LIMITS), [])
    plant.hanging = {hanging}
    for number in range(40):
        await plant.store.enqueue_job(hanging, f"{number}|x", plant.clock.now_ms() - 1)
    for kind in JOBS:
        await plant.store.enqueue_job(kind, "later|y", plant.clock.now_ms())
    await plant.run(5)
    assert {kind for kind, _ in plant.seen} == set(JOBS) - {hanging}


async def test_hanging_endpoints_of_one_account_leave_slots_to_others(tmp_path: Path) -> None:
    lanes = lanes_of("deliver")
    plant = Plant(tmp_path, lanes, [])
    for number in range(16):
        await plant.endpoint(f"we_slow_{number}", "evil")
        plant.hanging.add(f"we_slow_{number}")
        await plant.deliveries(f"we_slow_{number}", 30)
    await plant.endpoint("we_good", "acme")
    await plant.deliveries("we_good", 50)
    await plant.run(10)
    assert len([subject for _, subject in plant.seen if subject.endswith("we_good")]) == 50
    assert max(plant.most.values()) <= LIMITS["per_endpoint"]


async def test_an_endpoint_that_rests_costs_no_claim(tmp_path: Path) -> None:
    resting = ["we_rests"]
    plant = Plant(tmp_path, (lane("deliver", parties="deliveries"),), resting)
    for name in ("we_rests", "we_good"):
        await plant.endpoint(name, "acme")
        await plant.deliveries(name, 5)
    await plant.run(2)
    assert len(plant.seen) == 5
    left = await _jobs(tmp_path)
    assert left == [(f"evt_we_rests_{n}|we_rests", 0) for n in range(5)]


async def _jobs(folder: Path) -> list[tuple[str, int]]:
    rows = connect(folder / "jobs.sqlite3").execute("SELECT subject, tries FROM jobs ORDER BY 1")
    return [tuple(row) for row in rows.fetchall()]


def test_a_free_slot_goes_to_the_account_that_has_the_fewest() -> None:
    running = Running(lane("settle", slots=4, per_account=3, per_peer=4, parties="payments"))
    due = [Due(f"a{n}", "evil", "p") for n in range(10)] + [Due("b", "acme", "p")]
    assert [one.subject for one in running.choose(due)] == ["a0", "b", "a1", "a2"]
    for one in running.choose(due):
        running.enter(one)
    assert (running.free, running.full_accounts(), running.full_peers()) == (0, ["evil"], ["p"])
    running.leave(due[0])
    assert [one.subject for one in running.choose(due[3:])] == ["b"]


def test_a_provider_that_hangs_leaves_slots_to_the_others() -> None:
    (one,) = lanes_of("settle")
    running = Running(one)
    due = [Due(f"{n}", f"acc_{n}", "slow") for n in range(50)] + [Due("x", "acc_1", "quick")]
    assert due[-1] in running.choose(due)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("pq")), max_size=40),
    st.integers(1, 8), st.integers(1, 8), st.integers(1, 8),
)  # fmt: skip
def test_what_is_chosen_is_within_every_bound_and_leaves_no_slot_without_reason(
    parties: list[tuple[str, str]], slots: int, per_account: int, per_peer: int
) -> None:
    running = Running(
        lane("settle", slots=slots, per_account=per_account, per_peer=per_peer, parties="payments")
    )
    due = [Due(str(n), account, peer) for n, (account, peer) in enumerate(parties)]
    chosen = running.choose(due)
    accounts = Counter(one.account for one in chosen)
    peers = Counter(one.peer for one in chosen)
    assert len(chosen) <= slots
    assert all(count <= per_account for count in accounts.values())
    assert all(count <= per_peer for count in peers.values())
    for one in (one for one in due if one not in chosen):
        full = accounts[one.account] == per_account or peers[one.peer] == per_peer
        assert full or len(chosen) == slots


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_the_first_delivery() -> None:
    breakers, now_ms = Breakers(), 1_000
    for _ in range(THRESHOLD - 1):
        breakers.heard("we_1", now_ms, delivered=False)
    assert breakers.resting(now_ms) == []
    breakers.heard("we_1", now_ms, delivered=False)
    assert breakers.resting(now_ms) == ["we_1"]
    assert breakers.resting(now_ms + FIRST_REST_MS) == []
    breakers.heard("we_1", now_ms + 1, delivered=False)  # one that was under way as it opened
    assert breakers.resting(now_ms + FIRST_REST_MS) == []
    breakers.heard("we_1", now_ms + FIRST_REST_MS, delivered=False)
    assert breakers.resting(now_ms + 2 * FIRST_REST_MS) == ["we_1"]
    breakers.heard("we_1", now_ms, delivered=True)
    assert breakers.resting(now_ms) == []
    for _ in range(40):
        now_ms += LONGEST_REST_MS
        breakers.heard("we_1", now_ms, delivered=False)
    assert breakers.resting(now_ms + LONGEST_REST_MS - 1) == ["we_1"]
    assert breakers.resting(now_ms + LONGEST_REST_MS) == []


async def _tried(s: Stage, statuses: list[int], count: int) -> tuple[str, Worker]:
    made, _ = await endpoints.create_endpoint(s.runtime, "acc_1", "https://shop.example/h", "")
    s.hook.statuses = statuses
    for _ in range(count):
        await s.create()
    worker = Worker(
        s.store, s.clock, {"deliver": lambda job: deliver.deliver(s.runtime, job)}, concurrency=8,
        on_error=lambda job, error: pytest.fail(f"{job} {error}"),
        lanes=lanes_of("deliver"), resting=s.runtime.live.breakers.resting,
    )  # fmt: skip
    return made.id, worker


async def test_events_of_an_endpoint_that_is_away_wait_cheaply_and_none_is_lost(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        endpoint, worker = await _tried(s, [500] * 30, 20)
        running = asyncio.ensure_future(worker.run())
        await s.clock.advance(4)
        early = len(s.hook.posted)
        assert early <= THRESHOLD + LIMITS["per_endpoint"]  # not once an event
        await s.clock.advance(6 * 3_600)
        worker.stop()
        await s.clock.advance(60)
        await running
        rows = await s.store.list_deliveries(endpoint, 100)
        assert [row.state for row in rows] == ["delivered"] * 20


async def test_a_failure_is_counted_whatever_its_form(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        made, _ = await endpoints.create_endpoint(s.runtime, "acc_1", "https://shop.example/h", "")

        async def hangs(*_: Any) -> HookResult:
            return HookResult(status=0, error="timeout at wait")

        s.runtime.hook.post = hangs  # type: ignore[assignment, method-assign]
        await s.create()
        await s.work(86_400)
        assert s.runtime.live.breakers._known[made.id].failures >= THRESHOLD
