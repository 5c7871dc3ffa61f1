"""A stage for the flows: a real SQLite store, the provider's core in memory, a wire with levers."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from tollkeeper.app import handlers
from tollkeeper.flows.operations.doctor import Report, examine
from tollkeeper.flows.payments import create as create_flow
from tollkeeper.flows.payments import follow_up
from tollkeeper.flows.payments.answers import Key, Result
from tollkeeper.flows.payments.create import NewPayment
from tollkeeper.flows.ports import HookResult, Target, WireFailure, WireResult
from tollkeeper.flows.runtime import Runtime, live_state
from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.payments import invariants
from tollkeeper.payments.payment import Books
from tollkeeper.settings import ProviderSettings, Settings, Timeouts
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.store import migrate
from tollkeeper.store.sqlite import InlineSQLite, connect
from tollkeeper.store.store import SqlStore
from tollkeeper.testing.ports import GlassVault, SeededChance

PROVIDER_KEY = "sk_test_flows"
OLD, MIDDLE, NEW = "stripe@2022-08-01", "stripe@2022-11-15", "stripe@2026-03-25.dahlia"
WINDOW_S = 12.0
SETTINGS = Settings(
    providers={
        "stripe": ProviderSettings(
            secret_key=PROVIDER_KEY, in_flight_window_seconds=WINDOW_S, webhook_secrets=("whsec_1",)
        )
    },
    weights={MIDDLE: 100.0},
    timeouts=Timeouts(total_seconds=10),
    shopper_deadline_seconds=120,
)
BOTH = {MIDDLE: 99.99, OLD: 0.01}
"""Nearly every payment begins at MIDDLE, and OLD is what it fails over to."""


class LeverClock:
    """Time that moves only when a test says so; who sleeps shortly, wakes at once."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self._order = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._order, future))
        await future

    async def advance(self, seconds: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not future.done():
                future.set_result(None)
            for _ in range(20):
                await asyncio.sleep(0)
        self.now = until


class PatientClock(LeverClock):
    """Our own process's clock: a pause in a flow passes as soon as it is taken."""

    def __init__(self, shared: LeverClock) -> None:
        super().__init__()
        self._shared = shared

    def now_ms(self) -> int:
        return self._shared.now_ms()

    async def sleep(self, seconds: float) -> None:
        self._shared.now += seconds
        await asyncio.sleep(0)


type Lever = str | Callable[[WireReply], WireReply]


class LeverWire:
    """`Wire` to the provider's core. Each lever is pulled by the next send that fits its operation:
    `refuse` (no connection), `lose` (sent, never arrives), `deaf` (arrives, the reply is lost),
    `as VERSION` (the provider answers in another version's shape), or a change of the reply."""

    def __init__(self, core: SimulatorCore) -> None:
        self._core = core
        self._levers: list[tuple[str, Lever]] = []
        self.sent: list[WireRequest] = []
        self.before: Callable[[WireRequest], Any] | None = None

    def pull(self, operation: str, *levers: Lever) -> None:
        """For the next sends whose `METHOD path` holds `operation`."""
        self._levers += [(operation, lever) for lever in levers]

    def posts(self) -> list[WireRequest]:
        return [request for request in self.sent if request.method == "POST"]

    async def send(self, request: WireRequest, target: Target) -> WireResult:
        self.sent.append(request)
        if self.before is not None:
            await self.before(request)
        lever = self._lever(f"{request.method} {request.path}")
        if lever == "refuse":
            return _failed("connect", "connection_refused", acquired=False)
        if lever == "lose":
            return _failed("wait", "http_response_timeout", acquired=True)
        version = lever.removeprefix("as ") if isinstance(lever, str) and lever[:3] == "as " else ""
        answer = await self._core.handle(_sim_request(request, target, version))
        if lever == "deaf" or answer.ending != "send":
            return _failed("read", "http_response_incomplete", acquired=True)
        headers = tuple((name.lower(), value) for name, value in answer.headers)
        reply = WireReply(status=answer.status, headers=headers, body=answer.body)
        return WireResult(reply=lever(reply) if callable(lever) else reply)

    def _lever(self, what: str) -> Lever:
        for index, (operation, lever) in enumerate(self._levers):
            if operation in what:
                del self._levers[index]
                return lever
        return ""


def _sim_request(request: WireRequest, target: Target, version: str) -> SimRequest:
    headers = [
        (name, version if version and name == "stripe-version" else value)
        for name, value in (*request.headers, *target.headers)
    ]
    return SimRequest(request.method, request.path, request.query, headers, request.body)


def _failed(stage: Any, error: str, *, acquired: bool) -> WireResult:
    return WireResult(failure=WireFailure(stage=stage, error=error, acquired=acquired))


class LeverHook:
    """`Hook`: what was posted, and the status that the receiver answers next."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    def refusal(self, url: str) -> str | None:
        return None

    async def post(self, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> HookResult:
        self.posted.append((dict(headers), body))
        return HookResult(status=self.statuses.pop(0) if self.statuses else 200)


class Stage:
    """The world of one test."""

    def __init__(self, store: SqlStore, clock: LeverClock, settings: Settings) -> None:
        self.clock = clock
        self.store = store
        self.settings = settings
        self.webhooks: list[tuple[dict[str, str], bytes]] = []
        config = SimulatorConfig(
            accounts=[AccountConfig(key=PROVIDER_KEY)], refund_settle_seconds=3.0
        )
        self.core = SimulatorCore(
            clock, SeededChance("provider"), config, deliver=self._deliver,
            spawn=asyncio.ensure_future,
        )  # fmt: skip
        self.wire = LeverWire(self.core)
        self.hook = LeverHook()
        self.runtime = self.replica("first")
        self._keys = 0

    def replica(self, name: str, *, alone: bool = True, store: Any = None) -> Runtime:
        """A process of ours on the store."""
        return Runtime(
            store=store or self.store, wire=self.wire, hook=self.hook,
            clock=PatientClock(self.clock), chance=SeededChance(name), vault=GlassVault(),
            settings=self.settings, sender=name, alone=alone, live=live_state(self.settings),
        )  # fmt: skip

    async def _deliver(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        self.webhooks.append(({name.lower(): value for name, value in headers}, body))
        return 200

    def key(self, name: str = "", fingerprint: str = "f") -> Key:
        self._keys += 1
        return Key(account="acc_1", key=name or f"key-{self._keys}", fingerprint=fingerprint,
                   actor="key:test")  # fmt: skip

    async def create(self, *, key: Key | None = None, **fields: Any) -> Any:
        """Takes a payment; its public representation."""
        asked: dict[str, Any] = {
            "amount_minor": 1_000,
            "currency": "EUR",
            "payment_method": "pm_card_visa",
        }
        reply = await create_flow.create(
            self.runtime, key or self.key(), NewPayment(**(asked | fields))
        )
        return view(reply)

    async def held(self, **fields: Any) -> Any:
        return await self.create(capture_method="manual", **fields)

    async def capture(self, id_: str, amount: int | None = None, *, final: bool = True) -> Any:
        return view(
            await follow_up.capture(self.runtime, self.key(), id_, amount_minor=amount, final=final)
        )

    async def refund(self, id_: str, amount: int | None = None, reason: str | None = None) -> Any:
        return view(
            await follow_up.refund(
                self.runtime, self.key(), id_, amount_minor=amount, reason=reason
            )
        )

    async def void(self, id_: str) -> Any:
        return view(await follow_up.void(self.runtime, self.key(), id_))

    async def books(self, id_: str) -> Books:
        books = await self.store.load_books(id_)
        assert books is not None
        return books

    async def work(self, seconds: float = 0.0, runtime: Runtime | None = None) -> None:
        """Lets `seconds` pass, and runs every job when it falls due."""
        run = handlers(runtime or self.runtime)
        ends_ms = self.clock.now_ms() + int(seconds * 1000)
        for _ in range(400):
            now_ms = self.clock.now_ms()
            for job in await self.store.claim_jobs(now_ms, 90_000, 16):
                await run[job.kind](job)
            due_ms = await self.store.next_job_ms(self.clock.now_ms())
            if due_ms is None or due_ms > ends_ms:
                break
            await self.clock.advance(max(due_ms - self.clock.now_ms(), 0) / 1000)
        left = (ends_ms - self.clock.now_ms()) / 1000
        await self.clock.advance(max(left, 0))

    def fault(self, effect: str, **fields: Any) -> None:
        self.core.faults.add(FaultRule(effect=effect, **fields))

    async def control(self, path: str, body: Any = None) -> Any:
        """Something that nobody of ours asks the provider for."""
        data = msgspec.json.encode(body) if body is not None else b""
        answer: SimReply = await self.core.handle(
            SimRequest("POST", f"/_control/{path}", "", [], data)
        )
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body)

    def charge_id(self, number: int = 0) -> str:
        return self.core.ledger().charges[number].charge_id

    def ledger(self) -> invariants.Ledger:
        return msgspec.convert(msgspec.to_builtins(self.core.ledger()), invariants.Ledger)

    async def examined(self, *, quiet: bool = True) -> Report:
        return await examine(self.store, self.ledger(), quiet=quiet)

    async def agreed(self) -> Report:
        """The books agree with the provider's, and nothing is left open."""
        report = await self.examined()
        assert report.violations == []
        assert report.open_attempts == 0
        return report


def view(reply: Result) -> Any:
    """The body, with what kind of answer it was."""
    shown = msgspec.json.decode(reply.body)
    shown["_created"], shown["_doubtful"] = reply.created, reply.doubtful
    shown["_replayed"] = reply.replayed
    return shown


@asynccontextmanager
async def stage(folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    path = folder / "flows.sqlite3"
    migrate.upgrade(str(path))
    clock = LeverClock()
    store = SqlStore(InlineSQLite(connect(path)), clock)
    try:
        yield Stage(store, clock, replace(SETTINGS, **settings))
    finally:
        await store.close()


def key_of(request: WireRequest) -> str:
    return dict(request.headers).get("idempotency-key", "")


def version_of(request: WireRequest) -> str:
    return dict(request.headers)["stripe-version"]
