"""Delivering outgoing events as Standard Webhooks: signed, retried with backoff, never forgotten.

Signature (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, base64, with every current
secret of the endpoint, so that a secret can be rotated without losing an event.
"""

import base64
import hashlib
import hmac
from typing import Final

import msgspec

from tollkeeper.flows.ports import Delivery, Endpoint, HookResult, Job
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.payments.change import OutEvent
from tollkeeper.payments.view import EventView, encode
from tollkeeper.signals.cells import webhook_out_cell

RETRY_SECONDS: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400)
"""Pauses between tries, with jitter: about two days in all, as Standard Webhooks suggests."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with, none itself
SECRET_BYTES: Final = 24


async def deliver(runtime: Runtime, job: Job) -> None:
    """Tries one event at one endpoint once, and writes the ledger row."""
    event_id, _, endpoint_id = job.subject.partition("|")
    store = runtime.store
    event = await store.load_event(event_id)
    endpoint = await store.load_endpoint(endpoint_id)
    known = await store.load_delivery(event_id, endpoint_id)
    if event is None or endpoint is None or known is None:
        await store.finish_job(job)
        return
    if not endpoint.enabled:
        gone = HookResult(status=0, error="the endpoint was disabled")
        await store.finish_delivery(job, _row(runtime, known, gone, "undeliverable"), None)
        return
    body = envelope(event)
    now_s = runtime.clock.now_ms() // 1000
    headers = _headers(runtime, endpoint, event, now_s, body)
    if headers is None:
        result = HookResult(status=0, error="no secret of the endpoint opens with this vault key")
    else:
        began = runtime.clock.monotonic()
        result = await runtime.hook.post(endpoint.url, headers, body)
        taken_ms = (runtime.clock.monotonic() - began) * 1000
        counting = runtime.live.counting
        cell = webhook_out_cell(result.status, result.error, host=counting.host)
        counting.add(cell, store.now_ms(), taken_ms)
        delivered = 200 <= result.status < 300
        runtime.live.breakers.heard(endpoint.id, store.now_ms(), delivered=delivered)
    if 200 <= result.status < 300:
        await store.finish_delivery(job, _row(runtime, known, result, "delivered"), None)
    elif known.tries >= len(RETRY_SECONDS) or result.status == 410:
        await store.finish_delivery(job, _row(runtime, known, result, "undeliverable"), None)
    else:
        pause_s = RETRY_SECONDS[known.tries] * (0.8 + 0.4 * runtime.chance.uniform())
        again_ms = store.now_ms() + int(pause_s * 1000)
        await store.finish_delivery(job, _row(runtime, known, result, "pending"), again_ms)


def _row(runtime: Runtime, known: Delivery, result: HookResult, state: str) -> Delivery:
    return msgspec.structs.replace(
        known,
        state=state,
        tries=known.tries + 1,
        last_status=result.status or None,
        last_error=result.error or None,
        updated_ms=runtime.store.now_ms(),
    )


def event_view(event: OutEvent) -> EventView:
    """The event as it is sent and read: id, type, time, and the resource after the change."""
    return EventView(
        id=event.id,
        type=event.type,
        created_at=rfc3339(event.created_ms),
        data=msgspec.Raw(event.data),
    )


def envelope(event: OutEvent) -> bytes:
    """The event's bytes."""
    return encode(event_view(event))


def _headers(
    runtime: Runtime, endpoint: Endpoint, event: OutEvent, now_s: int, body: bytes
) -> tuple[tuple[str, str], ...] | None:
    """The headers of one try; `None` where nothing can be signed, since no vault key of ours opens
    a secret of the endpoint any more."""
    secrets = [secret for sealed in endpoint.secrets if (secret := open_secret(runtime, sealed))]
    if not secrets:
        return None
    return (
        ("content-type", "application/json"),
        ("webhook-id", event.id),
        ("webhook-timestamp", str(now_s)),
        ("webhook-signature", " ".join(signature(s, event.id, now_s, body) for s in secrets)),
    )


def signature(secret: str, event_id: str, now_s: int, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC; `secret` is `whsec_` + base64 of the key."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{event_id}.{now_s}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


def new_secret(runtime: Runtime) -> str:
    """A fresh signing secret in the form that Standard Webhooks libraries take."""
    key = runtime.chance.bits(SECRET_BYTES * 8).to_bytes(SECRET_BYTES)
    return SECRET_PREFIX + base64.b64encode(key).decode()


def seal_secret(runtime: Runtime, secret: str) -> str:
    """`secret` as it is stored."""
    return base64.b64encode(runtime.vault.seal(secret.encode())).decode()


def open_secret(runtime: Runtime, sealed: str) -> str | None:
    """A stored secret in the clear; `None` where it was sealed with another vault key."""
    plain = runtime.vault.open(base64.b64decode(sealed))
    return plain.decode() if plain is not None else None
