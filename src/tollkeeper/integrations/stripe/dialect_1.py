"""An integration version of Stripe, made of its shape and of the dialect modules numbered 1.

Law: frozen versions import this file. It never changes by a byte; a change is `dialect_2`, for new
revisions only.
"""

from functools import partial
from typing import Any, Final

from tollkeeper.integrations.stripe import replies_1, requests_1, sandbox_1, webhooks_1
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import (
    Dispute,
    DisputeList,
    ErrorReply,
    EventList,
    EventObject,
    EventReply,
    HookEndpoints,
    IntentList,
    Refund,
    RefundList,
)
from tollkeeper.integrations.stripe.words_1 import (
    DISPUTE_STATES,
    INTENT_STATES,
    REFUND_STATES,
    UNITS,
)
from tollkeeper.integrations.version import Capabilities, Integration

BASE_URL: Final = "https://api.stripe.com"
IN_FLIGHT_WINDOW_S: Final = 90
"""Longer than the 80 s after which Stripe's own libraries give up."""

KEYS_KEPT_S: Final = 86_400
"""Keys are kept for at least 24 hours. Source: docs.stripe.com/api/idempotent_requests."""

AUTHORIZATION_S: Final = 604_800
"""Seven days for most cards. Source: docs.stripe.com/payments/place-a-hold-on-a-payment-method."""


def version(
    shape: Shape, *, handles: frozenset[str], releases_as_refund: bool = False, revision: int = 1
) -> Integration:
    """The integration version that reads and sends in `shape`."""
    money: dict[str, Any] = dict.fromkeys(("authorize", "capture", "void", "lookup"), shape.intent)
    states = {"status": tuple(INTENT_STATES)}
    return Integration(
        provider="stripe",
        version=shape.api_version,
        revision=revision,
        base_url=BASE_URL,
        request=partial(requests_1.request, shape),
        outcome=partial(replies_1.outcome, shape),
        events=partial(webhooks_1.events, shape),
        credentials=requests_1.credentials,
        capabilities=Capabilities(
            keys_kept_s=KEYS_KEPT_S,
            in_flight_window_s=IN_FLIGHT_WINDOW_S,
            authorization_s=AUTHORIZATION_S,
            units=UNITS,
            releases_as_refund=releases_as_refund,
        ),
        signed=webhooks_1.signed,
        event_list_request=partial(sandbox_1.event_list_request, shape),
        event_list=sandbox_1.event_list,
        account_request=sandbox_1.account_request,
        account=sandbox_1.account,
        handles=handles,
        reads={
            **money,
            "refund": Refund,
            "find": IntentList,
            "list_refunds": RefundList,
            "list_disputes": DisputeList,
            "error": ErrorReply,
            "event": EventReply,
            "account": HookEndpoints,
            "event_list": EventList,
        },
        nested={
            "IntentList.data": shape.intent,
            "RefundList.data": Refund,
            "DisputeList.data": Dispute,
            "EventData.object": EventObject,
            "Error.payment_intent": shape.intent,
        },
        words={
            **dict.fromkeys(money, states),
            "refund": {"status": tuple(REFUND_STATES)},
            "find": {"data[].status": tuple(INTENT_STATES)},
            "list_refunds": {"data[].status": tuple(REFUND_STATES)},
            "list_disputes": {"data[].status": tuple(DISPUTE_STATES)},
        },
    )
