"""The simulator as a program: real time, real chance, real sockets, and a ledger file if wanted."""

import asyncio
import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import aiohttp
import msgspec

from tollkeeper.simulator.core.scheduler import Tasks
from tollkeeper.simulator.core.server import start_server
from tollkeeper.simulator.stripe.config import SimulatorConfig
from tollkeeper.simulator.stripe.ledger import LedgerCharge
from tollkeeper.simulator.stripe.provider import SimulatorCore

WEBHOOK_TIMEOUT_SECONDS = 10.0


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemChance:
    """The machine's randomness."""

    def bits(self, count: int) -> int:
        return secrets.randbits(count)

    def uniform(self) -> float:
        return secrets.randbits(53) / (1 << 53)


class LedgerFile:
    """The ledger as lines of JSON, one for each effect on a charge, handed to the system at once.

    The last line about a charge is its state. A kill of the simulator loses nothing written; a
    power cut may.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def __call__(self, entry: LedgerCharge) -> None:
        self._file.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        self._file.close()


def read_ledger_file(path: Path) -> list[LedgerCharge]:
    """The charges of a ledger file, oldest first; a last line that was cut off is ignored."""
    last: dict[str, LedgerCharge] = {}
    for line in path.read_bytes().splitlines():
        with suppress(msgspec.DecodeError):
            entry = msgspec.json.decode(line, type=LedgerCharge)
            last[entry.charge_id] = entry
    return sorted(last.values(), key=lambda entry: (entry.created_ms, entry.charge_id))


class WebhookPoster:
    """Posts webhooks over HTTP; gives the status, raises OSError if there was none."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.post(
                url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, ValueError) as error:
            raise OSError(str(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class RunningSimulator:
    """A simulator on a socket, for programs and tests: `url` is where it listens.

    `async with RunningSimulator() as simulator:` starts and stops one on the running loop.
    """

    def __init__(
        self,
        config: SimulatorConfig | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ledger_file: Path | None = None,
    ) -> None:
        self._config = config or SimulatorConfig()
        self._host, self._port = host, port
        self._tasks = Tasks()
        self._poster = WebhookPoster()
        self._journal = LedgerFile(ledger_file) if ledger_file is not None else None
        self.url = ""
        self.core = SimulatorCore(
            SystemClock(),
            SystemChance(),
            self._config,
            deliver=self._poster,
            journal=self._journal,
            spawn=self._tasks,
        )

    async def __aenter__(self) -> "RunningSimulator":
        self._server = await start_server(self.core, self._host, self._port)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._host}:{port}"
        self._config.public_url = self.url
        self._tasks(self.core.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._tasks.cancel()
        await self._poster.close()
        if self._journal is not None:
            self._journal.close()


async def serve(config: SimulatorConfig, *, host: str, port: int, ledger_file: Path | None) -> None:
    """Run until SIGTERM or SIGINT; prints one line of JSON with the address when ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with RunningSimulator(config, host=host, port=port, ledger_file=ledger_file) as simulator:
        ready = {
            "ready": True,
            "url": simulator.url,
            "keys": [account.key for account in config.accounts],
            "pid": os.getpid(),
        }
        print(msgspec.json.encode(ready).decode(), flush=True)
        await stop.wait()
