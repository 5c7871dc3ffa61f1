"""Signals in the store: a batch counts once, sums leave out what was wrong, an alert is one."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.changes import Told, change_of
from tollkeeper.signals.counts import Batch, Cell, Change, Counted, Tally
from tollkeeper.signals.samples import Sample
from tollkeeper.store import signals

SECOND = EPOCH_MS // 1000
OK = Cell(kind="attempt", provider="stripe")


def batch(second: int, replica: str = "a", n: int = 1) -> Batch:
    line = Counted(second, OK, Tally(n=n, took={2: n}))
    return Batch(second=second, replica=replica, counted=[line])


def told(at_ms: int, kind: str) -> Told:
    data = msgspec.Raw(b'{"text": "one", "provider": "stripe"}')
    return Told(at_ms=at_ms, type=kind, data=data)


def alert(**fields: object) -> Alert:
    made = Alert(
        id="alr_1", fingerprint="stripe", status="open",
        opened_ms=EPOCH_MS, seen_ms=EPOCH_MS,
    )  # fmt: skip
    return replace(made, **fields)


async def test_batches_of_all_replicas_add_up_and_count_once(backend: Backend) -> None:
    async with backend.store() as store:
        for made in (batch(SECOND, "b"), batch(SECOND), batch(SECOND + 1, n=3), batch(SECOND)):
            await store.save_batch(made)
        found = await store.list_batches(SECOND, SECOND + 1)
        assert [(b.second, b.replica) for b in found] == [
            (SECOND, "a"), (SECOND, "b"), (SECOND + 1, "a"),
        ]  # fmt: skip
        assert sum(line.tally.n for b in found for line in b.counted) == 5
        assert await store.list_batches(SECOND + 1, SECOND + 1) == [batch(SECOND + 1, n=3)]
        assert await store.list_batch_names(SECOND, SECOND) == [(SECOND, "a"), (SECOND, "b")]


async def test_samples_stay_as_they_were_first_and_are_bounded_and_forgotten(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample(number: int, outline: str = "{}") -> Sample:
        return Sample(key="a|b", number=number, at_ms=EPOCH_MS + number, outline=outline)

    async with backend.store() as store:
        await store.save_samples([sample(0), sample(1)])
        await store.save_samples([sample(1, '{"other":"(text)"}')])
        assert await store.list_samples() == [sample(0), sample(1)]
        monkeypatch.setattr(signals, "MOST_SAMPLES", 3)
        await store.save_samples([sample(2), sample(3), sample(4)])
        assert [one.number for one in await store.list_samples()] == [0, 1, 2]
        await store.forget_signals(0, EPOCH_MS + 2)
        assert [one.number for one in await store.list_samples()] == [2]


async def test_minutes_are_summed_in_order_and_alarmed_ones_are_not_usual(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        minute = SECOND // 60
        assert await store.minute_to_sum(minute + 10) is None
        await store.save_batch(batch(minute * 60 + 59))
        await store.save_batch(batch(minute * 60 + 180))
        assert await store.minute_to_sum(minute) is None
        assert await store.minute_to_sum(minute + 1) == minute
        await store.save_minute(minute, batch(SECOND).counted, alarmed=False)
        assert await store.minute_to_sum(minute + 10) == minute + 3
        await store.save_minute(minute + 3, [], alarmed=True)
        assert await store.minute_to_sum(minute + 10) is None
        assert await store.list_minutes(minute, minute + 4) == [batch(SECOND).counted]


async def test_what_is_usual_is_that_of_the_moment(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.load_usual(SECOND) == (0, [])
        await store.save_usual(SECOND, 600, batch(SECOND).counted)
        await store.save_usual(SECOND + 60, 660, [])
        assert await store.load_usual(SECOND - 1) == (0, [])
        assert await store.load_usual(SECOND + 59) == (600, batch(SECOND).counted)
        assert await store.load_usual(SECOND + 60) == (660, [])


async def test_an_alert_is_open_once_and_changed_upon_its_revision(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.save_alert(alert())
        assert not await store.save_alert(alert(id="alr_2"))
        more = alert(revision=2, judged="right: seen")
        assert await store.save_alert(more)
        assert not await store.save_alert(more)
        assert await store.list_open_alerts() == [more]
        done = replace(more, revision=3, status="resolved", resolved_ms=EPOCH_MS + 5)
        assert await store.save_alert(done)
        assert await store.list_open_alerts() == []
        assert await store.save_alert(alert(id="alr_2"))
        assert [a.id for a in await store.list_alerts("~", 10)] == ["alr_2", "alr_1"]
        assert await store.load_alert("alr_1") == done
        assert await store.load_alert("alr_3") is None


async def test_jobs_about_an_alert_are_written_with_it_or_not_at_all(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.save_alert(alert(), (), {"post_alert": EPOCH_MS})
        assert not await store.save_alert(alert(id="alr_2"), (), {"post_alert": EPOCH_MS})
        (job,) = await store.claim_jobs(EPOCH_MS, 1_000, 10)
        assert (job.kind, job.subject) == ("post_alert", "alr_1")
        more = alert(revision=2)
        assert await store.save_alert(more, (), {"post_alert": EPOCH_MS + 9})
        assert not await store.postpone_job(job, EPOCH_MS + 60_000)  # news took it away
        assert await store.next_job_ms(EPOCH_MS) == EPOCH_MS + 9


async def test_changes_are_listed_newest_first_and_old_things_go(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_change("chg_1", told(EPOCH_MS, "change.deploy"))
        await store.save_change("chg_2", told(EPOCH_MS + 10, "change.settings"))
        found = await store.list_changes(EPOCH_MS, EPOCH_MS + 10, 10)
        assert [(one.at_ms, one.type) for one in found] == [
            (EPOCH_MS + 10, "change.settings"), (EPOCH_MS, "change.deploy"),
        ]  # fmt: skip
        first = change_of(found[1])
        assert first == Change(at_ms=EPOCH_MS, kind="deploy", text="one", provider="stripe")
        assert await store.list_changes(EPOCH_MS, EPOCH_MS + 10, 1) == found[:1]
        await store.save_batch(batch(SECOND))
        await store.save_alert(alert())
        await store.forget_signals(SECOND + 1, EPOCH_MS + 5)
        assert await store.list_changes(0, EPOCH_MS + 10, 10) == found[:1]
        assert await store.list_batches(SECOND, SECOND) == []
        assert await store.list_open_alerts() == [alert()]
