"""Webhook endpoints, customers, balance and the other small resources."""

from typing import Any

from tollkeeper.simulator.core.identifiers import new_secret
from tollkeeper.simulator.stripe import problems
from tollkeeper.simulator.stripe.calls import Call, shelves_of
from tollkeeper.simulator.stripe.parameters import merged_metadata
from tollkeeper.simulator.stripe.records import Charge, Customer, Dispute, Endpoint, Event, Refund
from tollkeeper.simulator.stripe.rendering import render_account
from tollkeeper.simulator.stripe.versions import Document, is_known
from tollkeeper.simulator.stripe.world import World


def check_endpoint(world: World, call: Call) -> None:
    """What is refused before execution."""
    url = call.params["url"]
    if not url.startswith(("http://", "https://")):
        raise problems.Problem(400, "Invalid URL: must be http or https.", code="url_invalid")
    version = call.get("api_version")
    if version is not None and not is_known(version):
        raise problems.invalid("api_version", f"Invalid API version: {version}")
    if not all(isinstance(kind, str) for kind in call.params["enabled_events"]):
        raise problems.invalid("enabled_events", "Invalid array of event types")


def create_endpoint(world: World, call: Call) -> Document:
    """POST /v1/webhook_endpoints: the only reply that shows the signing secret."""
    endpoint = Endpoint(
        id=world.new_id("we"),
        account=call.account.id,
        created=world.now(),
        url=call.params["url"],
        secret=new_secret("whsec", world.chance),
        enabled_events=call.params["enabled_events"],
        api_version=call.get("api_version"),
        description=call.get("description"),
        metadata=merged_metadata({}, call.get("metadata")),
    )
    shelves_of(world, call).endpoints[endpoint.id] = endpoint
    return {**world.render(endpoint), "secret": endpoint.secret}


def retrieve_endpoint(world: World, call: Call) -> Endpoint:
    """GET /v1/webhook_endpoints/{id}."""
    found = shelves_of(world, call).endpoints.get(call.target)
    if found is None:
        raise problems.no_such("webhook endpoint", call.target, "webhook_endpoint")
    return found


def delete_endpoint(world: World, call: Call) -> Document:
    """DELETE /v1/webhook_endpoints/{id}."""
    endpoint = retrieve_endpoint(world, call)
    del shelves_of(world, call).endpoints[endpoint.id]
    return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}


def create_customer(world: World, call: Call) -> Customer:
    """POST /v1/customers."""
    customer = Customer(
        id=world.new_id("cus"),
        account=call.account.id,
        created=world.now(),
        email=call.get("email"),
        name=call.get("name"),
        description=call.get("description"),
        metadata=merged_metadata({}, call.get("metadata")),
    )
    shelves_of(world, call).customers.add(customer)
    return customer


def retrieve_customer(world: World, call: Call) -> Customer:
    """GET /v1/customers/{id}."""
    return _found(shelves_of(world, call).customers.get(call.target), "customer", call)


def retrieve_charge(world: World, call: Call) -> Charge:
    """GET /v1/charges/{id}."""
    return _found(shelves_of(world, call).charges.get(call.target), "charge", call)


def retrieve_refund(world: World, call: Call) -> Refund:
    """GET /v1/refunds/{id}."""
    return _found(shelves_of(world, call).refunds.get(call.target), "refund", call)


def retrieve_dispute(world: World, call: Call) -> Dispute:
    """GET /v1/disputes/{id}."""
    return _found(shelves_of(world, call).disputes.get(call.target), "dispute", call)


def retrieve_event(world: World, call: Call) -> Event:
    """GET /v1/events/{id}."""
    return _found(shelves_of(world, call).events.get(call.target), "event", call)


def _found[R](record: R | None, kind: str, call: Call) -> R:
    if record is None:
        raise problems.no_such(kind, call.target, "id" if kind == "event" else kind)
    return record


def retrieve_balance(world: World, call: Call) -> Document:
    """GET /v1/balance: what was captured and not given back, by currency."""
    sums: dict[str, int] = {}
    for charge in shelves_of(world, call).charges.records:
        kept = charge.amount_captured - charge.returned
        sums[charge.currency] = sums.get(charge.currency, 0) + kept
    amounts: list[Any] = [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sums.items()
    ]
    none = [{"amount": 0, "currency": currency, "source_types": {"card": 0}} for currency in sums]
    return {"object": "balance", "available": none, "livemode": False, "pending": amounts}


def retrieve_account(world: World, call: Call) -> Document:
    """GET /v1/account."""
    return render_account(call.account)
