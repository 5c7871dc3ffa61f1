"""What flows need of the machine: the wire, outgoing webhooks, the vault, sources, the log."""

from typing import Literal, Protocol

import msgspec

from tollkeeper.integrations.version import WireReply, WireRequest

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
    """A reply or a failure, never both. `timings_ms` has the milliseconds spent per stage;
    `repeats`: how often the very same request went out within the seconds before;
    `certificate_until_s`: the Unix second in which the peer's certificate ends, 0 where none was
    shown, as on a connection that stood already."""

    reply: WireReply | None = None
    failure: WireFailure | None = None
    timings_ms: dict[str, float] = {}
    repeats: int = 0
    certificate_until_s: int = 0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where one provider's requests go. `base_url` has scheme and host, no trailing slash;
    `headers` carry the credentials."""

    base_url: str
    headers: tuple[tuple[str, str], ...] = ()


class Wire(Protocol):
    """The only thing that talks to providers."""

    async def send(self, request: WireRequest, target: Target) -> WireResult: ...


class Hook(Protocol):
    """The only thing that posts outgoing webhooks; guarded against server-side request forgery."""

    def refusal(self, url: str) -> str | None:
        """Why `url` can never be posted to, from its text alone; `None` if it may be."""
        ...

    async def post(
        self, url: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> "HookResult": ...


class HookResult(msgspec.Struct, frozen=True, kw_only=True):
    """`status` 0: nothing was answered, `error` says why."""

    status: int
    error: str = ""


class Vault(Protocol):
    """Seals bytes at rest and opens them again; `open` gives `None` for what it cannot open."""

    def seal(self, plain: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes | None: ...


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a source gave: `text`, `None` where it has not changed since `etag`, or an error."""

    text: bytes | None = None
    etag: str | None = None
    error: str = ""


class Sources(Protocol):
    """Reads descriptions and announcements: a URL with its ETag, or a file. Never raises."""

    async def fetch(self, source: str, etag: str | None) -> Fetched: ...


class HandOver(Protocol):
    """Posts a JSON body to a monitor of the operator: empty text where it took it, or an error.
    Never raises."""

    async def __call__(self, address: str, body: bytes) -> str: ...


class Tell(Protocol):
    """Tells operators: one line of the log. `facts` hold no secret and no card number."""

    def __call__(self, event: str, /, **facts: object) -> None: ...
