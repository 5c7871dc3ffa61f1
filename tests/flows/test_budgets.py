"""Budgets end to end: a file, counts in the store, an alert that no look ends, and its end."""

import dataclasses
from pathlib import Path
from typing import Any

from tests.flows.stage import Stage, stage
from tests.flows.test_signals import Process

from tollkeeper.flows.ports import Fetched
from tollkeeper.flows.signals import commands, following
from tollkeeper.flows.signals.views import alert_view
from tollkeeper.signals.counts import Batch, Cell, Counted, Tally

FILE = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout}
spec:
  service: payments
  indicator:
    metadata: {name: answered}
    spec:
      ratioMetric:
        good: {metricSource: {type: tollkeeper, spec: {operation: refund, result: [ok, declined]}}}
        total: {metricSource: {type: tollkeeper, spec: {operation: refund}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
  alertPolicies:
    - kind: AlertPolicy
      spec:
        conditions:
          - spec:
              severity: page
              condition: {op: gte, threshold: 8, lookbackWindow: 1h, alertAfter: 5m}
"""


class Files:
    """The files of the settings; `text` is what stands in all of them."""

    def __init__(self, text: str) -> None:
        self.text: str | None = text

    async def fetch(self, source: str, etag: str | None) -> Fetched:
        if self.text is None:
            return Fetched(error=f"{source}: No such file or directory")
        return Fetched(text=self.text.encode())


def told(s: Stage) -> list[tuple[str, dict[str, object]]]:
    found: list[tuple[str, dict[str, object]]] = []

    def tell(event: str, /, **facts: object) -> None:
        found.append((event, facts))

    s.runtime = dataclasses.replace(s.runtime, tell=tell)
    return found


async def minutes(s: Stage, count: int, *, failed: int) -> None:
    """Writes what so many minutes have counted, and lets jobs run."""
    for _ in range(count):
        second = s.clock.now_ms() // 1000
        lines = [
            _line(second, "ok", 100 - failed, 0), _line(second, "failed", failed, failed),
        ]  # fmt: skip
        await s.store.save_batch(Batch(second=second, replica="a", counted=lines))
        await s.work(60)


def _line(second: int, result: Any, n: int, witnesses: int) -> Counted:
    cell = Cell(kind="attempt", provider="stripe", operation="refund", result=result)
    return Counted(second, cell, Tally(n=n, witnesses=witnesses))


async def kinds(s: Stage) -> list[str]:
    events = await s.store.list_events("default", "evt_~", 1_000)
    return [event.type for event in reversed(events) if event.type.startswith("alert.")]


async def test_a_budget_that_burns_is_an_alert_until_it_burns_no_more(tmp_path: Path) -> None:
    async with stage(tmp_path, slo_files=("slo.yaml",)) as s:
        s.runtime = dataclasses.replace(s.runtime, sources=Files(FILE))
        lines = told(s)
        await following.plan(s.runtime)
        await minutes(s, 20, failed=0)
        assert await commands.open_alerts(s.store) == []
        await minutes(s, 12, failed=30)
        (alert,) = await commands.open_alerts(s.store)
        view = alert_view(alert)
        assert view.about == "slo checkout page"
        assert "burns its error budget" in view.says
        assert "tollkeeper signals slo status" in view.next
        await minutes(s, 15, failed=0)
        assert await commands.open_alerts(s.store) == []
        assert await kinds(s) == ["alert.opened", "alert.resolved"]
        said = [event for event, _ in lines if event.startswith("alert_")]
        assert said == ["alert_opened", "alert_resolved"]


async def test_a_look_neither_ends_a_budget_s_alert_nor_is_disturbed_by_it(tmp_path: Path) -> None:
    async with stage(tmp_path, slo_files=("slo.yaml",)) as s:
        s.runtime = dataclasses.replace(s.runtime, sources=Files(FILE))
        await following.plan(s.runtime)
        await minutes(s, 8, failed=0)
        await minutes(s, 12, failed=30)
        (alert,) = await commands.open_alerts(s.store)
        process = Process(s)
        await process.seconds(20)
        (still,) = await commands.open_alerts(s.store)
        assert still.id == alert.id
        minute = await s.store.list_summed(0, 2**40)
        usual = await s.store.list_minutes(0, 2**40)
        assert len(usual) == len(minute)


async def test_a_file_that_is_wrong_is_told_and_stops_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, slo_files=("slo.yaml",)) as s:
        files = Files("kind: SLO")
        s.runtime = dataclasses.replace(s.runtime, sources=files)
        lines = told(s)
        await following.plan(s.runtime)
        await minutes(s, 1, failed=0)
        files.text = None
        await minutes(s, 1, failed=0)
        assert {event for event, _ in lines} == {"slo_file_unread"}
        files.text = FILE
        await minutes(s, 9, failed=50)
        assert len(await commands.open_alerts(s.store)) == 1
