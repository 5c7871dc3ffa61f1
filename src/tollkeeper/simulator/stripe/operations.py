"""The provider's operations as one table: method and path, what is refused first, what is done."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollkeeper.simulator.stripe import endpoints, intents, listing, refunding
from tollkeeper.simulator.stripe.calls import Call
from tollkeeper.simulator.stripe.world import World

Execute = Callable[[World, Call], Any]
"""Gives a record, a Page of records, or a document in the newest form."""
Check = Callable[[World, Call], None]


class Operation(msgspec.Struct, frozen=True):
    """`check` raises Problem for what is refused before execution begins: such a refusal is not
    stored under the idempotency key."""

    name: str
    gives: str
    """The type of the answer: an object's, or `list` and the type of its elements."""
    method: str
    path: str
    execute: Execute
    check: Check | None = None


OPERATIONS: Final = (
    Operation(
        "payment_intents.create",
        "payment_intent",
        "POST",
        "/v1/payment_intents",
        intents.create_intent,
        intents.check_create,
    ),
    Operation(
        "payment_intents.list",
        "list payment_intent",
        "GET",
        "/v1/payment_intents",
        listing.list_intents,
    ),
    Operation(
        "payment_intents.retrieve",
        "payment_intent",
        "GET",
        "/v1/payment_intents/{id}",
        intents.retrieve_intent,
    ),
    Operation(
        "payment_intents.update",
        "payment_intent",
        "POST",
        "/v1/payment_intents/{id}",
        intents.update_intent,
    ),
    Operation(
        "payment_intents.confirm",
        "payment_intent",
        "POST",
        "/v1/payment_intents/{id}/confirm",
        intents.confirm_intent,
    ),
    Operation(
        "payment_intents.capture",
        "payment_intent",
        "POST",
        "/v1/payment_intents/{id}/capture",
        intents.capture_intent,
    ),
    Operation(
        "payment_intents.cancel",
        "payment_intent",
        "POST",
        "/v1/payment_intents/{id}/cancel",
        intents.cancel_intent,
    ),
    Operation("charges.list", "list charge", "GET", "/v1/charges", listing.list_charges),
    Operation("charges.retrieve", "charge", "GET", "/v1/charges/{id}", endpoints.retrieve_charge),
    Operation(
        "refunds.create",
        "refund",
        "POST",
        "/v1/refunds",
        refunding.create_refund,
        refunding.check_refund,
    ),
    Operation("refunds.list", "list refund", "GET", "/v1/refunds", listing.list_refunds),
    Operation("refunds.retrieve", "refund", "GET", "/v1/refunds/{id}", endpoints.retrieve_refund),
    Operation("disputes.list", "list dispute", "GET", "/v1/disputes", listing.list_disputes),
    Operation(
        "disputes.retrieve", "dispute", "GET", "/v1/disputes/{id}", endpoints.retrieve_dispute
    ),
    Operation("customers.create", "customer", "POST", "/v1/customers", endpoints.create_customer),
    Operation(
        "customers.retrieve", "customer", "GET", "/v1/customers/{id}", endpoints.retrieve_customer
    ),
    Operation("events.list", "list event", "GET", "/v1/events", listing.list_events),
    Operation("events.retrieve", "event", "GET", "/v1/events/{id}", endpoints.retrieve_event),
    Operation(
        "webhook_endpoints.create",
        "webhook_endpoint",
        "POST",
        "/v1/webhook_endpoints",
        endpoints.create_endpoint,
        endpoints.check_endpoint,
    ),
    Operation(
        "webhook_endpoints.list",
        "list webhook_endpoint",
        "GET",
        "/v1/webhook_endpoints",
        listing.list_endpoints,
    ),
    Operation(
        "webhook_endpoints.retrieve",
        "webhook_endpoint",
        "GET",
        "/v1/webhook_endpoints/{id}",
        endpoints.retrieve_endpoint,
    ),
    Operation(
        "webhook_endpoints.delete",
        "webhook_endpoint",
        "DELETE",
        "/v1/webhook_endpoints/{id}",
        endpoints.delete_endpoint,
    ),
    Operation("balance.retrieve", "balance", "GET", "/v1/balance", endpoints.retrieve_balance),
    Operation("account.retrieve", "account", "GET", "/v1/account", endpoints.retrieve_account),
)

_ROUTES: Final = {
    (operation.method, tuple(operation.path.split("/"))): operation for operation in OPERATIONS
}


def route(method: str, path: str) -> tuple[Operation, str] | None:
    """The operation at `path` and the identifier in it (empty if it has none), or None."""
    parts = path.rstrip("/").split("/")
    if len(parts) > 3:
        target, parts[3] = parts[3], "{id}"
        if not target:
            return None
    else:
        target = ""
    operation = _ROUTES.get((method, tuple(parts)))
    return None if operation is None else (operation, target)
