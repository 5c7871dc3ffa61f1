"""What reaches the simulator and what leaves it, as plain values without sockets."""

from typing import Final, Literal, Protocol

import msgspec

Ending = Literal["send", "drop", "reset", "truncate"]
"""What the transport does with a reply: `send` it whole, `drop` it (say nothing and keep the
connection), `reset` the connection, or `truncate` the body and then close."""


class SimRequest(msgspec.Struct, frozen=True):
    """One HTTP request. `path` is percent-decoded no further than the client sent it;
    `query_string` excludes the `?`; header names may have any case."""

    method: str
    path: str
    query_string: str = ""
    headers: list[tuple[str, str]] = []
    body: bytes = b""


class SimReply(msgspec.Struct):
    """One HTTP reply and what the transport shall do with it.

    `truncate_at` counts the body bytes that still leave when `ending` is `truncate`;
    `body_delay_seconds` is a pause between the headers and the body; `hold_seconds` how long a
    dropped connection stays open (0: as long as the server lets it).
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    ending: Ending = "send"
    truncate_at: int = 0
    body_delay_seconds: float = 0.0
    hold_seconds: float = 0.0


MAX_BODY_BYTES: Final = 1_000_000
"""The largest body of a request; one that is larger is refused."""


class SimProvider(Protocol):
    """A provider's face: a request in, a reply out."""

    async def handle(self, request: SimRequest) -> SimReply: ...
