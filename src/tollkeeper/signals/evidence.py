"""Evidence: what is seen of a disturbance, as rows that each say yes, no or unknown.

Law: a row says what it counted, in one plain sentence, and never what follows from it. What follows
stands in the table of weights. A row is unknown where too little was seen.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from tollkeeper.signals.placing import NO_SPLIT, Split, State, localize, sides_of, split
from tollkeeper.signals.scene import Pile, Scene


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One row: its name in the table of weights, its state, a sentence with the counts behind it.
    `seen` of `of` fit it."""

    name: str
    state: State
    sentence: str
    seen: float = 0.0
    of: float = 0.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is bad. `slice` explains the excess; `provider`, `integration` and `operation` are
    the worst ones, and `pointer` the place in their replies, as far as each is known."""

    slice: dict[str, str]
    provider: str
    integration: str
    operation: str
    pointer: str
    splits: dict[str, Split]


def row(
    name: str,
    yes: bool,  # noqa: FBT001 - every call reads: the row, its yes, its no
    no: bool,  # noqa: FBT001
    sentence: str,
    seen: float = 0.0,
    of: float = 0.0,
) -> Evidence:
    """A row in the state that its two conditions say."""
    state: State = "yes" if yes else "no" if no else "unknown"
    return Evidence(name=name, state=state, sentence=sentence, seen=round(seen, 1), of=round(of, 1))


# where


SPLITS: Final = {
    "one_host": "host", "one_account": "account", "one_settings": "settings",
    "one_currency": "currency",
}  # fmt: skip
"""Rows that compare the values of one dimension."""

INNER_SPLITS: Final = {"one_version": "integration", "one_operation": "operation"}
"""Rows that compare inside the worst provider."""


def place_of(scene: Scene) -> Place:
    """Where the scene is bad."""
    slice_ = localize(scene.piles)
    provider = _worst(scene.piles, "provider")
    inside = [pile for pile in scene.piles if pile.cell.provider == provider]
    splits = {"one_provider": split(scene.piles, "provider")}
    # Where one provider fails, hosts and accounts are compared inside it: a host that sends to that
    # provider alone would look guilty.
    within = inside if splits["one_provider"].state == "yes" else scene.piles
    splits |= {name: split(within, of) for name, of in SPLITS.items()}
    splits |= {name: split(inside, of) for name, of in INNER_SPLITS.items()}
    if scene.subject == "repeats":
        # A rescue repeats through another version by its nature: that says nothing of the version.
        splits["one_version"] = NO_SPLIT
    return Place(
        slice=slice_,
        provider=provider,
        integration=_worst(inside, "integration"),
        operation=slice_.get("operation") or _worst(inside, "operation"),
        pointer=_pointer(scene, provider),
        splits=splits,
    )


def _worst(piles: list[Pile] | tuple[Pile, ...], dimension: str) -> str:
    """The value with most bad ones over what is usual."""
    sides = sides_of(piles, dimension)
    worst = max(sides.values(), key=lambda side: (side.bad - side.usual, side.value), default=None)
    return worst.value if worst is not None and worst.bad > 0 else ""


def _pointer(scene: Scene, provider: str) -> str:
    """Where most unreadable replies of the provider departed since the onset, whatever the scene is
    about: a webhook that contradicts a reply has no pointer, and the reply may have one."""
    counts: dict[str, float] = {}
    for line in scene.lines:
        cell = line.cell
        if cell.pointer and cell.result == "failed" and cell.provider == provider:
            counts[cell.pointer] = counts.get(cell.pointer, 0.0) + line.tally.n
    return max(counts, key=lambda pointer: (counts[pointer], pointer), default="")


def placed(scene: Scene, place: Place) -> Iterator[Evidence]:
    """The rows that compare slices."""
    for name, found in place.splits.items():
        of = name.removeprefix("one_")
        top, others = found.top, found.others
        said = f"{of} {top.value or 'unknown'}: {top.bad:.0f} of {top.n:.0f} bad"
        sentence = f"{said}; all others: {others.bad:.0f} of {others.n:.0f}."
        yield row(
            name, found.state == "yes", found.state == "no", sentence, top.bad, top.bad + others.bad
        )
