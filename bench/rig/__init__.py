"""What measurements share: programs on a core of their own, their CPU and memory, a light client.

Law: what is measured runs alone on MEASURED_CORE, everything else (the simulator, the database,
the load) on the other cores; CPU is the kernel's account of that one process, all its threads.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import uvloop

from tollkeeper import app as root
from tollkeeper.flows.operations.keys import create_key
from tollkeeper.testing.postgres import postgres_database

MEASURED_CORE: Final = 0
PROVIDER_KEY: Final = "sk_test_tollkeeper"
READY_SECONDS: Final = 30.0
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    """Progress, on standard error: standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


def keep_off_the_measured_core() -> None:
    """Puts this process, and all that it starts from now on, on the other cores."""
    others = os.sched_getaffinity(0) - {MEASURED_CORE}
    if others:
        os.sched_setaffinity(0, others)


class Program:
    """A child process. `measured`: alone on its core."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        *,
        measured: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                arguments,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=log.parent,
                env=environment,
            )
        if measured and len(os.sched_getaffinity(0)) != os.cpu_count():
            os.sched_setaffinity(self.process.pid, {MEASURED_CORE})

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, to the nanosecond."""
        spent = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    def resident_bytes(self) -> int:
        """What it holds in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_for(self, url: str) -> None:
        """Until `url` answers 200."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if _answers(url):
                return
            time.sleep(0.02)
        raise SystemExit(f"{url} did not come up:\n{self._log.read_text()[-2000:]}")


def _answers(url: str) -> bool:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    try:
        with socket.create_connection((name, int(port)), timeout=2) as connection:
            connection.sendall(f"GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """The address of a provider without latency."""
    port = free_port()
    arguments = [sys.executable, "-m", "tollkeeper.simulator", "serve", "--port", str(port)]
    program = Program(arguments, folder / "simulator.log")
    try:
        program.wait_for(f"http://127.0.0.1:{port}/_control/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        program.stop()


class Service:
    """Our service, running alone on the measured core."""

    def __init__(self, program: Program, port: int, secret: str) -> None:
        self.program = program
        self.port = port
        self.secret = secret


@contextlib.contextmanager
def service(folder: Path, database: str, provider: str, more: str = "") -> Iterator[Service]:
    """`tollkeeper serve` on `database`, which is brought to the newest schema first. `more` is
    appended to its settings."""
    port = free_port()
    config = folder / f"service-{port}.toml"
    config.write_text(_settings(database, provider, port, more), encoding="utf-8")
    settings = root.read_settings(config)
    root.upgrade_database(settings)
    secret = asyncio.run(_key(settings))
    arguments = [sys.executable, "-m", "tollkeeper", "serve", "--config", str(config)]
    program = Program(arguments, folder / "service.log", measured=True)
    try:
        program.wait_for(f"http://127.0.0.1:{port}/ready")
        yield Service(program, port, secret)
    finally:
        program.stop()


@contextlib.contextmanager
def service_of(tree: Path, folder: Path, database: str, provider: str) -> Iterator[Service]:
    """The service of another checkout of ours, on a fresh `database`, through its command line."""
    port = free_port()
    config = folder / f"service-{port}.toml"
    config.write_text(_settings(database, provider, port, ""), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-m", "tollkeeper"]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments, "--config", str(config)], cwd=folder, env=environment,
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    run("db", "migrate")
    secret = msgspec.json.decode(run("keys", "create", "--role", "admin", "--json"))["secret"]
    arguments = [*command, "serve", "--config", str(config)]
    program = Program(
        arguments, folder / f"service-{port}.log", measured=True, environment=environment
    )
    try:
        program.wait_for(f"http://127.0.0.1:{port}/ready")
        yield Service(program, port, secret)
    finally:
        program.stop()


def call(service: Service, path: str, body: dict[str, Any]) -> Any:
    """POSTs `body` to a service; its answer, which must be a 2xx."""
    headers = (
        ("authorization", f"Bearer {service.secret}"),
        ("content-type", "application/json"),
    )
    url = f"http://127.0.0.1:{service.port}{path}"
    reply = root.fetch(url, body=msgspec.json.encode(body), headers=headers).reply
    assert reply is not None, url
    assert reply.status < 300, reply.body
    return msgspec.json.decode(reply.body)


def _settings(database: str, provider: str, port: int, more: str) -> str:
    return f"""
database = {msgspec.json.encode(database).decode()}
port = {port}
vault_key = "{b64encode(bytes(32)).decode()}"
{more}
[providers.stripe]
base_url = "{provider}"
secret_key = "{PROVIDER_KEY}"
"""


async def _key(settings: Any) -> str:
    async with root.Service(settings, work=False) as running:
        _, secret = await create_key(running.runtime, "default", "platform", "bench")
    return secret


@contextlib.contextmanager
def databases(folder: Path, wanted: list[str]) -> Iterator[dict[str, str]]:
    """A fresh database of each wanted kind (`sqlite`, `postgresql`), by kind."""
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        found = {}
        if "sqlite" in wanted:
            found["sqlite"] = str(folder / "bench.sqlite3")
        if "postgresql" in wanted:
            found["postgresql"] = stack.enter_context(postgres_database(folder / "postgres"))
        yield found


class Connection(asyncio.Protocol):
    """One kept HTTP/1.1 connection that asks one thing at a time, as cheaply as can be."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(f"hung up: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or self._answered is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(rest) >= length:
            self._received = rest[length:]
            self._answered.set_result((int(head[9:12]), rest[:length]))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        assert self._transport is not None, "it is connected"
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered


@contextlib.asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Connection, "127.0.0.1", port) for _ in range(count)]
    try:
        yield [protocol for _, protocol in made]
    finally:
        for transport, _ in made:
            transport.close()


def post(path: str, body: object, headers: dict[str, str]) -> bytes:
    """A POST of JSON as it goes over the wire."""
    text = msgspec.json.encode(body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"content-length: {len(text)}\r\n{lines}\r\n"
    )
    return head.encode() + text


def get(path: str, secret: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {secret}\r\n\r\n".encode()


def purchase(number: int) -> dict[str, Any]:
    """An ordinary payment, captured at once."""
    return {
        "amount_minor": 1000 + number % 9000,
        "currency": "EUR",
        "payment_method": "pm_card_visa",
        "customer": f"customer-{number % 997}",
        "reference": f"order-{number}",
    }


def payments(secret: str, name: str, count: int) -> list[bytes]:
    """Requests for `count` payments, each under a key of its own that begins with `name`."""
    return [
        post(
            "/v1/payments",
            purchase(number),
            {"authorization": f"Bearer {secret}", "idempotency-key": f"{name}-{number}"},
        )
        for number in range(count)
    ]


class Load:
    """What a run of requests took: seconds, answers by status, and each one's latency."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.statuses: dict[int, int] = {}
        self.latencies_ms: list[float] = []

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


async def drive(port: int, requests: list[bytes], at_once: int) -> Load:
    """Sends all of `requests`, `at_once` at a time."""
    load, left = Load(), iter(requests)
    clock = time.perf_counter

    async def caller(connection: Connection) -> None:
        for request in left:
            began = clock()
            status, _ = await connection.ask(request)
            load.latencies_ms.append((clock() - began) * 1000)
            load.statuses[status] = load.statuses.get(status, 0) + 1

    async with connections(port, at_once) as made:
        began = clock()
        await asyncio.gather(*(caller(connection) for connection in made))
        load.seconds = clock() - began
    return load


def program(name: str, *arguments: object) -> dict[str, float]:
    """Runs one of the programs beside this file on the measured core; gives what it printed."""
    command = [sys.executable, str(Path(__file__).parent / f"{name}.py"), *map(str, arguments)]
    if len(os.sched_getaffinity(0)) != os.cpu_count():
        command = ["taskset", "-c", str(MEASURED_CORE), *command]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(found.stdout, type=dict[str, float])


def run[T](work: Callable[[], Awaitable[T]]) -> T:
    """Runs `work` on the fast loop."""

    async def main() -> T:
        return await work()

    return uvloop.run(main())


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder for a run's files, away from the measured core."""
    keep_off_the_measured_core()
    with tempfile.TemporaryDirectory(
        prefix="tollkeeper-bench-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all measurements have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument(
        "--store",
        choices=["sqlite", "postgresql", "both"],
        default="both",
        help="which database (default: both)",
    )
    return made


def stores(chosen: str) -> list[str]:
    return ["sqlite", "postgresql"] if chosen == "both" else [chosen]


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Prints rows of one shape as a table, or as JSON."""
    if as_json:
        print(msgspec.json.encode(rows).decode())
        return
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
