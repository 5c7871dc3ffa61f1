"""The API's reference page, drawn from its own OpenAPI text, the roles and the events."""

from typing import Any

import msgspec

from tollkeeper.api import application, incoming, openapi, routes
from tollkeeper.api.access import REACHES
from tollkeeper.flows.operations.keys import API_VERSIONS, ROLES
from tollkeeper.payments.change import EVENT_TYPES
from tollkeeper.settings import Settings

_HEAD = """# The API

`GET /openapi.json` is the complete description (OpenAPI 3.1) for tools. This page is for people.

- Every request needs `Authorization: Bearer tk_...`, except those of the provider, the shopper and
  the operators. A key reaches only its own account; another account's ids are 404.
- Bodies are JSON objects in UTF-8. A repeated name in one object, NaN, or half a surrogate pair is
  `malformed_request`. An unknown field is `invalid_request`, with the nearest valid name.
- Operations that move money need `Idempotency-Key`: at most {key_length} printable ASCII
  characters, bare or in double quotes. The key belongs to its account, method, path and values, and
  that never ends. The values count as they were sent: a default that is written out makes a
  different request. A replay carries `Idempotency-Replayed: true`. The service keeps the first
  answer for {answer_days:g} days. After that a replay gets the payment in its current state.
- 201 means created. 202 means accepted, with an unknown outcome. Read `Location` after
  `Retry-After`, wait for the event, or repeat the request with its key: that never pays twice.
- Anything that looks like a card number, anywhere, is `card_number_refused`, and is not logged.
- Errors are problem documents (RFC 9457): see [Errors](errors.md). `errors` names each fault: a
  JSON pointer into the body, or the name of a header or parameter.
- Every answer has `Request-Id` and `Tollkeeper-Version`. The version ({versions}) is the one
  that the key is pinned to, or the one that the request names in `Tollkeeper-Version`.
- Lists are newest first. Send `next_cursor` as `cursor` to get the next page, and
  `previous_cursor` to get the previous page.
- A request that does not arrive within {receive:g} seconds gets 408. Each kind of request has its
  own limit of concurrent requests: payments {in_flight}, reads {reads}, providers' webhooks
  {inbound}, returning shoppers {shoppers}, administration {administration}. The payments of one
  provider have a limit of {provider}. A request above its limit gets 503 with `Retry-After` at
  once, and has no effect.
"""


def page() -> str:
    """`docs/reference/api.md`."""
    described: Any = msgspec.json.decode(openapi.document())
    defaults = Settings()
    head = _HEAD.format(
        key_length=incoming.MAX_KEY_LENGTH,
        answer_days=defaults.answer_days,
        versions=", ".join(f"`{version}`" for version in API_VERSIONS),
        receive=defaults.receive_seconds,
        in_flight=defaults.max_in_flight,
        provider=defaults.max_in_flight_per_provider,
        reads=defaults.max_reads_in_flight,
        inbound=defaults.max_inbound_in_flight,
        shoppers=defaults.max_shoppers_in_flight,
        administration=defaults.max_administration_in_flight,
    )
    return "\n".join(
        [head, _roles(), _reaches(), _operations(described), _resources(described), _events()]
    )


def _roles() -> str:
    rows = [f"| `{role}` | {adds} |" for role, adds in ROLES.items()]
    return (
        "## Roles\n\nEach role may also do what the roles before it may do.\n\n"
        "| role | adds |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _reaches() -> str:
    rows = [f"| `{reach}` | {meaning} |" for reach, meaning in REACHES.items()]
    return (
        "## Reach\n\nEvery operation has an owner and a reach. A resource of another account is "
        "404. An operation on every account is 403 without a `platform` key. Only rollouts can "
        "concern every account. A rollout belongs to the account in its condition, or to the "
        "platform if the condition has no account.\n\n"
        "| reach | what the operation may touch |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _operations(described: Any) -> str:
    rows = []
    for route in routes.ROUTES:
        told = described["paths"][route.path][route.method.lower()]
        sent = (
            f"`{route.body.__name__}`" if route.body else ", ".join(f"`{q}`" for q in route.query)
        )
        given = [kind for kind in (route.gives, *route.also.values()) if kind is not None]
        got = " or ".join(f"`{kind.__name__}`" for kind in given)
        statuses = ", ".join(status for status in told["responses"])
        rows.append(
            f"| `{route.method} {route.path}` | {told['summary']} | "
            f"{f'`{route.role}`' if route.role else 'none'} | {route.resource} | `{route.reach}` | "
            f"{sent} | {got} | {statuses} |"
        )
    plain = "\n".join(
        f"- `GET {path}`: {(handler.__doc__ or '').split(chr(10))[0]}"
        for path, handler in application.PLAIN.items()
    )
    return (
        "## Operations\n\n| operation | what it does | role | resource | reach | takes | gives "
        "| statuses |\n|---|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "Without a key and without a limit, for operators:\n\n" + plain + "\n"
    )


def _resources(described: Any) -> str:
    schemas = described["components"]["schemas"]
    return "## Bodies and resources\n" + "".join(
        f"\n### {name}\n\n{' '.join(schema.get('description', '').split())}\n\n{_fields(schema)}"
        for name, schema in schemas.items()
        if "properties" in schema
    )


def _fields(schema: Any) -> str:
    required = set(schema.get("required", ()))
    rows = [
        f"| `{name}` | {_kind(field)} | {'yes' if name in required else ''} |"
        for name, field in schema["properties"].items()
    ]
    if not rows:
        return "No fields.\n"
    return "| field | type | required |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _kind(field: Any) -> str:
    """A schema in few words."""
    if "$ref" in field:
        return f"`{field['$ref'].rpartition('/')[2]}`"
    if "anyOf" in field:
        return " or ".join(_kind(choice) for choice in field["anyOf"])
    if "enum" in field and len(field["enum"]) <= len(EVENT_TYPES):
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = str(field.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(field['items'])}"
    bounds = {
        "exclusiveMinimum": "more than {}",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "{} characters or more",
        "maxLength": "at most {} characters",
        "maxProperties": "at most {} entries",
        "pattern": "`{}`",
    }
    said = [text.format(field[name]) for name, text in bounds.items() if name in field]
    return ", ".join([kind, *said]).replace("|", "\\|")


def _events() -> str:
    rows = [f"| `{name}` | {when} |" for name, when in EVENT_TYPES.items()]
    return (
        "## Events\n\nRead events at `GET /v1/events`. The service also posts them to your webhook "
        "endpoints as Standard Webhooks.\n\n"
        "| type | sent when |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
