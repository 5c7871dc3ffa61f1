"""Identifiers in the provider's shape: a prefix and 24 letters and digits."""

from typing import Final

from tollkeeper.kernel.chance import Chance

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
# 3,844 pairs of 62 letters, filled up to a power of two so that 12 bits pick one.
_TABLE: Final = _PAIRS + _PAIRS[: 4096 - len(_PAIRS)]


def new_identifier(prefix: str, chance: Chance) -> str:
    """`new_identifier("pi", chance)` gives `pi_3...`: 24 characters drawn from 132 bits."""
    bits = chance.bits(132)
    table = _TABLE
    return f"{prefix}_3" + "".join([table[(bits >> shift) & 4095] for shift in range(0, 132, 12)])


def new_secret(prefix: str, chance: Chance) -> str:
    """A secret of 32 characters: `whsec_...`."""
    bits = chance.bits(192)
    return f"{prefix}_" + "".join([_TABLE[(bits >> shift) & 4095] for shift in range(0, 192, 12)])
