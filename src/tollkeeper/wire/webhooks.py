"""Outgoing webhooks: one POST to an address that a customer named, and that may be a trap.

Law: HTTPS to public addresses only; the address that is connected to is the one that was checked;
redirects are not followed; of what comes back only the status is read, so that nobody is shown
anything.
With `allow_loopback` (development) this machine may be called too, and it alone without TLS.
"""

import ssl
from collections.abc import Callable
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from tollkeeper.flows.ports import HookResult
from tollkeeper.wire.addresses import (
    anything_but_loopback,
    prohibited,
    prohibited_but_loopback,
)
from tollkeeper.wire.exchange import exchange, open_session
from tollkeeper.wire.trip import Budgets, Trip

MAX_URL_LENGTH: Final = 2048
MAX_CONNECTIONS: Final = 64
BUDGETS: Final = Budgets(dns=5, connect=5, tls=5, send=5, wait=15, read=5, total=20)
"""Standard Webhooks asks senders to wait 15 to 30 seconds for an answer."""


class HookSender:
    """`Hook` over aiohttp: `async with HookSender(allow_loopback=False) as hook`."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        budgets: Budgets = BUDGETS,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._budgets = budgets
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open for business. No connection is kept: each is checked anew."""
        self._session = open_session(
            max_connections=MAX_CONNECTIONS,
            keepalive_seconds=0,
            resolver=self._resolver,
            tls=self._tls,
        )

    async def close(self) -> None:
        """End what is in flight."""
        if self._session is not None:
            await self._session.close()

    def refusal(self, url: str) -> str | None:
        """Why `url` can never be posted to, from its text alone; None if it may be."""
        return refusal(url, allow_loopback=self._allow_loopback)

    async def post(self, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> HookResult:
        """POST `body` once. `status` is the receiver's, or 0 with the reason in `error`."""
        assert self._session is not None, "start() first"
        if (problem := _refused_text(url, allow_loopback=self._allow_loopback)) is not None:
            return HookResult(status=0, error=f"http_request_denied: {problem}")
        result = await exchange(
            self._session,
            Trip(self._budgets, has_body=bool(body), permit=self._permit(url)),
            "POST",
            url,
            headers=headers,
            body=body,
            max_reply_bytes=None,
        )
        if result.failure is not None:
            return HookResult(status=0, error=f"{result.failure.error} at {result.failure.stage}")
        assert result.reply is not None
        return HookResult(status=result.reply.status)

    def _permit(self, url: str) -> Callable[[str], str | None]:
        if url.lower().startswith("http:"):
            return anything_but_loopback
        return prohibited_but_loopback if self._allow_loopback else prohibited

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def refusal(url: str, *, allow_loopback: bool) -> str | None:
    """Why `url` cannot be a webhook endpoint, from its text alone; None if it may be.

    For the moment when an endpoint is registered. Where its name leads is checked at each sending.
    """
    refused = _refused_text(url, allow_loopback=allow_loopback)
    if refused is not None:
        return refused
    return _refused_literal(urlsplit(url).hostname or "", allow_loopback=allow_loopback)


def _refused_text(url: str, *, allow_loopback: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        return f"a URL has at most {MAX_URL_LENGTH} printable ASCII characters"
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_loopback):
        return "an endpoint's URL begins with https://"
    if not host or port == 0:
        return "the URL names no host"
    if parts.username is not None or parts.password is not None:
        return "a URL must not carry a name or password"
    return None


def _refused_literal(host: str, *, allow_loopback: bool) -> str | None:
    """Why an address written as such must not be connected to; a name is judged when it is sent
    to."""
    try:
        ip_address(host)
    except ValueError:
        return None
    what = (prohibited_but_loopback if allow_loopback else prohibited)(host)
    return f"{host} is no public address: {what}" if what is not None else None
