"""Shapes: what a schema allows, as a flat list of alternatives without references or combinators.

The dialect layer is here and nowhere else: `nullable` and its kin, Stripe-style expandable fields
(`x-expansionResources`), open and closed objects, `allOf` merged, `anyOf` and `oneOf` spread.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollkeeper.contracts.description import Description, Place, escaped

MAX_SHAPES: Final = 128
"""Alternatives kept of one schema; a union of more is taken as far as that."""

MAX_DEPTH: Final = 16
MAX_VISITS: Final = 2_000
"""Schemas looked at for one place; unions of unions beyond that are taken for anything."""

ANY: Final[frozenset[str]] = frozenset(
    {"null", "boolean", "integer", "number", "string", "array", "object"}
)
LIMITS: Final = (
    "maxLength", "minLength", "pattern", "format", "maximum", "minimum", "exclusiveMaximum",
    "exclusiveMinimum", "maxItems", "minItems", "multipleOf", "default",
)  # fmt: skip


EXCLUSIVE: Final = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One alternative. `types` are JSON types; `enum` the words allowed, or `None` for any;
    `members` the named members of an object with their places, `told` whether they are told, be it
    that there are none; `rest` what other members may be (`None`: nothing is said, `False`: none,
    else a place), `patterns` those whose names match a pattern; `items` an array's items."""

    types: frozenset[str] = ANY
    enum: tuple[Any, ...] | None = None
    members: dict[str, Place] = {}
    told: bool = False
    required: frozenset[str] = frozenset()
    rest: Any = None
    patterns: tuple[tuple[str, Place], ...] = ()
    items: Place | None = None
    limits: dict[str, Any] = {}
    pointer: str = ""

    @property
    def is_object(self) -> bool:
        return "object" in self.types and (self.types != ANY or bool(self.members) or self.open)

    @property
    def open(self) -> bool:
        """Whether nothing at all is said about what this is."""
        return self.types == ANY and not self.members and self.items is None and self.enum is None


def shapes(description: Description, place: Place, *, expanded: bool = False) -> list[Shape]:
    """The alternatives that the schema at `place` allows, in its own order.

    `expanded`: usage reads inside this field, so that an expandable one is an object; else it is
    the id that it is without expansion.
    """
    key = (id(place.value), place.pointer, expanded)
    known = description.spread.get(key)
    if known is None:
        visits = [0]
        found = _shapes(description, place, frozenset(), visits, expanded=expanded)[:MAX_SHAPES]
        known = description.spread[key] = (place.value, tuple(found))
    return list(known[1])


def _shapes(
    description: Description,
    place: Place,
    seen: frozenset[str],
    visits: list[int],
    *,
    expanded: bool,
) -> list[Shape]:
    place = description.resolve(place, schema=True)
    schema = place.value
    visits[0] += 1
    if schema is False or (isinstance(schema, Mapping) and schema.get("not") in ({}, True)):
        return []
    if not isinstance(schema, Mapping) or place.pointer in seen:
        return [Shape(pointer=place.pointer)]
    if len(seen) > MAX_DEPTH or visits[0] > MAX_VISITS:
        return [Shape(pointer=place.pointer)]
    seen |= {place.pointer}
    found = [_own(schema, place)]
    for word in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(word)
        if not isinstance(parts, list) or not parts:
            continue
        spread = [
            _shapes(description, Place(part, f"{place.pointer}/{word}/{number}"), seen, visits,
                    expanded=expanded)
            for number, part in enumerate(parts)
        ]  # fmt: skip
        found = _combined(description, place, word, found, spread)
    if "x-expansionResources" in schema:
        found = _expansion(found, expanded=expanded)
    if _nullable(schema) and not any("null" in s.types for s in found):
        found.append(Shape(types=frozenset({"null"}), pointer=place.pointer))
    return found


def _combined(
    description: Description, place: Place, word: str, found: list[Shape], spread: list[list[Shape]]
) -> list[Shape]:
    """What was found with the parts of one combinator: all of them, or any of them."""
    if word == "allOf":
        for part in spread:
            found = _joined(found, part)
        return found
    named = discriminated(description, place, place.value[word], spread)
    return _joined(found, [shape for part in named for shape in part])


def discriminated(
    description: Description, place: Place, parts: list[Any], spread: list[list[Shape]]
) -> list[list[Shape]]:
    """The alternatives of a union, each with the words by which its discriminator names it, where
    the alternative itself does not list any."""
    said = place.value.get("discriminator")
    mapping = said.get("mapping") if isinstance(said, Mapping) else None
    name = said.get("propertyName") if isinstance(said, Mapping) else None
    if not isinstance(mapping, Mapping) or not isinstance(name, str):
        return spread
    found = []
    for part, alternatives in zip(parts, spread, strict=True):
        reference = part.get("$ref") if isinstance(part, Mapping) else None
        words = [w for w, target in mapping.items() if _means(target, reference)]
        named = [_named_by(description, place, s, name, words) for s in alternatives]
        found.append(named if words else alternatives)
    return found


def _means(target: Any, reference: Any) -> bool:
    """Whether a mapping's target is the referenced schema, by address or by its bare name."""
    return isinstance(reference, str) and target in (reference, reference.rpartition("/")[2])


def _named_by(
    description: Description, place: Place, shape: Shape, name: str, words: list[str]
) -> Shape:
    member = shape.members.get(name)
    resolved = description.resolve(member, schema=True).value if member is not None else None
    if not isinstance(resolved, Mapping) or not words:
        return shape
    if {"enum", "const", "allOf", "anyOf", "oneOf"} & set(resolved):
        return shape  # it has words of its own, or may have
    at = f"{place.pointer}/discriminator/mapping/{escaped(str(words[0]))}"
    told = Place({**resolved, "enum": words}, at)
    return msgspec.structs.replace(shape, members={**shape.members, name: told})


def _own(schema: Mapping[str, Any], place: Place) -> Shape:
    members = schema.get("properties")
    names = members if isinstance(members, Mapping) else {}
    required = schema.get("required")
    items = schema.get("items")
    rest = schema.get("additionalProperties", schema.get("unevaluatedProperties"))
    enum = schema.get("enum")
    if enum is None and "const" in schema:
        enum = [schema["const"]]
    words = tuple(enum) if isinstance(enum, list) and enum else None
    return Shape(
        types=_types(schema) if words is None else _types_of_words(schema, words),
        enum=words,
        members={
            name: Place(names[name], f"{place.pointer}/properties/{escaped(name)}")
            for name in names
            if isinstance(name, str)
        },
        told=isinstance(members, Mapping),
        required=frozenset(r for r in required if isinstance(r, str))
        if isinstance(required, list)
        else frozenset(),
        rest=Place(rest, f"{place.pointer}/additionalProperties")
        if isinstance(rest, Mapping) or rest is True
        else rest,
        patterns=_patterns(schema, place),
        items=Place(items, f"{place.pointer}/items") if items is not None else None,
        limits=_limits(schema),
        pointer=place.pointer,
    )


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    said = schema.get("type")
    names = said if isinstance(said, list) else [said] if isinstance(said, str) else []
    told = [name for name in names if isinstance(name, str)]
    found = frozenset("string" if name == "file" else name for name in told) & ANY
    if found:
        return found | {"integer"} if "number" in found else found
    if isinstance(schema.get("properties"), Mapping) or "additionalProperties" in schema:
        return frozenset({"object"})
    if "items" in schema:
        return frozenset({"array"})
    return ANY


def _types_of_words(schema: Mapping[str, Any], words: tuple[Any, ...]) -> frozenset[str]:
    """The types that the words have, of those that the schema allows; null is a word too."""
    told, allowed = frozenset(type_of(word) for word in words), _types(schema)
    return told & allowed or told


def _limits(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The limits, an exclusive bound as a number in every dialect (3.0 says it with a boolean)."""
    found = {word: schema[word] for word in LIMITS if word in schema}
    for exclusive, bound in EXCLUSIVE.items():
        if isinstance(found.get(exclusive), bool) and found.pop(exclusive) and bound in found:
            found[exclusive] = found.pop(bound)
    return found


def _patterns(schema: Mapping[str, Any], place: Place) -> tuple[tuple[str, Place], ...]:
    said = schema.get("patternProperties")
    if not isinstance(said, Mapping):
        return ()
    return tuple(
        (name, Place(said[name], f"{place.pointer}/patternProperties/{escaped(name)}"))
        for name in said
        if isinstance(name, str)
    )


def type_of(value: Any) -> str:
    """The JSON type of `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _nullable(schema: Mapping[str, Any]) -> bool:
    return schema.get("nullable") is True or schema.get("x-nullable") is True


def _expansion(found: list[Shape], *, expanded: bool) -> list[Shape]:
    objects = [s for s in found if "object" in s.types and s.types != ANY]
    others = [s for s in found if s not in objects]
    if expanded:
        return objects + [s for s in others if s.types == {"null"}] or found
    return others or found


def _joined(left: list[Shape], right: list[Shape]) -> list[Shape]:
    """Every pair of alternatives that can both hold."""
    found: list[Shape] = []
    for one in left:
        for two in right:
            types = one.types & two.types
            if types and len(found) < MAX_SHAPES:
                found.append(_merged(one, two, types))
    return found


def _both(one: dict[str, Place], two: dict[str, Place]) -> dict[str, Place]:
    """The members of two parts; one that both describe must be as both say."""
    found = {**one, **two}
    for name in one.keys() & two.keys():
        found[name] = _as_both(one[name], two[name])
    return found


def _as_both(one: Place, two: Place) -> Place:
    if one.pointer == two.pointer or not isinstance(one.value, Mapping):
        return two
    return Place({"allOf": [one.value, two.value]}, two.pointer)


def _merged(one: Shape, two: Shape, types: frozenset[str]) -> Shape:
    if one.enum is None or two.enum is None:
        enum = two.enum if one.enum is None else one.enum
    else:
        enum = tuple(word for word in one.enum if word in two.enum)
    return Shape(
        types=types,
        enum=enum,
        members=_both(one.members, two.members),
        told=one.told or two.told,
        required=one.required | two.required,
        rest=one.rest if two.rest is None else two.rest,
        patterns=one.patterns + two.patterns,
        items=_as_both(one.items, two.items) if one.items and two.items else two.items or one.items,
        limits={**one.limits, **two.limits},
        pointer=two.pointer if two.members or two.types != ANY else one.pointer,
    )
