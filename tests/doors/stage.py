"""A stage for the doors: the real service on a SQLite file, behind real sockets, and the simulator
as its provider; a client who knows nothing but HTTP."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvicorn
from tests.altering import alter

from tollkeeper.api.application import create_app
from tollkeeper.api.server import bounded_by
from tollkeeper.app import Service
from tollkeeper.flows.operations.keys import create_key
from tollkeeper.flows.ports import ApiKey
from tollkeeper.settings import ProviderSettings, Settings, Timeouts
from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.stripe.config import DEFAULT_KEY, SimulatorConfig
from tollkeeper.store import migrate

VAULT_KEY = base64.b64encode(bytes(range(32))).decode()
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of the stage").decode()
QUICK = Timeouts(wait_seconds=1.0, total_seconds=3.0)

PAYMENT = {"amount_minor": 1234, "currency": "EUR", "payment_method": "pm_card_visa"}


@dataclass
class Reply:
    """An answer as a client sees it."""

    status: int
    headers: dict[str, str]
    raw: bytes
    body: Any


@dataclass
class Stage:
    """Everything that runs: `get`, `post` and `delete` speak to it with the key of `role`."""

    url: str
    service: Service
    simulator: RunningSimulator
    session: aiohttp.ClientSession
    keys: dict[str, tuple[ApiKey, str]]
    app: Any
    _numbers: list[int] = field(default_factory=lambda: [0])

    async def get(self, path: str, role: str | None = "service", **more: Any) -> Reply:
        return await self.send("GET", path, role=role, **more)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = "fresh", **more: Any
    ) -> Reply:
        headers = dict(more.pop("headers", {}))
        if key == "fresh":
            self._numbers[0] += 1
            key = f"key-{self._numbers[0]}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.send("POST", path, json=body, headers=headers, **more)

    async def send(
        self, method: str, path: str, *, role: str | None = "service", **more: Any
    ) -> Reply:
        headers = dict(more.pop("headers", {}))
        if role is not None:
            headers.setdefault("Authorization", f"Bearer {self.keys[role][1]}")
        if more.get("json") is None:
            more.pop("json", None)
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **more
        ) as answer:
            raw = await answer.read()
            told = {name.lower(): value for name, value in answer.headers.items()}
            body = await answer.json() if "json" in told.get("content-type", "") and raw else None
            return Reply(answer.status, told, raw, body)

    def trust(self, secret: str) -> None:
        """Lets the provider's webhooks be signed with `secret` too."""
        runtime = self.service.runtime
        stripe = runtime.settings.providers["stripe"]
        secrets = (*stripe.webhook_secrets, secret)
        providers = {"stripe": msgspec.structs.replace(stripe, webhook_secrets=secrets)}
        alter(runtime, settings=msgspec.structs.replace(runtime.settings, providers=providers))

    async def pay(self, *, status: int = 201, **fields: Any) -> Any:
        reply = await self.post("/v1/payments", PAYMENT | fields)
        assert reply.status == status, reply
        return reply.body

    async def until(
        self, path: str, wanted: Any, seconds: float = 10.0, role: str = "admin"
    ) -> Any:
        """The resource at `path`, as soon as `wanted(it)` holds."""
        async with asyncio.timeout(seconds):
            while True:
                reply = await self.get(path, role=role)
                if wanted(reply.body):
                    return reply.body
                await asyncio.sleep(0.05)


def settings_for(folder: Path, provider_url: str, **changes: Any) -> Settings:
    """Settings for a service in `folder` that talks to the provider at `provider_url`."""
    fields: dict[str, Any] = {
        "database": str(folder / "service.sqlite3"),
        "port": 0,
        "vault_key": VAULT_KEY,
        "providers": {
            "stripe": ProviderSettings(
                secret_key=DEFAULT_KEY,
                base_url=provider_url,
                webhook_secrets=(WEBHOOK_SECRET,),
                in_flight_window_seconds=0.5,
            )
        },
        "timeouts": QUICK,
        "webhooks_to_loopback": True,
    }
    return Settings(**(fields | changes))


@asynccontextmanager
async def stage(
    folder: Path, *, config: SimulatorConfig | None = None, **changes: Any
) -> AsyncIterator[Stage]:
    """The whole stage, for the time of one test."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with RunningSimulator(config) as simulator:
            settings = settings_for(folder, simulator.url, public_url=url, **changes)
            await asyncio.to_thread(migrate.upgrade, settings.database)
            async with Service(settings) as service, aiohttp.ClientSession() as session:
                roles = ("viewer", "service", "operator", "admin", "platform")
                keys = {
                    role: await create_key(service.runtime, "acme", role, f"stage {role}")
                    for role in roles
                }
                keys["stranger"] = await create_key(service.runtime, "other", "admin", "stranger")
                app = create_app(service)
                async with serving(app, listener, settings):
                    yield Stage(url, service, simulator, session, keys, app)


@asynccontextmanager
async def serving(app: Any, listener: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """uvicorn on `listener`, on this loop, without its signal handlers."""
    config = uvicorn.Config(
        app, http=bounded_by(settings), ws="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    beat = asyncio.create_task(server.main_loop())
    try:
        yield
    finally:
        server.should_exit = True
        await beat
        await server.shutdown()
