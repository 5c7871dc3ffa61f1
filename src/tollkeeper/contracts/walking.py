"""Walking one used path through a body's schema: where it leads, and how surely.

A walk follows all alternatives at once. What it says about a path is true of every reply (or
request) that the schema allows, not of one of them.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tollkeeper.contracts.description import Description, Place
from tollkeeper.contracts.shapes import Shape, shapes


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step's result: the path up to here, and whether it may be left out or be null.
    `lacking`: some alternative of what holds it does not have it at all."""

    path: str
    optional: bool
    nullable: bool
    pointer: str
    lacking: bool = False
    read_only: bool = False


MAX_PARTS: Final = 32
"""Parts of one member in which a word is looked for."""

type Hidden = Literal["readOnly", "writeOnly"]
"""The word by which a member is not for this direction."""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Where a path leads. `leaf` are the alternatives at its end, none when it cannot be reached;
    `steps` one for each named step; `broken` is the first step that leads nowhere, with the
    pointer of the object that lacks it and the members that it has instead."""

    leaf: tuple[Shape, ...] = ()
    steps: tuple[Step, ...] = ()
    broken: str | None = None
    broken_pointer: str = ""
    broken_type: bool = False
    siblings: tuple[str, ...] = ()

    @property
    def reached(self) -> bool:
        return self.broken is None

    @property
    def pointer(self) -> str:
        """Where the end stands; a parameter as a whole has no steps."""
        if self.steps:
            return self.steps[-1].pointer
        return self.leaf[0].pointer if self.leaf else ""

    @property
    def nullable(self) -> bool:
        """Whether the value at the end may be null."""
        return any("null" in shape.types and not shape.open for shape in self.leaf)

    @property
    def optional(self) -> bool:
        return bool(self.steps) and self.steps[-1].optional

    def types(self) -> frozenset[str]:
        """The types at the end, without null."""
        return frozenset(t for shape in self.leaf for t in shape.types) - {"null"}

    def words(self) -> tuple[object, ...] | None:
        """The words allowed at the end, or `None` where some alternative allows any."""
        found: list[object] = []
        for shape in self.leaf:
            if shape.types == {"null"}:
                continue
            if shape.enum is None:
                return None
            found += [word for word in shape.enum if word is not None and word not in found]
        return tuple(found)


def walk(
    description: Description,
    body: Place,
    path: tuple[str, ...],
    *,
    closed: bool = False,
    hidden: Hidden | None = None,
) -> Walk:
    """Follows `path` from `body`. `closed`: members that are not named are refused (a request);
    `hidden`: members that carry this word are not there."""
    current = shapes(description, body, expanded=True)
    steps: list[Step] = []
    for number, name in enumerate(path):
        last = number == len(path) - 1
        nulls = any("null" in s.types and not s.open for s in current)
        if name == "[]":
            found, missing = _items(description, current, expanded=not last)
            optional = False
        else:
            found, missing, optional = _member(
                description, current, name, expanded=not last, closed=closed, hidden=hidden
            )
        if steps and nulls:
            steps[-1] = msgspec.structs.replace(steps[-1], nullable=True)
        so_far = joined(path[: number + 1])
        if found is None:
            return Walk(
                steps=tuple(steps),
                broken=so_far,
                broken_pointer=missing[0].pointer if missing else "",
                broken_type=not any(s.is_object for s in current) and name != "[]",
                siblings=tuple(sorted({n for s in missing for n in s.members})),
            )
        places, current = found
        steps.append(
            Step(
                path=so_far,
                optional=optional,
                nullable=False,
                pointer=places[0].pointer,
                lacking=bool(missing),
                read_only=all(is_hidden(description, place, "readOnly") for place in places),
            )
        )
    return Walk(leaf=tuple(current), steps=tuple(steps))


def joined(path: tuple[str, ...]) -> str:
    """The steps as the path that usage files write."""
    text = ""
    for name in path:
        text += name if name == "[]" else f".{name}" if text else name
    return text


type _Reached = tuple[list[Place], list[Shape]]


def _items(
    description: Description, current: list[Shape], *, expanded: bool
) -> tuple[_Reached | None, list[Shape]]:
    arrays = [s for s in current if "array" in s.types and (s.items is not None or s.open)]
    if not arrays:
        return None, [s for s in current if s.types != {"null"}]
    places = [s.items or Place({}, s.pointer) for s in arrays]
    return (places, _spread(description, places, expanded=expanded)), []


def _member(
    description: Description,
    current: list[Shape],
    name: str,
    *,
    expanded: bool,
    closed: bool,
    hidden: Hidden | None,
) -> tuple[_Reached | None, list[Shape], bool]:
    objects = [s for s in current if s.is_object]
    places, lacking, optional = [], [], False
    for shape in objects:
        place = _named(shape, name, closed=closed)
        if place is None or is_hidden(description, place, hidden):
            lacking.append(shape)
            optional = True
        else:
            places.append(place)
            optional = optional or name not in shape.required
    if not places:
        return None, lacking or [s for s in current if s.types != {"null"}], True
    found = _spread(description, places, expanded=expanded)
    if not found:
        return None, objects, True  # it is named, and nothing is valid there
    return (places, found), lacking, optional


def is_hidden(description: Description, place: Place, hidden: Hidden | None) -> bool:
    """Whether a member carries the word by which it is not for this direction."""
    if hidden is None:
        return False
    ahead, looked = [place], 0
    while ahead and looked < MAX_PARTS:
        here = description.resolve(ahead.pop(), schema=True)
        looked += 1
        if not isinstance(here.value, Mapping):
            continue
        if here.value.get(hidden) is True:
            return True
        parts = here.value.get("allOf")
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            ahead.append(Place(part, f"{here.pointer}/allOf/{number}"))
    return False


def _named(shape: Shape, name: str, *, closed: bool) -> Place | None:
    if name in shape.members:
        return shape.members[name]
    for pattern, place in shape.patterns:
        if name == "*" or _matches(pattern, name):
            return place
    if isinstance(shape.rest, Place):
        return shape.rest
    if shape.open or (name == "*" and shape.rest is not False):
        return Place({}, shape.pointer)
    if closed and shape.rest is None and not shape.told:
        return Place({}, shape.pointer)  # an object of which nothing is said: a free map
    return None


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True  # another dialect of patterns: taken for a match


def _spread(description: Description, places: list[Place], *, expanded: bool) -> list[Shape]:
    found: list[Shape] = []
    seen: set[str] = set()
    for place in places:
        target = description.resolve(place, schema=True)
        if target.pointer in seen:
            continue
        seen.add(target.pointer)
        found += shapes(description, place, expanded=expanded)
    return found
