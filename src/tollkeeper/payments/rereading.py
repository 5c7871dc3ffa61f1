"""Re-reading a stored reply with the other installed versions: the first rung of settling.

Law: it settles only where id, our reference, amount and currency all agree; a reading that another
version merely finds plausible settles nothing.
"""

from collections.abc import Iterable
from typing import Final

from tollkeeper.payments.judging import judge_seen
from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt, Payment


def agreeing(payment: Payment, attempt: Attempt, reading: Outcome) -> Outcome | None:
    """The reading, judged, if it proves what became of `attempt`; else `None`."""
    said = judge_seen(payment, attempt, reading)
    if said.kind in {"approved", "pending", "declined"} and _identified(attempt, said):
        return said
    return None


def is_contradicted(attempt: Attempt, said: Outcome, readings: Iterable[Outcome]) -> bool:
    """Whether a decline of an authorization cannot be believed, because another version's reading
    of the same bytes, whatever else is wrong with it, shows a charge that holds or moves money."""
    if said.kind != "declined" or attempt.operation != "authorize":
        return False
    charges = [reading.charge for reading in readings if reading.charge is not None]
    return any(charge.state in _LIVE for charge in charges)


def _identified(attempt: Attempt, said: Outcome) -> bool:
    if attempt.operation == "refund":
        return said.refund is not None and said.refund.attempt_id == attempt.id
    if said.charge is None:
        return False
    return attempt.operation != "authorize" or said.charge.attempt_id == attempt.id


_LIVE: Final = frozenset({"authorized", "captured", "processing", "requires_action"})
"""States of a charge that no decline leaves."""
