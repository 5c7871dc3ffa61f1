"""The simulator's own description (OpenAPI 3.0), at its newest version: what a provider publishes.

Requests are drawn from the tables of operations and parameters, which refuse what is not in them.
Replies describe the objects that money is moved with; others are said to be objects, no more.
"""

from typing import Any, Final

from tollkeeper.simulator.stripe.disputes import STATUSES
from tollkeeper.simulator.stripe.operations import OPERATIONS, Operation
from tollkeeper.simulator.stripe.parameters import TABLES, Parameter
from tollkeeper.simulator.stripe.versions import VERSIONS

type Json = dict[str, Any]

FORM: Final = "application/x-www-form-urlencoded"
MOST_TEXT: Final = 5_000

_TEXT: Final[Json] = {"type": "string", "maxLength": MOST_TEXT}
_COUNT: Final[Json] = {"type": "integer"}
_FLAG: Final[Json] = {"type": "boolean"}
_METADATA: Final[Json] = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": 500},
}
_INTENT_STATUSES: Final = (
    "canceled",
    "processing",
    "requires_action",
    "requires_capture",
    "requires_confirmation",
    "requires_payment_method",
    "succeeded",
)


def _nullable(schema: Json) -> Json:
    return {**schema, "nullable": True}


def _object(required: str, /, **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


def _expandable(name: str) -> Json:
    """An identifier, or the object where it was asked for: `expand[]`."""
    target = {"$ref": f"#/components/schemas/{name}"}
    return {
        "anyOf": [_TEXT, target],
        "nullable": True,
        "x-expansionResources": {"oneOf": [target]},
    }


SCHEMAS: Final[dict[str, Json]] = {
    "payment_intent": _object(
        "id object status amount currency created metadata",
        id=_TEXT,
        object={"type": "string", "enum": ["payment_intent"]},
        status={"type": "string", "enum": list(_INTENT_STATUSES)},
        amount=_COUNT,
        amount_capturable=_COUNT,
        amount_received=_COUNT,
        currency=_TEXT,
        created=_COUNT,
        capture_method={"type": "string", "enum": ["automatic", "automatic_async", "manual"]},
        description=_nullable(_TEXT),
        metadata=_METADATA,
        next_action=_nullable(
            _object(
                "type",
                type=_TEXT,
                redirect_to_url=_object("", url=_nullable(_TEXT), return_url=_nullable(_TEXT)),
            )
        ),
        last_payment_error=_nullable({"$ref": "#/components/schemas/api_errors"}),
        latest_charge=_expandable("charge"),
    ),
    "charge": _object(
        "id object amount amount_captured amount_refunded captured currency",
        id=_TEXT,
        object={"type": "string", "enum": ["charge"]},
        amount=_COUNT,
        amount_captured=_COUNT,
        amount_refunded=_COUNT,
        captured=_FLAG,
        currency=_TEXT,
        disputed=_FLAG,
        metadata=_METADATA,
        payment_intent=_nullable(_TEXT),
        status={"type": "string", "enum": ["failed", "pending", "succeeded"]},
    ),
    "refund": _object(
        "id object amount currency",
        id=_TEXT,
        object={"type": "string", "enum": ["refund"]},
        amount=_COUNT,
        currency=_TEXT,
        charge=_expandable("charge"),
        payment_intent=_expandable("payment_intent"),
        metadata=_nullable(_METADATA),
        reason=_nullable(_TEXT),
        status={"type": "string", "enum": ["canceled", "failed", "pending", "succeeded"]},
    ),
    "dispute": _object(
        "id object amount currency reason status",
        id=_TEXT,
        object={"type": "string", "enum": ["dispute"]},
        amount=_COUNT,
        charge=_expandable("charge"),
        currency=_TEXT,
        metadata=_METADATA,
        payment_intent=_nullable(_expandable("payment_intent")),
        reason=_TEXT,
        status={"type": "string", "enum": list(STATUSES)},
    ),
    "api_errors": _object(
        "type",
        type={
            "type": "string",
            "enum": ["api_error", "card_error", "idempotency_error", "invalid_request_error"],
        },
        code=_TEXT,
        decline_code=_TEXT,
        message=_TEXT,
        param=_TEXT,
        payment_intent={"$ref": "#/components/schemas/payment_intent"},
    ),
    "error": _object("error", error={"$ref": "#/components/schemas/api_errors"}),
}
"""Objects of the newest version, as its changelog and the renderer have them."""


def description() -> Json:
    """The whole text as JSON."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.0.0",
        "info": {"title": "The simulator's API", "version": VERSIONS[-1]},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(operation: Operation) -> Json:
    table = TABLES[operation.name]
    told: Json = {
        "operationId": operation.name,
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": _TEXT}
            for _ in range("{id}" in operation.path)
        ],
        "responses": {
            "200": _answer(_given(operation.gives)),
            "default": _answer({"$ref": "#/components/schemas/error"}),
        },
    }
    if operation.method != "POST":
        told["parameters"] += [
            {
                "name": name, "in": "query", "required": parameter.required,
                "style": "deepObject", "explode": True, "schema": _schema(parameter, name),
            }
            for name, parameter in table.items()
        ]  # fmt: skip
        return told
    form = {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, parameter in table.items() if parameter.required],
        "properties": {name: _schema(parameter, name) for name, parameter in table.items()},
    }
    told["requestBody"] = {"content": {FORM: {"schema": form}}}
    return told


def _answer(schema: Json) -> Json:
    return {"description": "An answer.", "content": {"application/json": {"schema": schema}}}


def _given(gives: str) -> Json:
    listed = gives.removeprefix("list ")
    known = listed in SCHEMAS
    one: Json = {"$ref": f"#/components/schemas/{listed}"} if known else {"type": "object"}
    if listed == gives:
        return one
    return _object(
        "object data has_more",
        object={"type": "string", "enum": ["list"]},
        data={"type": "array", "items": one},
        has_more=_FLAG,
        url=_TEXT,
    )


def _schema(parameter: Parameter, name: str) -> Json:
    match parameter.kind:
        case "integer":
            return {"type": "integer", "minimum": parameter.least}
        case "boolean":
            return _FLAG
        case "word":
            return {"type": "string", "enum": list(parameter.words)}
        case "list":
            return {"type": "array", "items": _TEXT}
        case "text":
            return _TEXT
        case "hash" | "free":
            return _METADATA if name == "metadata" else {"type": "object"}
