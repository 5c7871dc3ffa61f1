"""Changes of what is put into a path, mostly an id that the provider gave: narrowed and widened."""

import re
from typing import Any

from mutating.kinds import Change, Kind, table
from mutating.places import Spot, localized
from mutating.whole import item_of

BRACES = re.compile(r"\{([^}]*)\}")


def schemas(spot: Spot) -> list[dict[str, Any]]:
    """The schemas of the path's parameters, each put at the operation, so that others of the same
    path keep theirs; none where one is not plainly a text."""
    if "webhook:" in spot.site.operation:
        return []
    paths, path, _ = item_of(spot)
    own = spot.operation.setdefault("parameters", [])
    found = []
    for name in BRACES.findall(path):
        place = next((p for p in _declared(spot, own) if _is(p, name)), None)
        if place is None:
            shared = _declared(spot, paths[path].get("parameters", []))
            place = next((dict(p) for p in shared if _is(p, name)), None)
            if place is None:
                return []
            place["schema"] = dict(localized(spot.document, place, "schema"))
            own.append(place)
        schema = localized(spot.document, place, "schema")
        if schema.get("type") != "string" or "enum" in schema:
            return []
        found.append(schema)
    return found


def _declared(spot: Spot, listed: list[Any]) -> list[dict[str, Any]]:
    return [localized(spot.document, listed, number) for number in range(len(listed))]


def _is(parameter: dict[str, Any], name: str) -> bool:
    return parameter.get("in") == "path" and parameter.get("name") == name


def each(**fields: Any) -> Change:
    """All of the path's schemas say this from now on."""

    def change(spot: Spot) -> bool:
        found = schemas(spot)
        for schema in found:
            schema.update(fields)
        return bool(found)

    return change


def turned_number(spot: Spot) -> bool:
    found = schemas(spot)
    for schema in found:
        schema.clear()
        schema["type"] = "integer"
    return bool(found)


def longer(spot: Spot) -> bool:
    found = schemas(spot)
    for schema in found:
        if "maxLength" not in schema:
            return False
        schema["maxLength"] *= 2
    return bool(found)


def without_limits(spot: Spot) -> bool:
    found = schemas(spot)
    for schema in found:
        if not {"maxLength", "pattern", "minLength"} & set(schema):
            return False
        for word in ("maxLength", "pattern", "minLength"):
            schema.pop(word, None)
    return bool(found)


SOME = "usage does not say which ids we have; those that do not fit are refused"


def _breaks(name: str, change: Change) -> Kind:
    return Kind(
        name=name, at="operation", least="risky", why=SOME, change=change, unused="operation"
    )


BREAKING = table(
    _breaks("id in the path shorter", each(maxLength=2)),
    _breaks("id in the path of a pattern", each(pattern="^zz[0-9]{9}$")),
    _breaks("id in the path of few words", each(enum=["one_of_few", "another"])),
    _breaks("id in the path of a format", each(format="uuid")),
    _breaks("id in the path turned number", turned_number),
)

TOLD = "whatever was accepted is accepted still"

NEUTRAL = table(
    *(
        Kind(name=name, at="operation", least="neutral", why=TOLD, change=change, unused="nowhere")
        for name, change in (
            ("id in the path told anew", each(description="another sentence")),
            ("id in the path longer", longer),
            ("id in the path without limits", without_limits),
        )
    )
)
