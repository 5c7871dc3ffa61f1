"""From what an operation gave to the reply's document: expansion, then the form of the version."""

from typing import Any, Final

import msgspec

from tollkeeper.simulator import problems
from tollkeeper.simulator.problems import Problem
from tollkeeper.simulator.records import Event, Origin, Page
from tollkeeper.simulator.versions import Document, at_least, take_back
from tollkeeper.simulator.world import Shelves, World

EXPANDABLE: Final[dict[str, tuple[str, ...]]] = {
    "payment_intent": ("latest_charge", "customer", "payment_method", "application", "review"),
    "charge": ("refunds", "payment_intent", "customer", "balance_transaction", "application"),
    "refund": ("charge", "payment_intent", "balance_transaction"),
    "dispute": ("charge", "payment_intent"),
    "event": (),
    "customer": (),
    "webhook_endpoint": (),
}
MAX_EXPAND_DEPTH: Final = 4


def present(world: World, account: str, given: Any, version: str, expand: list[str]) -> Document:
    """The document for `given` (a record, a page, an event, or a document) at `version`;
    raises Problem (400) for what cannot be expanded."""
    document = _newest(world, given)
    for path in expand:
        _expand(world, world.shelves[account], document, path, version)
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


def _expand(world: World, shelves: Shelves, document: Document, path: str, version: str) -> None:
    members = path.split(".")
    if len(members) > MAX_EXPAND_DEPTH + 1:
        message = f"You cannot expand more than {MAX_EXPAND_DEPTH} levels of a property."
        raise problems.invalid("expand", message)
    _expand_members(world, shelves, document, members, path, version)


def _expand_members(
    world: World,
    shelves: Shelves,
    document: Document,
    members: list[str],
    path: str,
    version: str,
) -> None:
    member, *rest = members
    if document.get("object") == "list" and member == "data":
        for item in document["data"]:
            if rest:
                _expand_members(world, shelves, item, rest, path, version)
        return
    if _was_embedded(document, member, version):
        return
    if member not in EXPANDABLE.get(str(document.get("object")), ()):
        raise problems.invalid("expand", f"This property cannot be expanded ({path}).")
    value = _expanded(world, shelves, document, member)
    document[member] = value
    if rest and isinstance(value, dict):
        _expand_members(world, shelves, value, rest, path, version)


def _was_embedded(document: Document, member: str, version: str) -> bool:
    """Before 2022-11-15 an intent's charges were there without being asked for."""
    return (
        member == "charges"
        and document.get("object") == "payment_intent"
        and not at_least(version, "2022-11-15")
    )


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
