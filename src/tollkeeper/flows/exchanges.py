"""Exchanges: what is stored of a request and its reply, sealed while the outcome is unknown."""

import msgspec

from tollkeeper.flows.ports import Vault
from tollkeeper.flows.runtime import Runtime
from tollkeeper.integrations.masking import mask_reply, mask_request
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.payments.change import Exchange
from tollkeeper.payments.outcome import Outcome
from tollkeeper.payments.payment import Attempt

_ENCODE = msgspec.msgpack.Encoder().encode
_REQUEST = msgspec.msgpack.Decoder(WireRequest).decode
_REPLY = msgspec.msgpack.Decoder(WireReply).decode


def stored_request(runtime: Runtime, attempt: Attempt, request: WireRequest | None) -> Exchange:
    """The request, sealed, to be committed before it is sent."""
    plain = _ENCODE(request) if request is not None else b""
    return Exchange(
        attempt_id=attempt.id, payment_id=attempt.payment_id, request=runtime.vault.seal(plain)
    )


def stored_reply(
    runtime: Runtime,
    attempt: Attempt,
    outcome: Outcome,
    reply: WireReply | None,
    request: WireRequest | None,
) -> tuple[Exchange, ...]:
    """The exchange for the store: the reply sealed while the outcome is unknown; once it is known
    both sides masked by shape."""
    if not outcome.is_known:
        if reply is None:
            return ()
        sealed = runtime.vault.seal(_ENCODE(reply))
        return (Exchange(attempt_id=attempt.id, payment_id=attempt.payment_id, reply=sealed),)
    return (_masked(runtime, attempt, request, reply),)


def masked(runtime: Runtime, attempt: Attempt, exchange: Exchange) -> Exchange:
    """A stored exchange whose outcome has become known, masked."""
    return _masked(
        runtime, attempt, opened_request(runtime, exchange), opened_reply(runtime, exchange)
    )


def _masked(
    runtime: Runtime, attempt: Attempt, request: WireRequest | None, reply: WireReply | None
) -> Exchange:
    kept = runtime.fields_read(attempt.integration.partition("@")[0])
    return Exchange(
        attempt_id=attempt.id,
        payment_id=attempt.payment_id,
        request=_ENCODE(mask_request(request, kept)) if request is not None else b"",
        reply=_ENCODE(mask_reply(reply, kept)) if reply is not None else None,
        sealed=False,
    )


def opened_request(runtime: Runtime, exchange: Exchange) -> WireRequest | None:
    """The stored request while it is sealed; `None` where it is masked, absent or unreadable."""
    plain = _opened(runtime, exchange, exchange.request)
    return _REQUEST(plain) if plain else None


def opened_reply(runtime: Runtime, exchange: Exchange) -> WireReply | None:
    """The stored reply while it is sealed; `None` where it is masked, absent or unreadable."""
    plain = _opened(runtime, exchange, exchange.reply)
    return _REPLY(plain) if plain else None


def stored_reply_of(vault: Vault, exchange: Exchange) -> WireReply | None:
    """The stored reply, sealed or masked; `None` where there is none or it cannot be opened."""
    if not exchange.reply:
        return None
    plain = vault.open(exchange.reply) if exchange.sealed else exchange.reply
    return _REPLY(plain) if plain else None


def _opened(runtime: Runtime, exchange: Exchange, stored: bytes | None) -> bytes | None:
    if not exchange.sealed or not stored:
        return None
    return runtime.vault.open(stored)
