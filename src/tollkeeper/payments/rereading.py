"""Re-reading a stored reply with the other installed versions: the first rung of settling.

Law: it settles only where id, our reference, amount and currency all agree; a reading that another
version merely finds plausible settles nothing.
"""

from tollkeeper.payments.judging import judge_seen
from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt, Payment


def agreeing(payment: Payment, attempt: Attempt, reading: Outcome) -> Outcome | None:
    """The reading, judged, if it proves what became of `attempt`; else `None`."""
    said = judge_seen(payment, attempt, reading)
    if said.kind in {"approved", "pending", "declined"} and _identified(attempt, said):
        return said
    return None


def _identified(attempt: Attempt, said: Outcome) -> bool:
    if attempt.operation == "refund":
        return said.refund is not None and said.refund.attempt_id == attempt.id
    if said.charge is None:
        return False
    return attempt.operation != "authorize" or said.charge.attempt_id == attempt.id
