"""Which integration version a new payment takes: a stable hash against a table of weights.

The same customer always takes the same version while the table stands, and raising one version's
weight moves nobody who has it already away from it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from tollkeeper.kernel.errors import Misconfigured

BUCKETS: Final = 10_000


def check(weights: Mapping[str, float], installed: Sequence[str]) -> None:
    """Raises `Misconfigured` unless the weights name installed versions and sum to 100 percent."""
    for name, weight_percent in weights.items():
        if name not in installed:
            raise Misconfigured(f"weights name {name!r}; installed: {', '.join(installed)}")
        if not 0 <= weight_percent <= 100:
            raise Misconfigured(f"weight of {name} is {weight_percent}; it must be 0 to 100")
    if abs(sum(weights.values()) - 100) > 1e-9:
        raise Misconfigured(f"weights sum to {sum(weights.values()):g}, not to 100")


def choose(weights: Mapping[str, float], salt: str, key: str) -> str:
    """The version for `key` (the customer, else the payment). Weights are percent, in the order of
    the table; `salt` makes the assignment independent of other tables."""
    bucket = bucket_of(salt, key)
    edge = 0.0
    chosen = ""
    for name, weight_percent in weights.items():
        if weight_percent <= 0:
            continue
        chosen = name
        edge += weight_percent * BUCKETS / 100
        if bucket < edge:
            break
    return chosen


def bucket_of(salt: str, key: str) -> int:
    """A uniform number in `[0, 10000)` that depends on `salt` and `key` alone."""
    digest = hashlib.blake2b(f"{salt}\n{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % BUCKETS


def failover_order(
    weights: Mapping[str, float], sound: Sequence[str], tried: Sequence[str]
) -> list[str]:
    """The versions to fail over to after those in `tried`, best first: the heaviest of the table,
    then the others of `sound` in their order. Only for attempts that are proved to have had no
    effect. `sound`: installed versions of the provider that are not on probation; weight 0 keeps
    new payments away from a version, and does not make it unfit for a rescue.
    """
    left = [name for name in weights if weights[name] > 0 and name not in tried]
    left.sort(key=lambda name: -weights[name])
    return left + [name for name in sound if name not in tried and name not in left]
