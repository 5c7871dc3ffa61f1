"""Stripe's words and ours: states, declines, refusals, event types, currencies.

Law: frozen versions import this file. It never changes by a byte; a change is `words_2`, for new
revisions only. A word that no table knows is unknown, never a guess.
"""

from typing import Final

from tollkeeper.integrations.parts.amounts_1 import units_of, words
from tollkeeper.integrations.version import Unit
from tollkeeper.payments.outcome import (
    ChargeState,
    DeclineReason,
    DisputeState,
    EventTopic,
    FailureCode,
    RefundState,
)

INTENT_STATES: Final[dict[str, ChargeState]] = {
    "requires_confirmation": "open",
    "requires_payment_method": "open",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "authorized",
    "succeeded": "captured",
    "canceled": "canceled",
}
REFUND_STATES: Final[dict[str, RefundState]] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
DISPUTE_STATES: Final[dict[str, DisputeState]] = {
    "needs_response": "open",
    "under_review": "open",
    "won": "won",
    "lost": "lost",
    "prevented": "prevented",
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry_closed",
}
"""A word that is missing here counts as open, so that a person looks at the dispute."""

DECLINE_WORDS: Final[dict[DeclineReason, str]] = {
    "insufficient_funds": "insufficient_funds",
    "limit_exceeded": "withdrawal_count_limit_exceeded card_velocity_exceeded",
    "card_expired": "expired_card invalid_expiry_month invalid_expiry_year",
    "incorrect_security_code": "incorrect_cvc invalid_cvc",
    "incorrect_details": "incorrect_number invalid_number incorrect_zip invalid_account",
    "lost_or_stolen": "lost_card stolen_card pickup_card",
    "suspected_fraud": "fraudulent merchant_blacklist",
    "authentication_required": "authentication_required",
    "authentication_failed": "payment_intent_authentication_failure",
    "not_supported": "card_not_supported currency_not_supported transaction_not_allowed",
    "try_again_later": "issuer_not_available processing_error try_again_later reenter_transaction",
    "do_not_honor": "do_not_honor call_issuer",
    "declined": "generic_decline card_declined",
}
DECLINE_REASONS: Final = {w: reason for reason, ws in DECLINE_WORDS.items() for w in words(ws)}
REFUSED_STATUSES: Final = frozenset({401, 403, 404, 405, 410, 415, 429})
OURS_STATUSES: Final = frozenset({401, 403})
LATER_STATUS: Final = 429
REFUSAL_WORDS: Final[dict[FailureCode, str]] = {
    "amount_too_small": "amount_too_small",
    "amount_too_large": "amount_too_large",
    "payment_method_unusable": """
        invalid_card_type payment_intent_incompatible_payment_method
        payment_method_currency_mismatch payment_method_invalid_parameter
        payment_method_not_available payment_method_unactivated payment_method_unexpected_state
        source_not_chargeable token_already_used
        """,
    "authentication_required": "payment_intent_authentication_failure",
    "already_captured": "charge_already_captured",
    "already_refunded": "charge_already_refunded",
    "not_refundable": "charge_not_refundable",
    "authorization_expired": """
        capture_charge_authorization_expired charge_expired_for_capture
        """,
    "disputed": "charge_disputed refund_disputed_payment",
    "provider_balance": "balance_insufficient insufficient_funds",
    "provider_configuration": """
        account_closed account_country_invalid_address account_invalid api_key_expired
        livemode_mismatch platform_account_required platform_api_key_expired secret_key_required
        testmode_charges_only
        """,
    "try_again": "lock_timeout rate_limit",
    "refused": """
        capture_unauthorized_payment country_unsupported customer_max_payment_methods email_invalid
        invalid_charge_amount invalid_charge_amount_no_decimal_compatible parameter_invalid_empty
        parameter_invalid_integer parameter_invalid_string_blank parameter_invalid_string_empty
        parameter_missing parameter_unknown parameters_exclusive payment_intent_unexpected_state
        resource_missing return_url_required url_invalid
        """,
}
"""Codes of refusals that executed nothing. Source: docs.stripe.com/error-codes. A refusal of type
`invalid_request_error` whose code is missing here is confirmed by one look."""

REFUSAL_REASONS: Final = {w: reason for reason, ws in REFUSAL_WORDS.items() for w in words(ws)}
PARAMETER_REASONS: Final[dict[tuple[str, str], FailureCode]] = {
    ("resource_missing", "payment_method"): "payment_method_unusable",
}
"""Where a code says only that something is wrong, what the parameter says about it."""

MESSAGE_REASONS: Final[tuple[tuple[str, FailureCode], ...]] = (
    ("unrefunded amount", "already_refunded"),
    ("paymentmethod", "payment_method_unusable"),
    ("payment method", "payment_method_unusable"),
    ("your account", "provider_configuration"),
)
"""What to tell the shop where Stripe gives no code; the text decides nothing else."""

RETRY_AFTER_MOST_S: Final = 3_600
EVENT_WORDS: Final[dict[EventTopic, str]] = {
    "charge": """
        payment_intent.amount_capturable_updated payment_intent.canceled
        payment_intent.payment_failed payment_intent.processing payment_intent.requires_action
        payment_intent.succeeded charge.captured charge.expired charge.failed charge.succeeded
        """,
    "refund": "charge.refunded charge.refund.updated refund.created refund.updated refund.failed",
    "dispute": "charge.dispute.created charge.dispute.updated charge.dispute.closed",
}
EVENT_TOPICS: Final = {w: topic for topic, ws in EVENT_WORDS.items() for w in words(ws)}
UNITS: Final = units_of(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BIF BMD BND BOB BRL BSD BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD
    HKD HNL HTG HUF IDR ILS INR JMD JPY KES KGS KHR KMF KRW KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD
    MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN PYG QAR RON
    RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SVC SZL THB TJS TOP TRY TTD TWD TZS UAH USD
    UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW
    """,
    {
        "ISK": Unit(theirs=100),
        "UGX": Unit(theirs=100),
        "MGA": Unit(ours=100, step_minor=100),
        **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), Unit(step_minor=10)),
    },
)
"""Stripe's presentment currencies. It counts krona and Ugandan shilling in hundredths, which must
come whole, and ariary in units; of three decimals the last must be 0. Forint and Taiwan dollar
differ in payouts only. Source: docs.stripe.com/currencies, "Special cases"."""

REFUND_REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
