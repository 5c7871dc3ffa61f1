"""Amounts as providers count them, and the tables of currencies and words.

Law: frozen versions import this file. It never changes by a byte; a change is `amounts_2`.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from tollkeeper.integrations.version import Unit

Amount = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""An amount on the wire. JSON's readers agree on whole numbers below 2**53 (RFC 8259, section 6);
what is beyond is no money, and no column of ours could hold it."""


def sent_amount(units: Mapping[str, Unit], currency: str, amount_minor: int) -> int:
    """`amount_minor` of ours in the provider's units; raises ValueError where there is no whole
    number of them."""
    unit = units.get(currency)
    if unit is None:
        return amount_minor
    return _whole(amount_minor * unit.theirs, unit.ours, currency)


def read_amount(units: Mapping[str, Unit], currency: str, amount: int) -> int:
    """An `amount` of the provider's in our minor units; raises ValueError where it is none."""
    unit = units.get(currency)
    if unit is None:
        return amount
    return _whole(amount * unit.ours, unit.theirs, currency)


def _whole(product: int, divisor: int, currency: str) -> int:
    whole, rest = divmod(product, divisor)
    if rest:
        raise ValueError(f"no whole number of minor units of {currency[:10]}")
    return whole


def units_of(plain: str, special: Mapping[str, Unit]) -> dict[str, Unit]:
    """The currencies that a version takes: those of `plain` (written with blanks) are counted as
    ISO 4217 does, those of `special` otherwise."""
    return {code: Unit() for code in sorted(words(plain))} | dict(special)


def words(text: str) -> frozenset[str]:
    """The words of a table entry, written with blanks between them."""
    return frozenset(text.split())
