"""Making an instance that a schema allows: whole, small, with the members that were asked for."""

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.contracts.description import Description, Place
from tollkeeper.contracts.patterns import text_for
from tollkeeper.contracts.shapes import Shape, shapes
from tollkeeper.contracts.walking import Hidden, is_hidden

MAX_DEPTH: Final = 12
MAX_VALUES: Final = 2_000
"""Values made for one instance; what is beyond is null."""

TEXTS: Final = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "email": "someone@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}

type Wish = dict[str, Wish]
"""Member names that must be there, as a tree; `[]` for an array's items."""


def wish_for(paths: list[tuple[str, ...]]) -> Wish:
    """The tree of some paths."""
    tree: Wish = {}
    for path in paths:
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    return tree


def instance(
    description: Description, place: Place, wish: Wish, *, words: Mapping[str, Any], request: bool
) -> Any:
    """A value for the schema at `place` with the wished members where it allows them.

    `words` gives values for some paths; `request` leaves out what is read-only (else write-only).
    """
    return _Maker(description, words, request=request).make(place, wish, "", 0)


class _Maker:
    def __init__(
        self, description: Description, words: Mapping[str, Any], *, request: bool
    ) -> None:
        self._description = description
        self._words = words
        self._count = 0
        self._hidden: Hidden = "readOnly" if request else "writeOnly"

    def make(self, place: Place, wish: Wish, path: str, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            return None
        found = shapes(self._description, place, expanded=bool(wish))
        shape = self._chosen(found, wish, path)
        if shape is None or depth > MAX_DEPTH:
            return None
        if path in self._words:
            return _as_type(self._words[path], shape)
        if shape.enum:
            return next((word for word in shape.enum if word is not None), None)
        return self._value(shape, wish, path, depth)

    def _chosen(self, found: list[Shape], wish: Wish, path: str) -> Shape | None:
        """The alternative that accepts the words, has most of the wish, and asks least."""
        real = [s for s in found if s.types != {"null"}] or found
        return max(
            real,
            key=lambda s: (
                -self._refused(s, wish, path),
                len(set(s.members) & set(wish)) + ("[]" in wish and "array" in s.types),
                -len(s.required),
            ),
            default=None,
        )

    def _refused(self, shape: Shape, wish: Wish, path: str) -> int:
        """How many words an alternative does not accept at its members."""
        count = 0
        for name in wish.keys() & shape.members.keys():
            word = self._words.get(f"{path}.{name}" if path else name)
            if word is not None:
                enums = [s.enum for s in shapes(self._description, shape.members[name])]
                count += bool(enums) and all(e is not None and word not in e for e in enums)
        return count

    def _value(self, shape: Shape, wish: Wish, path: str, depth: int) -> Any:
        if "object" in shape.types and (shape.types != frozenset(_ANY) or shape.members or wish):
            return self._object(shape, wish, path, depth)
        if "array" in shape.types and shape.types != frozenset(_ANY):
            return self._array(shape, wish, path, depth)
        return _scalar(shape)

    def _object(self, shape: Shape, wish: Wish, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        names = [n for n in shape.members if n in shape.required or n in wish]
        for name in names:
            member = shape.members[name]
            if self._is_hidden(member):
                continue
            inner = f"{path}.{name}" if path else name
            made[name] = self.make(member, wish.get(name, {}), inner, depth + 1)
        for name in sorted(shape.required - set(shape.members)):
            made[name] = "text"  # required, and nothing is said of it
        free = isinstance(shape.rest, Place) or shape.open or not shape.members
        for name in sorted(set(wish) - set(shape.members) - {"[]"}):
            if free and shape.rest is not False:
                key = "any" if name == "*" else name
                rest = shape.rest if isinstance(shape.rest, Place) else Place({}, "")
                value = self.make(rest, wish[name], f"{path}.{name}".lstrip("."), depth + 1)
                made[key] = "text" if value is None else value
        return made

    def _is_hidden(self, member: Place) -> bool:
        return is_hidden(self._description, member, self._hidden)

    def _array(self, shape: Shape, wish: Wish, path: str, depth: int) -> list[Any]:
        least = shape.limits.get("minItems")
        count = max(least if isinstance(least, int) else 0, 1 if "[]" in wish else 0)
        if shape.items is None:
            return []
        return [
            self.make(shape.items, wish.get("[]", {}), f"{path}[]", depth + 1)
            for _ in range(min(count, 8))
        ]


_ANY: Final = ("null", "boolean", "integer", "number", "string", "array", "object")


def _scalar(shape: Shape) -> Any:
    if "string" in shape.types:
        return _text(shape)
    if "integer" in shape.types or "number" in shape.types:
        return _number(shape)
    if "boolean" in shape.types:
        return True
    return None


def _text(shape: Shape) -> str:
    least, most = shape.limits.get("minLength"), shape.limits.get("maxLength")
    pattern = shape.limits.get("pattern")
    if isinstance(pattern, str):
        return text_for(pattern, least if isinstance(least, int) else 0)
    text = TEXTS.get(str(shape.limits.get("format")), "text")
    if isinstance(least, int) and len(text) < least:
        text = text.ljust(min(least, 10_000), "x")
    return text[:most] if isinstance(most, int) else text


def _number(shape: Shape) -> int | float:
    least, most = _bound(shape, "inimum", 1), _bound(shape, "aximum", -1)
    value: int | float = 100
    if least is not None:
        value = max(value, least)
    value = min(value, most) if most is not None else value
    step = shape.limits.get("multipleOf")
    if isinstance(step, int) and step > 0 and isinstance(value, int):
        value = -(-value // step) * step
    return value


def _bound(shape: Shape, word: str, inside: int) -> int | float | None:
    """The bound that a number must keep; one step inside an exclusive one."""
    plain, exclusive = shape.limits.get(f"m{word}"), shape.limits.get(f"exclusiveM{word}")
    if isinstance(exclusive, (int, float)) and not isinstance(exclusive, bool):
        return exclusive + inside
    return plain if isinstance(plain, (int, float)) else None


def _as_type(word: Any, shape: Shape) -> Any:
    """A form's text as the type that the schema wants."""
    if not isinstance(word, str) or "string" in shape.types:
        return word
    if word in {"true", "false"} and "boolean" in shape.types:
        return word == "true"
    if word.lstrip("-").isdigit() and {"integer", "number"} & shape.types:
        return int(word)
    return word
