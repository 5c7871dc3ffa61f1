"""Reading what providers publish: a URL, with its ETag, or a file of this machine."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tollkeeper.flows.ports import Fetched, Target
from tollkeeper.integrations.version import WireRequest
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.trip import Budgets

MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest description published today is below 10 MB."""

BUDGETS: Final = Budgets(wait=30, read=60, total=90)


class PublishedSources:
    """`Sources` over HTTP and the file system: `async with PublishedSources() as sources`."""

    def __init__(self) -> None:
        self._wire = HttpWire(BUDGETS, max_reply_bytes=MAX_BYTES, max_connections=4)

    async def fetch(self, source: str, etag: str | None) -> Fetched:
        """The text at `source`; nothing where it still has `etag`."""
        if source.startswith(("http://", "https://")):
            return await self._fetch(source, etag)
        try:
            text = await asyncio.to_thread(Path(source).read_bytes)
        except OSError as error:
            return Fetched(error=f"{source}: {error.strerror}")
        return Fetched(text=text)

    async def _fetch(self, source: str, etag: str | None) -> Fetched:
        parts = urlsplit(source)
        headers = (("if-none-match", etag),) if etag else ()
        request = WireRequest(
            method="GET", path=parts.path or "/", query=parts.query, headers=headers
        )
        result = await self._wire.send(request, Target(base_url=f"{parts.scheme}://{parts.netloc}"))
        if result.reply is None:
            failure = result.failure
            assert failure is not None, "a result is a reply or a failure"
            return Fetched(error=f"{source}: {failure.error} at {failure.stage}")
        if result.reply.status == 304:
            return Fetched(etag=etag)
        if result.reply.status != 200:
            return Fetched(error=f"{source}: status {result.reply.status}")
        return Fetched(text=result.reply.body, etag=result.reply.header("etag") or None)

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
