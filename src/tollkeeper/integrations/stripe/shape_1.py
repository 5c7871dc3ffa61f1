"""What one dated Stripe version reads and sends that its neighbors do not.

Law: frozen versions import this file. It never changes by a byte; a change is `shape_2`, for new
revisions only. A shape has at most eight fields: the ninth means a new dialect module.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from tollkeeper.integrations.stripe.types_1 import ChargePart, PaymentIntent


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One version's shape.

    `intent` is its PaymentIntent. `charge_of` says of an intent whether it shows a charge, and
    gives the charge, and the captured sum if the charge cannot be read. `charge_at` and
    `captured_at` are the JSON pointers to both. `expand` is what requests ask to be expanded,
    `expand_listed` the same in lists.
    """

    api_version: str
    intent: type[PaymentIntent]
    charge_of: Callable[[Any], tuple[bool, ChargePart | None, int | None]]
    charge_at: str
    captured_at: str
    expand: tuple[tuple[str, str], ...] = ()
    expand_listed: tuple[tuple[str, str], ...] = ()
