"""Failure codes: the stable words that tell a shop why a payment or a refund failed.

Law: a word never changes its meaning. A new cause is a new word, or `refused`.
"""

from typing import Final

import msgspec

from tollkeeper.payments.outcome import FailureCode


class Failure(msgspec.Struct, frozen=True):
    """What a code means; `retryable`: a new request with a fresh key may succeed unchanged."""

    says: str
    retryable: bool = False


FAILURES: Final[dict[FailureCode, Failure]] = {
    "declined": Failure("The issuer or the provider declined; see `decline_reason`."),
    "not_sent": Failure("The provider could not be reached. Nothing was executed.", retryable=True),
    "not_executed": Failure(
        "The provider shows no effect of the request. A later fact may still correct this."
    ),
    "not_completed": Failure("The shopper did not complete the authentication in time."),
    "refused": Failure("The provider refused the request. See `provider_error` for its words."),
    "try_again": Failure("The provider was busy. Nothing was executed.", retryable=True),
    "provider_configuration": Failure(
        "Our key or our account at the provider is at fault. Operators were told.", retryable=True
    ),
    "amount_too_small": Failure("The amount is below the provider's minimum."),
    "amount_too_large": Failure("The amount is above the provider's maximum."),
    "payment_method_unusable": Failure(
        "The payment method is unknown, used up or not usable here. Ask for another one."
    ),
    "authentication_required": Failure("The shopper must authenticate, and has not."),
    "already_captured": Failure("The authorization was captured before."),
    "already_refunded": Failure("The charge was refunded before, or less of it is left."),
    "not_refundable": Failure("The provider does not refund this charge."),
    "authorization_expired": Failure("The authorization has expired."),
    "disputed": Failure("The charge is disputed, and the provider refunds no disputed charge."),
    "provider_balance": Failure("Our balance at the provider does not cover this."),
    "failed_at_provider": Failure("The provider accepted the refund, and it failed later."),
}
"""Every failure code."""


def said_of(code: str) -> str:
    """What a failure code means, in a sentence; empty for a code of a newer release."""
    found = next((failure for name, failure in FAILURES.items() if name == code), None)
    return found.says if found is not None else ""
