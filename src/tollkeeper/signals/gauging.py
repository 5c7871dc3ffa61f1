"""Gauges: how our processes themselves were around the onset.

Law: the worst host speaks. What is lost one by one until nothing is left is another thing than what
was never enough.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from tollkeeper.signals.counts import Gauges
from tollkeeper.signals.evidence import Evidence, Place, row
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.series import STALL_MS


def gauges(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows about our machines."""
    lag = _by_host(scene, _lag)
    yield _gauge("event_loop_lag", lag, (60, 30), "The event loop lags {:.0f} ms")
    wait = _by_host(scene, lambda gauges: gauges.store_ms)
    yield _gauge("store_wait", wait, (120, 40), "The store lets {:.0f} ms pass")
    disk = _by_host(scene, lambda gauges: gauges.disk)
    yield _gauge("disk_full", disk, (0.97, 0.95), "The database's disk is {:.0%} full")
    open_ = _by_host(scene, lambda gauges: gauges.descriptors)
    yield _gauge("descriptors_out", open_, (0.9, 0.8), "{:.0%} of descriptors are in use")
    yield _climb(scene)
    clock = _by_host(
        scene, lambda gauges: None if gauges.clock_ms is None else abs(gauges.clock_ms)
    )
    yield _gauge("clock_off", clock, (30_000, 5_000), "Our clock is {:.0f} ms off")


def _lag(gauges: Gauges) -> float | None:
    """The lag of one second, with one long pause counted as one stall."""
    return None if gauges.lag_ms is None else min(gauges.lag_ms, STALL_MS)


def _by_host(scene: Scene, read: Callable[[Gauges], float | None]) -> float | None:
    """The worst host's mean since the onset; `None` where nothing was measured."""
    hosts: dict[str, list[float]] = {}
    for batch in scene.batches:
        if batch.second >= scene.onset.second - 2:
            value = read(batch.gauges)
            if value is not None and value >= 0:
                hosts.setdefault(batch.host or batch.replica, []).append(value)
    return max((sum(values) / len(values) for values in hosts.values()), default=None)


def _gauge(name: str, value: float | None, limits: tuple[float, float], said: str) -> Evidence:
    """Yes from the first limit on, no below the second: lag and waits by ATTRIBUTION.md's program,
    the others by what still leaves room to work."""
    if value is None:
        return row(name, yes=False, no=False, sentence="It was not measured.")
    high, low = limits
    sentence = f"{said.format(value)} on the worst host."
    return row(name, value >= high, value < low, sentence, value)


CLIMB_S: Final = 60
CLIMB_LEAST: Final = 6
CLIMB_RISE: Final = 0.2
CLIMB_PART: Final = 0.5
CLIMB_TOP: Final = 0.8
"""A climb of descriptors: in the last minute, six seconds that rise or more, by a fifth of all at
least, of which no second makes half, to four fifths. A flood of connections rises at once."""


def is_climbing(scene: Scene) -> bool:
    """Whether the descriptors of a host are lost one by one."""
    return any(_climbs(shares) for shares in _descriptors(scene).values())


def _climb(scene: Scene) -> Evidence:
    rises = {host: shares for host, shares in _descriptors(scene).items() if _climbs(shares)}
    shares = next(iter(rises.values()), [])
    said = f"from {shares[0]:.0%} to {max(shares):.0%} in {len(shares)} s" if shares else "no climb"
    sentence = f"Descriptors in use rise second by second: {said}."
    return row("descriptors_climb", bool(rises), no=False, sentence=sentence, seen=len(shares))


def _descriptors(scene: Scene) -> dict[str, list[float]]:
    """The share of descriptors in use, by host, of the last minute."""
    hosts: dict[str, list[float]] = {}
    last = max((batch.second for batch in scene.window.batches), default=0)
    for batch in scene.window.batches:
        if batch.second > last - CLIMB_S and batch.gauges.descriptors is not None:
            hosts.setdefault(batch.host or batch.replica, []).append(batch.gauges.descriptors)
    return hosts


def _climbs(shares: list[float]) -> bool:
    steps = [after - before for before, after in pairwise(shares)]
    rises = [step for step in steps if step > 0]
    rise = sum(rises)
    return (
        len(rises) >= CLIMB_LEAST
        and max(shares) >= CLIMB_TOP
        and rise >= CLIMB_RISE
        and max(rises) < CLIMB_PART * rise
        and -sum(step for step in steps if step < 0) < CLIMB_PART * rise
    )
