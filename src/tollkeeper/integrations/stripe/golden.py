"""Fixed replies and webhooks that every Stripe version must read as it did when it was frozen.

They are samples, and no part of what is frozen.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollkeeper.integrations.version import Samples, WireReply


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

REPLIES: Final[Mapping[str, WireReply]] = {
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
}


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

GOLDEN: Final = Samples(replies=REPLIES, events=EVENTS)
