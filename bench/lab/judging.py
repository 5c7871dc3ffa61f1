"""One disturbance, watched as the service would watch it: looks until a verdict, then its score."""

import math
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lab.disturbed import World
from lab.domains import Fault
from lab.recorded import Recording
from tollkeeper.signals.detectors import banks
from tollkeeper.signals.verdict import Look, Verdict, attribute

STEPS: Final = (0, 1, 2, 3, 4, 6, 8, 10, 13, 17, 22, 30, 45, 60, 90)
"""Seconds after the alarm at which the attributor is asked (ATTRIBUTION.md)."""

LATER_S: Final = 30
"""How long after the alarm two disturbances at once are looked at again."""

MOVES: Final = frozenset({"provider_changed", "our_code"})
"""Verdicts on which a failover may move traffic."""

SURE: Final = 0.8


class Judged(NamedTuple):
    """What came of one disturbance; times in seconds from its start."""

    name: str
    rate: float
    severity: float
    truth: str
    early: bool
    detected: float | None = None
    said: str = ""
    confidence: float = 0.0
    top: tuple[str, ...] = ()
    after: float | None = None
    grounded: bool = False
    pointer: bool | None = None
    vetoed: bool = False
    second: str = ""
    ms: float = 0.0
    later: tuple[str, ...] = ()
    why: str = ""


def judged(name: str, fault: Fault, rate: float, severity: float, seed: int) -> Judged:
    """The score of one disturbance."""
    world = World(name, rate, severity, seed)
    fault(world)
    world.innocent()
    recording = Recording(world)
    detected, early = _detected(recording)
    blank = Judged(name, rate, severity, world.truths[0].domain, early)
    if detected is None:
        return blank
    last, took = _watched(recording, detected)
    detected_s = detected - world.start
    if not last.verdicts:
        return blank._replace(detected=detected_s, ms=took)
    scored = _scored(world, last, blank._replace(detected=detected_s, ms=took))
    if len(world.truths) < 2:
        return scored
    at = int(min(detected + LATER_S, world.end))
    later = attribute(recording.window(at), recording.usual).verdicts
    return scored._replace(later=tuple(one.domain for one in later))


def _scored(world: World, last: Look, blank: Judged) -> Judged:
    first = last.verdicts[0]
    truth = world.truths[0]
    said = first.domain != "undetermined"
    right = first.domain == truth.domain
    pointer = first.pointer == truth.pointer if right and truth.pointer else None
    return blank._replace(
        said=first.domain,
        confidence=first.confidence,
        top=(first.likeliest, first.runner_up.domain),
        after=last.at_ms / 1000 - world.start if said else None,
        grounded=right and is_grounded(first, truth.slice),
        pointer=pointer,
        vetoed=bool(first.vetoes),
        second=last.verdicts[1].domain if len(last.verdicts) > 1 else "",
        why=" ".join(f"{one.name}{one.nats:+g}" for one in first.evidence_for[:6])
        + f" | {first.slice} want {truth.slice} ptr {first.pointer}/{truth.pointer}",
    )


def is_grounded(verdict: Verdict, wanted: dict[str, str]) -> bool:
    """Whether the slice has what is so, and at most one dimension more."""
    got = dict(verdict.slice)
    more = [name for name in got if name not in wanted and name != "provider"]
    return all(got.get(name) == value for name, value in wanted.items()) and len(more) <= 1


def moments(start: float) -> Iterator[int]:
    """Seconds to look at, further apart with time."""
    at, step = math.ceil(start) + 1, 1.0
    while True:
        yield int(at)
        step = max(1.0, (at - start) / 12)
        at = int(at + step)


def _detected(recording: Recording) -> tuple[int | None, bool]:
    """The first second in which an alarm stands that rose after the start, to the grid's step and
    then second by second; and whether one stood before."""
    world = recording.world
    before = banks(recording.window(math.floor(world.start)), recording.usual)
    known = {(alarm.bank, tuple(alarm.slice.items())) for alarm in before}
    last = math.floor(world.start)
    for at in moments(world.start):
        if at >= min(world.end + 20, recording.size):
            return None, bool(before)
        if _new(recording, at, known):
            found = next(s for s in range(last + 1, at + 1) if s == at or _new(recording, s, known))
            return found, bool(before)
        last = at
    return None, bool(before)


def _new(recording: Recording, at: int, known: set[Any]) -> bool:
    start_ms = recording.world.start * 1000 - 1000
    return any(
        alarm.at_ms >= start_ms and (alarm.bank, tuple(alarm.slice.items())) not in known
        for alarm in banks(recording.window(at), recording.usual)
    )


def _watched(recording: Recording, detected: int) -> tuple[Look, float]:
    """The look with the first verdict, else the last one, and the milliseconds of a look."""
    asked, spent, count, last = False, 0.0, 0, Look(at_ms=0)
    for step in STEPS:
        at = detected + step
        if at > min(recording.world.end + 20, recording.size - 1):
            break
        window = recording.window(at)
        began = time.process_time()
        look = attribute(window, recording.usual)
        spent, count = spent + time.process_time() - began, count + 1
        if not look.verdicts:
            continue
        last = look
        if look.verdicts[0].domain != "undetermined":
            break
        if look.verdicts[0].wants and not asked:
            recording.ask(look.verdicts[0].wants, at)
            asked = True
    return last, 1000 * spent / max(count, 1)
