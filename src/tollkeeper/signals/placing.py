"""Where it is bad: the slice that explains the excess, and whether one value fails while the others
do not.

Localization is greedy, over at most two dimensions, by a signed G statistic with a price for the
number of values (so that a dimension of a hundred banks is not chosen by chance). There is no
recursion over entropy or information gain.
"""

from collections.abc import Iterable
from math import log
from typing import Final, Literal

import msgspec

from tollkeeper.signals.scene import Pile, raised

type State = Literal["yes", "no", "unknown"]

DIMENSIONS: Final = (
    "provider", "integration", "operation", "host", "account", "settings", "currency", "method",
    "issuer", "country",
)  # fmt: skip
"""Fields of a cell that a slice may name, the likelier culprits first: the first of two that
explain alike is named."""

EXPLAINS: Final = 0.67
"""The least part of the excess that a slice must explain."""

KNOWN: Final = 0.4
"""The least part of the excess whose value in a dimension must be known: an attempt that still
waits shows no host."""

SURPRISE: Final = 4.0
"""The least G statistic in nats, after the price for the number of values."""

PRICES: Final = {"integration": 1.5, "settings": 1.5}
"""Additional prices: a version implies its provider, and settings often imply a host."""

CLEAR: Final = 3.0
"""Failures in nats over the usual rate from which on a value counts as failing; and the failures
that the others would have had at its rate, below which their health says nothing."""


class Side(msgspec.Struct):
    """One value of a dimension."""

    value: str
    n: float = 0.0
    bad: float = 0.0
    usual: float = 0.0

    @property
    def rate(self) -> float:
        """The share of bad ones."""
        return self.bad / self.n if self.n > 0 else 0.0

    @property
    def raised(self) -> float:
        """How much more than usual, in nats."""
        usual = min(max(self.usual / self.n, 1e-4), 0.95) if self.n > 0 else 0.5
        return raised(self.bad, self.n, usual)


class Split(msgspec.Struct, frozen=True):
    """`yes`: one value fails and the others, equally exposed, do not; `no`: two or more fail alike;
    `unknown`: too little is seen. `top` is the worst value, beside all `others`."""

    state: State
    top: Side
    others: Side


NO_SPLIT: Final = Split("unknown", Side(""), Side(""))


def sides_of(piles: Iterable[Pile], dimension: str) -> dict[str, Side]:
    """The values of a dimension, without the unknown one."""
    sides: dict[str, Side] = {}
    for pile in piles:
        value = getattr(pile.cell, dimension)
        if not value:
            continue
        side = sides.get(value)
        if side is None:
            side = sides[value] = Side(value)
        side.n += pile.n
        side.bad += pile.bad
        side.usual += pile.usual
    return sides


def split(piles: Iterable[Pile], dimension: str) -> Split:
    """Whether one value fails and the others do not."""
    sides = [side for side in sides_of(piles, dimension).values() if side.n > 0]
    failing = sorted(
        (side for side in sides if side.raised > CLEAR),
        key=lambda side: (-side.raised, side.value),
    )
    if not failing or len(sides) < 2:
        return NO_SPLIT
    top = failing[0]
    others = _together([side for side in sides if side is not top])
    if len(failing) > 1 and max(side.rate for side in failing[1:]) > 0.3 * top.rate:
        return Split("no", top, others)
    expected = others.n * top.rate
    most = max(0.25 * expected, 1.5 * others.usual, 1.0)
    surprising = surprise(top, _together(sides)) - log(len(sides)) > SURPRISE
    if expected >= CLEAR and others.bad <= most and surprising:
        return Split("yes", top, others)
    return Split("unknown", top, others)


def _together(sides: list[Side]) -> Side:
    return Side(
        "",
        sum(side.n for side in sides),
        sum(side.bad for side in sides),
        sum(side.usual for side in sides),
    )


def localize(piles: Iterable[Pile]) -> dict[str, str]:
    """The slice that explains the excess: at most two dimensions and their values."""
    kept, found = list(piles), {}
    for _ in range(2):
        best = _best(kept, [name for name in DIMENSIONS if name not in found])
        if best is None:
            break
        dimension, value = best
        found[dimension] = value
        kept = [pile for pile in kept if getattr(pile.cell, dimension) == value]
    return _ordered(found)


def _ordered(found: dict[str, str]) -> dict[str, str]:
    """A version names its provider."""
    named = dict(found)
    if "integration" in named and "provider" not in named and "@" in named["integration"]:
        named["provider"] = named["integration"].partition("@")[0]
    return {name: named[name] for name in DIMENSIONS if name in named}


def _best(piles: list[Pile], dimensions: list[str]) -> tuple[str, str] | None:
    all_excess = max(sum(pile.bad - pile.usual for pile in piles), 0.5)
    best: tuple[float, str, str] | None = None
    for dimension in dimensions:
        sides = [side for side in sides_of(piles, dimension).values() if side.n > 0]
        whole = _together(sides)
        excess = max(whole.bad - whole.usual, 0.5)
        if len(sides) < 2 or excess < KNOWN * all_excess:
            continue
        price = log(len(sides)) + PRICES.get(dimension, 0.0)
        for side in sides:
            if (side.bad - side.usual) / excess < EXPLAINS:
                continue
            score = surprise(side, whole) - price
            if score > SURPRISE and (best is None or score > best[0] + 0.1):
                best = (score, dimension, side.value)
    return best[1:] if best is not None else None


def surprise(side: Side, whole: Side) -> float:
    """The G statistic (half of it, in nats) of a value against the rest; 0 where it is no worse."""
    rest_n, rest_bad = whole.n - side.n, whole.bad - side.bad
    if rest_n <= 0 or rest_bad < 0 or side.rate <= rest_bad / rest_n:
        return 0.0
    return (
        _term(side.bad, side.n)
        + _term(side.n - side.bad, side.n)
        + _term(rest_bad, rest_n)
        + _term(rest_n - rest_bad, rest_n)
        - _term(whole.bad, whole.n)
        - _term(whole.n - whole.bad, whole.n)
    )


def _term(part: float, of: float) -> float:
    return part * log(part / of) if part > 0 and of > 0 else 0.0
