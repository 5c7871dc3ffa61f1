"""Where a used path stands in a description: found by a reader of its own, not by the checker's.

Every step is localized: references on the way are replaced by copies, so that a mutation touches
one operation, one direction and one path, and nothing else.
"""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec

from tollkeeper.contracts.usage import segments

METHODS = ("get", "put", "post", "delete", "patch")
MAX_PARTS = 40


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A place that a mutation may touch. `used`: whether the usage names it; `granted`: whether it
    takes the value for granted; `sends`: whether it sends a body there; `longest`: how long a text
    it may send there, if the usage says so."""

    operation: str
    direction: str
    path: str
    used: bool
    granted: bool = False
    sends: bool = False
    longest: int | None = None


class Spot(msgspec.Struct, kw_only=True):
    """A site found in one copy of the document: the schemas that hold the member, and its name."""

    document: dict[str, Any]
    operation: dict[str, Any]
    body: dict[str, Any] | None
    holders: list[dict[str, Any]]
    name: str
    site: Site

    def members(self) -> list[dict[str, Any]]:
        """The member's own schemas, references followed and replaced by copies."""
        return [localized(self.document, h["properties"], self.name) for h in self.holders]


def operation_at(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The operation that a usage calls `POST /things/{}`."""
    method, _, wanted = name.partition(" ")
    hook = wanted.removeprefix("webhook:")
    if hook != wanted:
        for section in ("webhooks", "x-webhooks"):
            for path, item in document.get(section, {}).items():
                if path.lstrip("/") == hook and method.lower() in item:
                    return as_object(item[method.lower()])
        return None
    for path, item in document.get("paths", {}).items():
        if same_path(path, wanted) and method.lower() in item:
            return as_object(item[method.lower()])
    return None


def as_object(value: Any) -> dict[str, Any]:
    """The value, which must be an object."""
    assert isinstance(value, dict)
    return value


def same_path(path: str, wanted: str) -> bool:
    """Whether both are one path, whatever its parameters are called."""
    one, two = path.split("/"), wanted.split("/")
    return len(one) == len(two) and all(
        (a.startswith("{") and b.startswith("{")) or a == b for a, b in zip(one, two, strict=True)
    )


def content_of(document: dict[str, Any], operation: dict[str, Any], direction: str) -> Any:
    """The `content` of a request, a reply or a failure."""
    if direction == "send":
        if "requestBody" not in operation:
            return None
        return localized(document, operation, "requestBody").get("content")
    if direction == "hook":
        return content_of(document, operation, "send")
    responses = operation.get("responses", {})
    wanted = ("2",) if direction == "read" else ("4", "5")
    for status in sorted(responses):
        if status.startswith(wanted):
            found = localized(document, responses, status).get("content")
            if found:
                return found
    return localized(document, responses, "default").get("content") if (
        "default" in responses and direction == "error") else None  # fmt: skip


def body_of(document: dict[str, Any], operation: dict[str, Any], direction: str) -> Any:
    """The schema of a body, localized."""
    content = content_of(document, operation, direction)
    if not content:
        return None
    media = next((content[m] for m in sorted(content) if "schema" in content[m]), None)
    return localized(document, media, "schema") if media is not None else None


def localized(document: dict[str, Any], holder: Any, key: Any) -> Any:
    """What stands at `holder[key]`, its reference replaced by a copy."""
    for _ in range(16):
        value = holder[key]
        if not isinstance(value, dict) or "$ref" not in value:
            return value
        target: Any = document
        for token in value["$ref"].split("/")[1:]:
            target = target[token.replace("~1", "/").replace("~0", "~")]
        beside = {k: v for k, v in value.items() if k in {"readOnly", "writeOnly", "nullable"}}
        holder[key] = copy.deepcopy(target)
        if beside and isinstance(holder[key], dict):
            holder[key] |= beside
    return {}


def parts(document: dict[str, Any], schema: Any, *, first: bool = False) -> list[dict[str, Any]]:
    """A schema and everything that its combinators hold, localized."""
    found: list[dict[str, Any]] = []
    ahead = [schema]
    while ahead and len(found) < MAX_PARTS:
        item = ahead.pop(0)
        if not isinstance(item, dict):
            continue
        found.append(item)
        for word in ("allOf", "anyOf", "oneOf"):
            listed = item.get(word, [])
            kept = 1 if first and word != "allOf" else len(listed)
            ahead += [localized(document, listed, n) for n in range(len(listed[:kept]))]
    return found


def find(document: dict[str, Any], site: Site) -> Spot | None:
    """The site in this copy of the document; `None` where its path leads nowhere."""
    operation = operation_at(document, site.operation)
    if operation is None:
        return None
    body = body_of(document, operation, site.direction)
    spot = Spot(document=document, operation=operation, body=body, holders=[], name="", site=site)
    if not site.path:
        return spot
    if body is None:
        return None
    steps = segments(site.path)
    current = [body]
    for number, name in enumerate(steps):
        here = [p for schema in current for p in parts(document, schema)]
        if name == "[]":
            current = [
                localized(document, p, "items") for p in here if isinstance(p.get("items"), dict)
            ]
        elif name == "*":
            current = [localized(document, p, "additionalProperties") for p in here
                       if isinstance(p.get("additionalProperties"), dict)]  # fmt: skip
        else:
            if any(
                "additionalProperties" in p and p["additionalProperties"] is not False for p in here
            ):
                return None  # a map takes any name: nothing can be taken away
            spot.holders = [p for p in here if name in p.get("properties", {})]
            spot.name = name
            current = [localized(document, h["properties"], name) for h in spot.holders]
        if not current:
            return None
        if number == len(steps) - 1 and name in {"[]", "*"}:
            return None  # mutations are of members with names
    return spot


def members_below(
    document: dict[str, Any], schema: Any, prefix: str = "", depth: int = 0, *, first: bool = False
) -> Iterator[str]:
    """Paths of the members of a body, as usages write them, to a depth of three. `first`: of each
    union the first alternative alone, and nothing read-only, so that one request can have all."""
    if depth > 2:
        return
    for part in parts(document, schema, first=first):
        for name in part.get("properties", {}):
            if "." in name or "[" in name:
                continue
            path = f"{prefix}{name}"
            member = localized(document, part["properties"], name)
            if first and any(p.get("readOnly") for p in parts(document, member)):
                continue
            yield path
            yield from members_below(document, member, f"{path}.", depth + 1, first=first)
            for inner in parts(document, member, first=first):
                if isinstance(inner.get("items"), dict):
                    items = localized(document, inner, "items")
                    yield from members_below(document, items, f"{path}[].", depth + 1, first=first)


def required_below(
    document: dict[str, Any], schema: Any, sent: tuple[str, ...], prefix: str = "", depth: int = 0
) -> Iterator[str]:
    """Paths of the members that a body must have once it has `sent`, at every level, as far as the
    first alternative of each union says."""
    for part in parts(document, schema, first=True) if depth <= 4 else ():
        required = part.get("required", [])
        for name in part.get("properties", {}):
            path = f"{prefix}{name}"
            below = any(s == path or s.startswith((f"{path}.", f"{path}[")) for s in sent)
            if not below and name not in required:
                continue
            member = localized(document, part["properties"], name)
            if any(p.get("readOnly") for p in parts(document, member, first=True)):
                continue
            if path not in sent:
                yield path
            yield from required_below(document, member, sent, f"{path}.", depth + 1)
            for inner in parts(document, member, first=True):
                if isinstance(inner.get("items"), dict):
                    items = localized(document, inner, "items")
                    yield from required_below(document, items, sent, f"{path}[].", depth + 1)
