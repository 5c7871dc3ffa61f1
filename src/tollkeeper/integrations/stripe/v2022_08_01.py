"""Stripe 2022-08-01: a PaymentIntent shows its charges as the list `charges`, the newest first.

Pinned by the `Stripe-Version` header. Source: docs.stripe.com/upgrades, "2022-08-01".
"""

from typing import Final

import msgspec

from tollkeeper.integrations.stripe.dialect_1 import version
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import ChargePart, PaymentIntent


class ChargeList(msgspec.Struct):
    data: list[ChargePart]


class Intent(PaymentIntent):
    """What only this version reads."""

    charges: ChargeList | None = None


def charge_of(intent: Intent) -> tuple[bool, ChargePart | None, int | None]:
    """Whether a charge is shown, the charge, and what was received where it cannot be read."""
    newest = intent.charges.data[0] if intent.charges and intent.charges.data else None
    return newest is not None, newest, 0


INTEGRATION: Final = version(
    Shape(
        api_version="2022-08-01",
        intent=Intent,
        charge_of=charge_of,
        charge_at="/charges",
        captured_at="/charges/data/0/amount_captured",
    ),
    handles=frozenset({"stripe@2022-11-15", "stripe@2026-03-25.dahlia"}),
    releases_as_refund=True,
)
