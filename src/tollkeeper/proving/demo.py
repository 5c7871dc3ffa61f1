"""`tollkeeper drill fault FILE`: a scenario against the demo that `tollkeeper up` runs.

The demo goes on as it is; only what the file says is broken, and healed at the end or at Ctrl-C.
"""

import asyncio
import contextlib
import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import cyclopts
import msgspec
from rich.console import Console

from tollkeeper import app as root
from tollkeeper.flows.operations.keys import PLATFORM, create_key
from tollkeeper.flows.signals import commands
from tollkeeper.flows.signals.views import alert_view
from tollkeeper.kernel.errors import Invalid, TollkeeperError
from tollkeeper.proving.breaking import strike, strikes_of
from tollkeeper.proving.network import Lever, pull
from tollkeeper.proving.program import chosen
from tollkeeper.proving.scenario import Dns, Scenario, Store, Tls
from tollkeeper.proving.shopping import Shop

PORTS: Final = "levers.json"
"""The file in a demo's folder that says where its levers are."""

RESTART: Final = "restart"
"""A file in a demo's folder that asks for the service to be started again."""

MISUSE: Final = 2
READY_SECONDS: Final = 30.0

console: Final = Console(highlight=False, soft_wrap=True)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of a demo listen, all on loopback: see `cli.serving.Demo`."""

    service: int
    simulator: int
    levers: int
    relay: int
    relay_control: int


class RemoteRelay:
    """The demo's relay, whose levers are set over its control port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.levers = RemoteLevers(self)

    async def send(self, levers: list[Lever]) -> None:
        """Sets the levers of the relay."""
        await pull(self._port, levers)

    def reset(self) -> None:
        """Connections that stand meet the levers as well."""


class RemoteLevers(list[Lever]):
    """A list of levers; what is put in or taken out is sent to the relay."""

    def __init__(self, relay: RemoteRelay) -> None:
        super().__init__()
        self._relay = relay
        self._sending: set[asyncio.Task[None]] = set()

    def append(self, lever: Lever) -> None:
        super().append(lever)
        self._send()

    def remove(self, lever: Lever) -> None:
        super().remove(lever)
        self._send()

    def _send(self) -> None:
        task = asyncio.ensure_future(self._relay.send(list(self)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def sent(self) -> None:
        """Waits until the relay has what was put in or taken out."""
        await asyncio.gather(*list(self._sending))


class DemoGround:
    """A running demo, as far as a primitive can strike it: the same parts as a `ground.Ground`."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        self.scenario = scenario
        self.where = _ports(folder)
        self.config = folder / "tollkeeper.toml"
        self.database = root.read_settings(self.config).database
        self.provider = f"http://127.0.0.1:{self.where.simulator}"
        self.ports = [self.where.service]
        self.chance = random.Random(1)  # noqa: S311 - no secret
        self.relay = self.anchor = RemoteRelay(self.where.relay_control)
        self.members = [self]
        self.extra: dict[str, Any] = {}
        self.shop = Shop(self)
        self.secret = self.bad_secret = ""
        self.struck = 0
        self.session: aiohttp.ClientSession
        self._settings = tomllib.loads(self.config.read_text("utf-8"))

    async def open(self) -> None:
        """Makes the keys that shoppers of the scenario need."""
        settings = root.read_settings(self.config)
        async with root.Service(settings, work=False) as service:
            _, self.secret = await create_key(service.runtime, "default", PLATFORM, "drill")
            _, self.bad_secret = await create_key(service.runtime, "careless", "service", "drill")

    async def control(self, path: str, body: Any, method: str = "POST") -> Any:
        """Something that only the operator of the simulator may do; gives what it answers."""
        data = msgspec.json.encode(body) if body is not None else b""
        url = f"{self.provider}/_control/{path}"
        async with self.session.request(method, url, data=data) as reply:
            if reply.status != 200:
                raise Invalid(f"the simulator refuses {path}: {await reply.text()}")
            return msgspec.json.decode(await reply.read() or b"null")

    async def lever(self, **pulled: Any) -> int:
        """Pulls a lever of the running service; gives how often its levers struck."""
        return await pull(self.where.levers, pulled)

    async def announce(self, **change: str) -> None:
        """Announces a change through the API."""
        url = f"http://127.0.0.1:{self.where.service}/v1/changes"
        headers = {"Authorization": f"Bearer {self.secret}"}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.post(url, json=change, headers=headers) as reply:
                if reply.status >= 400:
                    raise Invalid(f"the change was refused: {await reply.text()}")

    async def restart(self) -> None:
        """Writes the settings anew, and has the demo start its service again."""
        flat = dict(_flat(self._settings)) | self.extra
        lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in flat.items()]
        self.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        asked = self.folder / RESTART
        asked.touch()
        for _ in range(int(READY_SECONDS * 10)):
            await asyncio.sleep(0.1)
            if not asked.exists():
                return
        raise Invalid("the demo did not start its service again")


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """The settings of a table and its tables, with dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        quoted = name if name.replace("_", "").isalnum() else f'"{name}"'
        if isinstance(value, dict):
            found += _flat(value, f"{before}{quoted}.")
        else:
            found.append((before + quoted, value))
    return found


def _ports(folder: Path) -> Ports:
    try:
        return msgspec.json.decode((folder / PORTS).read_bytes(), type=Ports)
    except (OSError, msgspec.MsgspecError):
        raise Invalid(
            f"no demo runs in {folder}: start `tollkeeper up`, or name its --folder"
        ) from None


def _check(scenario: Scenario) -> None:
    for one in scenario.fault:
        name = type(one).__name__.lower()
        if isinstance(one, Dns | Tls):
            raise Invalid(f"the demo has no {name} of its own: play it with `./dev prove`")
        if isinstance(one, Store) and one.effect != "locked":
            raise Invalid(f"the demo's store cannot be {one.effect}: play it with `./dev prove`")


def fault(
    file: Annotated[
        str, cyclopts.Parameter(help="A scenario file, or the id of one that comes with it.")
    ],
    /,
    *,
    folder: Annotated[Path, cyclopts.Parameter(help="The folder of the demo.")] = Path(
        "tollkeeper-demo"
    ),
    seconds: Annotated[
        float, cyclopts.Parameter(help="How long the fault lasts; by default as the file says.")
    ] = 0.0,
) -> int:
    """Break the running demo as a scenario file says, and show what the service makes of it.

    Exits with 1 if nothing was said. Example: `tollkeeper drill fault F20`
    """
    try:
        is_path = "." in file or "/" in file
        (scenario,) = chosen((), (Path(file),)) if is_path else chosen((file,), ())
        if seconds:
            world = msgspec.structs.replace(scenario.world, fault_seconds=seconds)
            scenario = msgspec.structs.replace(scenario, world=world)
        _check(scenario)
        return asyncio.run(_run(DemoGround(folder, scenario)))
    except TollkeeperError as error:
        console.print(f"{error.code}: {error.detail}", markup=False)
        return MISUSE
    except KeyboardInterrupt:
        return 130


async def _run(ground: DemoGround) -> int:
    scenario = ground.scenario
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as ground.session:
        await ground.open()
        console.print(f"{scenario.id}: {scenario.title}", markup=False)
        adding = asyncio.create_task(ground.shop.open_extra())
        watching = asyncio.create_task(_watch(ground))
        try:
            await asyncio.gather(*(strike(ground, one) for one in strikes_of(scenario)))
        finally:
            ground.shop.close()
            await ground.relay.levers.sent()
            await adding
        console.print("the fault is over; the alert resolves itself when all is well")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return 0 if ground.shop.said else 1


async def _watch(ground: DemoGround) -> None:
    """Prints what is said of the demo, each thing once."""
    told = ""
    while True:
        store = await root.open_store(root.read_settings(ground.config))
        try:
            alerts = await commands.open_alerts(store)
        finally:
            await store.close()
        for alert in alerts:
            view = alert_view(alert)
            if view.says != told:
                told = view.says
                ground.shop.said = True
                console.print(f"  {told}", markup=False)
        await asyncio.sleep(1.0)
