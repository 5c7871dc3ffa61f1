"""Money: an integer of minor units and an ISO 4217 currency, never a float.

The exponents (JPY 0, USD 2, KWD 3) come from the maintained package `iso4217`.
"""

from decimal import Decimal
from typing import Final

import iso4217
import msgspec

MAX_AMOUNT_MINOR: Final = 99_999_999_999
"""The largest amount accepted, in minor units: fits every store's 64-bit integers with room for
sums, and lies above what any provider here accepts (Stripe: 99,999,999)."""


def _exponents() -> dict[str, int]:
    # Metals, bond units and test codes have no exponent and are not money to pay with.
    return {entry.code: entry.exponent for entry in iso4217.Currency if entry.exponent is not None}


EXPONENTS: Final[dict[str, int]] = _exponents()
"""Currency code (upper case) to the number of decimal digits of its minor unit."""


class Money(msgspec.Struct, frozen=True):
    """`amount_minor` minor units of `currency` (upper-case ISO 4217)."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        return display(self.amount_minor, self.currency)


def is_currency(code: str) -> bool:
    """Whether `code` is an upper-case ISO 4217 code of money that can be paid with."""
    return code in EXPONENTS


def display(amount_minor: int, currency: str) -> str:
    """For people: `12.34 EUR`, `500 JPY`, `1.250 KWD`."""
    exponent = EXPONENTS.get(currency, 0)
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f} {currency}"
