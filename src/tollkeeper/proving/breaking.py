"""What each primitive does to a ground, for real, and how it is healed.

A ground is a `ground.Ground` of its own or the running demo (`demo.DemoGround`).
"""

import asyncio
import contextlib
import sqlite3
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec

from tollkeeper.proving.certificates import authority
from tollkeeper.proving.disks import fill
from tollkeeper.proving.members import relays_of
from tollkeeper.proving.network import Lever
from tollkeeper.proving.scenario import (
    AnyPrimitive,
    ChangeNow,
    Dns,
    Issuer,
    Provider,
    Scenario,
    Service,
    Store,
    Tcp,
    Tls,
    Traffic,
)

LONG_OVER: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""When the validity of an expired certificate ended."""

type Heal = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Strike:
    """A primitive and when it begins and ends, in seconds of the fault; `None`: nothing happens."""

    primitive: AnyPrimitive | None
    start_seconds: float
    end_seconds: float


async def _provider(ground: Any, one: Provider) -> Heal:
    if one.settings:
        await ground.control("settings", one.settings)
        before = {"latency_seconds": 0.05, "rate_limit_per_second": 0}
        restored = {name: before.get(name, 0) for name in one.settings}

        async def restore() -> None:
            await ground.control("settings", restored)

        return restore
    name = f"proving-{id(one)}"
    rule = {"operation": "*", **one.rule, "id": name}
    if one.severity < 1 and "probability" not in rule:
        rule["probability"] = one.severity
    await ground.control("faults", rule)

    async def heal() -> None:
        rules = await ground.control("faults", None, "GET")
        ground.struck += sum(one["hits"] for one in rules if one["id"] == name)
        await ground.control(f"faults/{name}", None, "DELETE")

    return heal


async def _issuer(ground: Any, one: Issuer) -> Heal:
    model: dict[str, Any] = {"approve_rate": 1 - one.severity, "declines": [[one.word, 1.0]]}
    if one.brand:
        model = {"brands_down": {one.brand: one.severity}}
    await ground.control("issuer", model)

    async def heal() -> None:
        await ground.control("issuer", {})

    return heal


async def _traffic(ground: Any, one: Traffic) -> Heal:
    shop = ground.shop
    if one.shape in {"surge", "quiet"}:
        shop.factor = one.factor if one.shape == "surge" else 1 / max(one.factor, 1)
    elif one.shape == "card_testing":
        shop.tested_rate = one.rate * one.severity
    elif one.shape == "bad_account":
        shop.garbage_rate = one.rate * one.severity
    else:
        shop.mistyping = one.severity

    async def heal() -> None:
        shop.factor, shop.tested_rate, shop.garbage_rate, shop.mistyping = 1.0, 0.0, 0.0, 0.0

    return heal


async def _tcp(ground: Any, one: Tcp) -> Heal:
    lever = Lever(one.effect, one.severity, one.seconds, one.bytes)
    struck = relays_of(ground.members, one.peer, one.replica)
    if one.effect == "blackhole" and one.severity == 1.0 and hasattr(struck[0], "swallow"):
        return await _swallowed(struck)
    for relay in struck:
        relay.levers.append(lever)

    async def heal() -> None:
        for relay in struck:
            relay.levers.remove(lever)
        ground.struck += lever.hits

    return heal


async def _swallowed(struck: list[Any]) -> Heal:
    """Nothing answers, not even the kernel."""
    for relay in struck:
        await relay.swallow()

    async def heal() -> None:
        for relay in struck:
            await relay.answer()

    return heal


async def _dns(ground: Any, one: Dns) -> Heal:
    name = {"provider": "provider.test", "anchor": "anchor.test"}.get(one.peer, "*")
    ground.names.effects[name] = (one.effect, one.severity)
    for relay in relays_of(ground.members, "provider", None):
        relay.reset()  # a connection that stands needs no name

    before = ground.names.hits

    async def heal() -> None:
        ground.names.effects.pop(name, None)
        ground.struck += ground.names.hits - before

    return heal


async def _tls(ground: Any, one: Tls) -> Heal:
    if one.effect == "our_trust":
        return await _broken_trust(ground)
    struck = relays_of(ground.members, one.peer, None)
    before = [relay.tls for relay in struck]
    for relay in struck:
        await relay.stop()
        relay.tls = _other_certificate(one.effect, ground)
        await relay.start()

    async def heal() -> None:
        for relay, good in zip(struck, before, strict=True):
            await relay.stop()
            relay.tls = good
            await relay.start()

    return heal


def _other_certificate(effect: str, ground: Any) -> Callable[[], ssl.SSLContext]:
    """A certificate that is over, or of an authority that the service does not trust."""
    names = ("provider.test", "anchor.test")
    if effect == "expired":
        leaf = ground.authority.issue_cert(*names, not_after=LONG_OVER)
    else:
        leaf = authority().issue_cert(*names)

    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(made)
        return made

    return context


async def _broken_trust(ground: Any) -> Heal:
    """Our store of authorities is replaced by one without the peers' authority."""
    good = ground.trust
    ground.trust = ground.folder / "broken.pem"
    authority().cert_pem.write_to_path(str(ground.trust))
    await ground.restart()

    async def heal() -> None:
        ground.trust = good
        await ground.restart()

    return heal


async def _service(ground: Any, one: Service) -> Heal:
    if one.announced and (one.settings or one.deploy or one.file):
        kind = "settings" if one.settings else "deploy"
        await ground.announce(kind=kind, text=f"a change of ours ({kind})", integration=one.version)
    if one.settings:
        ground.extra |= one.settings
        await ground.restart()
    if one.deploy or one.file:
        await ground.lever(deploy=one.deploy, version=one.version, file=one.file)
    pulled: dict[str, Any] = {
        "stall_seconds": one.stall_seconds * one.severity,
        "descriptors": one.descriptors,
        "clock_ms": int(one.clock_seconds * 1000),
    }
    if any(pulled.values()):
        await ground.lever(**{name: value for name, value in pulled.items() if value})
    if one.descriptors:
        for relay in relays_of(ground.members, "provider", None):
            relay.reset()  # a connection that stands needs no descriptor more

    async def heal() -> None:
        ground.struck += len((await ground.control("outbox", None, "GET"))["pending"])
        if one.settings:
            for name in one.settings:
                ground.extra.pop(name, None)
            await ground.restart()
        with contextlib.suppress(OSError, TimeoutError):
            ground.struck += await ground.lever(
                stall_seconds=0, descriptors=0, clock_ms=0, deploy="", version=one.version, file=""
            )

    return heal


async def _store(ground: Any, one: Store) -> Heal:
    if one.effect == "locked":
        return await _locked(ground)
    if one.effect == "stopped":
        return await _stopped(ground)
    if one.effect == "disk":
        return await _filled(ground)
    return await _slowed(ground, one)


async def _slowed(ground: Any, one: Store) -> Heal:
    """Every answer of the server comes later."""
    lever = Lever("delay", one.severity, one.seconds)
    ground.store.levers.append(lever)

    async def heal() -> None:
        ground.store.levers.remove(lever)
        ground.struck += lever.hits

    return heal


async def _filled(ground: Any) -> Heal:
    """The disk of the server has no byte left."""
    ballast = await asyncio.to_thread(fill, ground.folder / "pg")

    async def heal() -> None:
        ballast.unlink(missing_ok=True)

    return heal


async def _locked(ground: Any) -> Heal:
    """Another session holds what the service writes."""
    if ground.scenario.world.store == "sqlite":
        held = sqlite3.connect(
            ground.database, timeout=30, isolation_level=None, check_same_thread=False
        )
        await asyncio.to_thread(held.execute, "BEGIN IMMEDIATE")

        async def release() -> None:
            held.execute("ROLLBACK")
            held.close()

        return release
    connection = await asyncpg.connect(ground.database)
    await connection.execute("BEGIN")
    await connection.execute("LOCK TABLE payments, attempts IN ACCESS EXCLUSIVE MODE")

    async def heal() -> None:
        await connection.close()

    return heal


async def _stopped(ground: Any) -> Heal:
    """The server takes no more sessions of ours, and ends those that are open."""
    name = ground.database.partition("?")[0].rpartition("/")[2]
    other = ground.database.replace(f"/{name}", "/postgres", 1)
    connection = await asyncpg.connect(other)
    await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )

    async def heal() -> None:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await connection.close()

    return heal


async def _change(ground: Any, one: ChangeNow) -> Heal:
    await ground.announce(kind=one.what, text=one.text, integration=one.integration)

    async def heal() -> None:
        """A change that was announced stays announced."""

    return heal


STRIKES: Final[dict[type[msgspec.Struct], Callable[..., Awaitable[Heal]]]] = {
    Provider: _provider,
    Issuer: _issuer,
    Traffic: _traffic,
    Tcp: _tcp,
    Dns: _dns,
    Tls: _tls,
    Service: _service,
    Store: _store,
    ChangeNow: _change,
}
"""What each primitive does; each gives what heals it."""


async def strike(ground: Any, one: Strike) -> None:
    """Waits for its beginning, strikes, and heals at its end, whatever happens meanwhile."""
    await asyncio.sleep(one.start_seconds)
    left = one.end_seconds - one.start_seconds
    if one.primitive is None:
        await asyncio.sleep(left)
        return
    heal = await STRIKES[type(one.primitive)](ground, one.primitive)
    try:
        await asyncio.sleep(left)
    finally:
        await heal()


def strikes_of(scenario: Scenario) -> list[Strike]:
    """The primitives of a scenario as what strikes, each with its times."""
    whole = scenario.world.fault_seconds
    made = [Strike(one, one.start_seconds, one.end_seconds or whole) for one in scenario.fault]
    return made or [Strike(None, 0.0, whole)]
