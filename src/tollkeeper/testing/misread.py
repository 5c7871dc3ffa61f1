"""A candidate that misreads money without failing: what only a cross-read can see."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tollkeeper.integrations.version import Integration, WireReply
from tollkeeper.payments.outcome import Charge, Decline, Operation, Outcome


def _authorized(charge: Charge) -> Charge:
    return msgspec.structs.replace(
        charge, state="authorized", captured_minor=0, capturable_minor=charge.amount_minor
    )


def _declined(charge: Charge) -> Charge:
    return msgspec.structs.replace(
        charge, state="declined", captured_minor=0, capturable_minor=0, decline=NO
    )


def _captured(charge: Charge) -> Charge:
    return msgspec.structs.replace(
        charge, state="captured", captured_minor=charge.amount_minor, capturable_minor=0
    )


NO: Final = Decline("declined", "misread")
KINDS: Final[Mapping[str, tuple[str, Callable[[Charge], Charge]]]] = {
    "authorized": ("captured", _authorized),
    "declined": ("captured", _declined),
    "captured": ("authorized", _captured),
}
"""What a charge in a state is taken for."""


def misreading(
    installed: Mapping[str, Integration], name: str, kind: str = "authorized"
) -> dict[str, Integration]:
    """`installed` with a version called `name` that takes one state for `kind`."""
    real = installed[name]
    state, changed = KINDS[kind]

    def misread(charge: Charge) -> Charge:
        return changed(charge) if charge.state == state else charge

    def outcome(operation: Operation, reply: WireReply) -> Outcome:
        said = real.outcome(operation, reply)
        if operation not in {"authorize", "lookup", "find"} or said.kind != "approved":
            return said
        charge = misread(said.charge) if said.charge is not None else None
        said = msgspec.structs.replace(
            said, charge=charge, charges=tuple(misread(one) for one in said.charges)
        )
        if charge is None or charge.state != "declined" or operation == "find":
            return said
        return msgspec.structs.replace(said, kind="declined", decline=NO)

    return dict(installed) | {name: msgspec.structs.replace(real, outcome=outcome)}
