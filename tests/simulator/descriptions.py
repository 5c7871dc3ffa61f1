"""The provider's own descriptions, as validators of what the simulator answers.

They are data that lie beside this repository, not in it: `../shared/data`, or wherever
TOLLKEEPER_DATA points.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

DATA = Path(os.environ.get("TOLLKEEPER_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = {
    "2022-08-01": "full-descriptions/stripe-2022-08-01.json",
    "2022-11-15": "full-descriptions/stripe-2022-11-15.json",
    "2026-03-25.dahlia": (
        "provider-history/descriptions/stripe-py/2026-03-25.dahlia@2026-03-25.json"
    ),
}


def is_present(version: str) -> bool:
    return (DATA / FILES[version]).exists()


class Description:
    """One description. With `closed` schemas a field that they do not name is an error, too."""

    def __init__(self, document: dict[str, Any], *, closed: bool) -> None:
        self.paths = document["paths"]
        schemas = document["components"]["schemas"]
        self.fields = {name: set(schema.get("properties", {})) for name, schema in schemas.items()}
        self.nullable = {
            name: {m for m, told in schema.get("properties", {}).items() if told.get("nullable")}
            for name, schema in schemas.items()
        }
        self._schemas = {name: _json_schema(schema) for name, schema in schemas.items()}
        if closed:
            self._schemas = {name: _closed(schema) for name, schema in self._schemas.items()}
        self._validators: dict[str, Any] = {}

    def complaints(self, name: str, instance: Any) -> list[str]:
        """What is wrong with `instance` as a `name` of the components."""
        return self._complaints(name, {"$ref": f"#/components/schemas/{name}"}, instance)

    def reply_complaints(self, method: str, path: str, status: int, instance: Any) -> list[str]:
        """What is wrong with `instance` as a reply; nothing if the description is silent."""
        operation = self.paths.get(path, {}).get(method.lower())
        if operation is None:
            return []
        answers = operation["responses"]
        answer = answers.get(str(status)) or answers.get("default")
        if not answer or "content" not in answer:
            return []
        schema = answer["content"]["application/json"]["schema"]
        return self._complaints(f"{method} {path} {status}", _json_schema(schema), instance)

    def _complaints(self, name: str, schema: Any, instance: Any) -> list[str]:
        if name not in self._validators:
            whole = {"components": {"schemas": self._schemas}, "allOf": [schema]}
            self._validators[name] = jsonschema_rs.Draft202012Validator(whole)
        errors = self._validators[name].iter_errors(instance)
        return [f"{'/'.join(map(str, e.instance_path))}: {e.message}"[:400] for e in errors]


@cache
def description(version: str, *, closed: bool = False) -> Description:
    return Description(json.loads((DATA / FILES[version]).read_bytes()), closed=closed)


def _json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema: what is `nullable` may be null."""
    if isinstance(schema, list):
        return [_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {
        key: _members(value) if key == "properties" else _json_schema(value)
        for key, value in schema.items()
        if key not in ("nullable", "example", "discriminator") and not key.startswith("x-")
    }
    if not schema.get("nullable"):
        return converted
    return {"anyOf": [converted, {"type": "null"}]}


def _members(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: _json_schema(schema) for name, schema in properties.items()}


def _closed(schema: Any) -> Any:
    """The same schema, in which objects with properties have no others."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(inner) for name, inner in value.items()}
        if key == "properties"
        else _closed(value)
        for key, value in schema.items()
    }
    if closed.get("properties") and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
