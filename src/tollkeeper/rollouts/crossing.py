"""Cross-reading: does the baseline see a canary's payment as the canary said it was?

The only guard against a version that misreads money without failing: cents read as units, declined
read as approved, captured read as authorized.
"""

from typing import Final

from tollkeeper.payments.judging import charge_mismatch
from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Payment

SEEN_AS: Final[dict[str, frozenset[str]]] = {
    "requires_action": frozenset({"requires_action", "open"}),
    "processing": frozenset({"processing", "authorized", "captured"}),
    "requires_capture": frozenset({"authorized"}),
    "succeeded": frozenset({"captured"}),
    "canceled": frozenset({"canceled"}),
    "failed": frozenset({"declined", "open", "canceled"}),
}
"""A payment's status and the states that its charge may have at the provider."""


def is_disagreement(verdict: str | None) -> bool:
    """Whether the baseline saw something else than the candidate had said."""
    return verdict == "disagreed"


def is_agreement(verdict: str | None) -> bool:
    """Whether the question is over, and nothing was wrong."""
    return verdict not in {None, "disagreed"}


def disagreement(payment: Payment, charge: Charge) -> str | None:
    """What the baseline sees otherwise, or `None`."""
    if wrong := charge_mismatch(payment, charge):
        return wrong
    if charge.state not in SEEN_AS[payment.status]:
        return f"the charge is {charge.state}, the payment {payment.status}"
    if charge.state in {"captured", "authorized"} and (
        charge.captured_minor != payment.captured_minor
    ):
        return f"captured {charge.captured_minor}, the payment says {payment.captured_minor}"
    return None


def may_have_changed(payment: Payment, charge: Charge) -> bool:
    """Whether the provider may have changed the charge since it was read: a hold expires, and is
    captured or released at the provider's dashboard. Then its own version sees that as well."""
    return payment.status == "requires_capture" and charge.state in {"canceled", "captured"}
