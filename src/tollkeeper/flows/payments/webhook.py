"""Receiving: a provider's webhook, and a shopper who comes back from authentication.

Law: a webhook answered 2xx is applied or stored with a job, in the same commit. What it says is a
reason to look, not a truth: the payment is read from the provider, so that order and repetition
never matter. A dispute is recorded as told; a look at the payment lists its disputes as well. An
event about a charge that the books do not know is kept and matched later (`trace`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from tollkeeper.flows.payments.settle import run_steps
from tollkeeper.flows.payments.settlement_run import SettlementRun
from tollkeeper.flows.ports import Job
from tollkeeper.flows.recording import commit_surely, load
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import ask
from tollkeeper.integrations.catalogue import at_address
from tollkeeper.integrations.hints import EventHint, event_hint
from tollkeeper.integrations.version import (
    Delivery,
    EventUnreadable,
    Integration,
    OperationInput,
    SignatureRefused,
)
from tollkeeper.kernel.errors import BadSignature, NotFound, StoreDoubt, Unavailable
from tollkeeper.payments.change import Inbound
from tollkeeper.payments.closing import build_change
from tollkeeper.payments.commit import Committed, Duplicate, Stale
from tollkeeper.payments.contradiction import contradicts
from tollkeeper.payments.outcome import Event
from tollkeeper.payments.payment import Books, Payment
from tollkeeper.payments.reconcile import reconcile_dispute
from tollkeeper.signals.cells import webhook_in_cell

MAX_TRIES = 5

TRACE_MS: Final = (2_000, 15_000, 120_000, 900_000, 7_200_000)
"""Pauses before an event's unknown charge is traced: a payment may learn its id meanwhile."""

Fate = Literal["applied", "queued", "unmatched", "unknown_type", "unread", "duplicate"]
OPEN_FIRST: Final[tuple[Fate, ...]] = (
    "unread", "unmatched", "unknown_type", "queued", "applied", "duplicate",
)  # fmt: skip
"""Of several events in one body, the one to tell about."""


async def webhook(
    runtime: Runtime, provider: str, version: str, body: bytes, headers: Mapping[str, str]
) -> Fate:
    """Takes one webhook; what became of it, or of the event in it that is least settled. Raises
    `BadSignature`, and `NotFound` for a version that is not installed."""
    integration = at_address(runtime.installed, f"{provider}@{version}")
    if integration is None:
        raise NotFound(f"no integration version {provider}@{version}")
    fate: str = "unstored"
    seen = Seen()
    began = runtime.clock.monotonic()
    try:
        found = await _taken(runtime, integration, body, headers, seen)
        fate = found
    except BadSignature:
        fate = "refused"
        raise
    finally:
        _count(runtime, integration, fate, seen, (runtime.clock.monotonic() - began) * 1000)
    return found


@dataclass
class Seen:
    """What signals read of one webhook, once its signature is known to be right."""

    hint: EventHint = field(default_factory=EventHint)
    contradicts: bool = False


UNTAKEN: Final = frozenset({"refused", "unstored"})
"""What the provider sends again, because we did not take it."""

AGAIN: Final = frozenset({"duplicate", "unread"})
"""Fates of what may have come before, so that it says nothing about how late it comes."""


def _count(
    runtime: Runtime, integration: Integration, fate: str, seen: Seen, taken_ms: float
) -> None:
    """Counts one webhook for the detectors."""
    counting, health = runtime.live.counting, runtime.live.health(integration.provider)
    now_ms, lag_ms = runtime.clock.now_ms(), None
    if fate in UNTAKEN:
        health.hook_missed(now_ms)
    elif fate not in AGAIN and seen.hint.made_ms:
        lag_ms = health.hook_lag_ms(seen.hint.made_ms, now_ms, counting.clock_ms or 0.0)
    cell = webhook_in_cell(
        integration.provider,
        integration.name,
        fate,
        host=counting.host,
        version=seen.hint.version,
        contradicts=seen.contradicts,
    )
    counting.add(cell, runtime.store.now_ms(), taken_ms, lag_ms=lag_ms)


async def _taken(
    runtime: Runtime, integration: Integration, body: bytes, headers: Mapping[str, str], seen: Seen
) -> Fate:
    events = _read(runtime, integration, body, headers)
    seen.hint = event_hint(integration.provider, body)
    if not events:
        return await _keep_unread(runtime, integration, body)
    fates = [await _take(runtime, integration, event, body, seen) for event in events]
    return min(fates, key=OPEN_FIRST.index)


async def _take(
    runtime: Runtime, integration: Integration, event: Event, body: bytes, seen: Seen
) -> Fate:
    payment_id = await _concerned(runtime, event, seen)
    if event.dispute is not None and payment_id is not None:
        return await _dispute(runtime, integration, event, payment_id, body)
    fate = _fate(event, payment_id)
    inbound = _inbound(runtime, integration, event, body, fate, payment_id)
    trace_at_ms = runtime.store.now_ms() + TRACE_MS[0] if fate == "unmatched" else None
    return "duplicate" if await _store(runtime, inbound, trace_at_ms) is not None else fate


def _read(
    runtime: Runtime, integration: Integration, body: bytes, headers: Mapping[str, str]
) -> tuple[Event, ...]:
    """The events; none for a body that was signed and cannot be read."""
    delivery = Delivery(
        body=body,
        headers=headers,
        secrets=runtime.provider(integration.provider).webhook_secrets,
        now_ms=runtime.clock.now_ms(),
    )
    try:
        return integration.events(delivery)
    except EventUnreadable:
        return ()
    except SignatureRefused as refused:
        raise BadSignature(str(refused)) from refused


async def _keep_unread(runtime: Runtime, integration: Integration, body: bytes) -> Fate:
    """Keeps a signed body that nobody can read, sealed, under its own digest: the provider need
    not send it again, and a later version may read it."""
    inbound = Inbound(
        provider=integration.provider,
        event_id=f"unread_{hashlib.sha256(body).hexdigest()}",
        integration=integration.name,
        word="",
        payload=runtime.vault.seal(body),
        received_ms=runtime.store.now_ms(),
        fate="unread",
    )
    return "duplicate" if await _store(runtime, inbound) is not None else "unread"


async def _concerned(runtime: Runtime, event: Event, seen: Seen) -> str | None:
    """The payment that the event is about: by our reference, or by the charge's provider id."""
    if event.payment_id is not None:
        payment = await runtime.store.load_payment(event.payment_id)
        if payment is not None:
            charge = event.charge
            seen.contradicts |= charge is not None and contradicts(payment, charge)
            return event.payment_id
    if event.charge_id is not None:
        return await runtime.store.payment_of_charge(event.charge_id)
    return None


def _fate(event: Event, payment_id: str | None) -> Fate:
    if event.topic == "other":
        return "unknown_type"
    return "queued" if payment_id is not None else "unmatched"


def _inbound(
    runtime: Runtime,
    integration: Integration,
    event: Event,
    body: bytes,
    fate: Fate,
    payment_id: str | None,
) -> Inbound:
    return Inbound(
        provider=integration.provider,
        event_id=event.event_id,
        integration=integration.name,
        word=event.provider_type,
        payload=runtime.vault.seal(body),
        received_ms=runtime.store.now_ms(),
        fate=fate,
        payment_id=payment_id if fate == "queued" else None,
        charge_id=event.charge_id,
    )


async def _store(
    runtime: Runtime, inbound: Inbound, trace_at_ms: int | None = None
) -> Duplicate | None:
    for _ in range(MAX_TRIES):
        try:
            return await runtime.store.receive(inbound, trace_at_ms)
        except (StoreDoubt, Unavailable):
            await runtime.clock.sleep(0.1)
    return await runtime.store.receive(inbound, trace_at_ms)


async def trace(runtime: Runtime, job: Job) -> None:
    """Runs one `trace` job: whose is a charge that an event named and the books did not know? The
    books are asked first, since the id may have become known, and then the provider."""
    name, _, charge_id = job.subject.partition("|")
    payment_id = await runtime.store.payment_of_charge(charge_id)
    integration = runtime.installed.get(name)
    answered = True
    if payment_id is None and integration is not None:
        order = OperationInput(
            payment_id="", attempt_id="", amount_minor=0, currency="", provider_id=charge_id
        )
        said = await ask(runtime, integration, "lookup", order)
        answered = said.is_answer or said.is_refused
        named = said.charge.payment_id if said.charge is not None else None
        if named is not None and await runtime.store.load_payment(named) is not None:
            payment_id = named
    now_ms = runtime.store.now_ms()
    if payment_id is not None:
        await runtime.store.match_inbound(job, charge_id, payment_id, now_ms)
    elif job.tries < len(TRACE_MS):
        await runtime.store.postpone_job(job, now_ms + TRACE_MS[job.tries])
    elif answered:
        await runtime.store.finish_job(job)
    else:
        await runtime.store.postpone_job(job, now_ms + TRACE_MS[-1])


async def _dispute(
    runtime: Runtime, integration: Integration, event: Event, payment_id: str, body: bytes
) -> Fate:
    assert event.dispute is not None, "a dispute's event has a dispute"
    inbound = _inbound(runtime, integration, event, body, "applied", payment_id)
    for _ in range(MAX_TRIES):
        books = await load(runtime, payment_id)
        now_ms = runtime.store.now_ms()
        after = reconcile_dispute(books, event.dispute, runtime.new_id("dp"), now_ms)
        if after is books:
            return "duplicate" if await _store(runtime, inbound) is not None else "applied"
        change = build_change(
            books,
            after,
            runtime.policy(books.payment.integration),
            cause=f"webhook.{event.provider_type}",
            actor=f"provider:{integration.provider}",
            now_ms=now_ms,
            event_ids=runtime.event_ids(),
        )
        result = await commit_surely(runtime, msgspec.structs.replace(change, inbound=inbound))
        if isinstance(result, Committed):
            return "applied"
        if not isinstance(result, Stale):
            return "duplicate"
    raise Unavailable(f"payment {payment_id} is being changed by too many at once")


async def shopper_returned(runtime: Runtime, payment_id: str) -> Payment:
    """A shopper is back from authentication: look at once, and give the payment as it then is. A
    provider that cannot be asked leaves it to settling."""
    books: Books = await load(runtime, payment_id)
    if books.payment.waits_for_shopper:
        current = SettlementRun(runtime, books, refresh=True)
        answered = await run_steps(current)
        books = current.books
        if not answered or books.payment.waits_for_shopper:
            await runtime.store.enqueue_job("refresh", payment_id, runtime.store.now_ms() + 1_000)
    return books.payment
