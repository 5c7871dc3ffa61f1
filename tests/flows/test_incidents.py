"""Incidents in flows: no crash at any point loses a page or makes a second one; storms are one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.altering import alter
from tests.flows.stage import Stage, stage

from tollkeeper.app.service import handlers
from tollkeeper.flows.incidents import commands, planning
from tollkeeper.flows.ports import Job
from tollkeeper.flows.providers.gathering import secrets_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.paging import Answer, Message
from tollkeeper.incidents.plan import EscalationPolicy, Input, Level, Person, Plan, Receiver
from tollkeeper.payments.change import OutEvent
from tollkeeper.signals.alerts import Alert

LEASE_MS = 30_000
CHAT = Receiver(kind="slack", url="https://hooks.invalid/x")
PLAN = Plan(
    people={
        "one": Person(title="first", receivers=("one",)),
        "two": Person(title="second", receivers=("two",)),
    },
    receivers={"one": CHAT, "two": CHAT, "team": CHAT},
    policies={
        "all": EscalationPolicy(
            levels=(
                Level(targets=("person:one",), wait_seconds=60),
                Level(targets=("person:one", "person:two", "receiver:team"), wait_seconds=120),
            ),
            rounds=1,
        )
    },
)


class Died(BaseException):
    """A process that ends in the middle of whatever it does."""


class LeverNotify:
    """What receivers have got, by the identity of the message; and what they answer."""

    def __init__(self) -> None:
        self.got: dict[str, list[Message]] = {}
        self.receivers: dict[str, str] = {}
        self.down: set[str] = set()
        self.dies = ""
        self.again = True
        self.tried: list[Message] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def send(self, receiver: Receiver, message: Message) -> Answer:
        self.tried.append(message)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.dies == "before":
            self.dies = ""
            raise Died
        if receiver.url in self.down:
            return Answer(ok=False, said="down", again=self.again)
        self.got.setdefault(message.id, []).append(message)
        if self.dies == "after":
            self.dies = ""
            raise Died
        return Answer(ok=True, said="taken")


class DyingStore:
    """A store whose process dies at the n-th call, before or after it took effect."""

    def __init__(self, store: Any, call: int, when: str) -> None:
        self._store, self._left, self._when = store, call, when

    @property
    def is_dead(self) -> bool:
        return self._left <= 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "now_ms" or not callable(found):
            return found

        async def call(*given: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._when == "before":
                raise Died
            result = await found(*given, **more)
            if self._left == 0:
                raise Died
            return result

        return call


def alert_event(
    runtime: Runtime, kind: str = "opened", about: str = "stripe", id_: str = "", **said: Any
) -> tuple[Alert, tuple[OutEvent, ...]]:
    """An alert with the event that tells of it, as signals write both."""
    now_ms = runtime.store.now_ms()
    alert_id = id_ or runtime.new_id("alr")
    alert = Alert(id=alert_id, fingerprint=about, status="open", opened_ms=now_ms, seen_ms=now_ms)
    data = {"id": alert_id, "about": about, "says": "it fails", "domain": "provider_changed"} | said
    event = OutEvent(
        id=runtime.new_id("evt"), account="default", payment_id="", type=f"alert.{kind}",
        created_ms=now_ms, data=msgspec.json.encode(data),
    )  # fmt: skip
    return alert, (event,)


@asynccontextmanager
async def on_call(
    folder: Path, plan: Plan = PLAN, **settings: Any
) -> AsyncIterator[tuple[Stage, LeverNotify]]:
    async with stage(folder, **settings) as s:
        notify = LeverNotify()
        alter(s.runtime, notify=notify)
        await planning.apply(s.runtime, plan, actor="test")
        yield s, notify


async def only(s: Stage) -> Incident:
    (found,) = await commands.page(s.store, "", 10)
    return found


def told(notify: LeverNotify, kind: str = "page") -> list[str]:
    return [m[0].subject for m in notify.got.values() if m[0].kind == kind]


async def test_an_alert_pages_level_by_level_until_a_person_answers(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, notify):
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(1)
        assert len(told(notify)) == 1
        await s.work(60)
        assert len(told(notify)) == 4  # both people and the team
        it = await only(s)
        await commands.acknowledge(s.runtime, it.id, note="", actor="cli:one")
        await s.work(3_600)
        assert len(told(notify)) == 4
        assert len(told(notify, "over")) == 3  # each receiver that was paged is told once
        assert await s.store.next_job_ms(s.clock.now_ms()) is None


async def test_no_crash_at_any_point_loses_a_page_or_makes_a_second_one(tmp_path: Path) -> None:
    expected: list[tuple[str, int]] | None = None
    for when in ("before", "after"):
        for call in range(0 if expected is None else 1, 200):
            folder = tmp_path / f"{when}{call}"
            folder.mkdir()
            async with on_call(folder) as (s, notify):
                pages, died = await _story(s, notify, call, when)
            if expected is None:
                expected = pages
            assert pages == expected, (when, call)
            if call and not died:
                assert call > 20, "the story has many calls of the store"
                break


async def _story(
    s: Stage, notify: LeverNotify, call: int, when: str
) -> tuple[list[tuple[str, int]], bool]:
    """An alert, two levels, an answer; the process dies at one call of the store and another one
    goes on. Gives whom each page reached, and how often under another identity."""
    store = DyingStore(s.store, call or 10_000, when)
    mortal = s.replica("mortal", store=store)
    alter(mortal, notify=notify)
    await s.store.save_alert(*alert_event(s.runtime))
    await _run(s, mortal, store, 150)
    it = await only(s)
    await commands.acknowledge(s.runtime, it.id, note="", actor="cli:one")
    await s.work(300)
    pages = await s.store.list_notifications(it.id)
    assert all(n.status == "sent" for n in pages), [(n.key, n.status) for n in pages]
    assert {n.id for n in pages} == set(notify.got)
    return sorted((f"{n.kind} {n.receiver}", n.step) for n in pages), store.is_dead


async def _run(s: Stage, mortal: Runtime, store: DyingStore, seconds: float) -> None:
    """Runs jobs in a process that may die; then, once its lease is over, in another one."""
    ends = s.clock.now_ms() + int(seconds * 1000)
    current = mortal
    while s.clock.now_ms() < ends:
        run = handlers(current)
        for job in await s.store.claim_jobs(s.clock.now_ms(), LEASE_MS, 16):
            if store.is_dead and current is mortal:
                break
            try:
                await run[job.kind](job)
            except Died:
                current = s.runtime
                break
        if store.is_dead:
            current = s.runtime
        await s.clock.advance(0.5)


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_send_in_doubt_is_repeated_under_its_identity(tmp_path: Path, dies: str) -> None:
    async with on_call(tmp_path) as (s, notify):
        notify.dies = dies
        await s.store.save_alert(*alert_event(s.runtime))
        with pytest.raises(Died):
            await s.work(1)
        await s.clock.advance(91)
        await s.work(1)
        (page,) = [n for n in await s.store.list_notifications((await only(s)).id) if n.step == 1]
        assert page.status == "sent"
        assert len(notify.got[page.id]) == (1 if dies == "before" else 2)
        assert [t.answer for t in page.tries] == ["", "taken"]


async def test_where_no_page_arrives_the_next_level_does_not_wait(tmp_path: Path) -> None:
    down = msgspec.structs.replace(CHAT, url="https://down.invalid/x")
    plan = msgspec.structs.replace(PLAN, receivers=PLAN.receivers | {"one": down})
    slow = msgspec.structs.replace(PLAN.policies["all"].levels[0], wait_seconds=86_400)
    policy = EscalationPolicy(levels=(slow, PLAN.policies["all"].levels[1]), rounds=1)
    plan = msgspec.structs.replace(plan, policies={"all": policy})
    async with on_call(tmp_path, plan) as (s, notify):
        notify.down = {down.url}
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(200)
        assert len(told(notify)) == 2
        entries = await commands.timeline(s.store, (await only(s)).id)
        assert any("no page of step 1 has arrived" in entry.text for entry in entries)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_no_crash_keeps_the_next_level_waiting_where_no_page_arrives(
    tmp_path: Path, when: str
) -> None:
    for call in range(1, 60):
        folder = tmp_path / str(call)
        folder.mkdir()
        async with on_call(folder, ONE) as (s, notify):
            notify.down, notify.again = {CHAT.url}, False
            store = DyingStore(s.store, call, when)
            mortal = s.replica("mortal", store=store)
            alter(mortal, notify=notify)
            await s.store.save_alert(*alert_event(s.runtime))
            await _run(s, mortal, store, 80)
            assert (await only(s)).step == 2, call
            if not store.is_dead:
                assert call > 10, "the story has many calls of the store"
                return
    pytest.fail("the story ends")


async def test_where_it_comes_back_and_no_page_arrives_the_next_level_does_not_wait(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path, ONE) as (s, notify):
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(1)
        it = await only(s)
        await commands.resolve(s.runtime, it.id, reason="it is over", actor="cli:one")
        notify.down = {CHAT.url}
        await commands.reopen(s.runtime, it.id, reason="it is not", actor="cli:one")
        await s.work(300)
        assert (await only(s)).step == 2


async def test_a_storm_of_alerts_is_one_incident_and_few_pages(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, notify):
        for _ in range(200):
            _, events = alert_event(s.runtime)
            await s.store.save_description(*_carrier(s, events))
        await s.work(30)
        it = await only(s)
        assert len(told(notify)) == 1
        assert it.status == "triggered"


def _carrier(s: Stage, events: tuple[OutEvent, ...]) -> Any:
    """Any write that carries events: the store's least one."""
    from tollkeeper.flows.ports import SeenDescription  # noqa: PLC0415

    seen = SeenDescription(
        provider="stripe", digest=events[0].id, seen_ms=0, checked_ms=0, etag=None, text=b"",
        verdicts=b"{}",
    )  # fmt: skip
    return seen, events


async def test_many_incidents_are_told_to_a_receiver_in_few_messages(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, notify):
        for number in range(40):
            _, events = alert_event(s.runtime, about=f"p{number}")
            await s.store.save_description(*_carrier(s, events))
        await s.work(59)
        assert len(await s.store.list_open_incidents()) == 40
        assert 2 <= len(told(notify)) <= 7
        texts = [m[0].text for m in notify.got.values() if m[0].kind == "page"]
        waiting = await s.store.queued_for("one", 100)
        covered = sum(1 + text.count("\n- ") for text in texts)
        assert covered + len(waiting) == 40  # nothing is left out


TEAM = msgspec.structs.replace(CHAT, url="https://team.invalid/x")
ONE = msgspec.structs.replace(
    PLAN,
    receivers=PLAN.receivers | {"two": TEAM, "team": TEAM},
    policies={
        "all": EscalationPolicy(
            levels=tuple(
                msgspec.structs.replace(level, wait_seconds=80_000)
                for level in PLAN.policies["all"].levels
            )
        )
    },
)
"""The next level comes only where no page of the first one arrives."""


async def _both(s: Stage, notify: LeverNotify) -> list[str]:
    """Two incidents whose pages go out in one message, which does not arrive."""
    notify.down = {CHAT.url}
    for about in ("p1", "p2"):
        await s.store.save_alert(*alert_event(s.runtime, about=about))
    run = handlers(s.runtime)
    for kind in ("incident_news", "escalate", "notify"):
        for job in await s.store.claim_jobs(s.clock.now_ms(), LEASE_MS, 16):
            if job.kind == kind:
                await run[job.kind](job)
        await s.clock.advance(LEASE_MS / 1000)
    return sorted(one.id for one in await s.store.list_open_incidents())


async def _pages(s: Stage) -> dict[str, str]:
    """The status of each incident's page."""
    return {
        one.fingerprint: page.status
        for one in await s.store.list_incidents("~", 9)
        for page in await s.store.list_notifications(one.id)
        if page.is_page
    }


def _was_read(notify: LeverNotify, word: str) -> bool:
    """Whether the receiver got a message that says this word."""
    return any(word in m[0].subject + m[0].text for m in notify.got.values())


async def test_what_was_told_along_in_a_message_that_did_not_arrive_is_sent_again(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path, ONE) as (s, notify):
        await _both(s, notify)
        notify.down = set()
        await s.work(300)
        assert set((await _pages(s)).values()) <= {"sent", "told_along"}
        assert sum(1 + m[0].text.count("\n- ") for m in notify.got.values()) == 2


async def test_what_was_told_along_outlives_the_message_that_it_was_told_in(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path, ONE) as (s, notify):
        await _both(s, notify)
        (first, *_) = [
            one
            for one in await s.store.list_open_incidents()
            if (await s.store.list_notifications(one.id))[0].tries
        ]
        await commands.acknowledge(s.runtime, first.id, note="", actor="cli:one")
        notify.down = set()
        await s.work(300)
        found = await _pages(s)
        assert found.pop(first.fingerprint) == "canceled"
        assert list(found.values()) == ["sent"]


async def test_a_page_that_was_answered_while_it_was_told_along_is_not_sent(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path, ONE) as (s, notify):

        async def answer() -> None:
            notify.meanwhile = None
            for one in await s.store.list_open_incidents():
                await commands.acknowledge(s.runtime, one.id, note="", actor="cli:one")

        notify.meanwhile = answer
        await _both(s, notify)
        await s.work(300)
        assert list((await _pages(s)).values()) == ["canceled", "canceled"]
        said = [one.subject + one.text for one in notify.tried]
        assert ["[SEV" in words for words in said] == [True] + [False] * (len(said) - 1)


async def test_when_a_message_is_given_up_what_was_told_along_pages_the_next_level(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path, ONE) as (s, notify):
        await _both(s, notify)
        await s.work(900)
        steps = {one.fingerprint: one.step for one in await s.store.list_open_incidents()}
        assert steps == {"p1": 2, "p2": 2}


async def test_news_that_is_heard_twice_counts_once(tmp_path: Path) -> None:
    async with on_call(tmp_path) as (s, _):
        _, events = alert_event(s.runtime)
        await s.store.save_description(*_carrier(s, events))
        await s.work(1)
        before = len(await commands.timeline(s.store, (await only(s)).id))
        run = handlers(s.runtime)["incident_news"]
        await run(Job("incident_news", events[0].id, 1, 1))
        assert len(await commands.timeline(s.store, (await only(s)).id)) == before


async def test_the_end_of_the_alert_ends_the_incident_and_cancels_what_waits(
    tmp_path: Path,
) -> None:
    async with on_call(tmp_path) as (s, notify):
        alert, events = alert_event(s.runtime)
        await s.store.save_alert(alert, events)
        await s.work(1)
        over, events = alert_event(s.runtime, "resolved", id_=alert.id)
        await s.store.save_alert(msgspec.structs.replace(over, revision=2), events)
        await s.work(3_600)
        it = await only(s)
        assert (it.status, it.resolution) == ("resolved", "the signals are quiet")
        assert (len(told(notify)), len(told(notify, "over"))) == (1, 1)


async def test_a_plan_that_comes_late_pages_for_what_is_open(tmp_path: Path) -> None:
    async with on_call(tmp_path, Plan()) as (s, notify):
        await s.store.save_alert(*alert_event(s.runtime))
        await s.work(600)
        assert told(notify) == []
        await planning.apply(s.runtime, PLAN, actor="test")
        await s.work(1)
        assert len(told(notify)) == 1


async def test_every_secret_of_the_plan_is_searched_for_in_packs(tmp_path: Path) -> None:
    inputs = {"monitor": Input(key="a-routing-key-of-the-tests")}
    async with on_call(tmp_path, msgspec.structs.replace(PLAN, inputs=inputs)) as (s, _):
        assert {"a-routing-key-of-the-tests", CHAT.url} <= await secrets_now(s.runtime)
