"""Inputs: alerts of other tools are taken, and are durable before they are answered."""

import hashlib
import hmac
from typing import Final

import msgspec

from tollkeeper.flows.incidents import commands
from tollkeeper.flows.incidents.hearing import take
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.inputs import (
    Heard,
    Webhook,
    event_of,
    heard_of_event,
    heard_of_webhook,
    is_answer,
    news_of_heard,
    refused,
)
from tollkeeper.incidents.plan import Input
from tollkeeper.kernel.errors import Conflict, Malformed, Unauthenticated, Unavailable
from tollkeeper.payments.cards import mask_card_numbers

TRIES: Final = 20
ASKED: Final = "this asks for the key of an input of the on-call plan"


async def take_event(runtime: Runtime, body: bytes) -> str:
    """Takes one event of the Events API v2; gives its key, by which it is resolved later."""
    try:
        event = event_of(_plain(body))
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Malformed(f"no event of the Events API v2: {refused(error)}") from None
    name, given = await _input_of(runtime, event.routing_key)
    heard = heard_of_event(event, runtime.new_id("dk"))
    await _take(runtime, name, given, heard)
    return heard.key


async def take_webhook(runtime: Runtime, key: str, body: bytes) -> int:
    """Takes a webhook of Alertmanager; gives how many alerts were in it."""
    name, given = await _input_of(runtime, key)
    try:
        webhook = msgspec.json.decode(_plain(body), type=Webhook)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Malformed(f"no webhook of Alertmanager: {refused(error)}") from None
    heard = heard_of_webhook(webhook)
    for one in heard:
        await _take(runtime, name, given, one)
    return len(heard)


def _plain(body: bytes) -> bytes:
    """A body without card numbers. It is not refused for them: an alert would be lost."""
    try:
        return mask_card_numbers(body.decode("utf-8")).encode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None


async def _input_of(runtime: Runtime, key: str) -> tuple[str, Input]:
    """The input with this key; every key is compared in the same time."""
    wanted = hashlib.sha256(key.encode()).digest()
    found = None
    for name, given in (await plan_now(runtime)).inputs.items():
        if hmac.compare_digest(hashlib.sha256(given.key.encode()).digest(), wanted):
            found = name, given
    if found is None:
        raise Unauthenticated(ASKED)
    return found


async def _take(runtime: Runtime, name: str, given: Input, heard: Heard) -> None:
    news = news_of_heard(heard, name, given, runtime.new_id("evt"), runtime.store.now_ms())
    if is_answer(heard):
        for incident in await runtime.store.list_open_incidents():
            if news.alert in incident.alerts:
                await _acknowledge(runtime, incident.id, f"input:{name}")
        return
    for _ in range(TRIES):
        if await take(runtime, news):
            return
    raise Unavailable("incidents are being changed by too many at once")


async def _acknowledge(runtime: Runtime, incident_id: str, actor: str) -> None:
    try:
        await commands.acknowledge(runtime, incident_id, note="", actor=actor)
    except Conflict:
        return  # it was resolved meanwhile
