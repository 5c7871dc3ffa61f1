"""One request out, one whole reply or one failure in: the only place that talks HTTP to others.

Law: nothing is sent twice, and nothing is done that was not asked for. aiohttp's retry of safe
methods on a connection that died is off, as are redirects, cookies, proxies, compression and
decompression. `exchange` raises nothing but cancellation.
"""

import ssl
from collections.abc import Iterable
from typing import Final, override

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from yarl import URL

from tollkeeper.flows.ports import WireResult
from tollkeeper.integrations.version import WireReply
from tollkeeper.wire.connector import StagedConnector
from tollkeeper.wire.failures import BodyTooLarge, failure_of
from tollkeeper.wire.trip import TRIP, Trip

NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)
"""Time is the trip's business."""

OWN_HEADERS: Final = (("User-Agent", "tollkeeper"), ("Accept-Encoding", "identity"))
"""Identity, so that a small reply cannot unpack into a large one."""

Headers = Iterable[tuple[str, str]]


class _Body(aiohttp.BytesPayload):
    """A request's body that tells the trip when the last of it left our buffers."""

    def __init__(self, value: bytes, trip: Trip) -> None:
        super().__init__(value)
        self._trip = trip

    @override
    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        await super().write_with_length(writer, content_length)
        await writer.drain()
        # A provider may answer before it has heard us out.
        if self._trip.stage == "send":
            self._trip.enter("wait")


async def _never_twice(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Hide a broken connection from aiohttp, which would send a GET, PUT or DELETE again."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Broken(str(error) or "the peer closed the connection") from error


class Broken(aiohttp.ClientConnectionError):
    """A connection ended in the middle of a request."""


def open_session(
    *,
    max_connections: int,
    keepalive_seconds: float,
    resolver: AbstractResolver | None,
    tls: ssl.SSLContext | None,
) -> aiohttp.ClientSession:
    """A session that does what it is told and nothing else. Needs a running loop.

    `keepalive_seconds` must stay below the idle time after which the peer closes, or a request
    may meet the peer's goodbye; 0 gives each request a connection of its own.
    """
    connector = StagedConnector(
        limit=max_connections,
        keepalive_timeout=keepalive_seconds or None,
        force_close=not keepalive_seconds,
        resolver=resolver or aiohttp.ThreadedResolver(),
        ssl=tls or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=NO_TIMEOUT,
        skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        middlewares=(_never_twice,),
    )


async def exchange(
    session: aiohttp.ClientSession,
    trip: Trip,
    method: str,
    url: str,
    *,
    headers: Headers,
    body: bytes,
    max_reply_bytes: int | None,
) -> WireResult:
    """Send one request and read one reply of at most `max_reply_bytes`; None: the head will do."""
    token = TRIP.set(trip)
    reply, failure = None, None
    try:
        async with trip.limit:
            sending = session.request(
                method,
                URL(url, encoded=True),
                headers=[*OWN_HEADERS, *headers],
                data=_Body(body, trip) if body else None,
                allow_redirects=False,
            )
            async with sending as response:
                reply = await _read(response, trip, max_reply_bytes)
    except Exception as error:  # noqa: BLE001 - the law: whatever it was, the caller gets a value
        reply, failure = None, failure_of(error, trip)
    finally:
        TRIP.reset(token)
    trip.close()
    return WireResult(
        reply=reply,
        failure=failure,
        timings_ms=trip.timings_ms,
        certificate_until_s=trip.certificate_until_s,
    )


async def _read(response: aiohttp.ClientResponse, trip: Trip, max_bytes: int | None) -> WireReply:
    """The reply, whole where a body is wanted."""
    trip.enter("read")
    body = bytearray()
    if max_bytes is not None:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > max_bytes:
                raise BodyTooLarge(f"more than {max_bytes} bytes")
    headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in response.raw_headers
    )
    return WireReply(status=response.status, headers=headers, body=bytes(body))
