"""Sampling: the outline of a reply that departed, for those who must see what the provider did."""

from collections.abc import Callable

from tollkeeper.integrations.outlines import outline
from tollkeeper.integrations.version import WireReply
from tollkeeper.signals.counts import REQUEST, Cell
from tollkeeper.signals.departures import departs
from tollkeeper.signals.samples import Sampling


def sample(
    sampling: Sampling,
    cell: Cell,
    reply: WireReply | None,
    at_ms: int,
    fields_read: Callable[[str], frozenset[str]],
) -> None:
    """Takes an outline of the reply that was counted in a cell, where it departed and samples of
    its shape are wanted still. `fields_read` gives what versions of a provider read."""
    if reply is None or not departs(cell) or not sampling.is_wanted(cell):
        return
    place = "" if cell.pointer.startswith(REQUEST) else cell.pointer
    sampling.take(cell, at_ms, outline(reply.body, place, fields_read(cell.provider)))
