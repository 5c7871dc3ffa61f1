"""What a kind of mutation is."""

from collections.abc import Callable
from typing import Literal

import msgspec

from mutating.places import Spot

type Change = Callable[[Spot], bool]
"""Changes the copy at the spot; `False` where the kind does not apply there."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A mutation. `least`: the least severity that is right at a used place, and `why`.
    `at`: what it touches: a member that is read or sent, or the operation as a whole.
    `unused`: where the same change is neutral: at a `member` that usage does not name, at another
    `operation`, or nowhere."""

    name: str
    at: Literal["read", "send", "operation"]
    least: Literal["breaking", "risky", "neutral"]
    why: str
    change: Change
    unused: Literal["member", "operation", "nowhere"] = "member"


def table(*kinds: Kind) -> dict[str, Kind]:
    """Kinds by name; a name twice is a mistake."""
    found = {kind.name: kind for kind in kinds}
    assert len(found) == len(kinds), "two kinds of one name"
    return found
