"""A relay on loopback between a client and PostgreSQL that can swallow what the server answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import parse_qs, urlsplit, urlunsplit


class Relay:
    """`swallow(text)`: from the next client message that holds `text` on, the server's bytes are
    dropped and the client's connection is reset once the server has answered."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._text = b""
        self._server: asyncio.Server | None = None
        self.struck = 0

    def swallow(self, text: bytes) -> None:
        self._text = text

    @property
    def dsn(self) -> str:
        """The relay's address in place of the server's."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        parts = urlsplit(self._dsn)
        user = f"{parts.username}:{parts.password or ''}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}", query=""))

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._dsn)
        folder = parse_qs(parts.query).get("host", [""])[0]
        if folder.startswith("/"):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{parts.port or 5432}")
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._upstream()
        dropping = asyncio.Event()

        async def answers() -> None:
            while data := await there.read(65_536):
                if dropping.is_set():
                    self.struck += 1
                    break
                writer.write(data)
            writer.transport.abort()

        answering = asyncio.ensure_future(answers())
        try:
            while data := await reader.read(65_536):
                if self._text and self._text in data:
                    self._text = b""
                    dropping.set()
                back.write(data)
        except ConnectionError:
            pass
        finally:
            back.close()
            await asyncio.gather(answering, return_exceptions=True)


@asynccontextmanager
async def relay(dsn: str) -> AsyncIterator[Relay]:
    made = await Relay(dsn).start()
    try:
        yield made
    finally:
        await made.stop()
