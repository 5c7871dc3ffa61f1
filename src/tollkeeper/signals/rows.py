"""All rows of evidence of a scene, in one place."""

from collections.abc import Callable, Iterator
from typing import Final

from tollkeeper.signals.absences import absences
from tollkeeper.signals.circumstances import circumstances
from tollkeeper.signals.evidence import Evidence, Place, placed
from tollkeeper.signals.gauging import gauges
from tollkeeper.signals.quantities import crowds, declines, durations, families, volume
from tollkeeper.signals.rules import ruled
from tollkeeper.signals.scene import Scene
from tollkeeper.signals.troubles import troubled

READERS: Final[tuple[Callable[[Scene, Place], Iterator[Evidence]], ...]] = (
    placed, troubled, families, absences, declines, crowds, volume, durations, circumstances,
    gauges,
)  # fmt: skip


def rows_of(
    scene: Scene, place: Place, without: frozenset[str] = frozenset()
) -> dict[str, Evidence]:
    """The rows of a scene by name, rules included, as if those of `without` were unknown."""
    rows = {
        found.name: found
        for read in READERS
        for found in read(scene, place)
        if found.name not in without
    }
    return rows | ruled(rows)
