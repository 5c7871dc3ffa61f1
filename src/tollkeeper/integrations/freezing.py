"""Freezing: what a version's source and behavior were when it was released, as two digests.

Law: a frozen version never changes by a byte; a fix is a new version. The digest is over the
module's source, the golden bytes over what it sends for fixed orders and understands of fixed
replies, so that a change of a library or of a value that it shares shows as well.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollkeeper.integrations.values import (
    Integration,
    Order,
    SignatureRefused,
    WireReply,
)
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.outcome import OPERATIONS

NOW_S: Final = 1_700_000_000
SECRET: Final = "whsec_golden"  # noqa: S105 - of golden webhooks alone

_PLAIN: Final = Order(
    payment_id="pay_golden",
    attempt_id="att_golden",
    amount_minor=1_234,
    currency="EUR",
    payment_method="pm_golden",
    provider_id="pi_golden",
    created_from_s=NOW_S,
    created_to_s=NOW_S + 60,
)
ORDERS: Final[Mapping[str, Order]] = {
    "plain": _PLAIN,
    "full": msgspec.structs.replace(
        _PLAIN,
        amount_minor=500,
        currency="JPY",
        capture_method="manual",
        multicapture=True,
        final=False,
        return_url="https://shop.example/back?a=1&b=ü",
        description="two words, äöü & more",
        reason="requested_by_customer",
        cursor="pi_before",
    ),
    "odd id": msgspec.structs.replace(_PLAIN, provider_id="pi/../x y", reason="no such reason"),
}
"""What every version is asked to send, each operation for each of these."""


class Frozen(msgspec.Struct, frozen=True):
    """One released version: SHA-256 of its source and of its golden bytes, both in hex, and the
    day (ISO 8601)."""

    digest: str
    golden_digest: str
    frozen_on: str


type Registry = dict[str, Frozen]


def golden(integration: Integration) -> bytes:
    """All that `integration` does with the fixed orders, replies and webhooks, as JSON that is the
    same on every machine. Raises `Misconfigured` for a provider without fixed replies."""
    found = REPLIES.get(integration.provider)
    if found is None:
        raise Misconfigured(
            f"no golden replies for provider {integration.provider!r}: add them to "
            "tollkeeper.integrations.freezing.REPLIES"
        )
    document = {
        "name": integration.name,
        "declares": {
            "base_url": integration.base_url,
            "in_flight_window_s": integration.in_flight_window_s,
            "retention_s": integration.retention_s,
            "authorization_s": integration.authorization_s,
            "handles": sorted(integration.handles),
            "credentials": integration.credentials("sk_golden"),
        },
        "requests": {
            f"{operation} {name}": _shown(integration.request(operation, order))
            for operation in OPERATIONS
            for name, order in ORDERS.items()
        },
        "outcomes": {
            f"{operation} {name}": integration.outcome(operation, reply)
            for operation in OPERATIONS
            for name, reply in found.items()
        },
        "events": {name: _event(integration, body) for name, body in EVENTS.items()},
    }
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=1)


def _shown(request: Any) -> dict[str, Any]:
    return {**msgspec.structs.asdict(request), "body": request.body.decode("utf-8", "replace")}


def _event(integration: Integration, body: bytes) -> Any:
    signed = f"{NOW_S}.".encode() + body
    mark = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={NOW_S},v1={mark}"}
    try:
        return integration.event(body, headers, (SECRET,), NOW_S * 1000)
    except SignatureRefused:
        return "refused"


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def read_registry(text: bytes) -> Registry:
    """The registry from the text of `frozen.json`; empty text is an empty registry."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Frozen])
    except msgspec.MsgspecError as error:
        raise Misconfigured(f"frozen.json cannot be read: {error}") from error


def entered(registry: Registry, integration: Integration, source: bytes, day: str) -> bytes:
    """The text of the registry with `integration` frozen on `day`. Freezing it again changes
    nothing; raises `Misconfigured` where it was frozen otherwise."""
    problems = broken(registry, integration, source)
    if problems:
        raise Misconfigured("; ".join(problems))
    fresh = Frozen(digest(source), digest(golden(integration)), day)
    everything = {integration.name: fresh} | registry
    text = msgspec.json.encode(everything, order="deterministic")
    return msgspec.json.format(text, indent=2) + b"\n"


def broken(registry: Registry, integration: Integration, source: bytes) -> list[str]:
    """What has changed about `integration` since it was frozen; nothing for one that was not."""
    known = registry.get(integration.name)
    if known is None:
        return []
    found = []
    if digest(source) != known.digest:
        found.append(f"{integration.name} was frozen on {known.frozen_on}: its source has changed")
    if digest(golden(integration)) != known.golden_digest:
        found.append(f"{integration.name} was frozen on {known.frozen_on}: it behaves otherwise")
    return found


def _json(document: Any, status: int = 200) -> WireReply:
    headers = (("content-type", "application/json"), ("request-id", "req_golden"))
    return WireReply(status=status, headers=headers, body=msgspec.json.encode(document))


_METADATA: Final = {"tollkeeper_payment": "pay_golden", "tollkeeper_attempt": "att_golden"}
_MONEY: Final = {
    "id": "ch_golden", "amount": 1_234, "amount_captured": 1_234, "amount_refunded": 34,
}  # fmt: skip
_INTENT: Final[dict[str, Any]] = {
    "id": "pi_golden",
    "object": "payment_intent",
    "amount": 1_234,
    "amount_received": 1_234,
    "currency": "eur",
    "metadata": _METADATA,
    # both shapes at once: each version reads its own
    "charges": {"data": [_MONEY]},
    "latest_charge": _MONEY,
    "next_action": {"redirect_to_url": {"url": "https://bank.example/3ds"}},
}
_REFUND: Final[dict[str, Any]] = {
    "id": "re_golden", "object": "refund", "amount": 34, "currency": "eur",
    "payment_intent": "pi_golden", "metadata": _METADATA,
}  # fmt: skip
_DISPUTE: Final[dict[str, Any]] = {
    "id": "dp_golden", "status": "needs_response", "amount": 5, "currency": "eur",
    "reason": "fraudulent", "payment_intent": "pi_golden",
}  # fmt: skip
_STATUSES: Final = (
    "requires_payment_method", "requires_confirmation", "requires_action", "processing",
    "requires_capture", "canceled", "succeeded", "a_word_nobody_knows",
)  # fmt: skip
_REFUND_STATUSES: Final = ("pending", "requires_action", "succeeded", "failed", "canceled", "new")
_ERRORS: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    (400, {"type": "invalid_request_error", "code": "parameter_missing"}),
    (400, {"type": "invalid_request_error"}),
    (400, {"type": "idempotency_error"}),
    (401, {"type": "invalid_request_error"}),
    (402, {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}),
    (402, {"type": "card_error", "code": "expired_card"}),
    (402, {"type": "card_error", "code": "a_code_nobody_knows"}),
    (404, {"type": "invalid_request_error", "code": "resource_missing"}),
    (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}),
    (429, {"type": "invalid_request_error", "code": "rate_limit"}),
    (500, {"type": "api_error"}),
)

REPLIES: Final[Mapping[str, Mapping[str, WireReply]]] = {
    "stripe": {
        **{f"intent {word}": _json(_INTENT | {"status": word}) for word in _STATUSES},
        **{f"refund {word}": _json(_REFUND | {"status": word}) for word in _REFUND_STATUSES},
        **{
            f"error {status} {error.get('code', error['type'])}": _json({"error": error}, status)
            for status, error in _ERRORS
        },
        "intents": _json({"data": [_INTENT | {"status": "succeeded"}], "has_more": True}),
        "refunds": _json({"data": [_REFUND | {"status": "succeeded"}], "has_more": False}),
        "disputes": _json({"data": [_DISPUTE], "has_more": False}),
        "poisoned intents": _json(
            {
                "data": [_INTENT | {"status": "new"}, _INTENT | {"status": "succeeded"}, None],
                "has_more": False,
            },
        ),
        "nulls": _json({"data": [_REFUND | {"status": None, "metadata": None}], "has_more": False}),
        "without amount": _json({"id": "pi_golden", "status": "succeeded", "currency": "eur"}),
        "page": WireReply(status=404, headers=(), body=b"<html></html>"),
        "nothing": WireReply(status=200, headers=(), body=b""),
    },
}
"""Provider to the replies that each of its versions must read as it did when it was frozen."""


def _webhook(word: str, item: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"id": "evt_golden", "type": word, "data": {"object": item}})


EVENTS: Final[Mapping[str, bytes]] = {
    "paid": _webhook("payment_intent.succeeded", _INTENT | {"status": "succeeded"}),
    "refunded": _webhook("charge.refunded", {"id": "ch_golden", "payment_intent": "pi_golden"}),
    "disputed": _webhook(
        "charge.dispute.created",
        _DISPUTE,
    ),
    "other": _webhook("a.type.nobody.knows", {"id": "x_golden"}),
    "none": b"[]",
}  # fmt: skip
