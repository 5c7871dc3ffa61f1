"""From what an operation gave to the reply's document: expansion, then the form of the version."""

from typing import Any, Final

import msgspec

from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.problems import Problem
from tollkeeper.simulator.stripe.records import Event, Origin, Page
from tollkeeper.simulator.stripe.versions import Document, at_least, take_back
from tollkeeper.simulator.stripe.world import Shelves, World

EXPANDABLE: Final[dict[str, dict[str, str]]] = {
    "payment_intent": {
        "latest_charge": "charge",
        "customer": "customer",
        "payment_method": "",
        "application": "",
        "review": "",
    },
    "charge": {
        "refunds": "list refund",
        "payment_intent": "payment_intent",
        "customer": "customer",
        "balance_transaction": "",
        "application": "",
    },
    "refund": {"charge": "charge", "payment_intent": "payment_intent", "balance_transaction": ""},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
}
"""Type to the members that may be expanded and what they hold; nothing is known of the empty."""

MAX_EXPAND_DEPTH: Final = 4


def check_expansions(paths: list[str], gives: str, version: str) -> None:
    """Raises Problem (400) for a path that does not fit what the operation gives."""
    for path in paths:
        members = path.split(".")
        if len(members) > MAX_EXPAND_DEPTH + 1:
            message = f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property."
            raise problems.invalid("expand", message)
        kind = gives
        for member in members:
            kind = _kind_of(kind, member, path, version)


def _kind_of(kind: str, member: str, path: str, version: str) -> str:
    if kind.startswith("list "):
        if member == "data":
            return kind.removeprefix("list ")
    elif kind == "payment_intent" and member == "charges" and not at_least(version, "2022-11-15"):
        return "list charge"
    elif member in EXPANDABLE.get(kind, {}):
        return EXPANDABLE[kind][member]
    raise problems.invalid("expand", f"This property cannot be expanded ({path[:200]}).")


def present(world: World, account: str, given: Any, version: str, expand: list[str]) -> Document:
    """The document for `given` (a record, a page, an event, or a document) at `version`, with
    the paths `expand`, which `check_expansions` has let pass."""
    document = _newest(world, given)
    for path in expand:
        _expand(world, world.shelves[account], document, path.split("."))
    return take_back(document, version, world)


def _newest(world: World, given: Any) -> Document:
    if isinstance(given, dict):
        return given
    if isinstance(given, Event):
        return event_document(given, given.api_version)
    if isinstance(given, Page):
        return {
            "object": "list",
            "data": [_newest(world, record) for record in given.records],
            "has_more": given.has_more,
            "url": given.url,
        }
    return world.render(given)


def event_document(event: Event, version: str) -> Document:
    """An event with its object as it was then, at `version` (one it was recorded at)."""
    data: Document = {"object": msgspec.Raw(event.documents[version])}
    if event.previous is not None:
        data["previous_attributes"] = event.previous
    return {
        "id": event.id,
        "object": "event",
        "api_version": version,
        "created": event.created,
        "data": data,
        "livemode": False,
        "pending_webhooks": event.pending_webhooks,
        "request": _event_request(event.origin),
        "type": event.type,
    }


def _event_request(origin: Origin) -> Document:
    return {"id": origin.request_id or None, "idempotency_key": origin.idempotency_key or None}


def present_problem(world: World, problem: Problem, version: str) -> Document:
    """The body of a refusal; an intent is shown as it is now, in the form of the version."""
    error = dict(problem.error)
    if problem.intent is not None:
        intent = world.find_intent(problem.intent)
        if intent is not None:
            error["payment_intent"] = take_back(world.render(intent), version, world)
    return {"error": error}


def _expand(world: World, shelves: Shelves, document: Document, members: list[str]) -> None:
    member, *rest = members
    if document.get("object") == "list":
        for item in document["data"] if rest else ():
            _expand(world, shelves, item, rest)
        return
    if member not in EXPANDABLE.get(str(document.get("object")), {}):
        return  # Charges of an intent: older versions embed them anyway.
    value = document[member] = _expanded(world, shelves, document, member)
    if rest and isinstance(value, dict):
        _expand(world, shelves, value, rest)


def _expanded(world: World, shelves: Shelves, document: Document, member: str) -> Any:
    value = document.get(member)
    if member == "refunds":
        refunds = world.refunds_of(document["id"])
        url = f"/v1/charges/{document['id']}/refunds"
        return {"object": "list", "data": refunds, "has_more": False, "url": url}
    if not isinstance(value, str):
        return value
    record: Any = None
    match member:
        case "latest_charge" | "charge":
            record = shelves.charges.get(value)
        case "payment_intent":
            record = shelves.intents.get(value)
        case "customer":
            record = shelves.customers.get(value)
        case _:
            pass
    return value if record is None else world.render(record)
