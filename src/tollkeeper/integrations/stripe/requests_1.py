"""What Stripe is sent: one request for each operation, as a form.

Law: frozen versions import this file. It never changes by a byte; a change is `requests_2`, for new
revisions only.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from tollkeeper.integrations.parts.amounts_1 import sent_amount
from tollkeeper.integrations.parts.form_1 import form
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.words_1 import REFUND_REASONS, UNITS
from tollkeeper.integrations.version import OperationInput, WireRequest
from tollkeeper.payments.outcome import Operation

PAGE: Final = 100
METADATA_LEFT: Final = 48
"""Stripe takes 50 keys of metadata, and two are ours."""


def request(shape: Shape, operation: Operation, order: OperationInput) -> WireRequest:
    """The request for `operation`, complete but for credentials."""
    intent = quote(order.provider_id or "", safe="")
    match operation:
        case "authorize":
            return _post(shape, "/v1/payment_intents", order, _authorize_fields(shape, order))
        case "capture":
            fields = [("amount_to_capture", _amount(order)), *shape.expand]
            if not order.final:
                fields.append(("final_capture", "false"))
            return _post(shape, f"/v1/payment_intents/{intent}/capture", order, fields)
        case "void":
            return _post(shape, f"/v1/payment_intents/{intent}/cancel", order, list(shape.expand))
        case "refund":
            return _post(shape, "/v1/refunds", order, _refund_fields(order))
        case "lookup":
            return get(shape, f"/v1/payment_intents/{intent}", list(shape.expand))
        case "find":
            window = [
                ("created[gte]", str(order.created_from_s)),
                ("created[lte]", str(order.created_to_s)),
                *shape.expand_listed,
            ]
            return get(shape, "/v1/payment_intents", _paged(window, order))
        case "list_refunds":
            fields = [("payment_intent", order.provider_id or "")]
            return get(shape, "/v1/refunds", _paged(fields, order))
        case "list_disputes":
            fields = [("payment_intent", order.provider_id or "")]
            return get(shape, "/v1/disputes", _paged(fields, order))


def _authorize_fields(shape: Shape, order: OperationInput) -> list[tuple[str, str]]:
    fields = [
        ("amount", _amount(order)),
        ("currency", order.currency.lower()),
        ("confirm", "true"),
        ("capture_method", order.capture_method),
        ("payment_method", order.payment_method),
        ("payment_method_types[]", "card"),
        *_metadata(order),
        *_shops_own(order),
        *shape.expand,
    ]
    if order.return_url:
        fields.append(("return_url", order.return_url))
    if order.description:
        fields.append(("description", order.description))
    if order.multicapture:
        fields.append(("payment_method_options[card][request_multicapture]", "if_available"))
    return fields


def _refund_fields(order: OperationInput) -> list[tuple[str, str]]:
    fields = [
        ("payment_intent", order.provider_id or ""),
        ("amount", _amount(order)),
        *_metadata(order),
    ]
    if order.reason in REFUND_REASONS:
        fields.append(("reason", order.reason))
    return fields


def _amount(order: OperationInput) -> str:
    return str(sent_amount(UNITS, order.currency, order.amount_minor))


def _metadata(order: OperationInput) -> list[tuple[str, str]]:
    return [
        ("metadata[tollkeeper_payment]", order.payment_id),
        ("metadata[tollkeeper_attempt]", order.attempt_id),
    ]


def _shops_own(order: OperationInput) -> list[tuple[str, str]]:
    """The shop's reference and metadata, as far as Stripe takes them beside our two keys. Source:
    docs.stripe.com/api/metadata."""
    own = {"reference": order.reference} if order.reference else {}
    own |= {name: text for name, text in order.metadata.items() if _travels(name)}
    return [(f"metadata[{name}]", text) for name, text in list(own.items())[:METADATA_LEFT]]


def _travels(name: str) -> bool:
    reserved = name.startswith("tollkeeper_") or name == "reference"
    return not reserved and not set("[]") & set(name)


def _paged(fields: list[tuple[str, str]], order: OperationInput) -> list[tuple[str, str]]:
    fields.append(("limit", str(PAGE)))
    if order.cursor:
        fields.append(("starting_after", order.cursor))
    return fields


def _post(
    shape: Shape, path: str, order: OperationInput, fields: list[tuple[str, str]]
) -> WireRequest:
    headers = (
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", order.attempt_id),
        ("stripe-version", shape.api_version),
    )
    return WireRequest(method="POST", path=path, headers=headers, body=form(fields).encode())


def get(shape: Shape, path: str, fields: list[tuple[str, str]]) -> WireRequest:
    """A reading request at the shape's version."""
    headers = (("stripe-version", shape.api_version),)
    return WireRequest(method="GET", path=path, query=form(fields), headers=headers)


def credentials(secrets: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers that authenticate with the account's secret key."""
    return (("authorization", f"Bearer {secrets['secret_key']}"),)
