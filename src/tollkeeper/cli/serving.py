"""`tollkeeper serve`, `up` and `simulator`: programs that run until they are stopped."""

import asyncio
import fcntl
import importlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

import cyclopts

from tollkeeper import app
from tollkeeper.cli.demo_plan import DEMO_CARDS, DEMO_PLAN
from tollkeeper.cli.opening import Config, console, with_runtime
from tollkeeper.flows.incidents import planning
from tollkeeper.flows.operations import keys
from tollkeeper.flows.providers import cards
from tollkeeper.kernel.errors import Misconfigured, Unavailable

SERVER: Final = "tollkeeper.api.server"
"""Started by its name: doors do not know each other."""

LEVERED: Final = "tollkeeper.proving.serve"
RELAY: Final = "tollkeeper.proving.relaying"
"""The demo's service can be broken by a drill, and so can its way to the simulator."""

INBOX: Final = "tollkeeper.proving.inbox"
"""The demo's mailbox and chat."""

PORTS_FILE: Final = "levers.json"
RESTART_FILE: Final = "restart"
LEVERS_VARIABLE: Final = "TOLLKEEPER_LEVERS"
SERVICE_PORT: Final = 8080
SIMULATOR_PORT: Final = 12111
CALLED_AS_VARIABLE: Final = "TOLLKEEPER_CALLED_AS"
"""How the person at the terminal calls us, where that is not by our name."""

READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 40.0
DEMO_API_VERSION: Final = "2022-11-15"
DEMO_WEIGHTS: Final = {"stripe@2022-08-01": 70, "stripe@2026-03-25.dahlia": 30}
"""Two versions side by side; stripe@2022-11-15 is left for the first rollout."""

DEMO_PROVIDER_KEY: Final = "sk_test_tollkeeper"
"""The simulator's own default key; no provider knows it."""


def serve(*, config: Config = None) -> int:
    """Run one replica of the service; SIGTERM drains it.

    Example: `tollkeeper serve --config production.toml`
    """
    settings = app.read_settings(config)
    app.require_keys(settings)
    app.configure_logging(settings)
    asyncio.run(app.probe(settings))
    return 0 if importlib.import_module(SERVER).run(settings) else 1


def simulator(*arguments: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)]) -> int:
    """Run or control a payment provider that can be broken: serve, fault, ledger, shoppers.

    Each command has its own help: `tollkeeper simulator fault -h`.

    Example: `tollkeeper simulator fault add reset --url http://127.0.0.1:12111 --count 3`
    """
    command = [sys.executable, "-m", "tollkeeper.simulator", *arguments]
    return subprocess.call(command)  # noqa: S603 - our own program


def drill(*arguments: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)]) -> int:
    """Replay incidents on a separate service, simulator and shoppers.

    `tollkeeper drill original` replays the incident behind this project. `tollkeeper drill
    carrying` breaks the version that carries all traffic, in seven ways. `tollkeeper drill fault
    FILE` breaks the running demo as a scenario file says.

    Example: `tollkeeper drill original`
    """
    command = [sys.executable, "-m", "tollkeeper.proving.drills", *arguments]
    return subprocess.call(command)  # noqa: S603 - our own program


def up(
    *,
    folder: Annotated[
        Path, cyclopts.Parameter(help="The folder for settings, database and logs.")
    ] = Path("tollkeeper-demo"),
    port: Annotated[
        int | None, cyclopts.Parameter(help="The service's port; by default 8080 or a free port.")
    ] = None,
    simulator_port: Annotated[
        int | None,
        cyclopts.Parameter(help="The simulator's port; by default 12111 or a free port."),
    ] = None,
    rate: Annotated[float, cyclopts.Parameter(help="Demo payments per second; 0 for none.")] = 0.5,
    seconds: Annotated[
        float, cyclopts.Parameter(help="Stop after these seconds; 0: on Ctrl-C.")
    ] = 0,
) -> int:
    """Run the service, a simulator and demo shoppers on one SQLite file, to try Tollkeeper.

    The database and the simulator's ledger are empty at each start. A folder runs one demo.

    Example: `tollkeeper up --rate 2`
    """
    demo = Demo(folder, port, simulator_port)
    try:
        demo.start(rate)
        demo.wait(seconds)
    finally:
        demo.stop()
    return 0


class Demo:
    """Three programs and a folder. The database is new each time, as the simulator's books are."""

    def __init__(self, folder: Path, port: int | None, simulator_port: int | None) -> None:
        self.folder = folder
        self.port = _free(port, SERVICE_PORT)
        self.simulator_port = _free(simulator_port, SIMULATOR_PORT)
        self._lock: int | None = None
        self.relay, self.relay_control, self.levers = (_free(0, 0) for _ in range(3))
        self.mail, self.chat = (_free(0, 0) for _ in range(2))
        self._shown = 0
        self.programs: list[tuple[str, subprocess.Popen[bytes]]] = []

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def provider(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def config(self) -> Path:
        return self.folder / "tollkeeper.toml"

    def start(self, rate: float) -> None:
        """Starts everything, each program when the one before is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(self.folder)
        for old in (*self.folder.glob("demo.sqlite3*"), self._inbox):
            old.unlink(missing_ok=True)
        self._program(
            "simulator",
            ["-m", "tollkeeper.simulator", "serve", "--port", str(self.simulator_port)],
        )
        _until(lambda: _get(f"{self.provider}/_control/health") == 200, "the simulator", self)
        write_secret(self.config, self._settings(self._register_webhooks()))
        settings = app.read_settings(self.config)
        app.upgrade_database(settings)
        _, secret = with_runtime(
            self.config, lambda w: keys.create_key(w, "default", keys.PLATFORM, "demo")
        )
        self._program(
            "relay", ["-m", RELAY, *map(str, (self.relay, self.simulator_port, self.relay_control))]
        )
        self._program("inbox", ["-m", INBOX, str(self.mail), str(self.chat), str(self._inbox)])
        plan = planning.read_plan(self._plan().encode())
        with_runtime(self.config, lambda w: planning.apply(w, plan, actor="demo"))
        book = cards.read_book(self._cards().encode())
        with_runtime(self.config, lambda w: cards.apply(w, book, actor="demo"))
        self._serve()
        self._write_ports()
        if rate > 0:
            shop = ["-m", "tollkeeper.simulator", "shoppers", "--api", self.api, "--key", secret]
            self._program("shoppers", [*shop, "--rate", str(rate)])
        self._tell(secret)

    def _serve(self) -> None:
        self._program("service", ["-m", LEVERED, "--config", str(self.config)])
        _until(lambda: _get(f"{self.api}/ready") == 200, "the service", self)

    def _write_ports(self) -> None:
        """Says where `tollkeeper drill fault` finds what it may break."""
        ports = {
            "service": self.port,
            "simulator": self.simulator_port,
            "levers": self.levers,
            "relay": self.relay,
            "relay_control": self.relay_control,
        }
        (self.folder / PORTS_FILE).write_text(json.dumps(ports), encoding="utf-8")

    def _restart(self) -> None:
        """Starts the service anew with the settings that a drill has changed."""
        name, program = next(one for one in self.programs if one[0] == "service")
        program.terminate()
        program.wait(STOP_SECONDS)
        self.programs.remove((name, program))
        self._serve()
        (self.folder / RESTART_FILE).unlink()

    def wait(self, seconds: float) -> None:
        """Waits until a program ends, `seconds` pass or a signal stops the demo."""
        signal.signal(signal.SIGTERM, _interrupt)
        end = time.monotonic() + seconds if seconds else float("inf")
        while time.monotonic() < end:
            if (self.folder / RESTART_FILE).exists():
                self._restart()
            for name, program in self.programs:
                if program.poll() is not None:
                    raise Unavailable(f"the {name} ended; see {self.folder / f'{name}.log'}")
            self._show_inbox()
            time.sleep(0.2)

    @property
    def _inbox(self) -> Path:
        return self.folder / "inbox.txt"

    def _show_inbox(self) -> None:
        """Prints what has arrived at the demo's mailbox and chat."""
        lines = self._inbox.read_text("utf-8").splitlines() if self._inbox.exists() else []
        for line in lines[self._shown :]:
            console.print(line, markup=False)
        self._shown = len(lines)
        sys.stdout.flush()

    def _plan(self) -> str:
        return DEMO_PLAN.format(mail=self.mail, chat=self.chat)

    def _cards(self) -> str:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        return DEMO_CARDS.format(mail=self.mail, chat=self.chat, today=today)

    def stop(self) -> None:
        """Ends the programs, the last one first."""
        for _, program in reversed(self.programs):
            if program.poll() is None:
                program.terminate()
        for name, program in reversed(self.programs):
            try:
                program.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                console.print(f"the {name} did not stop; killing it")
                program.kill()
        if self._lock is not None:
            os.close(self._lock)

    def _program(self, name: str, arguments: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as out:
            program = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    LEVERS_VARIABLE: str(self.levers),
                },
            )
        self.programs.append((name, program))

    def _register_webhooks(self) -> str:
        """Tells the simulator where our webhooks go; gives the secret that signs them."""
        fields = {
            "url": f"{self.api}/v1/inbound/stripe/{DEMO_API_VERSION}",
            "enabled_events[]": "*",
            "api_version": DEMO_API_VERSION,
        }
        result = app.fetch(
            f"{self.provider}/v1/webhook_endpoints",
            body=urlencode(fields).encode(),
            headers=(
                ("authorization", f"Bearer {DEMO_PROVIDER_KEY}"),
                ("content-type", "application/x-www-form-urlencoded"),
            ),
        )
        if result.reply is None or result.reply.status != 200:
            raise Unavailable(f"the simulator took no webhook endpoint: {result}")
        return str(json.loads(result.reply.body)["secret"])

    def _settings(self, webhook_secret: str) -> str:
        weights = "\n".join(f'"{name}" = {weight}' for name, weight in DEMO_WEIGHTS.items())
        return f"""# Written by `tollkeeper up`; for trying things out, not for production.
database = {json.dumps(str(self.folder / "demo.sqlite3"))}
port = {self.port}
public_url = "{self.api}"
vault_key = "{b64encode(secrets.token_bytes(32)).decode()}"
webhooks_to_loopback = true
status_page_folder = {json.dumps(str(self.folder / "status"))}

[providers.stripe]
base_url = "http://127.0.0.1:{self.relay}"
secret_key = "{DEMO_PROVIDER_KEY}"
webhook_secrets = ["{webhook_secret}"]
description = "{self.provider}/_control/openapi.json"

[weights]
{weights}
"""

    def _tell(self, secret: str) -> None:
        console.print(f"service    {self.api}      (OpenAPI at {self.api}/openapi.json)")
        console.print(f"simulator  {self.provider}     (ledger at {self.provider}/_control/ledger)")
        console.print(f"test key   [bold]{secret}[/bold]")
        console.print(
            f"inbox      {self._inbox}   (mail and chat of who is on call, and of the provider)"
        )
        console.print(f"status     {self.folder / 'status' / 'index.html'}   (what customers see)")
        console.print(f"settings   {self.config}   (database and logs beside it)")
        console.print()
        console.print(f"export TOLLKEEPER_CONFIG={self.config} TK={self.api} KEY={secret}")
        command = os.environ.get(CALLED_AS_VARIABLE, "tollkeeper")
        console.print(
            f"{command} payments list      shows what the demo shoppers buy; Ctrl-C stops"
        )
        sys.stdout.flush()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def locked(folder: Path) -> int:
    """A file descriptor that locks `folder` while it is open; `Misconfigured` where one does."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        detail = f"a demo runs in {folder}; stop it, or name another --folder"
        raise Misconfigured(detail) from error
    return lock


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner may read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _free(named: int | None, usual: int) -> int:
    """The port `named`, which must be free; unnamed: the usual one, or another that is free."""
    port = usual if named is None else named
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if named is not None:
                raise Misconfigured(f"port {port} is taken; choose another one") from error
            probe.bind(("127.0.0.1", 0))
            console.print(f"port {port} is taken")
        return int(probe.getsockname()[1])


def _get(url: str) -> int:
    result = app.fetch(url)
    return result.reply.status if result.reply is not None else 0


def _until(ready: Callable[[], bool], what: str, demo: Demo) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if ready():
            return
        for name, program in demo.programs:
            if program.poll() is not None:
                log = (demo.folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise Misconfigured(f"the {name} ended at once:\n{log}")
        time.sleep(0.05)
    raise Unavailable(f"{what} was not ready within {READY_SECONDS:.0f} s")
