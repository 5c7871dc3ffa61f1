"""The service of a proving ground: the real one, with a resolver and levers of its own.

`python -m tollkeeper.proving.serve --config FILE` reads TOLLKEEPER_LEVERS (the port on loopback on
which it takes levers, JSON a line), TOLLKEEPER_DNS (the port of the test's resolver) and
TOLLKEEPER_HOST_NAME.
"""

import asyncio
import importlib.util
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from tollkeeper import app
from tollkeeper.api import server
from tollkeeper.app import service as composition
from tollkeeper.app.system import SystemClock
from tollkeeper.flows.ports import Target, WireResult
from tollkeeper.integrations import catalogue
from tollkeeper.integrations.version import Integration, OperationInput, WireReply, WireRequest
from tollkeeper.payments.outcome import Operation, Outcome
from tollkeeper.proving.network import address_in, question_of
from tollkeeper.wire.provider import HttpWire

LEVERS: Final = "TOLLKEEPER_LEVERS"
DNS: Final = "TOLLKEEPER_DNS"
HOST_NAME: Final = "TOLLKEEPER_HOST_NAME"
SUFFIX: Final = ".test"
"""Names that the test's own resolver knows (RFC 6761)."""


class StubResolver(AbstractResolver):
    """Asks the resolver on loopback, as a system's resolver does: no cache, one retry."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        address = await self._ask(host) if host.endswith(SUFFIX) else host
        if address is None:
            raise OSError(None, f"no such name {host}")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def _ask(self, host: str) -> str | None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)  # noqa: FBT003 - the standard library's signature
            await loop.sock_connect(asking, ("127.0.0.1", self._port))
            await loop.sock_sendall(asking, question_of(host, os.getpid() & 0xFFFF))
            return address_in(await loop.sock_recv(asking, 512))

    async def close(self) -> None:
        """Nothing is kept."""


class Levers:
    """What can be done to this process from outside. `struck`: requests of broken versions, which
    is what a lever answers."""

    def __init__(self) -> None:
        self.stall_seconds = 0.0
        self.clock_ms = 0
        self.broken: dict[str, str] = {}
        self.files: dict[str, Integration] = {}
        self.leaked: list[int] = []
        self.struck = 0
        self._stalling: asyncio.Task[None] | None = None

    async def listen(self, port: int) -> None:
        """Takes levers until the process ends."""
        await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            self._pull(msgspec.json.decode(line, type=dict[str, Any]))
            writer.write(b"%d\n" % self.struck)
            await writer.drain()
        writer.close()

    def _pull(self, lever: dict[str, Any]) -> None:
        if "stall_seconds" in lever:
            self.stall_seconds = float(lever["stall_seconds"])
            if self.stall_seconds and self._stalling is None:
                self._stalling = asyncio.create_task(self._stall())
        if "descriptors" in lever:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            wanted = int(lever["descriptors"]) or most
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))
        if "clock_ms" in lever:
            self.clock_ms = int(lever["clock_ms"])
        if "deploy" in lever:
            self.broken[str(lever["version"])] = str(lever["deploy"])
            self.files.pop(str(lever["version"]), None)
            if lever.get("file"):
                self.files[str(lever["version"])] = from_file(Path(str(lever["file"])))

    async def _stall(self) -> None:
        """Blocks the event loop again and again, half of the time."""
        while self.stall_seconds:
            time.sleep(self.stall_seconds)
            await asyncio.sleep(self.stall_seconds)
        self._stalling = None


LEVER: Final = Levers()


class ShiftedClock(SystemClock):
    """The system's clock, off by what the lever says."""

    def now_ms(self) -> int:
        return super().now_ms() + LEVER.clock_ms


type Request = Callable[[Operation, OperationInput], WireRequest]


def breakable(version: Integration) -> Integration:
    """A version that fails as a deploy made it fail."""

    def request(operation: Operation, order: OperationInput) -> WireRequest:
        deploy = LEVER.broken.get(version.name, "")
        LEVER.struck += bool(deploy) or version.name in LEVER.files
        made = LEVER.files.get(version.name, version).request(operation, order)
        if deploy == "raises" and operation not in {"lookup", "find"}:
            raise KeyError("amount_details")
        if deploy == "wrong_field" and made.method == "POST":
            return msgspec.structs.replace(made, body=made.body.replace(b"amount=", b"amonut="))
        if deploy == "leaks":
            LEVER.leaked += [os.open(os.devnull, os.O_RDONLY) for _ in range(LEAKED)]
        if deploy == "asks_again":
            return msgspec.structs.replace(made, headers=(*made.headers, (AGAIN, "yes")))
        return made

    def outcome(operation: Operation, reply: WireReply) -> Outcome:
        return LEVER.files.get(version.name, version).outcome(operation, reply)

    return msgspec.structs.replace(version, request=request, outcome=outcome)


AGAIN: Final = "x-proving-again"
"""Marks a request of a version that asks again and again; it does not leave the process."""

TIMES: Final = 10
LEAKED: Final = 4
"""How often such a version asks, and how many descriptors one that leaks loses each time."""


def from_file(path: Path) -> Integration:
    """The integration version that a file defines as `INTEGRATION`."""
    spec = importlib.util.spec_from_file_location("proving_version", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.INTEGRATION
    assert isinstance(found, Integration), "INTEGRATION is an integration version"
    return found


class LeveredWire(HttpWire):
    """The wire to providers with the test's resolver, and with versions that ask again."""

    def __init__(self, budgets: Any = None) -> None:
        port = os.environ.get(DNS)
        super().__init__(budgets, resolver=StubResolver(int(port)) if port else None)

    async def send(self, request: WireRequest, target: Target) -> WireResult:
        headers = tuple(one for one in request.headers if one[0] != AGAIN)
        if len(headers) == len(request.headers):
            return await super().send(request, target)
        request = msgspec.structs.replace(request, headers=headers)
        sent = [super(LeveredWire, self).send(request, target) for _ in range(TIMES)]
        return (await asyncio.gather(*sent))[-1]


class LeveredService(app.Service):
    """The service, which listens for levers once it has started."""

    async def __aenter__(self) -> Self:
        started = await super().__aenter__()
        if self._work and os.environ.get(LEVERS):
            await LEVER.listen(int(os.environ[LEVERS]))
        return started


def install() -> None:
    """Puts levers where the service takes its parts from."""
    host = os.environ.get(HOST_NAME)
    if host:
        setattr(socket, "gethostname", lambda: host)  # noqa: B010 - mypy forbids the assignment
    setattr(composition, "HttpWire", LeveredWire)  # noqa: B010 - as above
    setattr(composition, "SystemClock", ShiftedClock)  # noqa: B010 - as above
    setattr(app, "Service", LeveredService)  # noqa: B010 - as above
    for name, version in list(catalogue.INSTALLED.items()):
        catalogue.INSTALLED[name] = breakable(version)


def main(arguments: list[str]) -> int:
    """Serves with the settings of a file."""
    settings = app.read_settings(Path(arguments[1]))
    app.configure_logging(settings)
    install()
    return 0 if server.run(settings) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
