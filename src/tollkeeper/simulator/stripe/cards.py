"""The provider's published test payment methods and the declines they stand for.

Source: Stripe's public testing page. Test numbers themselves are never needed, only tokens.
"""

from typing import Final, Literal

import msgspec

Challenge = Literal["never", "required"]
Aftermath = Literal["", "dispute", "refund_fails", "refund_pending"]


class Card(msgspec.Struct, frozen=True):
    """What a test payment method does when it is charged.

    `decline` is a decline code or empty; with `challenge` it applies after authentication.
    """

    brand: str = "visa"
    last4: str = "4242"
    country: str = "US"
    funding: str = "credit"
    decline: str = ""
    challenge: Challenge = "never"
    aftermath: Aftermath = ""
    blocked: bool = False


class Decline(msgspec.Struct, frozen=True):
    """How a decline is told: the error's `code` and message. `code` and the decline code are
    the same word for the faults of the card's data."""

    code: str
    message: str


_DECLINED: Final = "Your card was declined."

DECLINES: Final[dict[str, Decline]] = {
    "generic_decline": Decline("card_declined", _DECLINED),
    "insufficient_funds": Decline("card_declined", "Your card has insufficient funds."),
    "lost_card": Decline("card_declined", _DECLINED),
    "stolen_card": Decline("card_declined", _DECLINED),
    "fraudulent": Decline("card_declined", _DECLINED),
    "do_not_honor": Decline("card_declined", _DECLINED),
    "try_again_later": Decline("card_declined", _DECLINED),
    "issuer_not_available": Decline("card_declined", _DECLINED),
    "card_velocity_exceeded": Decline("card_declined", _DECLINED),
    "expired_card": Decline("expired_card", "Your card has expired."),
    "incorrect_cvc": Decline("incorrect_cvc", "Your card's security code is incorrect."),
    "incorrect_number": Decline("incorrect_number", "Your card number is incorrect."),
    "processing_error": Decline(
        "processing_error", "An error occurred while processing your card."
    ),
    "authentication_required": Decline(
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}

_REFUSED: Final = {
    "chargeDeclined": ("generic_decline", "0002"),
    "chargeDeclinedInsufficientFunds": ("insufficient_funds", "9995"),
    "chargeDeclinedLostCard": ("lost_card", "9987"),
    "chargeDeclinedStolenCard": ("stolen_card", "9979"),
    "chargeDeclinedVelocityLimitExceeded": ("card_velocity_exceeded", "6975"),
    "chargeDeclinedExpiredCard": ("expired_card", "0069"),
    "chargeDeclinedIncorrectCvc": ("incorrect_cvc", "0127"),
    "chargeDeclinedProcessingError": ("processing_error", "0119"),
    "chargeDeclinedFraudulent": ("fraudulent", "0019"),
    "chargeCustomerFail": ("generic_decline", "0341"),
}

CARDS: Final[dict[str, Card]] = {
    "pm_card_visa": Card(),
    "pm_card_us": Card(),
    "pm_card_visa_debit": Card(funding="debit", last4="5556"),
    "pm_card_mastercard": Card(brand="mastercard", last4="4444"),
    "pm_card_mastercard_debit": Card(brand="mastercard", funding="debit", last4="8210"),
    "pm_card_mastercard_prepaid": Card(brand="mastercard", funding="prepaid", last4="5100"),
    "pm_card_amex": Card(brand="amex", last4="8431"),
    "pm_card_discover": Card(brand="discover", last4="9424"),
    "pm_card_diners": Card(brand="diners", last4="0004"),
    "pm_card_jcb": Card(brand="jcb", last4="0505"),
    "pm_card_unionpay": Card(brand="unionpay", last4="0005"),
    "pm_card_bypassPending": Card(last4="0077"),
    "pm_card_radarBlock": Card(last4="0019", decline="fraudulent", blocked=True),
    "pm_card_threeDSecure2Required": Card(last4="3220", challenge="required"),
    "pm_card_threeDSecureRequired": Card(last4="3063", challenge="required"),
    "pm_card_authenticationRequired": Card(last4="3184", challenge="required"),
    "pm_card_threeDSecureRequiredChargeDeclined": Card(
        last4="1629", challenge="required", decline="generic_decline"
    ),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Card(
        last4="8260", challenge="required", decline="insufficient_funds"
    ),
    "pm_card_threeDSecureOptional": Card(last4="3055"),
    "pm_card_createDispute": Card(last4="0259", aftermath="dispute"),
    "pm_card_refundFail": Card(last4="5126", aftermath="refund_fails"),
    "pm_card_pendingRefund": Card(last4="7726", aftermath="refund_pending"),
    **{
        f"pm_card_{brand}{name}": Card(decline=decline, last4=last4)
        for name, (decline, last4) in _REFUSED.items()
        for brand in ("", "visa_")
    },
}

TOKENS: Final[dict[str, str]] = {
    name.replace("pm_card_", "tok_"): name for name in CARDS if name.startswith("pm_card_")
}
"""Published tokens (`tok_visa`), each the same card as a payment method."""
