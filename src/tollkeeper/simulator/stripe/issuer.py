"""The banks behind the provider: who approves, who declines, whose systems are down."""

from typing import Final

import msgspec

from tollkeeper.kernel.chance import Chance
from tollkeeper.simulator.stripe.cards import Card

DECLINE_MIX: Final = (
    ("generic_decline", 0.45),
    ("insufficient_funds", 0.35),
    ("do_not_honor", 0.15),
    ("expired_card", 0.05),
)
"""Decline codes and weights of the usual mix; the figures are round, not measured."""


class IssuerModel(msgspec.Struct):
    """`approve_rate` in [0, 1] of cards that published behavior would approve; the rest is
    declined with `declines` (decline code, weight). `brands_down` maps a card brand to the share
    of its charges in [0, 1] that fail because its issuer or network does not answer.
    `late_rate` in [0, 1] of charges stay pending, and the intent `processing`, for
    `late_seconds`; then the issuer's word counts."""

    approve_rate: float = 1.0
    declines: list[tuple[str, float]] = msgspec.field(default_factory=lambda: list(DECLINE_MIX))
    brands_down: dict[str, float] = {}
    late_rate: float = 0.0
    late_seconds: float = 5.0

    def decline_of(self, card: Card, chance: Chance) -> str:
        """The decline code for a charge of `card`, or empty when it is approved."""
        if card.decline:
            return card.decline
        down = self.brands_down.get(card.brand)
        if down and chance.uniform() < down:
            return "issuer_not_available"
        if self.approve_rate >= 1.0 or chance.uniform() < self.approve_rate:
            return ""
        return self._draw(chance)

    def is_late(self, chance: Chance) -> bool:
        """Whether the issuer keeps this charge waiting."""
        return self.late_rate > 0 and chance.uniform() < self.late_rate

    def _draw(self, chance: Chance) -> str:
        left = chance.uniform() * sum(weight for _, weight in self.declines)
        for code, weight in self.declines:
            left -= weight
            if left < 0:
                return code
        return self.declines[-1][0] if self.declines else "generic_decline"
