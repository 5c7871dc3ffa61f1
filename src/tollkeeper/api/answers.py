"""Answers: status, headers and bytes, written to the connection without a framework's detour."""

from typing import Any, Final

import msgspec
from litestar.types import Receive, Scope, Send

from tollkeeper.api.problems import CLOSING, MEDIA_TYPE, problem
from tollkeeper.kernel.errors import TollkeeperError, Unauthenticated
from tollkeeper.payments.view import PaymentView, RefundView

type Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
_encode: Final = msgspec.json.Encoder().encode
_COMMON: Final[list[Header]] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class Answer:
    """An ASGI application that sends one answer. `HEAD` gets the headers alone. `told`: the payment
    or refund that it tells of for the first time, for the metrics."""

    __slots__ = ("body", "headers", "media_type", "status", "told")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        *,
        media_type: bytes = JSON,
        headers: list[Header] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.media_type = media_type
        self.headers = headers if headers is not None else []
        self.told: PaymentView | RefundView | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        headers = [*self.headers, *_COMMON]
        if self.status != 204:
            headers.append((b"content-type", self.media_type))
            headers.append((b"content-length", str(len(self.body)).encode()))
        body = b"" if scope.get("method") == "HEAD" else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def json_answer(value: Any, status: int = 200) -> Answer:
    """`value` (a struct, or a dict that holds structs) as JSON."""
    return Answer(status, _encode(value))


def problem_answer(error: TollkeeperError, request_id: str) -> Answer:
    """The problem document of `error`, with the headers that its status asks for."""
    told = problem(error, request_id)
    headers: list[Header] = []
    if error.retryable:
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if told.status in CLOSING:
        headers.append((b"connection", b"close"))
    return Answer(told.status, _encode(told), media_type=MEDIA_TYPE.encode(), headers=headers)
