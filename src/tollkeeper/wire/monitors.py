"""Handing over to the operator's own monitoring: a JSON body to an address from the settings."""

from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tollkeeper.flows.ports import Target
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.trip import Budgets

BUDGETS: Final = Budgets(dns=2, connect=2, tls=2, send=2, wait=5, read=2, total=8)
MAX_BYTES: Final = 65_536


class Monitors:
    """`async with Monitors() as monitors`; `hand_over` is a `HandOver`."""

    def __init__(self) -> None:
        self._wire = HttpWire(BUDGETS, max_reply_bytes=MAX_BYTES, max_connections=4)

    async def hand_over(self, address: str, body: bytes) -> str:
        """Posts a JSON body: empty text where it was taken, or an error."""
        parts = urlsplit(address)
        request = WireRequest(
            method="POST",
            path=parts.path or "/",
            query=parts.query,
            headers=(("content-type", "application/json"),),
            body=body,
        )
        result = await self._wire.send(request, Target(base_url=f"{parts.scheme}://{parts.netloc}"))
        if result.reply is None:
            failure = result.failure
            assert failure is not None, "a result is a reply or a failure"
            return f"{failure.error} at {failure.stage}"
        took = result.reply.status // 100 == 2
        return "" if took else f"status {result.reply.status}"

    async def __aenter__(self) -> Self:
        await self._wire.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._wire.close()
