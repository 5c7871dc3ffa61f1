"""Lists: newest first, in pages cut by identifier, filtered by creation time and by owner."""

from collections.abc import Callable
from typing import Any, Final

from tollkeeper.simulator.core.collections import Shelf, Span, Stored
from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.calls import Call, shelves_of
from tollkeeper.simulator.stripe.records import Charge, Dispute, Event, Intent, Page, Refund
from tollkeeper.simulator.stripe.world import World

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 10


def list_intents(world: World, call: Call) -> Page:
    """GET /v1/payment_intents."""
    customer = call.get("customer")
    return _page(
        call,
        shelves_of(world, call).intents,
        "/v1/payment_intents",
        lambda intent: customer is None or intent.customer == customer,
    )


def list_charges(world: World, call: Call) -> Page:
    """GET /v1/charges."""
    intent, customer = call.get("payment_intent"), call.get("customer")
    shelves = shelves_of(world, call)
    shelf = shelves.charges
    if intent is not None:
        found = shelves.intents.get(intent)
        shelf = _subset(shelf, found.charges if found else [])
    return _page(
        call, shelf, "/v1/charges", lambda charge: customer is None or charge.customer == customer
    )


def list_refunds(world: World, call: Call) -> Page:
    """GET /v1/refunds."""
    shelves = shelves_of(world, call)
    return _page(call, _of_charges(call, shelves.refunds, world, "refunds"), "/v1/refunds")


def list_disputes(world: World, call: Call) -> Page:
    """GET /v1/disputes."""
    shelves = shelves_of(world, call)
    return _page(call, _of_charges(call, shelves.disputes, world, "disputes"), "/v1/disputes")


def _of_charges[R: Refund | Dispute](
    call: Call, shelf: Shelf[R], world: World, owned: str
) -> Shelf[R]:
    """The shelf narrowed to one intent's or one charge's refunds or disputes."""
    shelves = shelves_of(world, call)
    if identifier := call.get("charge"):
        charge = shelves.charges.get(identifier)
        if charge is None:
            raise problems.no_such("charge", identifier, "charge", 400)
        return _subset(shelf, getattr(charge, owned))
    if identifier := call.get("payment_intent"):
        intent = shelves.intents.get(identifier)
        if intent is None:
            raise problems.no_such("payment_intent", identifier, "payment_intent", 400)
        charges = [shelves.charges.get(name) for name in intent.charges]
        return _subset(
            shelf, [name for c in charges if c is not None for name in getattr(c, owned)]
        )
    return shelf


def list_events(world: World, call: Call) -> Page:
    """GET /v1/events."""
    kinds = call.get("types") or ([call.get("type")] if call.get("type") else None)
    shelf: Shelf[Event] = Shelf()
    for event in shelves_of(world, call).events.values():
        shelf.add(event)
    return _page(call, shelf, "/v1/events", lambda event: kinds is None or event.type in kinds)


def list_endpoints(world: World, call: Call) -> Page:
    """GET /v1/webhook_endpoints."""
    shelf: Shelf[Any] = Shelf()
    for endpoint in shelves_of(world, call).endpoints.values():
        shelf.add(endpoint)
    return _page(call, shelf, "/v1/webhook_endpoints")


def _subset[R: Intent | Charge | Refund | Dispute](
    shelf: Shelf[R], identifiers: list[str]
) -> Shelf[R]:
    chosen: Shelf[R] = Shelf()
    for identifier in identifiers:
        record = shelf.get(identifier)
        if record is not None:
            chosen.add(record)
    return chosen


def _page[R: Stored](
    call: Call, shelf: Shelf[R], url: str, keep: Callable[[R], bool] = lambda _: True
) -> Page:
    limit = call.get("limit", DEFAULT_LIMIT)
    if limit > MAX_LIMIT:
        raise problems.invalid("limit", f"Limit must be at most {MAX_LIMIT}.")
    span = _span(call.get("created"))
    after, before = call.get("starting_after"), call.get("ending_before")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in shelf.places:
            raise problems.no_such("object", cursor, name, 400)
    if before is not None:
        records, more = shelf.before(limit, before=before, span=span, keep=keep)
    else:
        records, more = shelf.newest_first(limit, after=after, span=span, keep=keep)
    return Page(list(records), more, url)


def _span(created: Any) -> Span:
    if created is None or created == "":
        return Span()
    if not isinstance(created, dict):
        moment = _moment("created", created)
        return Span(moment, moment)
    earliest: int | None = None
    latest: int | None = None
    for name, value in created.items():
        moment = _moment(f"created[{name}]", value)
        match name:
            case "gte" | "gt":
                bound = moment + (name == "gt")
                earliest = bound if earliest is None else max(earliest, bound)
            case "lte" | "lt":
                bound = moment - (name == "lt")
                latest = bound if latest is None else min(latest, bound)
            case _:
                raise problems.unknown(f"created[{name}]")
    return Span(earliest, latest)


def _moment(name: str, value: Any) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 12:
        raise problems.not_an_integer(name, value)
    return int(value)
