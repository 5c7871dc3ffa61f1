"""aiohttp's connector, taught to say which stage it is in and to refuse addresses.

aiohttp has trace hooks for name resolution but none between the TCP and the TLS handshake, so the
step that opens a connection is done here in two. Everything else is aiohttp's. The address that is
connected to is one that was resolved and permitted here: nothing resolves a name twice.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, override

import aiohappyeyeballs
from aiohttp import ClientConnectorCertificateError, ClientConnectorError, ClientConnectorSSLError
from aiohttp.abc import ResolveResult
from aiohttp.client import ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection, TCPConnector
from aiohttp.tracing import Trace

from tollkeeper.wire.trip import TRIP


class DestinationProhibited(Exception):
    """A name leads to an address that this request may not go to."""


def _ends_s(transport: asyncio.Transport) -> int:
    """The Unix second in which the peer's certificate ends; 0 without TLS."""
    shaken = transport.get_extra_info("ssl_object")
    shown = shaken.getpeercert() if shaken is not None else None
    return int(ssl.cert_time_to_seconds(shown["notAfter"])) if shown else 0


class StagedConnector(TCPConnector):
    """Tells the current trip its stage: dns, connect, tls, then send once a connection stands."""

    @override
    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        trip = TRIP.get()
        trip.enter("send" if trip.has_body else "wait")
        return connection

    @override
    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        trip = TRIP.get()
        trip.enter("dns")
        found = await super()._resolve_host(host, port, traces)
        if trip.permit is not None:
            for result in found:
                if (reason := trip.permit(result["host"])) is not None:
                    raise DestinationProhibited(f"{host} is at {result['host']}: {reason}")
        return found

    @override
    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[aiohappyeyeballs.AddrInfoType],
        req: ClientRequest,
        timeout: ClientTimeout,
        client_error: type[Exception] = ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        trip = TRIP.get()
        trip.enter("connect")
        try:
            sock = await aiohappyeyeballs.start_connection(
                addr_infos=addr_infos,
                happy_eyeballs_delay=self._happy_eyeballs_delay,
                interleave=self._interleave,
                loop=self._loop,
            )
        except OSError as error:
            raise ClientConnectorError(req.connection_key, error) from error
        if kwargs.get("ssl"):
            trip.enter("tls")
        return await self._hand_over(sock, req, args, kwargs)

    async def _hand_over(
        self, sock: socket.socket, req: ClientRequest, args: Any, kwargs: dict[str, Any]
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """Give the connected socket to the loop, which shakes hands where TLS is wanted."""
        try:
            made = await self._loop.create_connection(*args, **kwargs, sock=sock)
        except ssl.CertificateError as error:
            raise ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl.SSLError as error:
            raise ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            raise ClientConnectorError(req.connection_key, error) from error
        TRIP.get().certificate_until_s = _ends_s(made[0])
        return made
