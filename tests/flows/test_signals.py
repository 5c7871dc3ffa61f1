"""Signals end to end in one process: counts, batches, looks, alerts, what is told of them."""

import dataclasses
from pathlib import Path

import pytest
from tests.flows.stage import MIDDLE, OLD, Stage, stage

from tollkeeper.app import handlers
from tollkeeper.flows.ports import Fetched
from tollkeeper.flows.signals import commands, feeding, following, studying
from tollkeeper.flows.signals.collecting import Collector
from tollkeeper.flows.signals.commands import Announcement
from tollkeeper.flows.signals.looking import Watcher
from tollkeeper.flows.signals.probing import Prober
from tollkeeper.flows.signals.studying import Page
from tollkeeper.flows.signals.views import alert_view
from tollkeeper.flows.signals.windows import Recent
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Invalid, NotFound, Unavailable
from tollkeeper.signals import cases
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.counts import Batch
from tollkeeper.signals.samples import EACH

RENAMED = {
    "effect": "rename_field", "object": "payment_intent", "operation": "payment_intents.*",
    "path": "status", "to": "state",
}  # fmt: skip


class Process:
    """One process that counts and looks at each second of the stage."""

    def __init__(self, s: Stage) -> None:
        self.s = s
        self.collector = Collector(runtime=s.runtime)
        self.watcher = Watcher(runtime=s.runtime)

    async def seconds(self, count: int, *, paying: bool = True) -> None:
        for _ in range(count):
            if paying:
                await self.s.create(customer=f"c{self.s.clock.now_ms()}")
            await self._work()
            await self.s.clock.advance(1.0)
            await self.collector.tick()
            await self.watcher.look(self.collector.pending)

    async def _work(self) -> None:
        run = handlers(self.s.runtime)
        for job in await self.s.store.claim_jobs(self.s.clock.now_ms(), 90_000, 100):
            await run[job.kind](job)


async def open_alert(s: Stage) -> Alert:
    (alert,) = await commands.open_alerts(s.store)
    return alert


async def test_a_provider_that_renames_a_field_is_named_with_the_field(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        assert await commands.open_alerts(s.store) == []
        struck_ms = s.clock.now_ms()
        s.fault(**RENAMED)
        await process.seconds(25)
        view = alert_view(await open_alert(s))
        assert (view.about, view.domain, view.pointer) == ("stripe", "provider_changed", "/status")
        assert view.verdict is not None
        alert = await open_alert(s)
        assert alert.opened_ms - struck_ms <= 15_000
        assert abs(alert.said[-1].verdict.since_ms - struck_ms) <= 5_000
        assert "at /status" in view.says
        assert view.verdict.vetoes == []


async def test_an_alert_resolves_itself_and_is_told_once(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        s.fault(**RENAMED)
        await process.seconds(25)
        opened = await open_alert(s)
        s.core.faults.clear()
        await process.seconds(300)
        assert await commands.open_alerts(s.store) == []
        alert = await commands.one(s.store, opened.id)
        assert alert.status == "resolved"
        assert len(await commands.page(s.store, "", 10)) == 1
        events = [e.type for e in await s.store.list_events("default", "evt_~", 1000)]
        told = [kind for kind in events if kind.startswith("alert.")]
        assert told.count("alert.opened") == told.count("alert.resolved") == 1
        assert len(alert.said) <= 5


async def test_the_look_of_a_moment_computes_again_to_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        s.fault(**RENAMED)
        looks = []
        for _ in range(20):
            await process.seconds(1)
            assert s.runtime.live.look is not None
            looks.append(s.runtime.live.look)
        assert any(look.verdicts for look in looks)
        for look in looks:
            again = await commands.look_at(s.store, s.runtime.live.routes, look.at_ms)
            assert [v.domain for v in again.verdicts] == [v.domain for v in look.verdicts]
            assert [a.bank for a in again.alarms] == [a.bank for a in look.alarms]


async def test_replicas_that_see_the_same_write_one_alert(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        one, two = Process(s), Process(s)
        two.collector.second = 2**40  # it counts nothing: it looks at what the other has counted
        await one.seconds(40)
        s.fault(**RENAMED)
        for _ in range(25):
            await one.seconds(1)
            await two.watcher.look(())
        alert = await open_alert(s)
        events = [e.type for e in await s.store.list_events("default", "evt_~", 1000)]
        assert events.count("alert.opened") == 1
        assert events.count("alert.verdict") == len(alert.said) - 1


async def test_what_could_not_be_written_is_written_later_and_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(2)

        async def away(batch: Batch) -> None:
            raise Unavailable("the store is away")

        monkeypatch.setattr(s.store, "save_batch", away)
        await process.seconds(5)
        assert len(process.collector.pending) == 5
        monkeypatch.undo()
        await process.seconds(1)
        assert not process.collector.pending
        second = s.clock.now_ms() // 1000
        batches = await s.store.list_batches(second - 20, second)
        sent = [
            line.tally.n
            for batch in batches
            for line in batch.counted
            if line.cell.kind == "attempt" and line.cell.operation == "authorize"
        ]
        assert sum(sent) == 8


async def test_minutes_are_summed_and_say_what_is_usual(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await following.plan(s.runtime)
        await process.seconds(60 * 10)
        seconds, usual = await s.store.load_usual(s.clock.now_ms() // 1000)
        assert seconds >= 60
        authorized = sum(line.tally.n for line in usual if line.cell.operation == "authorize")
        assert authorized == pytest.approx(seconds, rel=0.2)


async def test_a_change_that_is_announced_is_listed_and_weighed(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        given = Announcement(kind="deploy", text="release 42", integration=MIDDLE)
        await commands.announce(s.runtime, given, actor="test")
        (change,) = await commands.changes(s.store, 1)
        assert (change.kind, change.text, change.provider) == ("deploy", "release 42", "stripe")
        for wrong in (
            {"kind": "deplo", "text": "x"},
            {"kind": "deploy", "text": " "},
            {"kind": "deploy", "text": "x", "provider": "nope"},
            {"kind": "deploy", "text": "x", "integration": "stripe@1999"},
            {"kind": "deploy", "text": "card 4242424242424242"},
        ):
            with pytest.raises(Invalid):
                await commands.announce(s.runtime, Announcement(**wrong), actor="test")


async def test_an_alert_is_silenced_and_judged_with_a_reason(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(40)
        s.fault(**RENAMED)
        await process.seconds(20)
        alert = await open_alert(s)
        until = await commands.silence(s.runtime, alert.id, 600, reason="known", actor="ann")
        assert until.silenced_until_ms > s.clock.now_ms()
        judged = await commands.judge(s.runtime, alert.id, "wrong", reason="ours", actor="ann")
        assert (judged.judged, judged.judge) == ("wrong: ours", "ann")
        with pytest.raises(Invalid):
            await commands.judge(s.runtime, alert.id, "perhaps", reason="x", actor="ann")
        with pytest.raises(Invalid):
            await commands.silence(s.runtime, alert.id, 0, reason="x", actor="ann")
        with pytest.raises(NotFound):
            await commands.one(s.store, "alr_none")


async def test_probes_ask_and_move_no_money(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0, OLD: 0.0}) as s:
        prober = Prober(s.runtime)
        s.runtime.live.wanted_probes = {"stripe": ("golden", "golden_previous", "second", "anchor")}
        await prober.turn()
        await prober.turn()
        probes = s.runtime.live.counting.probes
        assert [(p.name, p.tried, p.failed, p.asked) for p in probes] == [
            ("golden", 1, 0, False), ("golden", 5, 0, True), ("golden_previous", 5, 0, True),
        ]  # fmt: skip
        assert all(request.method == "GET" for request in s.wire.sent)


async def test_what_departed_is_listed_with_pointer_and_share(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await following.plan(s.runtime)
        await process.seconds(200)
        assert await studying.drift(s.store, 1) == []
        s.fault(**RENAMED, count=6)
        await process.seconds(10)
        found = await studying.drift(s.store, 1)
        (first,) = [one for one in found if one.operation == "authorize"]
        assert (first.kind, first.pointer, first.integration) == ("reply", "/status", MIDDLE)
        assert 0 < first.share < 0.1
        assert first.accounts == ["acc_1"]
        outline = first.samples[0]
        assert len(first.samples) == min(first.count, EACH)
        assert '"state":"(text)"' in outline
        assert '"status"' not in outline
        assert not any(figure in outline for figure in "0123456789")


async def test_a_backtest_pages_where_the_detectors_did(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        assert [
            one async for one in studying.backtest(s.store, 0.1, 1) if isinstance(one, Page)
        ] == []
        struck_ms = s.clock.now_ms()
        s.fault(**RENAMED)
        await process.seconds(30)
        pages = [one async for one in studying.backtest(s.store, 0.1, 1) if isinstance(one, Page)]
        assert pages
        assert struck_ms < pages[0].at_ms < struck_ms + 30_000
        none = [one async for one in studying.backtest(s.store, 0.1, 50) if isinstance(one, Page)]
        assert none == []
        for hours, times in ((0.0, 1.0), (48.0, 1.0), (1.0, 0.5)):
            with pytest.raises(Invalid):
                async for _ in studying.backtest(s.store, hours, times):
                    pass


async def test_a_status_feed_becomes_changes_once(tmp_path: Path) -> None:
    feed = tmp_path / "incidents.json"
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        now = rfc3339(s.clock.now_ms())
        feed.write_text(
            f'{{"incidents": [{{"id": "i1", "name": "Errors", "created_at": "{now}"}}]}}'
        )

        class Files:
            async def fetch(self, source: str, etag: str | None) -> Fetched:
                return Fetched(text=Path(source).read_bytes())

        runtime = dataclasses.replace(s.runtime, sources=Files())
        assert await feeding.look(runtime, "stripe", str(feed)) == 1
        assert await feeding.look(runtime, "stripe", str(feed)) == 0
        (change,) = await commands.changes(s.store, 1)
        assert (change.kind, change.text, change.provider) == ("status_feed", "Errors", "stripe")
        feed.write_text("<html>")
        assert await feeding.look(runtime, "stripe", str(feed)) == 0


async def test_an_alert_says_what_failover_does_about_it(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        s.fault("sunset", when="before", status=410, api_version=MIDDLE[7:])
        await process.seconds(40)
        alert = await open_alert(s)
        view = alert_view(alert, await commands.watches(s.store))
        assert view.domain == "provider_changed"
        assert any(f"all traffic of {MIDDLE} was moved away" in line for line in view.traffic)


async def test_the_heartbeat_is_sent_only_while_it_could_raise_an_alert(tmp_path: Path) -> None:
    asked: list[str] = []

    class Monitor:
        async def fetch(self, source: str, etag: str | None) -> Fetched:
            asked.append(source)
            return Fetched(text=b"")

    async with stage(tmp_path, heartbeat_url="http://127.0.0.1:1/beat") as s:
        await following.plan(s.runtime)
        s.runtime = dataclasses.replace(s.runtime, sources=Monitor())
        process = Process(s)
        await process.seconds(70, paying=False)
        assert asked == ["http://127.0.0.1:1/beat"]
        s.runtime.live.look = None
        for _ in range(130):
            await process._work()
            await s.clock.advance(1.0)
        assert len(asked) == 1


async def test_an_alert_becomes_a_case_that_is_judged_again(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        process = Process(s)
        await process.seconds(60)
        s.fault(**RENAMED)
        await process.seconds(25)
        alert = await open_alert(s)
        await commands.judge(s.runtime, alert.id, "wrong", reason="ours", actor="ann")
        body = cases.write(await commands.case_of(s.store, s.runtime.live.routes, alert.id))
        assert b"acc_1" in body
        assert b"pay_" not in body
        case = cases.read(body)
        assert (case.said, case.judged) == ("provider_changed", "wrong: ours")
        assert cases.look(case).verdicts[0].pointer == "/status"
        for wrong in (b"", b"{}", b"\xff", body[:-9], body.replace(b'"format":1', b'"format":9')):
            with pytest.raises(cases.BadCase):
                cases.read(wrong)


async def test_another_release_is_a_change_and_the_first_start_is_none(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        s.runtime = dataclasses.replace(s.runtime, release="1+aa")
        await following.note_start(s.runtime)
        await following.note_start(s.runtime)
        assert await commands.changes(s.store, 1) == []
        await s.clock.advance(1)
        newer = dataclasses.replace(s.runtime, release="2+bb")
        await following.note_start(newer)
        await following.note_start(newer)
        (change,) = await commands.changes(s.store, 1)
        assert (change.kind, change.text) == ("deploy", "release 2+bb")
        await s.clock.advance(1)
        other = dataclasses.replace(newer, trust="another", _kept={})
        await following.note_start(other)
        (settings, _) = await commands.changes(s.store, 1)
        assert (settings.kind, settings.provider) == ("settings", "stripe")


async def test_batches_that_waited_long_for_the_store_are_found_by_other_replicas(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        recent = Recent()
        now_s = s.clock.now_ms() // 1000
        await s.store.save_batch(Batch(second=now_s, replica="a"))
        assert len(await recent.read(s.store, (), now_s)) == 1
        await s.store.save_batch(Batch(second=now_s - 60, replica="b"))
        assert len(await recent.read(s.store, (), now_s + 1)) == 1
        found = await recent.read(s.store, (), now_s + 16)
        assert [(batch.second, batch.replica) for batch in found] == [
            (now_s - 60, "b"), (now_s, "a"),
        ]  # fmt: skip
