"""What a verdict explains, taken out of a window, so that a second disturbance can be seen."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from tollkeeper.signals.counts import Batch, Cell, Counted, Window
from tollkeeper.signals.evidence import Place
from tollkeeper.signals.history import late_count
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.words import Trouble, trouble_of

LEAST_LEFT: Final = 3.0
"""Failures over the usual ones below which nothing remains that could be a verdict."""

BEFORE_S: Final = 60
"""How far before the onset the rest is looked at: what began earlier would have alarmed first."""

type Explains = Callable[[Counted], bool]


def without(scene: Scene, place: Place, slice_: dict[str, str]) -> Window:
    """The scene's window, from a minute before the onset on, without the bad lines that the slice
    and the leading kind of trouble explain."""
    explains = _explains(scene, slice_)
    silent = _leading(scene) == "silent" or scene.subject == "durations"
    return replace(
        scene.window,
        batches=tuple(
            _left(batch, explains, slice_, silent=silent)
            for batch in scene.batches
            if batch.second >= scene.onset.second - BEFORE_S
        ),
    )


def may_remain(scene: Scene, slice_: dict[str, str]) -> bool:
    """Whether anything can remain, which is cheaper to see than what: alarms of another family, or
    failures beyond the slice and the leading kind of trouble."""
    if scene.family != "failures" or scene.subject == "repeats":
        return True
    if any(alarm.family != scene.family for alarm in scene.alarms):
        return True
    leading = _leading(scene)
    rest = sum(
        pile.bad - pile.usual
        for pile in scene.piles
        if pile.trouble != leading or not _is_inside(pile.cell, slice_)
    )
    return rest >= LEAST_LEFT or _subjects(scene) > 1


def _subjects(scene: Scene) -> int:
    """Of how many things there are alarms: attempts, webhooks, requests."""
    names = {alarm.bank for alarm in scene.alarms}
    return sum(
        bool(names & kind)
        for kind in (
            {"fail", "sustained", "contract", "not_now", "internal", "build", "missing"},
            {"webhooks", "missing_webhooks", "late_webhooks"},
            {"api"},
        )
    )


def _left(batch: Batch, explains: Explains, slice_: dict[str, str], *, silent: bool) -> Batch:
    counted = [line for line in batch.counted if not explains(line)]
    waiting = [
        one
        for one in batch.waiting
        if not (silent and slice_.get("provider", one.provider) == one.provider)
    ]
    if len(counted) == len(batch.counted) and len(waiting) == len(batch.waiting):
        return batch
    return replace(batch, counted=counted, waiting=waiting)


def _leading(scene: Scene) -> Trouble | None:
    counts: dict[Trouble, float] = {}
    for pile in scene.piles:
        if pile.trouble is not None:
            counts[pile.trouble] = counts.get(pile.trouble, 0.0) + pile.bad
    return max(counts, key=lambda trouble: (counts[trouble], trouble), default=None)


def _is_inside(cell: Cell, slice_: dict[str, str]) -> bool:
    return all(getattr(cell, name) == value for name, value in slice_.items())


def _explains(scene: Scene, slice_: dict[str, str]) -> Explains:
    leading = _leading(scene)

    def is_inside(cell: Cell) -> bool:
        return _is_inside(cell, slice_)

    def failure(line: Counted) -> bool:
        cell = line.cell
        return cell.result == "failed" and is_inside(cell) and trouble_of(cell) == leading

    def decline(line: Counted) -> bool:
        return line.cell.result == "declined" and is_inside(line.cell)

    def slow(line: Counted) -> bool:
        cell = line.cell
        if cell.kind != "attempt" or not is_inside(cell):
            return False
        parts = scene.usual.late_parts(cell.provider, cell.operation)
        return late_count(line.tally.took, parts) > 0.5 * line.tally.n

    def repeat(line: Counted) -> bool:
        return line.cell.repeat >= 2 and is_inside(line.cell)

    if scene.subject == "repeats":
        return repeat
    if scene.family == "failures":
        return failure
    return decline if scene.family == "declines" else slow
