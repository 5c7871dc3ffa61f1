"""Alerts as an operator's Alertmanagers get them: from rows and jobs, whatever ends in between."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.flows.stage import Stage, stage

from tollkeeper.app import handlers
from tollkeeper.flows.signals import posting
from tollkeeper.signals.alertmanager import EVERY_MS, STANDS_MS
from tollkeeper.signals.alerts import Alert

ONE, TWO = "http://127.0.0.1:9093", "http://127.0.0.1:9094/"
STRUCK = "stripe"


class Receivers:
    """Both Alertmanagers: what each got, and which of them do not answer."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.away: set[str] = set()

    async def hand_over(self, address: str, body: bytes) -> str:
        if any(address.startswith(one) for one in self.away):
            return "ConnectionRefusedError at connect"
        self.got += [(address, alert) for alert in json.loads(body)]
        return ""


def receiving(s: Stage) -> Receivers:
    receivers = Receivers()
    s.runtime = dataclasses.replace(s.runtime, hand_over=receivers.hand_over)
    return receivers


async def written(s: Stage, **fields: Any) -> Alert:
    now_ms = s.clock.now_ms()
    made = Alert(id="alr_1", fingerprint=STRUCK, status="open", opened_ms=now_ms, seen_ms=now_ms)
    alert = replace(made, **fields)
    assert await s.store.save_alert(alert, (), posting.wakes(s.runtime, now_ms))
    return alert


async def resolved(s: Stage, alert: Alert) -> None:
    over = replace(alert, status="resolved", resolved_ms=s.clock.now_ms(), revision=2)
    assert await s.store.save_alert(over, (), posting.wakes(s.runtime, s.clock.now_ms()))


async def seconds(s: Stage, count: int) -> None:
    """Lets jobs fall due; a new runtime for each, as if every process died after each job."""
    for _ in range(count):
        run = handlers(dataclasses.replace(s.runtime))
        for job in await s.store.claim_jobs(s.clock.now_ms(), 5_000, 10):
            await run[job.kind](job)
        await s.clock.advance(1.0)


async def test_an_alert_is_posted_each_minute_and_its_end_once(tmp_path: Path) -> None:
    async with stage(tmp_path, alertmanagers=(ONE, TWO), alert_labels={"cluster": "eu"}) as s:
        receivers = receiving(s)
        alert = await written(s)
        await seconds(s, 130)
        addresses = [address for address, _ in receivers.got]
        assert addresses == [f"{ONE}/api/v2/alerts", f"{TWO}api/v2/alerts"] * 3
        labels = [one["labels"] for _, one in receivers.got]
        assert labels[0] == {
            "severity": "page", "cluster": "eu", "alertname": "TollkeeperAlert",
            "service": "tollkeeper", "about": "stripe",
        }  # fmt: skip
        assert all(one == labels[0] for one in labels)
        await resolved(s, alert)
        receivers.got.clear()
        await seconds(s, 400)
        assert len(receivers.got) == 2
        assert await s.store.next_job_ms(s.clock.now_ms()) is None


async def test_what_stands_at_the_receiver_ends_later_than_it_is_posted_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, alertmanagers=(ONE,)) as s:
        receivers = receiving(s)
        await written(s)
        await seconds(s, 200)
        ends = [one["endsAt"] for _, one in receivers.got]
        starts = {one["startsAt"] for _, one in receivers.got}
        assert ends == sorted(set(ends))
        assert len(starts) == 1
        assert STANDS_MS > 2 * EVERY_MS


async def test_an_end_that_one_receiver_missed_is_tried_again_and_not_for_ever(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, alertmanagers=(ONE, TWO)) as s:
        receivers = receiving(s)
        alert = await written(s)
        await seconds(s, 2)
        receivers.away = {TWO}
        await resolved(s, alert)
        receivers.got.clear()
        await seconds(s, 25)
        assert {address[:21] for address, _ in receivers.got} == {ONE}
        receivers.away = set()
        await seconds(s, 12)
        assert f"{TWO}api/v2/alerts" in {address for address, _ in receivers.got}
        assert await s.store.next_job_ms(s.clock.now_ms()) is None


async def test_receivers_that_never_answer_are_given_up_once_the_alert_has_ended_there(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, alertmanagers=(ONE,)) as s:
        receivers = receiving(s)
        receivers.away = {ONE}
        alert = await written(s)
        await seconds(s, 30)
        await resolved(s, alert)
        await seconds(s, 230)
        assert await s.store.next_job_ms(s.clock.now_ms()) is not None
        await seconds(s, 30)
        assert await s.store.next_job_ms(s.clock.now_ms()) is None


async def test_a_password_in_an_address_is_not_told(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []

    def tell(event: str, /, **facts: object) -> None:
        told.append({"event": event, **facts})

    async with stage(tmp_path, alertmanagers=("http://me:canary@127.0.0.1:9093",)) as s:
        receivers = receiving(s)
        receivers.away = {"http://me"}
        s.runtime = dataclasses.replace(s.runtime, tell=tell)
        await written(s)
        await seconds(s, 2)
        assert told[0]["event"] == "alert_unposted"
        assert told[0]["address"] == "127.0.0.1:9093"
        assert "canary" not in str(told)


async def test_an_open_alert_gets_its_job_at_the_start(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        await written(s)
        assert await s.store.next_job_ms(s.clock.now_ms()) is None
        settings = replace(s.settings, alertmanagers=(ONE,))
        s.runtime = dataclasses.replace(s.runtime, settings=settings)
        receivers = receiving(s)
        await posting.plan(s.runtime)
        await seconds(s, 2)
        assert len(receivers.got) == 1


async def test_while_the_store_is_away_a_process_posts_what_it_finds_itself(tmp_path: Path) -> None:
    async with stage(tmp_path, alertmanagers=(ONE,)) as s:
        receivers = receiving(s)
        s.runtime = dataclasses.replace(s.runtime, clock=s.clock)
        now_ms = s.clock.now_ms()
        found = Alert(
            id="alr_9", fingerprint=STRUCK, status="open", opened_ms=now_ms, seen_ms=now_ms
        )
        s.runtime.live.open_alerts = (found,)
        task = asyncio.create_task(posting.follow(s.runtime))
        for _ in range(5):
            await s.clock.advance(1.0)
        assert receivers.got == []
        s.runtime.live.is_store_away = True
        for _ in range(70):
            await s.clock.advance(1.0)
        task.cancel()
        assert len(receivers.got) == 2
        assert {one["labels"]["about"] for _, one in receivers.got} == {"stripe"}
