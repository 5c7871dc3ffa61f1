"""The API's description (OpenAPI 3.1), drawn from the table of routes and their structs."""

import re
from typing import Any, Final

import msgspec

from tollkeeper.api.access import REACHES
from tollkeeper.api.incoming import FORM
from tollkeeper.api.problems import MEDIA_TYPE, STATUSES, Problem
from tollkeeper.api.requests import ClearAttention, CreateEndpoint, Reasoned, StartRollout
from tollkeeper.api.route import Route
from tollkeeper.api.routes import ROUTES
from tollkeeper.flows.operations.keys import API_VERSIONS, ROLES
from tollkeeper.kernel.ids import ALPHABET, BODY_LENGTH
from tollkeeper.payments.change import EVENT_TYPES
from tollkeeper.payments.view import DisputeView, PaymentView, RefundView

type Json = dict[str, Any]

SCHEMA: Final = "#/components/schemas/{name}"
PREFIXES: Final = {
    "payment_id": "pay",
    "refund_id": "re",
    "event_id": "evt",
    "endpoint_id": "we",
    "rollout_id": "ro",
    "notice_id": "ntc",
}
QUERY: Final[dict[str, Json]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "cursor": {"type": "string"},
    "status": {"type": "string"},
    "customer": {"type": "string", "minLength": 1, "maxLength": 255},
    "reference": {"type": "string", "minLength": 1, "maxLength": 255},
    "needs_attention": {"type": "string", "enum": ["true"]},
}
ALWAYS: Final = (500, 503)
PAGES: Final = {
    404: "No notice has this link, or it has expired: one page for both.",
    422: "The form cannot be taken: the page again, with the reason.",
}
WITH_BODY: Final = (400, 408, 413)
DESCRIPTIONS: Final = {
    200: "Success.",
    201: "Created.",
    202: "Accepted with an unknown outcome: read `Location` after `Retry-After`.",
    204: "Removed.",
    303: "To the shop's `return_url`, with `payment` and `status`.",
}


def document() -> bytes:
    """The whole description as JSON."""
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": API_VERSIONS[-1],
            "description": "Payments that stay up while providers change underneath. Amounts are "
            "integers of the currency's minor unit; ids are opaque; new fields may appear in "
            "answers at any time.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": _problems(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.encode(described)


def _operation(route: Route) -> Json:
    told: Json = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route),
        "security": [{"key": []}] if route.role else [],
    }
    if route.role:
        told["description"] = (
            f"Needs the role `{route.role}`, which {ROLES[route.role]}. "
            f"Reaches {REACHES[route.reach]}."
        )
    if route.body is not None:
        schema = {"$ref": SCHEMA.format(name=route.body.__name__)}
        told["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": schema}},
        }
    if route.form:
        fields: Json = {"act": {"type": "string"}, "text": {"type": "string"}}
        form: Json = {"type": "object", "properties": fields, "required": ["act"]}
        told["requestBody"] = {"required": True, "content": {FORM: {"schema": form}}}
    if route.signed:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": {}}}}
    return told


def operation_id(route: Route) -> str:
    """A name for clients: the summary in camel case."""
    words: list[str] = re.findall(r"[a-z]+", route.summary.lower().replace("'s", ""))
    first, *rest = words
    return first + "".join(word.capitalize() for word in rest)


def _parameters(route: Route) -> list[Json]:
    found = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)]
    found.extend({"name": name, "in": "query", "schema": QUERY[name]} for name in route.query)
    if route.money:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "A new random value for each intention, the same on every retry. "
                "It belongs to this request and is never valid for another one.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    if route.role:
        found.append(
            {
                "name": "Tollkeeper-Version",
                "in": "header",
                "description": "The API version. By default the version that the key is pinned to.",
                "schema": {"type": "string", "enum": list(API_VERSIONS)},
            }
        )
    return found


def _path_parameter(name: str) -> Json:
    prefix = PREFIXES.get(name)
    letters = f"[{ALPHABET}]{{{BODY_LENGTH}}}"
    schema: Json = {"type": "string"}
    if prefix is not None:
        schema["pattern"] = f"^{prefix}_{letters}$"
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(route: Route) -> Json:
    told: Json = {str(status): _success(route, status) for status in route.statuses}
    for status in refusals(route):
        told[str(status)] = {"$ref": f"#/components/responses/problem{status}"}
    if route.reach == "link":  # a person reads it: also what is wrong is a page
        for status in (404, 422):
            told[str(status)] = {
                "description": PAGES[status],
                "content": {"text/html": {"schema": {"type": "string"}}},
            }
    return told


def refusals(route: Route) -> list[int]:
    """The statuses of the problems that a route may answer with."""
    found = {400, 404, 422, *ALWAYS} if "{" in route.path else {400, 422, *ALWAYS}
    if route.role:
        found |= {401, 403, 429}
    if route.reach == "link":
        found.add(429)
    if route.method == "POST":
        found |= set(WITH_BODY)
        found |= {415} if not route.signed else set()
        found |= {401} if route.reach == "input" else set()
        found |= {409} if route.resource == "incident" and route.role else set()
    if route.money or route.body in {ClearAttention, CreateEndpoint, StartRollout, Reasoned}:
        found.add(409)
    return sorted(found)


def _success(route: Route, status: int) -> Json:
    told: Json = {"description": DESCRIPTIONS[status]}
    headers: Json = {"Request-Id": _header("The id of this request, for support.")}
    if status in {201, 202, 303}:
        headers["Location"] = _header("The address of the resource.")
    if status == 202:
        headers["Retry-After"] = _header("Seconds to wait.")
    if route.money:
        headers["Idempotency-Replayed"] = _header("`true` if this is an earlier answer.")
    told["headers"] = headers
    gives = route.gives_with(status)
    if gives is not None:
        schema = {"$ref": SCHEMA.format(name=gives.__name__)}
        told["content"] = {"application/json": {"schema": schema}}
    elif route.gives_file:
        schema = {"type": "string", "contentMediaType": route.gives_file}
        told["content"] = {route.gives_file: {"schema": schema}}
    elif status == 200:
        told["content"] = {"text/html": {"schema": {"type": "string"}}}
    return told


def _header(description: str) -> Json:
    return {"description": description, "schema": {"type": "string"}}


def _problems() -> Json:
    told: Json = {}
    for status in sorted({status for status, _ in STATUSES.values()}):
        codes = sorted(kind.code for kind, entry in STATUSES.items() if entry[0] == status)
        told[f"problem{status}"] = {
            "description": "`code` is " + " or ".join(f"`{code}`" for code in codes) + ".",
            "headers": {"Request-Id": _header("The id of this request, for support.")},
            "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA.format(name="Problem")}}},
        }
    return told


def _schemas() -> Json:
    kinds: list[type[msgspec.Struct]] = [Problem, DisputeView]
    for route in ROUTES:
        given = (route.body, route.gives, *route.also.values())
        kinds.extend(kind for kind in given if kind is not None)
    _, schemas = msgspec.json.schema_components(kinds, schema_hook=_raw, ref_template=SCHEMA)
    for change in (_event, _audit):
        change(schemas)
    return dict(sorted(schemas.items()))


def _raw(kind: type[Any]) -> Json:
    raise NotImplementedError(kind)


def _event(schemas: Json) -> None:
    """An event's `data` is bytes to us, and one of three resources to its reader."""
    properties = schemas["EventView"]["properties"]
    properties["type"]["enum"] = list(EVENT_TYPES)
    properties["data"] = {
        "anyOf": [
            {"$ref": SCHEMA.format(name=kind.__name__)}
            for kind in (PaymentView, RefundView, DisputeView)
        ]
    }


def _audit(schemas: Json) -> None:
    schemas["AuditView"]["properties"]["change"] = {"type": "object"}
