"""Amounts in the provider's units: every version counts them alike, out and back."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.rooms.plays import ORDER, PLAYED, intent, refund, reply

from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import Integration
from tollkeeper.kernel.money import EXPONENTS
from tollkeeper.payments.outcome import Operation

NAMES = PLAYED
pytestmark = pytest.mark.parametrize("name", NAMES)

COUNTED = [
    ("EUR", 1_000, 1_000), ("JPY", 1_000, 1_000), ("HUF", 1_000, 1_000), ("TWD", 1_000, 1_000),
    ("KWD", 1_000, 1_000), ("ISK", 10, 1_000), ("UGX", 10, 1_000), ("MGA", 100_000, 1_000),
]  # fmt: skip
"""Currency, minor units of ISO 4217, and what Stripe calls the same amount."""


def sent_amounts(version: Integration, operation: Operation, amount: int, currency: str) -> str:
    order = replace(ORDER, amount_minor=amount, currency=currency)
    return version.request(operation, order).body.decode()


@pytest.mark.parametrize(("currency", "ours", "theirs"), COUNTED)
def test_amounts_go_out_in_the_providers_units(
    name: str, currency: str, ours: int, theirs: int
) -> None:
    version = INSTALLED[name]
    for operation, field in (("authorize", "amount"), ("refund", "amount")):
        sent = sent_amounts(version, operation, ours, currency)  # type: ignore[arg-type]
        assert f"{field}={theirs}&" in sent
    assert f"amount_to_capture={theirs}" in sent_amounts(version, "capture", ours, currency)


@pytest.mark.parametrize(("currency", "ours", "theirs"), COUNTED)
def test_amounts_come_back_in_ours(name: str, currency: str, ours: int, theirs: int) -> None:
    version, code = INSTALLED[name], currency.lower()
    assert theirs == 1_000  # what the plays' intents hold
    held = intent(name, "requires_capture", currency=code)
    charge = version.outcome("lookup", reply(held)).charge
    assert charge is not None
    assert (charge.amount_minor, charge.capturable_minor) == (ours, ours)
    taken = intent(name, "succeeded", currency=code, refunded=1_000)
    charge = version.outcome("capture", reply(taken)).charge
    assert charge is not None
    assert (charge.captured_minor, charge.refunded_minor) == (ours, ours)
    given = version.outcome("refund", reply(refund("succeeded", currency=code, amount=1_000)))
    assert given.refund is not None
    assert given.refund.amount_minor == ours
    listed = {"data": [held], "has_more": False}
    assert version.outcome("find", reply(listed)).charges[0].amount_minor == ours
    back: dict[str, Any] = {
        "data": [refund("succeeded", currency=code, amount=1_000)], "has_more": False
    }  # fmt: skip
    assert version.outcome("list_refunds", reply(back)).refunds[0].amount_minor == ours


def test_an_amount_that_is_none_of_ours_is_unknown(name: str) -> None:
    odd = intent(name, "requires_capture", currency="isk", amount=1_001)
    assert INSTALLED[name].outcome("lookup", reply(odd)).kind == "unknown"


@pytest.mark.parametrize(
    ("amount", "currency", "pointer"),
    [
        (1_000, "EUR", None), (101, "ISK", None), (5_124, "KWD", "/amount_minor"),
        (5_120, "KWD", None), (150, "MGA", "/amount_minor"), (200, "MGA", None),
        (1_000, "KPW", "/currency"), (1_000, "IQD", "/currency"),
    ],
)  # fmt: skip
def test_what_stripe_refuses_is_known(
    name: str, amount: int, currency: str, pointer: str | None
) -> None:
    fault = INSTALLED[name].amount_fault(amount, currency)
    assert (fault.pointer if fault else None) == pointer


def test_units_follow_iso_where_the_table_has_nothing_to_say(name: str) -> None:
    """Stripe publishes its currencies without decimals; whatever else differs from ISO 4217 must
    stand in the table."""
    zero = {
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
        "XOF", "XPF",
    }  # fmt: skip
    three = {"BHD", "JOD", "KWD", "OMR", "TND"}
    for code, unit in INSTALLED[name].capabilities.units.items():
        if code not in EXPONENTS:
            continue  # out of ISO 4217 by now, so that the door refuses it anyway
        decimals = 0 if code in zero else 3 if code in three else 2
        assert unit.theirs * 10 ** EXPONENTS[code] == unit.ours * 10**decimals, code
