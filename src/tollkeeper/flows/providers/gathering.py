"""Gathering what a notice rests on: stored calls, samples, the timeline, and what may not leave."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

import msgspec

from tollkeeper.flows.exchanges import stored_reply_of
from tollkeeper.flows.reaching import book_now, plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident
from tollkeeper.integrations.version import WireRequest
from tollkeeper.kernel.ids import first_id
from tollkeeper.payments.change import Exchange
from tollkeeper.payments.payment import Attempt, Payment
from tollkeeper.providers.calls import CallSeen, Reproduction, call_of, reproduction_of
from tollkeeper.providers.evidence import Gathered
from tollkeeper.providers.searching import Private
from tollkeeper.settings import Settings

_REQUEST: Final = msgspec.msgpack.Decoder(WireRequest).decode

BEFORE_MS: Final = 600_000
"""Calls of so long before the beginning are looked at, for what was right then."""

MANY: Final = 5_000
"""Payments that are searched for private values at most."""

EACH: Final = 20
"""Payments whose calls are read, of each kind."""


async def gathered(runtime: Runtime, incident: Incident, provider: str) -> tuple[Gathered, Private]:
    """What a pack is made of, and what it may not hold."""
    store = runtime.store
    since_ms = incident.finding.since_ms or incident.began_ms
    payments = await store.recent_payments(first_id("pay", since_ms - BEFORE_MS), MANY)
    mine = [one for one in payments if one.integration.partition("@")[0] == provider]
    bad = [one for one in mine if one.is_told_badly or one.moved_from is not None][:EACH]
    good = [one for one in mine if one not in bad]
    calls: list[CallSeen] = []
    reproduction = None
    for payment in (*bad, *good[:EACH], *reversed(good[-EACH:])):
        async for call, shown in _calls(runtime, payment, provider, incident.finding.pointer):
            if call not in calls:
                calls.append(call)
            if call.failed and reproduction is None:
                reproduction = shown
    found = Gathered(
        entries=tuple(await store.list_entries(incident.id)),
        calls=tuple(calls),
        samples=tuple(await store.list_samples()),
        reproduction=reproduction,
        names=runtime.fields_read(provider),
    )
    return found, Private(
        secrets=await secrets_now(runtime),
        persons=frozenset(value for one in payments for value in _personal(one)),
    )


async def _calls(
    runtime: Runtime, payment: Payment, provider: str, pointer: str
) -> AsyncIterator[tuple[CallSeen, Reproduction | None]]:
    books = await runtime.store.load_books(payment.id)
    kept = runtime.fields_read(provider)
    for attempt in books.attempts if books is not None else ():
        if attempt.integration.partition("@")[0] == provider:
            yield await _call(runtime, attempt, pointer, kept)


async def _call(
    runtime: Runtime, attempt: Attempt, pointer: str, kept: frozenset[str]
) -> tuple[CallSeen, Reproduction | None]:
    exchange = await runtime.store.load_exchange(attempt.id)
    if exchange is None:
        return call_of(attempt, None, None, pointer, kept), None
    request = _request_of(runtime, exchange)
    reply = stored_reply_of(runtime.vault, exchange)
    call = call_of(attempt, request, reply, pointer, kept, masked=not exchange.sealed)
    return call, reproduction_of(request) if request is not None else None


def _request_of(runtime: Runtime, exchange: Exchange) -> WireRequest | None:
    """The stored request, sealed or masked; `None` where there is none or it cannot be opened."""
    stored = exchange.request
    plain = runtime.vault.open(stored) if stored and exchange.sealed else stored
    return _REQUEST(plain) if plain else None


def _personal(payment: Payment) -> Iterator[str]:
    """What a payment says of its shopper, or what a shop wrote into it."""
    for value in (payment.customer, payment.reference, payment.description):
        if value:
            yield value
    yield from payment.metadata.values()


async def secrets_now(runtime: Runtime) -> frozenset[str]:
    """Every secret of the settings, the on-call plan and the contact cards."""
    plan = await plan_now(runtime)
    book = await book_now(runtime)
    found = [*_settings_secrets(runtime.settings)]
    for receiver in plan.receivers.values():
        found += [receiver.url, receiver.key]
    found += [one.key for one in plan.inputs.values()]
    for card in book.providers.values():
        for contact in card.contacts:
            for channel in contact.channels:
                found += [channel.url, channel.key]
    return frozenset(one for one in found if one)


def _settings_secrets(settings: Settings) -> Iterator[str]:
    yield from (settings.vault_key, settings.database, settings.heartbeat_url or "")
    yield from (settings.traces_url or "", *settings.alertmanagers)
    if settings.routing_salt != Settings().routing_salt:
        yield settings.routing_salt
    for provider in settings.providers.values():
        yield from provider.all_secrets().values()
        yield from provider.webhook_secrets
