"""Errors as problem documents (RFC 9457): one table from class to status, one way to write them.

Law: a `code` is always that of a class in `kernel/errors.py`; nothing that a caller sent is echoed.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.kernel import errors
from tollkeeper.kernel.errors import TollkeeperError

MEDIA_TYPE: Final = "application/problem+json"

STATUSES: Final[dict[type[TollkeeperError], tuple[int, str]]] = {
    errors.TollkeeperError: (500, "Internal error"),
    errors.Malformed: (400, "Malformed request"),
    errors.MissingIdempotencyKey: (400, "Idempotency key missing or malformed"),
    errors.Unauthenticated: (401, "No valid API key"),
    errors.Forbidden: (403, "Not allowed"),
    errors.NotFound: (404, "Not found"),
    errors.MethodNotAllowed: (405, "Method not allowed"),
    errors.RequestTimeout: (408, "The request came too slowly"),
    errors.Conflict: (409, "Not possible in this state"),
    errors.ReferenceInUse: (409, "Another live payment has this reference"),
    errors.GateClosed: (409, "The rollout's gate is closed"),
    errors.InFlight: (409, "The first request is still running"),
    errors.ProviderRefused: (409, "Refused by the provider"),
    errors.TooLarge: (413, "Too large"),
    errors.HeadersTooLarge: (431, "Headers too large"),
    errors.Unsupported: (415, "Unsupported media type"),
    errors.Invalid: (422, "Invalid request"),
    errors.UnreadableText: (422, "Unreadable text"),
    errors.KeyReused: (422, "Idempotency key reused for another request"),
    errors.CardNumberRefused: (422, "Card number refused"),
    errors.BadSignature: (400, "Bad signature"),
    errors.RateLimited: (429, "Too many requests"),
    errors.Misconfigured: (500, "Misconfigured"),
    errors.Overloaded: (503, "Overloaded"),
    errors.Closed: (503, "Closed for payments"),
    errors.RefusedForNow: (503, "Refused by the provider for now"),
    errors.NoVersionWorks: (503, "No installed version works"),
    errors.NotSent: (503, "Provider unreachable"),
    errors.Unavailable: (503, "Store unavailable"),
    errors.StoreFull: (503, "Store full"),
    errors.StoreDoubt: (503, "Store in doubt"),
}
"""Class to HTTP status and title."""

CLOSING: Final = frozenset({408, 413})
"""Statuses after which the rest of the request's body must not be waited for."""


class ProblemError(msgspec.Struct, frozen=True):
    """One thing that is wrong. `pointer`: a JSON pointer into the body, or the name of a header or
    a parameter."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem document. `retryable`: the same request may succeed later; `advice`: what to do.
    Where the provider refused, `failure_code` says why, and `provider_error` has its own words."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    advice: str
    errors: list[ProblemError] = []
    failure_code: str | msgspec.UnsetType = msgspec.UNSET
    provider_error: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET


def status_of(kind: type[TollkeeperError]) -> tuple[int, str]:
    """HTTP status and title of a class; a class without an entry has its parent's."""
    for ancestor in kind.__mro__:
        found = STATUSES.get(ancestor)
        if found is not None:
            return found
    return STATUSES[TollkeeperError]


def problem(error: TollkeeperError, request_id: str) -> Problem:
    """`error` as a caller sees it."""
    status, title = status_of(type(error))
    return Problem(
        type=f"urn:tollkeeper:error:{error.code}",
        title=title,
        status=status,
        detail=error.detail,
        code=error.code,
        retryable=error.retryable,
        request_id=request_id,
        advice=error.advice,
        errors=[ProblemError(fault.pointer, fault.detail) for fault in error.faults],
        failure_code=error.failure_code or msgspec.UNSET,
        provider_error=error.provider_error or msgspec.UNSET,
    )
