"""kill -9 under load: `./dev kill --times N`. Real processes, real sockets, a real database.

The service is killed at random moments while callers pay, started again, left to settle, and its
books are compared with the simulator's ledger by the same checks that the simulation uses.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import aiohttp
import cyclopts
import msgspec
from rich.console import Console

from tollkeeper import app as root
from tollkeeper.flows.operations.doctor import Report, examine
from tollkeeper.flows.operations.keys import create_key
from tollkeeper.payments.invariants import Given, Ledger
from tollkeeper.testing.postgres import postgres_database

PROVIDER_KEY: Final = "sk_test_tollkeeper"
READY_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 120.0
WINDOW_SECONDS: Final = 4.0
TOTAL_SECONDS: Final = 3.0
CARDS: Final = (
    "pm_card_visa", "pm_card_visa", "pm_card_mastercard", "pm_card_visa_chargeDeclined",
)  # fmt: skip
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"effect": "reset", "when": "after", "probability": 0.03},
    {"effect": "error", "when": "after", "probability": 0.02, "stored": False},
    {"effect": "drop", "when": "after", "probability": 0.01},
)
"""The provider has bad days, too, while we are killed."""

WEIGHTS: Final = {
    "stripe@2022-08-01": 30.0,
    "stripe@2022-11-15": 40.0,
    "stripe@2026-03-25.dahlia": 30.0,
}

MEANINGS: Final = {
    "I1": "double",
    "I2": "double",
    "I3": "lost",
    "I8": "double",
    "I4": "lost",
    "I13": "lost",
    "I9": "forgotten",
    "I15": "forgotten",
    "I14": "unresolved",
}

app = cyclopts.App(name="kill", help="kill -9 under load, then compare with the ledger.")
console: Final = Console(highlight=False)


class Program:
    """A child process of ours with its log."""

    def __init__(
        self, arguments: list[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = arguments
        self._log = log
        self._environment = environment or {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._arguments,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **self._environment},
            )

    async def end(self, number: int) -> None:
        """Sends `number` and waits until the process is gone."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        await process.wait()


class Yard:
    """Everything that runs: a simulator, one or two replicas, callers."""

    faults: tuple[dict[str, Any], ...] = FAULTS
    weights: Mapping[str, float] = MappingProxyType(WEIGHTS)

    def __init__(self, folder: Path, database: str, replicas: int, seed: int) -> None:
        self.folder = folder
        self.database = database
        self.chance = random.Random(seed)
        self.provider = f"http://127.0.0.1:{free_port()}"
        self.ports = [free_port() for _ in range(replicas)]
        self.replicas: list[Program] = []
        self.simulator = Program([], folder / "none")
        self.secret = ""
        self.given: list[Given] = []
        self.answers: Counter[str] = Counter()
        self.ready_seconds: list[float] = []
        self.paying = True
        self.session: aiohttp.ClientSession

    async def open(self) -> None:
        """Starts the simulator and the replicas, and makes a key."""
        port = self.provider.rpartition(":")[2]
        ledger = str(self.folder / "ledger.jsonl")
        arguments = ["-m", "tollkeeper.simulator", "serve", "--port", port, "--ledger", ledger]
        self.simulator = Program(arguments, self.folder / "simulator.log")
        await self.simulator.start()
        await self._until(f"{self.provider}/_control/health")
        for fault in self.faults:
            body = msgspec.json.encode({**fault, "operation": "payment_intents.*"})
            async with self.session.post(f"{self.provider}/_control/faults", data=body) as reply:
                assert reply.status == 200, await reply.text()
        for number, port_number in enumerate(self.ports):
            config = self.folder / f"replica-{number}.toml"
            config.write_text(self._settings(port_number), encoding="utf-8")
            program = ["-m", "tollkeeper", "serve", "--config", str(config)]
            self.replicas.append(Program(program, self.folder / f"replica-{number}.log"))
        settings = root.read_settings(self.folder / "replica-0.toml")
        await asyncio.to_thread(root.upgrade_database, settings)
        async with root.Service(settings, work=False) as service:
            _, self.secret = await create_key(service.runtime, "default", "admin", "kill")
        for number in range(len(self.replicas)):
            await self.start(number)

    def _settings(self, port: int) -> str:
        key = b64encode(b"\x07" * 32).decode()
        weights = "\n".join(f'"{name}" = {weight}' for name, weight in self.weights.items())
        return f"""
database = {msgspec.json.encode(self.database).decode()}
port = {port}
vault_key = "{key}"
shopper_deadline_seconds = 6
attention_after_seconds = 90
[providers.stripe]
base_url = "{self.provider}"
secret_key = "{PROVIDER_KEY}"
in_flight_window_seconds = {WINDOW_SECONDS}
[timeouts]
total_seconds = {TOTAL_SECONDS}
[weights]
{weights}
"""

    async def start(self, number: int) -> float:
        """Starts a replica; gives the seconds until it was ready."""
        began = time.monotonic()
        await self.replicas[number].start()
        await self._until(f"http://127.0.0.1:{self.ports[number]}/ready")
        return time.monotonic() - began

    async def _until(self, url: str) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            try:
                async with self.session.get(url) as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.01)
        raise SystemExit(f"{url} was not ready within {READY_SECONDS:.0f} s; see {self.folder}")

    async def pay_until_told(self, number: int) -> None:
        """One caller: payments one after the other, each with what follows."""
        count = 0
        while self.paying:
            count += 1
            await self._pay(f"{number}-{count}")

    async def _pay(self, name: str) -> None:
        manual = self.chance.random() < 0.4
        body = {
            "amount_minor": self.chance.randrange(100, 10_000),
            "currency": "EUR",
            "payment_method": self.chance.choice(CARDS),
            "capture_method": "manual" if manual else "automatic",
            "customer": f"caller-{name}",
        }
        payment = await self._post("/v1/payments", body, f"pay-{name}")
        if payment is None or payment["status"] not in {"requires_capture", "succeeded"}:
            return
        path = f"/v1/payments/{payment['id']}"
        if payment["status"] == "requires_capture":
            if self.chance.random() < 0.3:
                await self._post(f"{path}/void", {}, f"void-{name}")
                return
            payment = await self._post(f"{path}/capture", {}, f"capture-{name}")
        if payment is not None and payment["status"] == "succeeded" and self.chance.random() < 0.4:
            part = {"amount_minor": max(1, payment["amount_minor"] // 3)}
            await self._post(f"{path}/refunds", part, f"refund-{name}")

    async def _post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        """A POST under one key, repeated until it is answered, to any replica."""
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": key}
        for _ in range(400):
            port = self.chance.choice(self.ports)
            try:
                async with self.session.post(
                    f"http://127.0.0.1:{port}{path}", json=body, headers=headers
                ) as reply:
                    answer = await reply.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                self.answers["no answer"] += 1
                await asyncio.sleep(0.1)
                continue
            self.answers[str(reply.status)] += 1
            if reply.status < 300:
                named = answer["payment"] if answer["object"] == "refund" else answer["id"]
                self.given.append(Given(key, reply.status, named))
                return dict(answer)
            if reply.status in {409, 503} and answer.get("retryable"):
                await asyncio.sleep(0.05)
                continue
            return None
        return None

    async def settle_and_examine(self) -> Report:
        """Lets settling finish, then compares the books with the ledger."""
        settings = root.read_settings(self.folder / "replica-0.toml")
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            async with self.session.get(f"{self.provider}/_control/ledger") as reply:
                ledger = msgspec.json.decode(await reply.read(), type=Ledger)
            store = await root.open_store(settings)
            try:
                report = await examine(store, ledger, quiet=True, given=tuple(self.given))
            finally:
                await store.close()
            if report.healthy or time.monotonic() > end:
                return report
            await asyncio.sleep(2.0)

    async def close(self) -> None:
        for program in (*self.replicas, self.simulator):
            await program.end(signal.SIGKILL)


def free_port() -> int:
    """A port on loopback where nothing listens."""
    import socket  # noqa: PLC0415 - only for this

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _run(yard: Yard, times: int, callers: int) -> Report:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as yard.session:
        try:
            await yard.open()
            tasks = [asyncio.create_task(yard.pay_until_told(n)) for n in range(callers)]
            for count in range(1, times + 1):
                await asyncio.sleep(0.05 + yard.chance.random() * 1.4)
                number = yard.chance.randrange(len(yard.replicas))
                await yard.replicas[number].end(signal.SIGKILL)
                yard.ready_seconds.append(await yard.start(number))
                if count % 20 == 0:
                    console.print(f"{count} kills, {len(yard.given)} answers")
            yard.paying = False
            await asyncio.gather(*tasks)
            async with yard.session.delete(f"{yard.provider}/_control/faults"):
                pass
            console.print("settling")
            return await yard.settle_and_examine()
        finally:
            await yard.close()


@app.default
def kill(
    *,
    times: Annotated[int, cyclopts.Parameter(help="How many kills.")] = 50,
    store: Annotated[str, cyclopts.Parameter(help="sqlite or postgresql.")] = "sqlite",
    replicas: Annotated[int, cyclopts.Parameter(help="Replicas on one database.")] = 1,
    callers: Annotated[int, cyclopts.Parameter(help="Callers at once.")] = 12,
    seed: Annotated[int, cyclopts.Parameter(help="Chooses moments and purchases.")] = 1,
    json: Annotated[bool, cyclopts.Parameter(negative="", help="Print JSON.")] = False,
) -> int:
    """Kills the service at random moments under load; exits 1 when a payment was harmed.

    Examples: `./dev kill --times 200`, `./dev kill --times 100 --store postgresql --replicas 2`.
    """
    if store == "sqlite" and replicas != 1:
        raise SystemExit("several replicas need --store postgresql")
    with tempfile.TemporaryDirectory(prefix="tollkeeper-kill-") as name:
        folder = Path(name)
        if store == "sqlite":
            yard = Yard(folder, str(folder / "kill.sqlite3"), replicas, seed)
            return _one(yard, times, callers, as_json=json)
        with postgres_database(folder / "pg") as dsn:
            return _one(Yard(folder, dsn, replicas, seed), times, callers, as_json=json)


def _one(yard: Yard, times: int, callers: int, *, as_json: bool) -> int:
    report = asyncio.run(_run(yard, times, callers))
    harm = Counter(MEANINGS.get(v.invariant, "other") for v in report.violations)
    ready = sorted(yard.ready_seconds) or [0.0]
    figures = {
        "kills": times,
        "payments": report.payments,
        "charges": report.charges,
        "answers": dict(sorted(yard.answers.items())),
        "double": harm["double"],
        "lost": harm["lost"],
        "forgotten": harm["forgotten"],
        "unresolved": harm["unresolved"] + harm["other"],
        "ready_seconds_p50": round(ready[len(ready) // 2], 3),
        "ready_seconds_p99": round(ready[min(len(ready) - 1, int(len(ready) * 0.99))], 3),
    }
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        for key, value in figures.items():
            console.print(f"{key:18} {value}")
    for violation in report.violations[:20]:
        console.print(f"{violation.invariant} {violation.subject}: {violation.detail}")
    return 0 if report.healthy else 1


if __name__ == "__main__":
    sys.exit(app())
