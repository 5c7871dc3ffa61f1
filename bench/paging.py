"""Paging: pages over kills of the process, seconds to a page, and a storm of alerts.

`./dev bench paging --kills 100`: alerts come in over HTTP while a replica is killed (-9) at random
moments of each escalation and started again; then what arrived at a mail server and a chat is
compared with what each incident owed. `--postgres`: two replicas on PostgreSQL, one of which is
killed each time. `--rate 2 --runs 10`: seconds from the first payment that is hurt to the page.
`--storm 10000`: so many alerts of one tool in a row, on one process, beside `--stored` incidents
that are over.
"""

import argparse
import asyncio
import json
import random
import signal
import socket
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from tollkeeper import app as root
from tollkeeper.flows.incidents import inputs, planning
from tollkeeper.flows.incidents.commands import page
from tollkeeper.flows.incidents.views import short_views
from tollkeeper.flows.operations.keys import create_key
from tollkeeper.incidents.incident import Incident
from tollkeeper.kernel.ids import new_id
from tollkeeper.proving.inbox import Inbox, serve
from tollkeeper.store import migrate
from tollkeeper.testing.kill import Program
from tollkeeper.testing.postgres import postgres_database

KEY = "a-routing-key-of-the-bench"
PLAN = """
[receivers.mail]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "first@demo.invalid"
every_seconds = 0
[receivers.chat]
kind = "slack"
url = "http://127.0.0.1:{chat}/payments"
every_seconds = 0
[people.first]
title = "first engineer"
receivers = ["mail"]
[people.second]
title = "second engineer"
receivers = ["chat"]
[[policies.all.levels]]
targets = ["person:first"]
wait_seconds = 1
[[policies.all.levels]]
targets = ["person:first", "person:second"]
wait_seconds = 86400
[inputs.bench]
key = "{key}"
"""
OWED = 3
"""Pages of one incident: one of the first level, two of the second."""

READY_S = 30.0
LONGEST_ESCALATION_S = 2.5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Replicas:
    """Processes of the service, which are killed and started again."""

    def __init__(self, folder: Path, database: str, count: int, provider: int = 9) -> None:
        self.provider = provider
        self.secret = ""
        self.ports = [free_port() for _ in range(count)]
        self.folder = folder
        self.database = database
        self.programs: list[Program] = []
        self.down: list[tuple[float, float]] = []
        self.session: aiohttp.ClientSession

    async def open(self, plan: str) -> None:
        key = b64encode(bytes(range(32))).decode()
        for number, port in enumerate(self.ports):
            config = self.folder / f"{number}.toml"
            config.write_text(
                f'database = "{self.database}"\nport = {port}\nvault_key = "{key}"\n'
                f'public_url = "http://127.0.0.1:{port}"\n'
                f'[providers.stripe]\nsecret_key = "sk_test_tollkeeper"\n'
                f'base_url = "http://127.0.0.1:{self.provider}"\n'
            )
            arguments = ["-m", "tollkeeper", "serve", "--config", str(config)]
            self.programs.append(Program(arguments, self.folder / f"{number}.log"))
        settings = root.read_settings(self.folder / "0.toml")
        await asyncio.to_thread(root.upgrade_database, settings)
        async with root.Service(settings, work=False) as service:
            await planning.apply(service.runtime, planning.read_plan(plan.encode()), actor="bench")
            _, self.secret = await create_key(service.runtime, "default", "service", "bench")
        for program in self.programs:
            await program.start()
        for port in self.ports:
            await self.ready(port)

    async def ready(self, port: int) -> None:
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            try:
                async with self.session.get(f"http://127.0.0.1:{port}/ready") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)
        raise SystemExit("a replica was not ready in time")

    async def kill(self, number: int) -> None:
        began = time.time()
        await self.programs[number].end(signal.SIGKILL)
        await self.programs[number].start()
        await self.ready(self.ports[number])
        self.down.append((began, time.time()))

    async def close(self) -> None:
        for program in self.programs:
            await program.end(signal.SIGTERM)

    async def alert(self, name: str) -> bool:
        """Sends an alert of its own incident to any replica; whether one has taken it."""
        event = {
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": name,
            "payload": {
                "summary": name, "source": "bench", "severity": "error", "component": name,
            },
        }  # fmt: skip
        for port in random.sample(self.ports, len(self.ports)):
            try:
                url = f"http://127.0.0.1:{port}/v2/enqueue"
                async with self.session.post(url, json=event) as reply:
                    if reply.status == 202:
                        return True
            except aiohttp.ClientError:
                continue
        return False


async def kills(count: int, database: str, replicas: int, seed: int) -> dict[str, Any]:
    """`count` kills during escalations; what was owed and what has arrived."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inbox, ports = Inbox(), {"mail": free_port(), "chat": free_port()}
        mail, chat = await serve(inbox, ports["mail"], ports["chat"])
        it = Replicas(folder, database or str(folder / "paging.sqlite3"), replicas)
        async with aiohttp.ClientSession() as it.session:
            await it.open(PLAN.format(key=KEY, **ports))
            taken = 0
            for number in range(count):
                taken += await it.alert(f"alert-{number}")
                await asyncio.sleep(chance.uniform(0, LONGEST_ESCALATION_S))
                await it.kill(chance.randrange(replicas))
                if (number + 1) % 10 == 0:
                    print(f"{number + 1} of {count} kills", file=sys.stderr)
            await asyncio.sleep(LONGEST_ESCALATION_S)
            await _until_sent(it.folder / "0.toml")
            await it.close()
        found = await _compared(it, inbox, taken)
        mail.server.close()
        await chat.cleanup()
    return {"kills": count, "replicas": replicas, **found}


async def _until_sent(config: Path, seconds: float = 90.0) -> None:
    """Waits until no message waits."""
    async with root.Service(root.read_settings(config), work=False) as service:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            counts = await service.store.count_jobs()
            now_ms = service.store.now_ms()
            due = [
                first
                for name, (_, first) in counts.items()
                if name in {"notify", "incident_news"} or (name == "escalate" and first < now_ms)
            ]
            if not due:
                return
            await asyncio.sleep(0.5)


async def _compared(it: Replicas, inbox: Inbox, taken: int) -> dict[str, Any]:
    arrived = Counter(_plain(identity) for _, _, _, identity, _ in inbox.received)
    lost, second, late = 0, 0, []
    told: set[str] = set()
    owed: list[str] = []
    async with root.Service(root.read_settings(it.folder / "0.toml"), work=False) as service:
        incidents = [  # without those that the service opens about itself
            one for one in await page(service.store, "", 100_000) if one.source == "input.bench"
        ]
        for incident in incidents:
            sent = await service.store.list_notifications(incident.id)
            pages = [one for one in sent if one.is_page]
            told |= {other for one in pages if arrived[one.id] for other in one.along}
            owed += [one.id for one in pages]
            lost += OWED - len(pages)
            second += len(pages) - len({(one.step, one.receiver, one.person) for one in pages})
            late += await _late(service.store, incident, it.down)
    lost += sum(not arrived[id_] and id_ not in told for id_ in owed)
    late.sort()
    return {
        "alerts taken": taken,
        "incidents": len(incidents),
        "pages owed": OWED * len(incidents),
        "told along with another": len(told),
        "pages lost": lost,
        "second pages of a step": second,
        "repeated under one identity": sum(n - 1 for n in arrived.values()),
        "timer late s p50": late[len(late) // 2] if late else None,
        "timer late s max": late[-1] if late else None,
    }


def _plain(identity: str) -> str:
    return identity.strip("<>").partition("@")[0]


async def _late(store: Any, incident: Incident, down: list[tuple[float, float]]) -> list[float]:
    """How long the second level was late, without the time in which a killed process was down."""
    paged = [e.at_ms / 1000 for e in await store.list_entries(incident.id) if e.kind == "paged"]
    if len(paged) < 2:
        return []
    due = paged[0] + 1.0
    away = sum(max(0.0, min(ended, paged[1]) - max(began, due)) for began, ended in down)
    return [round(max(0.0, paged[1] - due - away), 3)]


async def latency(rate: float, runs: int, seed: int) -> dict[str, Any]:
    """Seconds from the first payment that the fault has hurt to the first page at a receiver; the
    provider renames a field that the version in use reads, and no other version reads it."""
    chance = random.Random(seed)
    found = [await _one_page(rate, chance) for _ in range(runs)]
    took = sorted(one for one in found if one is not None)
    return {
        "payments a second": rate,
        "runs": runs,
        "paged": len(took),
        "s to the page p50": round(took[len(took) // 2], 1) if took else None,
        "s to the page p95": round(took[min(int(len(took) * 0.95), len(took) - 1)], 1)
        if took
        else None,
    }


async def _one_page(rate: float, chance: random.Random) -> float | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inbox, ports = Inbox(), {"mail": free_port(), "chat": free_port()}
        mail, chat = await serve(inbox, ports["mail"], ports["chat"])
        provider = free_port()
        arguments = ["-m", "tollkeeper.simulator", "serve", "--port", str(provider)]
        simulator = Program(arguments, folder / "simulator.log")
        await simulator.start()
        it = Replicas(folder, str(folder / "paging.sqlite3"), 1, provider)
        try:
            async with aiohttp.ClientSession() as it.session:
                await it.open(PLAN.format(key=KEY, **ports))
                return await _paged_after(it, inbox, rate, chance)
        finally:
            await it.close()
            await simulator.end(signal.SIGKILL)
            mail.server.close()
            await chat.cleanup()


async def _paged_after(
    it: Replicas, inbox: Inbox, rate: float, chance: random.Random
) -> float | None:
    hurt: list[float] = []
    shop = asyncio.create_task(_shop(it, rate, chance, hurt))
    await asyncio.sleep(max(20.0, 20 / rate) + chance.random())
    hurt.clear()
    rule = {"effect": "rename_field", "object": "payment_intent", "path": "status", "to": "state",
            "operation": "payment_intents.*"}  # fmt: skip
    control = f"http://127.0.0.1:{it.provider}/_control/faults"
    async with it.session.post(control, data=json.dumps(rule)) as reply:
        assert reply.status == 200, await reply.text()
    end = time.monotonic() + 120
    while not inbox.received and time.monotonic() < end:
        await asyncio.sleep(0.05)
    arrived = time.monotonic()
    shop.cancel()
    return arrived - hurt[0] if inbox.received and hurt else None


async def _shop(it: Replicas, rate: float, chance: random.Random, hurt: list[float]) -> None:
    """Payments at a rate, each of a customer of its own; `hurt`: when one began that was told
    "failed" or "wait"."""
    number = 0
    waiting: set[asyncio.Task[None]] = set()
    while True:
        number += 1
        task = asyncio.create_task(_pay(it, number, hurt))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        await asyncio.sleep(chance.expovariate(rate))


async def _pay(it: Replicas, number: int, hurt: list[float]) -> None:
    began = time.monotonic()
    body = {"amount_minor": 1_000, "currency": "EUR", "payment_method": "pm_card_visa",
            "customer": f"c{number}"}  # fmt: skip
    headers = {"Authorization": f"Bearer {it.secret}", "Idempotency-Key": f"k{number}"}
    url = f"http://127.0.0.1:{it.ports[0]}/v1/payments"
    async with it.session.post(url, json=body, headers=headers) as reply:
        said = await reply.json()
        if reply.status != 201 or said["status"] == "failed":
            hurt.append(began)


async def storm(count: int, stored: int) -> dict[str, Any]:
    """`count` alerts of one tool in a row, and the list of incidents among `stored` others."""
    with tempfile.TemporaryDirectory() as name:
        database = str(Path(name) / "storm.sqlite3")
        migrate.upgrade(database)
        key = b64encode(bytes(range(32))).decode()
        settings = root.read_settings(_config(Path(name), database, key))
        async with root.Service(settings, work=False) as service:
            it = service.runtime
            plan = planning.read_plan(PLAN.format(key=KEY, mail=1, chat=2).encode())
            await planning.apply(it, plan, actor="bench")
            await _store_many(it, stored)
            times = []
            for number in range(count):
                event = {
                    "routing_key": KEY, "event_action": "trigger", "dedup_key": f"a{number}",
                    "payload": {"summary": f"alert {number}", "source": "x", "severity": "error",
                                "component": "db"},
                }  # fmt: skip
                began = time.perf_counter()
                await inputs.take_event(it, json.dumps(event).encode())
                times.append(time.perf_counter() - began)
            listed = []
            for _ in range(200):
                began = time.perf_counter()
                short_views(it.store, await page(it.store, "", 20))
                listed.append(time.perf_counter() - began)
            open_ones = await it.store.list_open_incidents()
            return {
                "alerts": count,
                "incidents open": len(open_ones),
                "lines in its timeline": open_ones[0].entries,
                "ms an alert p50": round(sorted(times)[len(times) // 2] * 1000, 2),
                "ms an alert p99": round(sorted(times)[int(len(times) * 0.99)] * 1000, 2),
                "incidents stored": stored,
                "ms of the list p99": round(sorted(listed)[int(len(listed) * 0.99)] * 1000, 2),
            }


def _silence(*_: Any) -> Any:
    raise structlog.DropEvent


def _config(folder: Path, database: str, key: str) -> Path:
    path = folder / "c.toml"
    path.write_text(f'database = "{database}"\nvault_key = "{key}"\n')
    return path


async def _store_many(it: Any, count: int) -> None:
    from tollkeeper.flows.ports import IncidentWrite  # noqa: PLC0415 - the one place

    for start in range(0, count, 500):
        writes = []
        for number in range(start, min(start + 500, count)):
            at_ms = 1_700_000_000_000 + number * 1000
            incident = Incident(
                id=new_id("inc", at_ms, it.chance), fingerprint=f"old/{number}", status="resolved",
                severity="sev3", title="an old one", policy="all", opened_ms=at_ms,
                began_ms=at_ms, resolved_ms=at_ms + 1,
            )  # fmt: skip
            writes.append(IncidentWrite(incident=incident, entries=()))
        await it.store.save_incident(*writes)


def main() -> None:
    structlog.configure(processors=[_silence])  # what happens is counted here, not logged
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--storm", type=int, default=0)
    parser.add_argument("--stored", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.storm:
        print(json.dumps(asyncio.run(storm(given.storm, given.stored)), indent=1))
    if given.rate:
        found = asyncio.run(latency(given.rate, given.runs, given.seed))
        print(json.dumps(found, indent=1))
    if given.kills:
        with ExitStack() as stack:
            database, replicas = "", 1
            if given.postgres:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                database, replicas = stack.enter_context(postgres_database(folder)), 2
            found = asyncio.run(kills(given.kills, database, replicas, given.seed))
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
