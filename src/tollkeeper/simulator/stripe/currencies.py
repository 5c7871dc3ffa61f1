"""How the provider counts money: its own units, which are not always ISO 4217's.

Source: docs.stripe.com/currencies ("Zero-decimal currencies", "Three-decimal currencies", "Special
cases", minimum charge amounts) and Stripe's support article on fractional ISK.
"""

from typing import Final

from tollkeeper.kernel.money import EXPONENTS
from tollkeeper.simulator.stripe import problems

MAX_AMOUNT: Final = 99_999_999
"""The provider's largest amount: eight digits."""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZERO_DECIMAL: Final = _codes(
    """
    bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf
    """
)
THREE_DECIMAL: Final = _codes(
    """
    bhd jod kwd omr tnd
    """
)
WHOLE_HUNDREDTHS: Final = frozenset(("isk", "ugx"))
"""Without decimals since long, but still written with two, for compatibility: both zeros."""

TWO_DECIMAL: Final = _codes(
    """
    aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob brl bsd bwp byn bzd cad cdf chf
    cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf
    idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr
    mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr
    sek sgd shp sle sos srd svc szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs wst xcd xcg
    yer zar zmw
    """
)
SUPPORTED: Final = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL

MINIMUM: Final = {
    "gbp": 30, "dkk": 250, "nok": 300, "sek": 300, "mxn": 1000, "pln": 200, "czk": 1500,
    "huf": 17500, "hkd": 400, "myr": 200, "aed": 200, "ron": 200, "thb": 1000, "isk": 100,
    "ugx": 100, **dict.fromkeys(THREE_DECIMAL, 10), "mga": 1,
}  # fmt: skip
"""Currency to the least amount in the provider's units, where Stripe names one."""

USUAL_MINIMUM: Final = 50
"""Elsewhere the figure of the settlement currency is taken as it is."""


def check_currency(currency: str) -> None:
    """Raises Problem (400) for a currency that is not supported."""
    if currency not in SUPPORTED:
        raise problems.invalid("currency", f"Invalid currency: {currency[:20]}.")


def check_amount(amount: int, currency: str) -> None:
    """Raises Problem (400) for a currency that is not supported or an amount out of bounds."""
    check_currency(currency)
    least = MINIMUM.get(currency, USUAL_MINIMUM)
    if amount < least:
        raise problems.Problem(
            400,
            f"Amount must be at least {least} {currency}.",
            code="amount_too_small",
            param="amount",
        )
    if amount > MAX_AMOUNT:
        raise problems.Problem(
            400,
            f"Amount must be no more than {MAX_AMOUNT} {currency}.",
            code="amount_too_large",
            param="amount",
        )
    check_step(amount, currency, "amount")


def check_step(amount: int, currency: str, param: str) -> None:
    """Raises Problem (400) for digits that the card networks cannot carry."""
    if currency in WHOLE_HUNDREDTHS and amount % 100:
        message = (
            f"Invalid amount. Currency {currency.upper()} has become effectively zero-decimal and"
            " charged amounts must be evenly divisible by 100."
        )
        code = "invalid_charge_amount_no_decimal_compatible"
        raise problems.Problem(400, message, code=code, param=param)
    if currency in THREE_DECIMAL and amount % 10:
        message = f"Invalid amount. The last digit of an amount in {currency.upper()} must be 0."
        raise problems.Problem(400, message, code="invalid_charge_amount", param=param)


def iso_minor(amount: int, currency: str) -> int:
    """`amount` of the provider's units in ISO 4217's minor units, as the ledger counts."""
    iso = int(10 ** EXPONENTS.get(currency.upper(), 2))
    return amount * iso // int(10 ** _decimals(currency))


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2
