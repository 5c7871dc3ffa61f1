"""What flows need from the world, as protocols. Plumbing satisfies them by shape; `app` joins them.

Law: an implementation acknowledges a write only after it is durable, and never makes a network call
inside one. `Wire.send` never raises but on cancellation.
"""

from typing import Literal, Protocol

import msgspec

from tollkeeper.integrations.values import WireReply, WireRequest

Stage = Literal["dns", "connect", "tls", "send", "wait", "read"]


class WireFailure(msgspec.Struct, frozen=True, kw_only=True):
    """No usable reply. `error` is a word of RFC 9209 (`dns_timeout`, `connection_refused`,
    `tls_certificate_error`, `http_response_timeout`, `http_response_incomplete`, ...).

    `acquired`: a connection stood, so the request may have been acted upon.
    """

    stage: Stage
    error: str
    acquired: bool
    detail: str = ""


class WireResult(msgspec.Struct, frozen=True, kw_only=True):
    """A reply or a failure, never both. `timings_ms` has the milliseconds spent per stage."""

    reply: WireReply | None = None
    failure: WireFailure | None = None
    timings_ms: dict[str, float] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where one provider's requests go. `base_url` has scheme and host, no trailing slash;
    `headers` carry the credentials."""

    base_url: str
    headers: tuple[tuple[str, str], ...] = ()


class Wire(Protocol):
    """The only thing that talks to providers."""

    async def send(self, request: WireRequest, target: Target) -> WireResult: ...
