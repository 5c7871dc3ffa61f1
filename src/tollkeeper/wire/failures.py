"""What went wrong on the wire, as a stage and a word of RFC 9209 (section 2.3).

The word is for people, signals and attribution; whether a request may be sent again hangs on
`acquired` alone.
"""

import errno
import ssl
from collections.abc import Iterator
from typing import Final

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from tollkeeper.flows.ports import Stage, WireFailure
from tollkeeper.wire.connector import DestinationProhibited
from tollkeeper.wire.trip import Trip

TIMEOUTS: Final[dict[Stage, str]] = {
    "dns": "dns_timeout",
    "connect": "connection_timeout",
    "tls": "connection_timeout",
    "send": "connection_write_timeout",
    "wait": "http_response_timeout",
    "read": "connection_read_timeout",
}

ERRNOS: Final[dict[int, str]] = {
    errno.ECONNREFUSED: "connection_refused",
    errno.EHOSTUNREACH: "destination_ip_unroutable",
    errno.ENETUNREACH: "destination_ip_unroutable",
    errno.ETIMEDOUT: "connection_timeout",
    errno.ECONNRESET: "connection_terminated",
    errno.EPIPE: "connection_terminated",
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
    errno.ENOMEM: "out_of_memory",
}
"""The last three are words of our own: RFC 9209 knows no side that has run out of itself."""

OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

DETAIL_LENGTH: Final = 200


class BodyTooLarge(Exception):
    """A reply's body goes beyond the bound."""


KINDS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (DestinationProhibited, "destination_ip_prohibited"),
    (BodyTooLarge, "http_response_body_size"),
    (aiohttp.ClientConnectorDNSError, "dns_error"),
    (aiohttp.ClientConnectorCertificateError, "tls_certificate_error"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError), "http_request_error"),
)
"""Kinds of exception that mean one word wherever they come from; the first that fits."""

OTHER_WORDS: Final = frozenset({
    "connection_limit_reached", "connection_terminated", "destination_unavailable",
    "http_protocol_error", "http_response_header_section_size", "http_response_incomplete",
    "tls_alert_received", "tls_protocol_error",
})  # fmt: skip
"""Words that need a closer look at the exception than its kind."""


def failure_of(error: Exception, trip: Trip) -> WireFailure:
    """`error`, raised while `trip` was in its stage, as a value."""
    return WireFailure(
        stage=trip.stage,
        error=_word(error, trip),
        acquired=trip.acquired,
        detail=f"{type(error).__name__}: {error}"[:DETAIL_LENGTH],
    )


def _word(error: Exception, trip: Trip) -> str:
    if isinstance(error, TimeoutError):
        return "connection_limit_reached" if trip.queued else TIMEOUTS[trip.stage]
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "tls_alert_received" if _is_alert(error.os_error) else "tls_protocol_error"
    if isinstance(error, OSError) and error.errno in OWN:
        return ERRNOS[error.errno]
    known = next((word for kinds, word in KINDS if isinstance(error, kinds)), None)
    if known is not None:
        return known
    if isinstance(error, OSError) and error.errno is not None:
        return ERRNOS.get(error.errno, "destination_unavailable")
    if isinstance(error, aiohttp.ClientConnectionError):
        return "connection_terminated"
    return _http_word(error)


def _is_alert(error: OSError) -> bool:
    return isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")


def _http_word(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientPayloadError):
        return "http_response_incomplete"
    if any(isinstance(cause, LineTooLong) for cause in _causes(error)):
        return "http_response_header_section_size"
    return "http_protocol_error"


def _causes(error: BaseException) -> Iterator[BaseException]:
    while (cause := error.__cause__) is not None:
        yield cause
        error = cause
