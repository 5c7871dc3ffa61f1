"""Contradiction: a provider's webhook that says otherwise than its reply did.

Law: it is a signal and changes no payment. Webhooks come late, twice and in any order, so that only
what no order explains contradicts.
"""

from tollkeeper.payments.judging import charge_mismatch
from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Payment


def contradicts(payment: Payment, charge: Charge) -> bool:
    """Whether the provider shows money in a charge whose decline it had told us, or shows as
    declined what it had told us was paid."""
    if not payment.outcome_known or charge_mismatch(payment, charge) is not None:
        return False
    if payment.status == "failed":
        return payment.decline_reason is not None and charge.state in {"authorized", "captured"}
    return payment.status == "succeeded" and charge.state == "declined"
