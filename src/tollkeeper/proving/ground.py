"""The ground: one scenario played for real, over sockets, and what the service said of it.

Law: the service that is judged is the one that is shipped; what breaks it stands outside, or in the
levers of `proving.serve`. It never sees the scenario, and what it said is read from its own log.
"""

import asyncio
import contextlib
import signal
import ssl
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
from msgspec.structs import replace

from tollkeeper import app as root
from tollkeeper.flows.operations.keys import PLATFORM, create_key
from tollkeeper.proving import rivals
from tollkeeper.proving.breaking import strike, strikes_of
from tollkeeper.proving.certificates import authority
from tollkeeper.proving.disks import small_disk
from tollkeeper.proving.hearing import read_log
from tollkeeper.proving.members import Member, store_relay, through
from tollkeeper.proving.network import Names, Relay, anchor_server
from tollkeeper.proving.played import Played
from tollkeeper.proving.prometheus import NAME, BurnRates, missing
from tollkeeper.proving.rivals import RivalSaid
from tollkeeper.proving.scenario import Scenario, Store
from tollkeeper.proving.serve import DNS
from tollkeeper.proving.shopping import Shop
from tollkeeper.testing.kill import PROVIDER_KEY, Program, Yard
from tollkeeper.testing.postgres import postgres_database

HOST: Final = "provider.test"
WEIGHTS: Final = {"stripe@2022-08-01": 70.0, "stripe@2026-03-25.dahlia": 30.0}
AFTER_SECONDS: Final = 3.0
"""How long the service is watched once the fault is over: what it said then still counts."""


class Ground(Yard):
    """A yard behind a relay, with a resolver, webhooks, shoppers and levers."""

    faults = ()

    def __init__(self, folder: Path, database: str, scenario: Scenario, seed: int) -> None:
        super().__init__(folder, database, scenario.world.replicas, seed)
        self.scenario = scenario
        self.weights = dict(scenario.world.weights or WEIGHTS)
        self.seed = seed
        self.extra: dict[str, Any] = {}
        upstream = ("127.0.0.1", int(self.provider.rpartition(":")[2]))
        self.members = [
            Member(name=f"host-{n}", port=port, relay=Relay(upstream), anchor=Relay(upstream))
            for n, port in enumerate(self.ports)
        ]
        self.store = store_relay(database) if scenario.world.store == "postgresql" else None
        self.neutral: asyncio.Server | None = None
        self.names = Names(known={HOST: "127.0.0.1", "anchor.test": "127.0.0.1"})
        self.shop = Shop(self)
        self.began_ms: int | None = None
        self.webhook_secret = ""
        self.trust: Path | None = None
        self.authority: Any = None
        self.bad_secret = ""
        self.struck = 0
        self.rivals: list[RivalSaid] = []

    async def open(self) -> None:
        """Starts the simulator, the network, and the service with its key and webhooks."""
        await self._start_simulator()
        if self.scenario.world.tls:
            self._make_certificates()
        self.neutral = await anchor_server()
        for member in self.members:
            member.anchor.upstream = ("127.0.0.1", self.neutral.sockets[0].getsockname()[1])
        for relay in self._relays():
            await relay.start()
        await self.names.start()
        await self._register_webhooks()
        configs = [self._configure(number) for number in range(len(self.members))]
        settings = root.read_settings(configs[0])
        await asyncio.to_thread(root.upgrade_database, settings)
        async with root.Service(settings, work=False) as service:
            _, self.secret = await create_key(service.runtime, "default", PLATFORM, "proving")
            _, self.bad_secret = await create_key(service.runtime, "careless", "service", "bad")
        self.replicas = [self._program(number) for number in range(len(self.members))]
        for number in range(len(self.members)):
            await self.start(number)

    def _relays(self) -> list[Relay]:
        ways = [way for one in self.members for way in (one.relay, one.anchor)]
        return [*ways, self.store] if self.store is not None else ways

    def _configure(self, number: int) -> Path:
        """Writes the settings of a replica."""
        config = self.folder / f"replica-{number}.toml"
        config.write_text(self._settings(self.ports[number]), encoding="utf-8")
        return config

    def _program(self, number: int) -> Program:
        config = self.folder / f"replica-{number}.toml"
        log = self.folder / f"replica-{number}.log"
        return self.members[number].program(config, log, self._environment())

    async def _start_simulator(self) -> None:
        port = self.provider.rpartition(":")[2]
        ledger = str(self.folder / "ledger.jsonl")
        arguments = ["-m", "tollkeeper.simulator", "serve", "--port", port, "--ledger", ledger]
        self.simulator = Program(arguments, self.folder / "simulator.log")
        await self.simulator.start()
        await self._until(f"{self.provider}/_control/health")
        await self.control("settings", {"latency_seconds": 0.05})

    def _environment(self) -> Mapping[str, str]:
        if not self.scenario.world.tls:
            return {}
        assert self.trust is not None
        return {DNS: str(self.names.port), "SSL_CERT_FILE": str(self.trust)}

    def _make_certificates(self) -> None:
        self.authority = authority()
        self.trust = self.folder / "trust.pem"
        self.authority.cert_pem.write_to_path(str(self.trust))
        leaf = self.authority.issue_cert(HOST, "anchor.test")

        def context() -> ssl.SSLContext:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf.configure_cert(made)
            return made

        for member in self.members:
            member.relay.tls = member.anchor.tls = context

    def _url(self, name: str, relay: Relay) -> str:
        """Where a replica finds a peer: through a relay of its own."""
        if self.scenario.world.tls:
            return f"https://{name}:{relay.port}"
        return f"http://127.0.0.1:{relay.port}"

    async def _register_webhooks(self) -> None:
        fields = {
            "url": f"http://127.0.0.1:{self.ports[0]}/v1/inbound/stripe/2022-11-15",
            "enabled_events[]": "*",
            "api_version": "2022-11-15",
        }
        headers = {
            "authorization": f"Bearer {PROVIDER_KEY}",
            "content-type": "application/x-www-form-urlencoded",
        }
        url = f"{self.provider}/v1/webhook_endpoints"
        async with self.session.post(url, data=urlencode(fields), headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            self.webhook_secret = str((await reply.json())["secret"])

    def _settings(self, port: int) -> str:
        """The settings file of the replica on a port, with what a primitive has changed."""
        member = self.members[self.ports.index(port)]
        found: dict[str, Any] = {
            "database": through(self.database, self.store) if self.store else self.database,
            "port": port,
            "vault_key": b64encode(b"\x07" * 32).decode(),
            "shopper_deadline_seconds": 20.0,
            "anchors": [self._url("anchor.test", member.anchor)],
            "webhooks_to_loopback": True,
            "providers.stripe.base_url": self._url(HOST, member.relay),
            "providers.stripe.secret_key": PROVIDER_KEY,
            "providers.stripe.webhook_secrets": [self.webhook_secret],
            "providers.stripe.in_flight_window_seconds": 4.0,
            "timeouts.total_seconds": 8.0,
            "timeouts.wait_seconds": 6.0,
        }
        found |= self.extra
        lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in found.items()]
        weights = [f'"{name}" = {weight}' for name, weight in self.weights.items()]
        return "\n".join([*lines, "[weights]", *weights, ""])

    async def control(self, path: str, body: Any, method: str = "POST") -> Any:
        """Something that only the operator of the simulator may do; gives what it answers."""
        url = f"{self.provider}/_control/{path}"
        data = msgspec.json.encode(body) if body is not None else b""
        async with self.session.request(method, url, data=data) as reply:
            assert reply.status == 200, f"{path}: {await reply.text()}"
            return msgspec.json.decode(await reply.read() or b"null")

    async def lever(self, **pulled: Any) -> int:
        """Pulls a lever of every replica; gives how often their levers struck."""
        return sum([await member.lever(pulled) for member in self.members])

    async def announce(self, **change: str) -> None:
        """Announces a change through the API, as a pipeline does."""
        url = f"http://127.0.0.1:{self.ports[0]}/v1/changes"
        headers = {"Authorization": f"Bearer {self.secret}"}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.post(url, json=change, headers=headers) as reply:
                assert reply.status in {201, 503}, await reply.text()

    async def restart(self) -> None:
        """Writes the settings anew and starts the service again."""
        for number in range(len(self.members)):
            self._configure(number)
            await self.replicas[number].end(signal.SIGKILL)
            self.replicas[number] = self._program(number)
            await self.start(number)

    async def close(self) -> None:
        await super().close()
        for part in self._relays():
            await part.stop()
        self.names.stop()
        if self.neutral is not None:
            self.neutral.close()


async def play(ground: Ground, tell: Callable[[str], None], *, with_rivals: bool = False) -> Played:
    """Plays a scenario from the first shopper to the last verdict; with rivals, what others make of
    the same run."""
    burn_rates = BurnRates(ground.folder, ground.ports) if with_rivals and not missing() else None
    scenario, world = ground.scenario, ground.scenario.world
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as ground.session:
        try:
            await ground.open()
            if burn_rates is not None:
                await burn_rates.start()
            tell(f"{scenario.id}: {world.rate:g} shoppers a second, all is well")
            shopping = asyncio.create_task(ground.shop.open(world.rate))
            await asyncio.sleep(world.warmup_seconds)
            ground.began_ms = int(time.time() * 1000)
            ground.shop.began = time.monotonic()
            tell(f"{scenario.id}: {scenario.title}")
            await asyncio.gather(*(strike(ground, one) for one in strikes_of(scenario)))
            await asyncio.sleep(AFTER_SECONDS)
            ground.shop.close()
            await shopping
            if with_rivals:
                ground.rivals = await _rivals(ground, burn_rates)
        finally:
            if burn_rates is not None:
                await burn_rates.stop()
            await ground.close()
    absent = (NAME,) if with_rivals and missing() else ()
    return replace(_played(ground), with_rivals=with_rivals, rivals_absent=absent)


async def _rivals(ground: Ground, burn_rates: BurnRates | None) -> list[RivalSaid]:
    """What the rivals say, from the counts that the service has written and from their programs."""
    began_ms = ground.began_ms or 0
    settings = replace(
        root.read_settings(ground.folder / "replica-0.toml"), database=ground.database
    )
    store = await root.open_store(settings)
    try:
        batches = await store.list_batches(0, int(time.time()))
    finally:
        await store.close()
    paged = burn_rates.said(began_ms) if burn_rates is not None else None
    return [*rivals.judged(batches, began_ms), *([paged] if paged is not None else [])]


def _played(ground: Ground) -> Played:
    scenario = ground.scenario
    said, early, moves = read_log(ground.folder, ground.began_ms or 0, len(ground.members))
    shop = ground.shop
    return Played(
        scenario=scenario.id,
        rate=scenario.world.rate,
        severity=max((one.severity for one in scenario.fault), default=0.0),
        seed=ground.seed,
        said=tuple(said),
        early=early,
        moves=tuple(reason for _, reason in moves),
        moved_seconds=tuple(after for after, _ in moves),
        seen=tuple(shop.seen()),
        rivals=tuple(ground.rivals),
        shoppers=len(shop.visits),
        bad_before=shop.bad(during=False),
        bad_during=shop.bad(during=True),
        slow_before=shop.quantile_seconds(0.5, during=False),
        slow_during=shop.quantile_seconds(0.5, during=True),
        tail_before=shop.quantile_seconds(0.9, during=False),
        tail_during=shop.quantile_seconds(0.9, during=True),
        struck=ground.struck,
        declined_before=shop.declined(during=False),
        declined_during=shop.declined(during=True),
    )


def prove(
    scenario: Scenario, seed: int, tell: Callable[[str], None], *, with_rivals: bool = False
) -> Played:
    """Plays a scenario on a fresh database."""
    with tempfile.TemporaryDirectory(prefix="tollkeeper-proving-") as place:
        folder = Path(place)
        with contextlib.ExitStack() as stack:
            database = str(folder / "proving.sqlite3")
            if scenario.world.store == "postgresql":
                if any(isinstance(one, Store) and one.effect == "disk" for one in scenario.fault):
                    stack.enter_context(small_disk(folder / "pg"))
                database = stack.enter_context(postgres_database(folder / "pg"))
            ground = Ground(folder, database, scenario, seed)
            return asyncio.run(play(ground, tell, with_rivals=with_rivals))
