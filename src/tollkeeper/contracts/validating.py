"""The independent validator: jsonschema-rs on the description's own schema, not our walk.

The schema is translated to JSON Schema 2020-12 as far as the instance reaches into it: what an
instance does not have can only matter by being required, which is kept. Bodies that we send are
taken as closed, since providers refuse parameters that they do not know.
"""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from tollkeeper.contracts.description import Description, Place, escaped

MAX_DEPTH: Final = 40
MAX_VISITS: Final = 20_000
"""Schemas translated for one instance; beyond that nothing is decided."""

OPENING: Final = frozenset({"additionalProperties", "patternProperties"})
MAX_NESTING: Final = 9
"""Levels of a closed body: each doubles what the validator does, and real ones have five."""

CONDITIONS: Final = ("not", "if", "then", "else")
KEPT: Final = (
    "type", "enum", "const", "minLength", "maxLength", "pattern", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    "minProperties", "maxProperties", "dependentRequired",
)  # fmt: skip


def is_valid(description: Description, place: Place, value: Any, *, request: bool) -> bool | None:
    """Whether `value` is valid at `place`; `None` where the schema itself cannot be used."""
    if request and _nesting(value) > MAX_NESTING:
        return None
    try:
        schema = _Translator(description, request=request).translate(place, value, 0, top=True)
        return bool(jsonschema_rs.Draft202012Validator(schema).is_valid(value))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError):
        return None


def _nesting(value: Any) -> int:
    """How deep objects stand in one another, as far as it matters."""
    level: list[Any] = [value] if isinstance(value, (Mapping, list)) else []
    deep = 0
    while level and deep <= MAX_NESTING:
        inner = [i for v in level for i in (v.values() if isinstance(v, Mapping) else v)]
        level = [i for i in inner if isinstance(i, (Mapping, list))]
        deep += 1
    return deep


class _Translator:
    def __init__(self, description: Description, *, request: bool) -> None:
        self._description = description
        self._request = request
        self._visits = 0

    def translate(self, place: Place, value: Any, depth: int, *, top: bool) -> Any:
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise ValueError("too many schemas for one instance")
        place = self._description.resolve(place, schema=True)
        schema = place.value
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return {}
        made: dict[str, Any] = {word: schema[word] for word in KEPT if word in schema}
        _plain(made)
        self._members(made, place, schema, value, depth)
        self._items(made, place, schema, value, depth)
        for word in ("allOf", "anyOf", "oneOf"):
            parts = schema.get(word)
            if isinstance(parts, list) and parts:
                made.setdefault("allOf", [])
                branches = [
                    self.translate(
                        Place(p, f"{place.pointer}/{word}/{n}"), value, depth + 1, top=False
                    )
                    for n, p in enumerate(parts)
                ]
                # Alternatives of real descriptions overlap: `oneOf` is asked as `anyOf`.
                made["allOf"] += branches if word == "allOf" else [{"anyOf": branches}]
        self._conditions(made, place, schema, value, depth)
        if self._request and top and isinstance(value, Mapping):
            combined = any(w in schema for w in ("allOf", "anyOf", "oneOf"))
            if (combined or "properties" in schema) and not OPENING & set(schema):
                made["unevaluatedProperties" if combined else "additionalProperties"] = False
        if schema.get("nullable") is True or schema.get("x-nullable") is True:
            return {"anyOf": [{"type": "null"}, made]}
        return made

    def _conditions(
        self, made: dict[str, Any], place: Place, schema: Mapping[str, Any], value: Any, depth: int
    ) -> None:
        for word in CONDITIONS:
            if word in schema:
                at = Place(schema[word], f"{place.pointer}/{word}")
                made[word] = self.translate(at, value, depth + 1, top=False)

    def _members(
        self, made: dict[str, Any], place: Place, schema: Mapping[str, Any], value: Any, depth: int
    ) -> None:
        properties = schema.get("properties")
        named = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        if isinstance(required, list):
            made["required"] = [
                r for r in required if isinstance(r, str) and not self._is_hidden(named.get(r))
            ]
        if not isinstance(value, Mapping):
            return
        if named:
            made["properties"] = {
                name: self.translate(
                    Place(named[name], f"{place.pointer}/properties/{escaped(name)}"),
                    value.get(name),
                    depth + 1,
                    top=True,
                )
                if name in value
                else True
                for name in named
            }
        rest = schema.get("additionalProperties")
        if rest is False:
            made["additionalProperties"] = False
        elif isinstance(rest, Mapping):
            other = next((v for k, v in value.items() if k not in named), None)
            at = Place(rest, f"{place.pointer}/additionalProperties")
            made["additionalProperties"] = self.translate(at, other, depth + 1, top=True)

    def _items(
        self, made: dict[str, Any], place: Place, schema: Mapping[str, Any], value: Any, depth: int
    ) -> None:
        items = schema.get("items")
        if items is None or not isinstance(value, list) or not value:
            return
        at = Place(items, f"{place.pointer}/items")
        made["prefixItems"] = [self.translate(at, item, depth + 1, top=True) for item in value]

    def _is_hidden(self, member: Any) -> bool:
        hidden = "readOnly" if self._request else "writeOnly"
        return isinstance(member, Mapping) and member.get(hidden) is True


def _plain(made: dict[str, Any]) -> None:
    """OpenAPI 3.0 and Swagger words in the form that JSON Schema 2020-12 knows."""
    for word, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if made.get(word) is True and limit in made:
            made[word] = made.pop(limit)
        elif isinstance(made.get(word), bool):
            del made[word]
    if made.get("type") == "file":
        made["type"] = "string"
    if isinstance(made.get("enum"), list) and not made["enum"]:
        del made["enum"]
