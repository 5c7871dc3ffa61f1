"""Impact: whom an incident hurts, computed from the payments of its time themselves."""

from collections.abc import Iterable
from typing import Final

from tollkeeper.incidents.incident import Impact
from tollkeeper.payments.payment import Payment

WINDOW_MS: Final = 300_000
"""The payments of so long before a moment count."""

MANY: Final = 5_000
"""Payments that are read at most; of more, the newest."""


def impact_of(payments: Iterable[Payment], minutes: float, provider: str = "") -> Impact:
    """The impact over payments of so many minutes; `provider`: on payments through it alone."""
    failed, of = 0, 0
    users: set[str] = set()
    money: dict[str, int] = {}
    for payment in payments:
        if provider and payment.integration.partition("@")[0] != provider:
            continue
        of += 1
        if not payment.is_told_badly:
            continue
        failed += 1
        users.add(payment.customer or payment.id)
        money[payment.currency] = money.get(payment.currency, 0) + payment.amount_minor
    return Impact(minutes=minutes, failed=failed, of=of, users=len(users), money_minor=money)
