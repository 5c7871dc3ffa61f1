"""Looking: once a second every process reads what all have counted, and says what it makes of it.

Every replica looks by itself, at the same counts: there is none to wait for when one is killed. An
alert is written once, by whichever comes first. While the store does not answer, a process looks at
its own counts, and what it says is in its log and metrics alone.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals.posting import wakes
from tollkeeper.flows.signals.telling import event_of, tell_step
from tollkeeper.flows.signals.windows import (
    Recent,
    begins_s,
    carrying,
    changes_until,
    usual_from,
)
from tollkeeper.kernel.errors import StoreDoubt, Unavailable
from tollkeeper.signals.alerts import QUIET_S, Step, is_told, looked_at, steps_of
from tollkeeper.signals.counts import Batch, Change, Window, since
from tollkeeper.signals.history import Usual, usual_of
from tollkeeper.signals.series import Rolling, Series
from tollkeeper.signals.verdict import Look, attribute

USUAL_SECONDS: Final = 60.0
"""How often what is usual is read anew."""

OWN_SECONDS: Final = 5.0
"""How often it is taken from the newest minutes, where nothing older is known."""

CHANGES_SECONDS: Final = 3.0
"""How often changes are read anew while something is wrong."""

STORE_SECONDS: Final = 2.0
"""How long a look waits for the store: one that is locked or slow is as good as away, and what is
seen of it must be told now."""

AWAY: Final = (StoreDoubt, Unavailable, TimeoutError)
"""The store does not answer, or not in time."""


@dataclass(kw_only=True)
class Watcher:
    """What one process keeps between its looks. `_at` are seconds of the monotonic clock;
    `begins_s` is the first second of a window: what was before is over and told."""

    runtime: Runtime
    recent: Recent = field(default_factory=Recent)
    usual: Usual | None = None
    usual_at: float = float("-inf")
    changes: tuple[Change, ...] = ()
    changes_at: float = float("-inf")
    begins_s: int = 0
    rolling: Rolling | None = None
    cut_s: int = 0

    async def look(self, pending: Iterable[Batch]) -> Look:
        """Looks once; `pending` are batches of this process that the store does not have yet."""
        runtime = self.runtime
        at_ms = runtime.store.now_ms()
        try:
            async with asyncio.timeout(STORE_SECONDS):
                batches = await self.recent.read(runtime.store, pending, at_ms // 1000)
                usual = await self._usual(at_ms, batches)
        except AWAY:
            batches = self.recent.known(pending, at_ms // 1000)
            usual = self.usual or usual_of((), 0)
        window = Window(
            at_ms=at_ms,
            batches=since(batches, self.begins_s),
            changes=self.changes,
            carrying=carrying(runtime.live.routes),
        )
        series = self._series(window, usual)
        found = attribute(window, usual, series)
        if found.alarms and await self._read_changes(at_ms):
            window = replace(window, changes=self.changes)
            found = attribute(window, usual, series)
        self._keep(found)
        if found.alarms or runtime.live.open_alerts:
            await self._follow_up(window, usual, found)
        return found

    async def _follow_up(self, window: Window, usual: Usual, found: Look) -> None:
        """Writes and tells what a look is news about."""
        newest = since(window.batches, window.at_ms // 1000 - QUIET_S)
        recent = attribute(replace(window, batches=newest), usual)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                begins = await begins_s(self.runtime.store, window.at_ms)
                if begins > self.begins_s:  # another replica has said that an alert is over
                    self.begins_s = begins
                    found = attribute(replace(window, batches=since(window.batches, begins)), usual)
                await _write(self.runtime, found, is_quiet=not recent.alarms)
        except AWAY:
            _tell_without_store(self.runtime, found, is_quiet=not recent.alarms)

    def _series(self, window: Window, usual: Usual) -> Series:
        """The series of a window, which go on from the last look's."""
        if self.rolling is None or self.rolling.usual is not usual or self.cut_s != self.begins_s:
            self.rolling, self.cut_s = Rolling(usual), self.begins_s
        return self.rolling.series_of(window)

    async def _usual(self, at_ms: int, batches: tuple[Batch, ...]) -> Usual:
        now = self.runtime.clock.monotonic()
        if self.usual is None or now >= self.usual_at:
            seconds, lines = await self.runtime.store.load_usual(at_ms // 1000)
            self.usual_at = now + (USUAL_SECONDS if seconds else OWN_SECONDS)
            if not seconds and not self.runtime.live.open_alerts:
                seconds, lines = usual_from(batches, at_ms // 1000)
            if seconds or self.usual is None:
                self.usual = usual_of(tuple(lines), seconds)
        return self.usual

    async def _read_changes(self, at_ms: int) -> bool:
        """Reads changes anew, if it is time; whether they are others than before."""
        now = self.runtime.clock.monotonic()
        if now < self.changes_at + CHANGES_SECONDS:
            return False
        self.changes_at, before = now, self.changes
        try:
            async with asyncio.timeout(STORE_SECONDS):
                self.changes = await changes_until(self.runtime.store, at_ms)
        except AWAY:
            return False
        return self.changes != before

    def _keep(self, found: Look) -> None:
        live = self.runtime.live
        live.look = found
        live.wanted_probes = {verdict.provider: verdict.wants for verdict in found.verdicts[:1]}


async def _write(runtime: Runtime, found: Look, *, is_quiet: bool) -> None:
    live = runtime.live
    alerts = looked_at(await runtime.store.list_open_alerts())
    for step in steps_of(alerts, found, runtime.new_id("alr"), is_quiet=is_quiet):
        if await _saved(runtime.store, runtime, step):
            live.alert_news[step.alert.fingerprint, step.news or "seen"] += 1
            if is_told(step):
                tell_step(runtime, step)
    live.is_store_away = False
    live.open_alerts = tuple(looked_at(await runtime.store.list_open_alerts()))


async def _saved(store: Store, runtime: Runtime, step: Step) -> bool:
    events = (event_of(runtime, step),) if is_told(step) else ()
    jobs = wakes(runtime, store.now_ms()) if step.news else {}
    return await store.save_alert(step.alert, events, jobs)


def _tell_without_store(runtime: Runtime, found: Look, *, is_quiet: bool) -> None:
    """Tells the log and metrics what cannot be written now; a later look writes what stays."""
    live = runtime.live
    live.is_store_away = True
    alerts = {alert.id: alert for alert in live.open_alerts}
    for step in steps_of(live.open_alerts, found, runtime.new_id("alr"), is_quiet=is_quiet):
        alerts[step.alert.id] = step.alert
        if is_told(step):
            tell_step(runtime, step)
    live.open_alerts = tuple(alert for alert in alerts.values() if alert.resolved_ms is None)
