"""Sampling: the outline of a reply that departed, for those who must see what the provider did."""

from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.outlines import outline
from tollkeeper.integrations.version import WireReply
from tollkeeper.signals.counts import REQUEST, Cell
from tollkeeper.signals.departures import departs


def sample(runtime: Runtime, cell: Cell, reply: WireReply | None) -> None:
    """Takes an outline of the reply that was counted in a cell, where it departed and samples of
    its shape are wanted still."""
    sampling = runtime.live.sampling
    if reply is None or not departs(cell) or not sampling.is_wanted(cell):
        return
    kept = runtime.fields_read(cell.provider)
    place = "" if cell.pointer.startswith(REQUEST) else cell.pointer
    sampling.take(cell, runtime.store.now_ms(), outline(reply.body, place, kept))
