"""The API's reference page, drawn from its own OpenAPI text, the roles and the events."""

from typing import Any

import msgspec

from tollkeeper.api import application, incoming, openapi, routes
from tollkeeper.api.access import REACHES
from tollkeeper.flows.operations.keys import API_VERSIONS, ROLES
from tollkeeper.payments.change import EVENT_TYPES
from tollkeeper.settings import Settings

_HEAD = """# The API

`GET /openapi.json` is the whole description (OpenAPI 3.1) for tools; this page says the same to
people.

- Every request but the provider's, the shopper's and the operators' carries
  `Authorization: Bearer tk_...`. A key sees only its own account; another account's ids are 404.
- Bodies are JSON objects in UTF-8. A name twice in one object, NaN, or half a surrogate pair is
  `malformed_request`; a field that nobody knows is `invalid_request`, with the nearest name.
- Operations that move money need `Idempotency-Key`: at most {key_length} printable ASCII
  characters, bare or in double quotes. The key is bound to its account, method, path and values
  (as sent: a default that is written out makes another request) for ever; a replay
  carries `Idempotency-Replayed: true`. The first answer is kept {answer_days:g}
  days; after that a replay gets the payment as it then is.
- 201 is made. 202 is accepted while nobody knows the outcome yet: read `Location` after
  `Retry-After`, wait for the event, or repeat the request with its key, which never pays twice.
- Anything that looks like a card number, anywhere, is `card_number_refused`, and is not logged.
- Errors are problem documents (RFC 9457): see [Errors](errors.md). `errors` points at what is
  wrong: a JSON pointer into the body, or the name of a header or parameter.
- Every answer has `Request-Id` and `Tollkeeper-Version`. The version ({versions}) is the one
  that the key is pinned to, unless the request names one in `Tollkeeper-Version`.
- Lists are newest first; `next_cursor` goes into `cursor` for the next page, `previous_cursor` for
  the page before.
- What does not arrive within {receive:g} seconds is answered 408. Payments, reads,
  providers' webhooks, returning shoppers and administration have places of their own ({in_flight},
  {reads}, {inbound}, {shoppers} and {administration}); one provider's payments take at most
  {provider}. What finds no place gets 503 with `Retry-After` at once, and has had no effect.
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
        "## Roles\n\nEach may do all that the ones before it may.\n\n"
        "| role | adds |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _reaches() -> str:
    rows = [f"| `{reach}` | {meaning} |" for reach, meaning in REACHES.items()]
    return (
        "## Reach\n\nEvery operation has an owner and a reach. Another account's thing is 404; an "
        "act that concerns every account is 403 without a `platform` key. Only rollouts concern "
        "every account: a rollout belongs to the account that its condition names, and to the "
        "platform where it names none.\n\n"
        "| reach | what the operation may touch |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def _operations(described: Any) -> str:
    rows = []
    for route in routes.ROUTES:
        told = described["paths"][route.path][route.method.lower()]
        sent = (
            f"`{route.body.__name__}`" if route.body else ", ".join(f"`{q}`" for q in route.query)
        )
        got = f"`{route.gives.__name__}`" if route.gives else ""
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
        "Without a key, and never turned away, for those who run the service:\n\n" + plain + "\n"
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
        "## Events\n\nRead at `GET /v1/events`, and posted to your webhook endpoints as "
        "Standard Webhooks.\n\n"
        "| type | sent when |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
