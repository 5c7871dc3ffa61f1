"""Stripe's wire types: only what the versions read, which is the usage that the checker sees.

Law: frozen versions import this file. It never changes by a byte; a change is `types_2`, for new
revisions only.
"""

import msgspec

from tollkeeper.integrations.parts.amounts_1 import Amount


class Metadata(msgspec.Struct):
    tollkeeper_payment: str | None = None
    tollkeeper_attempt: str | None = None


class RedirectToUrl(msgspec.Struct):
    url: str | None = None


class NextAction(msgspec.Struct):
    redirect_to_url: RedirectToUrl | None = None


class LastPaymentError(msgspec.Struct):
    code: str | None = None
    decline_code: str | None = None


class ChargePart(msgspec.Struct):
    amount_refunded: Amount
    amount_captured: Amount | None = None
    captured: bool | None = None
    disputed: bool | None = None


class PaymentIntent(msgspec.Struct):
    """What every version reads of an intent; each adds where its charge is."""

    id: str
    status: str
    amount: Amount
    currency: str
    amount_capturable: Amount | None = None
    metadata: Metadata | None = None
    next_action: NextAction | None = None
    last_payment_error: LastPaymentError | None = None


class Refund(msgspec.Struct):
    """Stripe describes the status and the metadata of a refund as nullable."""

    id: str
    amount: Amount
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: Metadata | None = None


class Dispute(msgspec.Struct):
    id: str
    status: str
    amount: Amount
    currency: str
    reason: str = ""
    payment_intent: str | None = None


class Referenced(msgspec.Struct):
    metadata: Metadata | None = None


class Listed(Referenced):
    """What every row of a listing must show: an id to go on from, and whose it is."""

    id: str = ""


class IntentList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class RefundList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class DisputeList(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class Error(msgspec.Struct):
    type: str
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None
    message: str | None = None
    payment_intent: msgspec.Raw = msgspec.Raw()


class ErrorReply(msgspec.Struct):
    error: Error


class EventList(msgspec.Struct):
    data: list[msgspec.Raw]


class HookEndpoint(msgspec.Struct):
    url: str
    status: str
    api_version: str | None = None


class HookEndpoints(msgspec.Struct):
    data: list[HookEndpoint]


class EventData(msgspec.Struct):
    object: msgspec.Raw


class EventReply(msgspec.Struct):
    id: str
    type: str
    data: EventData
    created: int = 0


class EventObject(msgspec.Struct):
    id: str
    payment_intent: str | None = None
    metadata: Metadata | None = None


class RelatedObject(msgspec.Struct):
    id: str


class ThinEvent(msgspec.Struct):
    """An event of the second generation: it names an object and does not show it."""

    id: str
    type: str
    related_object: RelatedObject
