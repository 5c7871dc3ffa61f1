"""A candidate that misreads money without failing: what only a cross-read can see."""

from collections.abc import Mapping

import msgspec

from tollkeeper.integrations.values import Integration, WireReply
from tollkeeper.payments.outcome import Charge, Operation, Outcome


def misreading(installed: Mapping[str, Integration], name: str) -> dict[str, Integration]:
    """`installed` with a version called `name` that takes captured for merely authorized."""
    real = installed[name]

    def outcome(operation: Operation, reply: WireReply) -> Outcome:
        said = real.outcome(operation, reply)
        if operation not in {"authorize", "lookup", "find"} or said.kind != "approved":
            return said
        charge = _misread(said.charge) if said.charge is not None else None
        charges = tuple(_misread(one) for one in said.charges)
        return msgspec.structs.replace(said, charge=charge, charges=charges)

    return dict(installed) | {name: msgspec.structs.replace(real, outcome=outcome)}


def _misread(charge: Charge) -> Charge:
    if charge.state != "captured":
        return charge
    return msgspec.structs.replace(
        charge, state="authorized", captured_minor=0, capturable_minor=charge.amount_minor
    )
