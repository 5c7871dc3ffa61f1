"""Every legal move of a payment's status, as one table. Nothing else may change a status.

The state page in the documentation is drawn from it.
"""

from typing import Final, Literal

from tollkeeper.payments.payment import Status

Transition = Literal[
    "authorized",
    "paid",
    "action_required",
    "pending",
    "declined",
    "refused",
    "not_executed",
    "captured",
    "partly_captured",
    "voided",
    "abandoned",
    "expired",
    "canceled_externally",
    "captured_externally",
    "found_authorized",
    "found_paid",
    "misread_approval",
    "misread_capture",
]

MOVES: Final[dict[Transition, tuple[str, dict[Status, Status]]]] = {
    "authorized": (
        "the provider holds the money for us",
        {"processing": "requires_capture", "requires_action": "requires_capture"},
    ),
    "paid": (
        "the provider took the money at once",
        {"processing": "succeeded", "requires_action": "succeeded"},
    ),
    "action_required": (
        "the shopper must authenticate (3-D Secure)",
        {"processing": "requires_action"},
    ),
    "pending": (
        "the provider has it and has not decided",
        {"processing": "processing", "requires_action": "processing"},
    ),
    "declined": (
        "the issuer or the provider said no",
        {"processing": "failed", "requires_action": "failed"},
    ),
    "refused": (
        "every version tried proved that nothing was executed",
        {"processing": "failed"},
    ),
    "not_executed": (
        "a consistent listing after the in-flight window shows no charge",
        {"processing": "failed"},
    ),
    "captured": ("a final capture took effect", {"requires_capture": "succeeded"}),
    "partly_captured": (
        "a capture that is not final took effect",
        {"requires_capture": "requires_capture"},
    ),
    "voided": (
        "our cancellation took effect",
        {
            "processing": "canceled",
            "requires_action": "canceled",
            "requires_capture": "canceled",
        },
    ),
    "abandoned": (
        "an intent that nobody completed was cancelled at the provider",
        {"processing": "failed", "requires_action": "failed"},
    ),
    "expired": ("the authorization ran out", {"requires_capture": "canceled"}),
    "canceled_externally": (
        "cancelled at the provider, not by us",
        {
            "processing": "canceled",
            "requires_action": "canceled",
            "requires_capture": "canceled",
        },
    ),
    "captured_externally": (
        "captured at the provider, not by us",
        {"requires_capture": "succeeded"},
    ),
    "misread_approval": (
        "another version saw a refusal where the one that took the payment had read an approval",
        {"succeeded": "failed", "requires_capture": "failed"},
    ),
    "misread_capture": (
        "another version saw an authorization where the one that took it had read a capture",
        {"succeeded": "requires_capture"},
    ),
    "found_authorized": (
        "a live authorization turned up after the payment had ended; needs a person",
        {"failed": "requires_capture", "canceled": "requires_capture"},
    ),
    "found_paid": (
        "a captured charge turned up after the payment had ended; needs a person",
        {"failed": "succeeded", "canceled": "succeeded"},
    ),
}

FINAL: Final[frozenset[Status]] = frozenset({"succeeded", "canceled", "failed"})


def target(status: Status, move: Transition) -> Status:
    """The status that `move` leads to. An illegal move is our own bug and asserts."""
    targets = MOVES[move][1]
    assert status in targets, f"illegal move {move} from {status}"
    return targets[status]


def is_legal(status: Status, move: Transition) -> bool:
    """Whether the table has `move` from `status`."""
    return status in MOVES[move][1]


def reachable() -> frozenset[tuple[Status, Status]]:
    """Every pair of statuses that some move connects."""
    return frozenset(pair for _, targets in MOVES.values() for pair in targets.items())
