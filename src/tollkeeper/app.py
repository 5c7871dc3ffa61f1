"""The composition root: settings in, a running service out. Here alone ports meet what they are."""

import asyncio
import base64
import contextlib
import importlib.util
import os
import secrets
import sys
import time
import tomllib
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AsyncExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self, TextIO, cast
from urllib.parse import urlsplit

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollkeeper.contracts.plays import PLAYS, Play
from tollkeeper.flows.contracts import rehearse as rehearse_flow
from tollkeeper.flows.operations import retention
from tollkeeper.flows.payments import settle, webhook
from tollkeeper.flows.ports import Job, Store, Target, WireResult
from tollkeeper.flows.rollouts import controller, cross_check, routes
from tollkeeper.flows.runtime import World
from tollkeeper.flows.webhooks import deliver
from tollkeeper.integrations.catalogue import INSTALLED, OURS
from tollkeeper.integrations.freezing import closure
from tollkeeper.integrations.scaffold import module_of
from tollkeeper.integrations.version import Integration, WireRequest
from tollkeeper.jobs.lanes import lanes_for
from tollkeeper.jobs.worker import Worker
from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.payments.cards import mask_card_numbers
from tollkeeper.routing import weights
from tollkeeper.settings import Settings
from tollkeeper.store import migrate
from tollkeeper.store.postgres import Postgres
from tollkeeper.store.sqlite import ThreadedSQLite
from tollkeeper.store.store import SqlStore
from tollkeeper.wire.provider import HttpWire
from tollkeeper.wire.sources import PublishedSources
from tollkeeper.wire.trip import Budgets
from tollkeeper.wire.webhooks import HookSender

CONFIG_VARIABLE: Final = "TOLLKEEPER_CONFIG"
NONCE_BYTES: Final = 12
CLOCK_CHECK_SECONDS: Final = 30.0
FATAL_EXIT: Final = 70
"""EX_SOFTWARE of sysexits: the supervisor starts us again, and the store is read anew."""

log: Final = structlog.get_logger("tollkeeper")


class _StandardError:
    """Standard error as it is when a line is written. A line that cannot be written is lost: it
    breaks no payment."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """Logs as JSON lines on standard error: no local values of a traceback, which may hold tokens,
    and no card number, whoever put it there."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _where_it_broke,
            _without_card_numbers,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )


def _where_it_broke(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    if event.pop("exc_info", None):
        kind, _value, trace = sys.exc_info()
        place = traceback.extract_tb(trace)[-1] if trace is not None else None
        event["error_kind"] = kind.__name__ if kind is not None else ""
        event["error_place"] = f"{place.filename}:{place.lineno}" if place is not None else ""
    return event


def _without_card_numbers(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = mask_card_numbers(value)
    return event


class SystemClock:
    """The real clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemChance:
    """The operating system's randomness."""

    def bits(self, count: int) -> int:
        return int.from_bytes(os.urandom((count + 7) // 8)) >> (-count % 8)

    def uniform(self) -> float:
        return secrets.randbits(53) / (1 << 53)


class AesVault:
    """AES-256-GCM with a fresh nonce before each text."""

    def __init__(self, key: bytes, nonce: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._cipher = AESGCM(key)
        self._nonce = nonce

    def seal(self, plain: bytes) -> bytes:
        nonce = self._nonce(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def open(self, sealed: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None


class ServerClock:
    """The store's clock where the store is a server: ours, corrected by a measured offset."""

    def __init__(self, local: SystemClock) -> None:
        self._local = local
        self._offset_ms = 0

    def now_ms(self) -> int:
        return self._local.now_ms() + self._offset_ms

    async def follow(self, driver: Postgres) -> None:
        """Measures the offset again and again; a failed measurement keeps the last one."""
        while True:
            try:
                self._offset_ms = await driver.clock_offset_ms(self._local.now_ms)
            except Exception as error:  # noqa: BLE001 - the store's own calls report its absence
                log.warning("store_clock_not_measured", error=str(error))
            await self._local.sleep(CLOCK_CHECK_SECONDS)

    async def measure(self, driver: Postgres) -> None:
        """Measures the offset once."""
        self._offset_ms = await driver.clock_offset_ms(self._local.now_ms)


def read_settings(
    path: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings from a TOML file (`path`, else the variable TOLLKEEPER_CONFIG, else
    `tollkeeper.toml` where it exists); TOLLKEEPER_DATABASE, TOLLKEEPER_VAULT_KEY and
    TOLLKEEPER_<PROVIDER>_SECRET_KEY replace what the file says."""
    variables = os.environ if environment is None else environment
    chosen = path or Path(variables.get(CONFIG_VARIABLE, "tollkeeper.toml"))
    named = path is not None or CONFIG_VARIABLE in variables
    raw: dict[str, Any] = {}
    if chosen.exists():
        raw = _parsed(chosen)
    elif named:
        raise Misconfigured(f"no settings file at {chosen}")
    _overlay(raw, variables)
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{chosen}: {error}") from error
    weights.check(settings.weights, tuple(INSTALLED))
    _check_addresses(settings)
    return settings


def _check_addresses(settings: Settings) -> None:
    """Raises `Misconfigured` where a provider would be sent its secret key in the clear."""
    for name, provider in settings.providers.items():
        if provider.base_url is None:
            continue
        parts = urlsplit(provider.base_url)
        if parts.scheme == "https" and parts.hostname:
            continue
        if parts.scheme == "http" and is_loopback(parts.hostname or ""):
            continue
        raise Misconfigured(
            f"base_url in [providers.{name}] must begin with https://; http:// may only lead to "
            "this machine (localhost, 127.0.0.1, [::1])"
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine by its text alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def probe(settings: Settings) -> None:
    """Opens everything that a service needs and closes it, so that what is wrong with the settings
    or the database is raised as one error before a server starts."""
    one = msgspec.structs.replace(settings, database_connections=1)
    async with Service(one, work=False):
        pass


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error


def _overlay(raw: dict[str, Any], variables: Mapping[str, str]) -> None:
    for name in ("database", "vault_key", "public_url"):
        value = variables.get(f"TOLLKEEPER_{name.upper()}")
        if value:
            raw[name] = value
    for name in sorted({item.provider for item in INSTALLED.values()}):
        value = variables.get(f"TOLLKEEPER_{name.upper()}_SECRET_KEY")
        if value:
            raw.setdefault("providers", {}).setdefault(name, {})["secret_key"] = value


def require_keys(settings: Settings) -> None:
    """Raises `Misconfigured` where a provider that is given payments cannot be authenticated at."""
    for name, weight_percent in settings.weights.items():
        provider = name.partition("@")[0]
        mine = settings.providers.get(provider)
        if weight_percent > 0 and (mine is None or not mine.secret_key):
            raise Misconfigured(
                f"weights send payments to {name}, and provider {provider} has no secret_key: set "
                f"TOLLKEEPER_{provider.upper()}_SECRET_KEY, or secret_key in [providers.{provider}]"
            )


def vault_of(settings: Settings) -> AesVault:
    """The vault that `settings.vault_key` opens. Without a key nothing may be stored."""
    if not settings.vault_key:
        raise Misconfigured(
            "vault_key is not set: 32 random bytes in base64, for example from "
            "`openssl rand -base64 32`; losing it loses the sealed exchanges, never the books"
        )
    try:
        key = base64.b64decode(settings.vault_key, validate=True)
    except ValueError as error:
        raise Misconfigured(f"vault_key is not base64: {error}") from error
    if len(key) != 32:
        raise Misconfigured(f"vault_key has {len(key)} bytes, not 32")
    return AesVault(key)


class Service:
    """Everything that runs in one process. `async with Service(settings) as service`."""

    world: World
    store: Store

    def __init__(self, settings: Settings, *, work: bool = True) -> None:
        self.settings = settings
        self.draining = False
        self._work = work
        self._stack = AsyncExitStack()
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.draining = True
        if self._worker is not None:
            self._worker.stop()
        await self._stack.aclose()

    async def _start(self) -> None:
        settings = self.settings
        vault = vault_of(settings)
        alone = not migrate.is_postgres(settings.database)
        self.store = await self._open_store()
        wire = await self._stack.enter_async_context(HttpWire(_budgets(settings)))
        hook = await self._stack.enter_async_context(
            HookSender(allow_loopback=settings.webhooks_to_loopback)
        )
        self.world = World(
            store=self.store,
            wire=wire,
            hook=hook,
            clock=SystemClock(),
            chance=SystemChance(),
            vault=vault,
            settings=settings,
            sender=secrets.token_hex(8),
            alone=alone,
            tell=_tell,
            sources_of=sources_of,
            sources=await self._stack.enter_async_context(PublishedSources()),
        )
        await routes.refresh(self.world)
        routes.check(self.world)
        if self._work:
            follower = asyncio.create_task(routes.follow(self.world))
            self._stack.push_async_callback(_cancelled, follower)
            if alone:
                await self.store.wake_orphans(self.store.now_ms())
            await retention.plan(self.world)
            await self._start_worker()

    async def _open_store(self) -> SqlStore:
        store = await open_store(self.settings)
        self._stack.push_async_callback(store.close)
        driver = store.driver
        if isinstance(driver, Postgres) and isinstance(store.clock, ServerClock):
            task = asyncio.create_task(store.clock.follow(driver))
            self._stack.push_async_callback(_cancelled, task)
        return store

    async def _start_worker(self) -> None:
        settings, known = self.settings, handlers(self.world)
        lanes = lanes_for(
            known,
            settings.job_concurrency,
            per_account=settings.deliveries_per_account,
            per_endpoint=settings.deliveries_per_endpoint,
        )
        self._worker = Worker(
            self.store,
            self.world.clock,
            known,
            concurrency=sum(lane.slots for lane in lanes),
            on_error=_log_job_error,
            lanes=lanes,
            resting=self.world.breakers.resting,
        )
        task = asyncio.create_task(self._worker.run())
        self._stack.push_async_callback(_finished, task, self.settings.drain_seconds)


def handlers(world: World) -> dict[str, Callable[[Job], Awaitable[None]]]:
    """Which flow runs which kind of job."""
    return {
        "settle": lambda job: settle.settle(world, job),
        "refresh": lambda job: settle.settle(world, job),
        "trace": lambda job: webhook.trace(world, job),
        "deliver": lambda job: deliver.deliver(world, job),
        "expire": lambda job: retention.expire(world, job),
        "seal_audit": lambda job: retention.seal_audit(world, job),
        "watch": lambda job: _watch(world, job),
        "advance": lambda job: controller.advance(world, job),
        "cross_read": lambda job: cross_check.cross_read(world, job),
    }


async def _watch(world: World, job: Job) -> None:
    from tollkeeper.flows.contracts import watch  # noqa: PLC0415 - the checker loads when something is watched

    await watch.watch(world, job)


async def open_store(settings: Settings) -> SqlStore:
    """The store that `settings.database` names, as it is; migrate it first."""
    clock = SystemClock()
    if migrate.is_postgres(settings.database):
        driver = await Postgres.open(settings.database, size=settings.database_connections)
        _require_head(await driver.revision(), settings)
        server = ServerClock(clock)
        await server.measure(driver)
        return SqlStore(driver, server)
    path = migrate.sqlite_path(settings.database)
    _require_head(migrate.sqlite_revision(path), settings)
    return SqlStore(ThreadedSQLite(path, _exit_on_io_error), clock)


def _require_head(revision: str | None, settings: Settings) -> None:
    if revision == migrate.HEAD:
        return
    name = settings.database.rpartition("@")[2]  # without a password
    found = f"its schema is {revision}" if revision else "it holds no schema of ours"
    raise Misconfigured(
        f"database {name}: {found}, not {migrate.HEAD}; run `tollkeeper db migrate`"
    )


def upgrade_database(settings: Settings) -> str:
    """Brings the database to the newest schema, and blocks until done; gives its revision."""
    migrate.upgrade(settings.database)
    return migrate.HEAD


def module_source(name: str) -> bytes:
    """The source of the module called `name`."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Misconfigured(f"no module {name}")
    return Path(spec.origin).read_bytes()


def sources_of(integration: Integration) -> dict[str, bytes]:
    """The sources of a version of this package and of all that it imports below `integrations/`, by
    module; nothing for a version of another distribution."""
    if integration.name not in OURS:
        return {}
    return closure(module_of(integration), module_source)


MAX_FETCHED_BYTES: Final = 1 << 30
"""A ledger of a million charges is half of it."""


def fetch(url: str, *, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> WireResult:
    """One request from the command line to `url`, by the same wire; a POST where there is a body.
    Blocks until it is answered or has failed."""

    async def once() -> WireResult:
        parts = urlsplit(url)
        request = WireRequest(
            method="POST" if body else "GET",
            path=parts.path or "/",
            query=parts.query,
            headers=headers,
            body=body,
        )
        async with HttpWire(max_reply_bytes=MAX_FETCHED_BYTES) as wire:
            return await wire.send(request, Target(base_url=f"{parts.scheme}://{parts.netloc}"))

    return asyncio.run(once())


def rehearse(
    endpoint: str,
    key: str,
    candidate: Integration,
    baseline: Integration | None,
    plays: tuple[Play, ...] = PLAYS,
) -> rehearse_flow.Rehearsal:
    """Plays the playbooks against `endpoint`; blocks until done."""

    async def play() -> rehearse_flow.Rehearsal:
        async with HttpWire() as wire:
            stage = rehearse_flow.Stage(
                wire=wire,
                clock=SystemClock(),
                chance=SystemChance(),
                base_url=endpoint.rstrip("/"),
                secrets={"secret_key": key},
            )
            return await rehearse_flow.rehearse(stage, candidate, baseline, plays)

    return asyncio.run(play())


def _budgets(settings: Settings) -> Budgets:
    timeouts = settings.timeouts
    return Budgets(
        dns=timeouts.dns_seconds,
        connect=timeouts.connect_seconds,
        tls=timeouts.tls_seconds,
        send=timeouts.send_seconds,
        wait=timeouts.wait_seconds,
        read=timeouts.read_seconds,
        total=timeouts.total_seconds,
    )


def _exit_on_io_error(error: Exception) -> None:
    log.critical("database_io_error", error=str(error))
    os._exit(FATAL_EXIT)


def _tell(event: str, /, **facts: object) -> None:
    log.warning(event, **facts)


def _log_job_error(job: Job, error: BaseException) -> None:
    log.error("job_failed", kind=job.kind, subject=job.subject, error=repr(error))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _finished(task: asyncio.Task[None], seconds: float) -> None:
    """Lets the worker finish what it runs, for at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await task
    except TimeoutError:
        log.warning("worker_did_not_finish", seconds=seconds)
