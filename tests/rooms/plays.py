"""The playbook of every Stripe version: what goes out for an order, what comes of a reply.

Replies are written in the shape of the version that reads them; everything else is the same play.
"""

from typing import Any
from urllib.parse import urlencode

import msgspec

from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import OperationInput, WireReply

OLD = "stripe@2022-08-01"
PLAYED = sorted(name for name, item in INSTALLED.items() if item.provider == "stripe")
"""The versions whose replies are written here; another provider's need a play of their own."""

PAYMENT, ATTEMPT = "pay_1", "att_1"
METADATA = {"tollkeeper_payment": PAYMENT, "tollkeeper_attempt": ATTEMPT}
ORDER = OperationInput(
    payment_id=PAYMENT,
    attempt_id=ATTEMPT,
    amount_minor=1_000,
    currency="EUR",
    payment_method="pm_1",
    provider_id="pi_1",
    created_from_s=100,
    created_to_s=200,
)


def shows_list(name: str) -> bool:
    """Whether the version reads `charges`, as versions before 2022-11-15 do."""
    return name == OLD


def expand(name: str, path: str = "latest_charge") -> list[tuple[str, str]]:
    return [] if shows_list(name) else [("expand[]", path)]


def form(*fields: tuple[str, str]) -> bytes:
    return urlencode(fields).encode()


def tagged(*fields: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        *fields,
        ("metadata[tollkeeper_payment]", PAYMENT),
        ("metadata[tollkeeper_attempt]", ATTEMPT),
    ]


def intent(name: str, status: str, **fields: Any) -> dict[str, Any]:
    """A PaymentIntent as `name` shows it. `captured` and `refunded` say what was moved."""
    captured = fields.pop("captured", 1_000 if status == "succeeded" else 0)
    refunded = fields.pop("refunded", 0)
    charge = {"id": "ch_1", "amount": 1_000, "amount_captured": captured,
              "amount_refunded": refunded}  # fmt: skip
    has_charge = status in {"succeeded", "requires_capture", "canceled"}
    shown: dict[str, Any] = {"latest_charge": charge if has_charge else None}
    if shows_list(name):
        shown = {"charges": {"object": "list", "data": [charge] if has_charge else []}}
    capturable = 1_000 - captured if status == "requires_capture" else 0
    return {
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1_000,
        "currency": "eur", "amount_capturable": capturable, "amount_received": captured,
        "metadata": METADATA, **shown,
    } | fields  # fmt: skip


def refund(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "re_1", "object": "refund", "status": status, "amount": 400, "currency": "eur",
        "payment_intent": "pi_1", "metadata": METADATA,
    } | fields  # fmt: skip


def error(kind: str, code: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": "no"} | fields}


def reply(document: Any, status: int = 200) -> WireReply:
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return WireReply(status=status, headers=(("request-id", "req_1"),), body=body)
