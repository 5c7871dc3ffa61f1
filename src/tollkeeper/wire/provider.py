"""The wire to the providers, behind a port of one method.

A redirect is a reply like any other: a request with money in it is not carried to where it was not
addressed.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver

from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.exchange import exchange, open_session
from tollkeeper.wire.repeats import Repeats
from tollkeeper.wire.trip import Budgets, Trip

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
"""A page of a hundred of Stripe's largest objects stays below 2 MB."""

MAX_CONNECTIONS: Final = 256
KEEPALIVE_SECONDS: Final = 15.0
"""Shorter than the idle time of common front ends (60 seconds and more)."""


class HttpWire:
    """`Wire` over aiohttp. Open it in the loop that it serves: `async with HttpWire() as wire`."""

    def __init__(
        self,
        budgets: Budgets | None = None,
        *,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        max_connections: int = MAX_CONNECTIONS,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._budgets = budgets or Budgets()
        self._max_reply_bytes = max_reply_bytes
        self._max_connections = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._repeats = Repeats()

    async def start(self) -> None:
        """Open the pool of connections."""
        self._session = open_session(
            max_connections=self._max_connections,
            keepalive_seconds=self._keepalive_seconds,
            resolver=self._resolver,
            tls=self._tls,
        )

    async def close(self) -> None:
        """Close the pool. Requests in flight end in a failure."""
        if self._session is not None:
            await self._session.close()

    async def send(self, request: WireRequest, target: Target) -> WireResult:
        """Send `request` to `target` once. Raises nothing but cancellation."""
        assert self._session is not None, "start() first"
        query = f"?{request.query}" if request.query else ""
        repeats = self._repeats.count(request, asyncio.get_running_loop().time())
        result = await exchange(
            self._session,
            Trip(self._budgets, has_body=bool(request.body)),
            request.method,
            f"{target.base_url}{request.path}{query}",
            headers=(*request.headers, *target.headers),
            body=request.body,
            max_reply_bytes=self._max_reply_bytes,
        )
        return msgspec.structs.replace(result, repeats=repeats) if repeats else result

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
