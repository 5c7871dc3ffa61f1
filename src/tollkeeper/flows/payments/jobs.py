"""The jobs of this feature: what runs each kind, and its part of the slots."""

from typing import Final

from tollkeeper.flows.payments.holding import send_held
from tollkeeper.flows.payments.settle import settle
from tollkeeper.flows.payments.webhook import trace
from tollkeeper.flows.ports import JobKind

JOBS: Final[dict[str, JobKind]] = {
    "settle": JobKind(
        run=settle,
        slots=24,
        parties="payments",
        account=0.5,
        peer=0.75,
        why="settles doubt at the provider",
    ),
    "send_held": JobKind(
        run=send_held,
        slots=8,
        parties="payments",
        account=0.5,
        peer=1.0,
        why="sends payments that were accepted while no version worked",
    ),
    "refresh": JobKind(
        run=settle,
        slots=10,
        parties="payments",
        account=0.5,
        peer=0.75,
        why="looks again after a provider's webhook or a shopper's return",
    ),
    "trace": JobKind(run=trace, slots=2, why="asks the provider which payment a webhook is about"),
}
