"""Windows: what a look reads, now or at a moment of the past, from what is stored."""

from collections.abc import Iterable, Mapping
from typing import Final

from tollkeeper.flows.ports import Store
from tollkeeper.kernel.ids import first_id
from tollkeeper.routing.routes import Routes
from tollkeeper.signals.alerts import looked_at
from tollkeeper.signals.changes import change_of
from tollkeeper.signals.counts import (
    Batch,
    Cell,
    Change,
    Counted,
    Window,
    fold,
    interned,
    since,
)

WINDOW_S: Final = 360
"""Seconds of batches in a window: the five minutes in which an onset is sought, and the longest
time from an attempt's start to its end."""

CHANGES_MS: Final = 1_800_000
"""How far back changes are read: a change of half an hour ago explains nothing that begins now."""

OWN_S: Final = 60
OWN_LEAST_S: Final = 20
OWN_NEWEST_S: Final = 20
OWN_LEAST: Final = 30
"""Where nothing is known of before: the newest minute is what is judged, by at least twenty seconds
and thirty attempts before it. A process that is younger is judged by its first twenty seconds, once
twenty more are over."""

MANY_CHANGES: Final = 200

MANY_ALERTS: Final = 20
"""Of the newest alerts so many are asked when the last one was over."""


async def changes_until(store: Store, at_ms: int) -> tuple[Change, ...]:
    """The changes of the half hour before `at_ms`, oldest first."""
    told = await store.list_changes(at_ms - CHANGES_MS, at_ms, MANY_CHANGES)
    found = [change for one in told if (change := change_of(one)) is not None]
    return tuple(sorted(found, key=lambda change: change.at_ms))


async def begins_s(store: Store, at_ms: int) -> int:
    """The first second of the window of a moment: an alert that was over before it is history."""
    last = await store.list_alerts(first_id("alr", at_ms + 1), MANY_ALERTS)
    over = [
        a.resolved_ms // 1000 for a in looked_at(last) if a.resolved_ms and a.resolved_ms <= at_ms
    ]
    return max(over, default=0) + 1


def usual_from(batches: Iterable[Batch], at_s: int) -> tuple[int, list[Counted]]:
    """What is usual by the window itself, where no sums are there yet: all but its newest minute,
    or the first seconds of a younger one. Seconds and sums, none of either where that is too
    little."""
    lines = [line for batch in batches for line in batch.counted]
    first = min((line.started_s for line in lines), default=at_s)
    end = max(at_s - OWN_S, first + OWN_LEAST_S)
    if end > at_s - OWN_NEWEST_S:
        return 0, []
    usual = [line for line in lines if line.started_s < end]
    if sum(line.tally.n for line in usual if line.cell.kind == "attempt") < OWN_LEAST:
        return 0, []
    return end - first, fold(usual, first)


async def window_at(store: Store, routes: Routes, at_ms: int) -> Window:
    """The window of a moment, wholly from the store."""
    second = at_ms // 1000
    seconds, usual = await store.load_usual(second)
    batches = await store.list_batches(second - WINDOW_S, second)
    if not seconds:
        seconds, usual = usual_from(batches, second)
    return Window(
        at_ms=at_ms,
        batches=since(batches, await begins_s(store, at_ms)),
        usual=tuple(usual),
        usual_seconds=seconds,
        changes=await changes_until(store, at_ms),
        carrying=carrying(routes),
    )


def carrying(routes: Routes) -> Mapping[str, tuple[str, ...]]:
    """By provider its versions in the rule for everybody, the one with most weight first."""
    found: dict[str, list[tuple[float, str]]] = {}
    for name, weight in routes.rules[-1].weights.items():
        found.setdefault(name.partition("@")[0], []).append((-weight, name))
    return {provider: tuple(name for _, name in sorted(names)) for provider, names in found.items()}


class Recent:
    """The batches of the last minutes, read from the store as they come."""

    def __init__(self) -> None:
        self._batches: dict[tuple[int, str], Batch] = {}
        self._cells: dict[Cell, Cell] = {}
        self._until = 0
        self._whole_s = 0

    async def read(self, store: Store, own: Iterable[Batch], now_s: int) -> tuple[Batch, ...]:
        """The batches until `now_s`, oldest first; `own`: those that could not be written yet."""
        first = now_s - WINDOW_S
        from_s = max(first, self._until - LATE_S) if self._until else first
        self._take(await store.list_batches(from_s, now_s))
        self._until = now_s
        if now_s >= self._whole_s + WHOLE_S:
            self._whole_s = now_s
            await self._read_late(store, first, from_s)
        return self.known(own, now_s)

    async def _read_late(self, store: Store, first: int, until_s: int) -> None:
        """Reads batches that waited for the store longer than `LATE_S`, if there are any."""
        names = await store.list_batch_names(first, until_s)
        missed = [second for second, replica in names if (second, replica) not in self._batches]
        if missed:
            self._take(await store.list_batches(min(missed), until_s))

    def _take(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            key = (batch.second, batch.replica)
            if key not in self._batches:
                self._batches[key] = interned(batch, self._cells)

    def known(self, own: Iterable[Batch], now_s: int) -> tuple[Batch, ...]:
        """What is known without the store."""
        first = now_s - WINDOW_S
        self._batches = {key: b for key, b in self._batches.items() if key[0] >= first}
        mine = {(batch.second, batch.replica): batch for batch in own}
        both = mine | self._batches
        return tuple(both[key] for key in sorted(both))


LATE_S: Final = 5
"""How long after its second a batch of another replica may be written and still be read at once."""

WHOLE_S: Final = 15
"""How often batches are looked for that waited longer for the store."""
