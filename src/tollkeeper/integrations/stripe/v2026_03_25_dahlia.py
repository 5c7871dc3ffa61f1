"""Stripe 2026-03-25.dahlia: the newest version when this was written.

Pinned by the `Stripe-Version` header. Since 2023-08-16 Stripe offers every payment method by
default; `payment_method_types` keeps us to cards. Since 2025-03-31 a released authorization is no
refund. Source: docs.stripe.com/upgrades.
"""

from typing import Final

from tollkeeper.integrations.parts.amounts_1 import Amount
from tollkeeper.integrations.stripe.dialect_1 import version
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import ChargePart, PaymentIntent


class Intent(PaymentIntent):
    """What only this version reads."""

    amount_received: Amount | None = None
    latest_charge: ChargePart | str | None = None


def charge_of(intent: Intent) -> tuple[bool, ChargePart | None, int | None]:
    """Whether a charge is shown, the charge, and what was received where it cannot be read."""
    latest = intent.latest_charge
    details = latest if isinstance(latest, ChargePart) else None
    return latest is not None, details, intent.amount_received


INTEGRATION: Final = version(
    Shape(
        api_version="2026-03-25.dahlia",
        intent=Intent,
        charge_of=charge_of,
        charge_at="/latest_charge",
        captured_at="/latest_charge/amount_captured",
        expand=(("expand[]", "latest_charge"),),
        expand_listed=(("expand[]", "data.latest_charge"),),
    ),
    handles=frozenset({"stripe@2022-08-01", "stripe@2022-11-15"}),
)
