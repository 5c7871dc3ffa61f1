"""Fuzzing of the contract checker: generated descriptions and usage files, whole and torn.

Laws: what is read gives findings or `Invalid`, within five seconds, in every format; each breaking
finding has a witness; the same input gives the same bytes.
"""

import copy
import json
import random
import time
from typing import Any, Final
from xml.etree import ElementTree

import yaml

from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.reports.machines import as_junit, as_sarif
from tollkeeper.contracts.reports.plain import as_json, as_markdown, as_text
from tollkeeper.contracts.usage import read_usage
from tollkeeper.contracts.verdict import check
from tollkeeper.kernel.errors import Invalid

MAX_SECONDS: Final = 5.0
NAMES: Final = ("id", "amount", "status", "items", "a.b", "x[]", "", "größe", "$ref", "*")
SCHEMAS: Final = ("One", "Two", "Three~/x")
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 10**40, "", "text", [], {}, [None], {"$ref": "#"}, {"$ref": 7},
    {"$ref": "#/components/schemas/One"}, {"$ref": "other.json#/x"}, {"type": "array"},
)  # fmt: skip
WORDS: Final = (
    "type", "enum", "const", "properties", "required", "items", "additionalProperties", "nullable",
    "allOf", "anyOf", "oneOf", "not", "pattern", "maxLength", "minLength", "maximum", "multipleOf",
    "exclusiveMaximum", "minItems", "readOnly", "writeOnly", "default", "patternProperties",
    "x-expansionResources", "format", "parameters", "in", "name", "content", "schema", "responses",
    "requestBody", "servers", "security", "openapi", "swagger", "paths", "webhooks", "components",
)  # fmt: skip


class Slow(AssertionError):
    """A check that takes too long, in seconds of its own CPU."""


def check_case(chance: random.Random) -> None:
    """One pair of descriptions and a usage, drawn, torn, and asked."""
    old = _description(chance)
    new = json.loads(json.dumps(old))
    for _ in range(chance.randrange(4)):
        _tear(chance, new)
    usage = _usage(chance, old)
    if chance.random() < 0.3:
        _tear(chance, usage)
    texts = [_written(chance, old), _written(chance, new), json.dumps(usage).encode()]
    if chance.random() < 0.1:
        at = chance.randrange(3)
        texts[at] = _cut(chance, texts[at])
    began = time.process_time()
    _ask(*texts, compare=chance.random() < 0.8)
    if time.process_time() - began > MAX_SECONDS:
        raise Slow(f"{time.process_time() - began:.1f} s")


def _ask(old: bytes, new: bytes, usage: bytes, *, compare: bool) -> None:
    try:
        used = read_usage(usage)
        before = read_description(old) if compare else None
        after = read_description(new)
    except Invalid:
        return
    _hold(check(used, after, before))


def _hold(result: Checked) -> None:
    for finding in result.findings:
        if finding.severity == "breaking" and finding.witness is None:
            raise AssertionError("a breaking finding without a witness")
    document = json.loads(as_json(result))
    if document["compatible"] is not result.compatible:
        raise AssertionError("the report says otherwise than the result")
    json.loads(as_sarif(result, "new.json"))
    ElementTree.fromstring(as_junit(result))  # noqa: S314 - our own text
    if not as_text(result) or not as_markdown(result):
        raise AssertionError("an empty report")


def _written(chance: random.Random, document: Any) -> bytes:
    if chance.random() < 0.05:
        return str(yaml.safe_dump(document)).encode()
    return json.dumps(document).encode()


def _cut(chance: random.Random, text: bytes) -> bytes:
    at = chance.randrange(len(text))
    return chance.choice((text[:at], text[:at] + b"\xff" + text[at:], b"[" * 5_000, b""))


def _description(chance: random.Random) -> dict[str, Any]:
    dialect = chance.choice(("3.0.3", "3.1.0", "2"))
    operation = {
        "operationId": "make",
        "parameters": [
            {"in": chance.choice(("query", "header", "body", "formData")), "name": "q",
             "required": chance.random() < 0.3, "schema": _schema(chance, 1)},
            {"in": "path", "name": "id", "required": True, "schema": _schema(chance, 2)},
        ],
        "requestBody": {"content": {"application/json": {"schema": _schema(chance, 0)}}},
        "responses": {
            chance.choice(("200", "200", "200", "2XX", "default")): {
                "content": {"application/json": {"schema": _schema(chance, 0)}},
                "schema": _schema(chance, 0),
            },
            chance.choice(("400", "400", "4XX", "default")): {
                "content": {"application/json": {"schema": _schema(chance, 0)}}
            },
        },
    }  # fmt: skip
    schemas = {name: _schema(chance, 0) for name in SCHEMAS}
    return {
        ("swagger" if dialect == "2" else "openapi"): "2.0" if dialect == "2" else dialect,
        "paths": {"/things": {"post": operation}, "/things/{id}": {"get": operation}},
        chance.choice(("webhooks", "x-webhooks")): {"paid": {"post": operation}},
        "components": {"schemas": schemas},
    }


def _schema(chance: random.Random, depth: int) -> Any:
    """A schema with one or two thoughts in it; references among the components may be cycles."""
    if depth > 3 or chance.random() < 0.15:
        name = chance.choice(SCHEMAS).replace("~", "~0").replace("/", "~1")
        return {"$ref": f"#/components/schemas/{name}"}
    kind = chance.random()
    if kind < 0.4:
        names = chance.sample(NAMES, chance.randrange(1, 5))
        made: dict[str, Any] = {
            "type": "object",
            "properties": {name: _schema(chance, depth + 1) for name in names},
        }
        if chance.random() < 0.5:
            made["required"] = chance.sample(names, 1)
        if chance.random() < 0.2:
            made["additionalProperties"] = chance.choice((True, False, _schema(chance, 3)))
        return made
    if kind < 0.55:
        word = chance.choice(("anyOf", "oneOf", "allOf"))
        return {word: [_schema(chance, depth + 1) for _ in range(chance.randrange(1, 4))]}
    if kind < 0.65:
        return {"type": "array", "items": _schema(chance, depth + 1)}
    return _scalar(chance)


def _scalar(chance: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"type": chance.choice(("string", "integer", "number", "boolean"))}
    if made["type"] == "string" and chance.random() < 0.4:
        made["enum"] = chance.sample(("open", "paid", "no", "1"), 2)
    if chance.random() < 0.2:
        made["nullable"] = True
    if chance.random() < 0.2:
        made["pattern"] = chance.choice(("^[a-z]{2,5}$", "(", "^\\d+(?<x>a)$", "\\p{L}", "(a*)*$"))
    if chance.random() < 0.2:
        made[chance.choice(("maxLength", "minimum", "maximum", "multipleOf"))] = chance.choice(
            (0, 3, 10**30, -5)
        )
    return made


def _usage(chance: random.Random, description: Any) -> dict[str, Any]:
    del description
    paths = ["id", "amount", "status", "items[].id", "items[]", "status.id", "amount.*", "größe"]
    used = {
        "send": [*chance.sample(paths, 3), "query:q", "header:q"],
        "read": chance.sample(paths, 4),
        "values": {"status": ["open"]},
        "exhaustive": {"status": chance.choice(("all", ["open", "paid"]))},
        "nonnull": chance.sample(paths, 2),
        "lengths": {"id": 10} | ({"path:id": 3} if chance.random() < 0.3 else {}),
        "errors": chance.sample(paths, 1),
    }
    names = ("POST /things", "GET /things/{}", "POST webhook:paid", "PUT /nowhere")
    return {"name": "fuzz", "operations": dict.fromkeys(chance.sample(names, 2), used)}


def _tear(chance: random.Random, document: Any) -> None:
    """Changes one place: a member lost, renamed, replaced, or a word of the format put there."""
    places = list(_places(document))
    if not places:
        return
    holder, key = chance.choice(places)
    kind = chance.random()
    if kind < 0.3:
        del holder[key]
    elif kind < 0.5 and isinstance(holder, dict):
        holder[chance.choice((f"{key}_2", *WORDS))] = holder.pop(key)
    elif kind < 0.7 and isinstance(holder, dict):
        holder[chance.choice(WORDS)] = copy.deepcopy(chance.choice(ODD))
    elif kind < 0.85:
        holder[key] = _schema(chance, 2)
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))


def _places(document: Any) -> Any:
    ahead = [document]
    while ahead:
        item = ahead.pop()
        inner = item.items() if isinstance(item, dict) else enumerate(item)
        for key, value in list(inner):
            yield item, key
            if isinstance(value, dict | list):
                ahead.append(value)
