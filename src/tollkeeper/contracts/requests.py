"""Where an operation's bodies and parameters stand, in all three dialects."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.contracts.asking import Side
from tollkeeper.contracts.description import Place, escaped

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
BRACKETS: Final = re.compile(r"\[([^\[\]]+)\]")
BRACES: Final = re.compile(r"\{([^}]*)\}")
PREFERRED: Final = (JSON, FORM, "multipart/form-data")


class Parameter(NamedTuple):
    """A query, header or cookie parameter: whether it is required, and its schema's place."""

    required: bool
    place: Place


def request_body(side: Side) -> Place | None:
    """The schema of what we send in the body; `None` where there is no body."""
    if side.description.dialect == "swagger2":
        return _swagger_body(side)
    body = side.operation.operation.child("requestBody")
    if body is None:
        return None
    return _content(side.description.resolve(body))


def reply_body(side: Side) -> Place | None:
    """The schema of a successful reply."""
    return _reply(side, success=True)


def error_body(side: Side) -> Place | None:
    """The schema of a failure's body."""
    return _reply(side, success=False)


def _reply(side: Side, *, success: bool) -> Place | None:
    """What a reply may be: any of the bodies that differ."""
    found = list(bodies_of(side, success=success).values())
    if len(found) < 2:
        return found[0] if found else None
    listed = [{"$ref": _reference(place)} for place in found]
    return Place({"anyOf": listed}, f"{side.operation.operation.pointer}/responses")


def _reference(place: Place) -> str:
    inside = place.pointer.startswith("/")
    return ("#" if inside else "") + place.pointer.replace("%", "%25")


def bodies_of(side: Side, *, success: bool) -> dict[str, Place]:
    """The schemas of replies by status, each schema once: of the first status that has it.

    `default` is what may come with any status that is not described: a failure always, and a
    success where none is.
    """
    responses = side.operation.operation.child("responses")
    if responses is None or not isinstance(responses.value, Mapping):
        return {}
    first = ("2",) if success else ("4", "5")
    names = [n for n in sorted(responses.value, key=str) if str(n).startswith(first)]
    found = _distinct(side, responses, names)
    if "default" in responses.value and not (success and found):
        found = _distinct(side, responses, [*names, "default"])
    return found


def alike(new: Side, old: Side, *, success: bool) -> list[tuple[str, Place, Place]]:
    """Status, new body and old body for each status that both texts describe, where there are
    several: one that breaks is not made good by another that does not."""
    now, before = bodies_of(new, success=success), bodies_of(old, success=success)
    if len(now) + len(before) <= 2:  # one in each: they are what a reply may be
        return []
    return [(status, now[status], before[status]) for status in now if status in before]


def _distinct(side: Side, responses: Place, names: list[Any]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    seen: set[str] = set()
    for name in names:
        place = _reply_at(side, responses, name)
        if place is None:
            continue
        pointer = side.description.resolve(place, schema=True).pointer
        if pointer not in seen:
            seen.add(pointer)
            found[str(name)] = place
    return found


def _reply_at(side: Side, responses: Place, status: Any) -> Place | None:
    place = Place(responses.value[status], f"{responses.pointer}/{escaped(str(status))}")
    response = side.description.resolve(place)
    if side.description.dialect == "swagger2":
        return response.child("schema")
    return _content(response)


def reply_headers(side: Side) -> frozenset[str]:
    """The headers of replies that succeed, in lower case."""
    responses = side.operation.operation.child("responses")
    if responses is None or not isinstance(responses.value, Mapping):
        return frozenset()
    found: set[str] = set()
    for status in responses.value:
        if str(status).startswith("2") or status == "default":
            place = Place(responses.value[status], f"{responses.pointer}/{escaped(str(status))}")
            headers = side.description.resolve(place).child("headers")
            if headers is not None and isinstance(headers.value, Mapping):
                found |= {str(name).lower() for name in headers.value}
    return frozenset(found)


def _content(holder: Place) -> Place | None:
    content = holder.child("content")
    if content is None or not isinstance(content.value, Mapping):
        return None
    for name in sorted(map(str, content.value), key=_preference):
        schema = content.child(name, "schema")
        if schema is not None:
            return schema
    return None


def _preference(media: str) -> tuple[int, str]:
    """JSON first, in whatever flavor, then forms."""
    name = media.partition(";")[0].strip().lower()
    if name in PREFERRED:
        return PREFERRED.index(name) * 2, media
    return (1 if name.endswith("json") else len(PREFERRED) * 2), media


def _swagger_body(side: Side) -> Place | None:
    fields: dict[str, Any] = {}
    required: list[str] = []
    pointer = ""
    for place in _places(side):
        value = place.value
        if value.get("in") == "body":
            return place.child("schema")
        if value.get("in") == "formData" and isinstance(value.get("name"), str):
            fields[value["name"]] = {k: v for k, v in value.items() if k not in {"in", "required"}}
            pointer = place.pointer.rpartition("/")[0]
            if value.get("required"):
                required.append(value["name"])
    if not fields:
        return None
    schema = {"type": "object", "properties": fields, "required": required}
    return Place(schema, pointer)


def parameters(side: Side) -> dict[str, Parameter]:
    """Parameters outside the body, by `query:name`, `header:name` or `cookie:name`."""
    found = {}
    for place in _places(side):
        value = place.value
        if value.get("in") not in ("query", "header", "cookie") or not isinstance(
            value.get("name"), str
        ):
            continue
        schema = place.child("schema") or _first_content(place) or place
        name = f"{value['in']}:{dotted(value['name']).removesuffix('[]')}"
        found[name] = Parameter(value.get("required") is True, schema)
    return found


def in_path(side: Side) -> list[tuple[str, Place]]:
    """The parameters in the path, in its order, each with the place of its schema."""
    known = {
        place.value.get("name"): place.child("schema") or _first_content(place) or place
        for place in _places(side)
        if place.value.get("in") == "path" and isinstance(place.value.get("name"), str)
    }
    anything = Place({}, side.operation.operation.pointer)
    return [(name, known.get(name, anything)) for name in BRACES.findall(side.operation.path)]


def in_both_paths(new: Side, old: Side | None) -> list[tuple[str, Place, Place | None]]:
    """Each parameter in the path, with its places in the new text and in the old one, by the name
    that usage knows: the old text's. They are told by where they stand, from the end: names are the
    provider's own, and what one text has in the path another has in its server's address."""
    now = in_path(new)[::-1]
    before = in_path(old)[::-1] if old is not None else []
    known = [*before, *((name, None) for name, _ in now[len(before) :])]
    return [
        (f"path:{name}", place, was) for (_, place), (name, was) in zip(now, known, strict=False)
    ][::-1]


def dotted(name: str) -> str:
    """A parameter's name as usage writes it: `created[gte]` is `created.gte`."""
    return BRACKETS.sub(r".\1", name)


def _first_content(place: Place) -> Place | None:
    content = place.child("content")
    if content is None or not isinstance(content.value, Mapping):
        return None
    return next((content.child(str(n), "schema") for n in sorted(map(str, content.value))), None)


def _places(side: Side) -> Iterator[Place]:
    """The path's parameters and the operation's own, which win; references followed."""
    found: dict[tuple[str, str], Place] = {}
    for holder in (side.operation.item, side.operation.operation):
        listed = holder.child("parameters")
        if listed is None or not isinstance(listed.value, list):
            continue
        for number, item in enumerate(listed.value):
            place = side.description.resolve(Place(item, f"{listed.pointer}/{number}"))
            if isinstance(place.value, Mapping):
                found[str(place.value.get("in")), str(place.value.get("name"))] = place
    yield from found.values()


def request_types(side: Side) -> frozenset[str]:
    """The media types in which the body may be sent."""
    if side.description.dialect == "swagger2":
        return _swagger_types(side, "consumes")
    body = side.operation.operation.child("requestBody")
    if body is None:
        return frozenset()
    content = side.description.resolve(body).child("content")
    return _types(content)


def reply_types(side: Side) -> frozenset[str]:
    """The media types of successful replies."""
    if side.description.dialect == "swagger2":
        return _swagger_types(side, "produces")
    responses = side.operation.operation.child("responses")
    if responses is None or not isinstance(responses.value, Mapping):
        return frozenset()
    found: frozenset[str] = frozenset()
    for status in sorted(responses.value, key=str):
        if str(status).startswith("2"):
            place = Place(responses.value[status], f"{responses.pointer}/{status}")
            found |= _types(side.description.resolve(place).child("content"))
    return found


def _types(content: Place | None) -> frozenset[str]:
    if content is None or not isinstance(content.value, Mapping):
        return frozenset()
    return frozenset(str(name).partition(";")[0].strip().lower() for name in content.value)


def _swagger_types(side: Side, word: str) -> frozenset[str]:
    said = side.operation.operation.value.get(word, side.description.document.get(word))
    return frozenset(str(n).lower() for n in said) if isinstance(said, list) else frozenset()
