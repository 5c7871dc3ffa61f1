"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.ports import JobKind
from tollkeeper.flows.signals import budgets
from tollkeeper.flows.signals.feeding import read_feed
from tollkeeper.flows.signals.heartbeat import beat
from tollkeeper.flows.signals.posting import KIND, post
from tollkeeper.flows.signals.summing import sum_up

JOBS: Final[dict[str, JobKind]] = {
    "heartbeat": JobKind(run=beat, slots=1, why="asks the address of a dead man's switch"),
    KIND: JobKind(run=post, slots=1, why="posts alerts to Alertmanagers"),
    "read_status": JobKind(run=read_feed, slots=1, why="reads providers' status feeds"),
    budgets.KIND: JobKind(run=budgets.watch, slots=1, why="watches objectives of OpenSLO files"),
    "sum_up_signals": JobKind(run=sum_up, slots=1, why="sums up counts by minute"),
}
