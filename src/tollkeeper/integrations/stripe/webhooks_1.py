"""Stripe's webhooks: the signature, and what an event is about.

Law: frozen versions import this file. It never changes by a byte; a change is `webhooks_2`, for new
revisions only.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from tollkeeper.integrations.parts.reading_1 import storable
from tollkeeper.integrations.stripe.objects_1 import dispute_seen, read_intent
from tollkeeper.integrations.stripe.shape_1 import Shape
from tollkeeper.integrations.stripe.types_1 import Dispute, EventObject, EventReply, ThinEvent
from tollkeeper.integrations.stripe.words_1 import EVENT_TOPICS
from tollkeeper.integrations.version import Delivery, EventUnreadable, SignatureRefused
from tollkeeper.payments.outcome import Event, EventTopic

TOLERANCE_S: Final = 300


def events(shape: Shape, delivery: Delivery) -> tuple[Event, ...]:
    """The webhook in our words, after its signature and its time were checked: one event."""
    signature = delivery.headers.get("stripe-signature", "")
    _check_signature(delivery.body, signature, delivery.secrets, delivery.now_ms)
    return (_event(shape, delivery.body),)


def _event(shape: Shape, body: bytes) -> Event:
    try:
        said = msgspec.json.decode(storable(body), type=EventReply)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _thin_event(body, str(error))
    try:
        return _EVENT_READERS[EVENT_TOPICS.get(said.type, "other")](shape, said)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _unread_event(shape, said)


def _thin_event(body: bytes, why: str) -> Event:
    """An event that only names an intent is a reason to look at it."""
    try:
        said = msgspec.json.decode(storable(body), type=ThinEvent)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EventUnreadable(f"the body is no event: {why}") from error
    named = said.related_object.id
    if not named.startswith("pi_"):
        return Event(event_id=said.id, provider_type=said.type, topic="other")
    return Event(event_id=said.id, provider_type=said.type, topic="charge", charge_id=named)


def _check_signature(body: bytes, header: str, secrets: tuple[str, ...], now_ms: int) -> None:
    parts = [part.partition("=") for part in header.split(",")]
    stamps = [value for key, _, value in parts if key.strip() == "t"]
    if not stamps or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12:
        raise SignatureRefused("no timestamp in the Stripe-Signature header")
    if abs(now_ms // 1000 - int(stamps[0])) > TOLERANCE_S:
        raise SignatureRefused(f"timestamp {stamps[0]} is more than {TOLERANCE_S} s off")
    given = [value for key, _, value in parts if key.strip() == "v1"]
    for secret in secrets:
        signed = hmac.new(secret.encode(), stamps[0].encode() + b"." + body, hashlib.sha256)
        for value in given:
            if hmac.compare_digest(signed.hexdigest().encode(), value.encode()):
                return
    raise SignatureRefused("no signature matches a secret of this endpoint")


def _other_event(shape: Shape, said: EventReply) -> Event:
    return Event(event_id=said.id, provider_type=said.type, topic="other")


def _unread_event(shape: Shape, said: EventReply) -> Event:
    """A signed event about something that we cannot read whole: still a reason to look at it."""
    try:
        item = msgspec.json.decode(said.data.object, type=EventObject)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _other_event(shape, said)
    return Event(
        event_id=said.id,
        provider_type=said.type,
        topic="charge",
        charge_id=item.payment_intent or item.id,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
    )


def _charge_event(shape: Shape, said: EventReply) -> Event:
    item = msgspec.json.decode(said.data.object, type=EventObject)
    is_intent = said.type.startswith("payment_intent.")
    charge = read_intent(shape, said.data.object).charge if is_intent else None
    return Event(
        event_id=said.id,
        provider_type=said.type,
        topic="charge",
        charge_id=item.id if is_intent else item.payment_intent,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
        charge=charge,
    )


def _refund_event(shape: Shape, said: EventReply) -> Event:
    item = msgspec.json.decode(said.data.object, type=EventObject)
    return Event(
        event_id=said.id,
        provider_type=said.type,
        topic="refund",
        charge_id=item.payment_intent,
        payment_id=item.metadata.tollkeeper_payment if item.metadata else None,
        attempt_id=item.metadata.tollkeeper_attempt if item.metadata else None,
    )


def _dispute_event(shape: Shape, said: EventReply) -> Event:
    dispute = msgspec.json.decode(said.data.object, type=Dispute)
    return Event(
        event_id=said.id,
        provider_type=said.type,
        topic="dispute",
        charge_id=dispute.payment_intent,
        dispute=dispute_seen(dispute, said.created),
    )


def signed(body: bytes, secret: str, now_ms: int) -> dict[str, str]:
    """The headers with which Stripe would send the event `body`: for rehearsals."""
    stamp = str(now_ms // 1000)
    mark = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return {"stripe-signature": f"t={stamp},v1={mark.hexdigest()}"}


_EVENT_READERS: Final[dict[EventTopic, Callable[[Shape, EventReply], Event]]] = {
    "charge": _charge_event,
    "refund": _refund_event,
    "dispute": _dispute_event,
    "other": _other_event,
}
