"""One simulated world: a provider, a database, replicas that die, a network, and a checker.

Everything of ours is the real thing: the ASGI application, the flows, the jobs, the SQLite store.
The provider is the simulator's own core. Only time, chance and the network are simulated.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from tollkeeper.app import JOBS, handlers
from tollkeeper.flows import routes
from tollkeeper.flows.operations import retention
from tollkeeper.flows.operations.doctor import HANDLES
from tollkeeper.flows.ports import ApiKey, Endpoint, Job
from tollkeeper.flows.runtime import Runtime, live_state
from tollkeeper.flows.webhooks import deliver
from tollkeeper.jobs.lanes import lanes_for
from tollkeeper.jobs.worker import Worker
from tollkeeper.kernel.errors import StoreDoubt, TollkeeperError, Unavailable
from tollkeeper.payments import invariants
from tollkeeper.payments.change import Change
from tollkeeper.payments.invariants import Given, Violation
from tollkeeper.payments.payment import Books
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe.config import AccountConfig, KeyConfig, SimulatorConfig
from tollkeeper.simulator.stripe.provider import SimulatorCore
from tollkeeper.store import audits, keys, payments
from tollkeeper.store import failovers as stored_failovers
from tollkeeper.store import rollouts as stored_rollouts
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.door import API_KEY, Call, Door
from tollkeeper.testing.loop import Process, VirtualLoop
from tollkeeper.testing.misread import misreading
from tollkeeper.testing.network import SimulatedHook, SimulatedWire, Weather
from tollkeeper.testing.ports import GlassVault, SeededChance, VirtualClock
from tollkeeper.testing.receivers import SimulatedNotify
from tollkeeper.testing.storage import Disk, SimulatedDriver, WatchedStore, new_database
from tollkeeper.testing.temper import (
    ACCOUNT,
    PROVIDER_KEY,
    installed_of,
    settings_of,
    temper_of,
)
from tollkeeper.testing.verdicts import look_of
from tollkeeper.testing.watching import Watch

HOSTILE_JOB: Final = ("deliver", "|we_2")
"""The kind of a hostile endpoint's jobs, and how their subjects end."""

OTHER_ACCOUNT: Final = "acct_other"
"""An account at the provider that is not ours, and empty."""


class Found(Exception):
    """An invariant was violated."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.invariant} {violation.subject}: {violation.detail}")
        self.violation = violation


class Replica:
    """One process of ours: its world, its worker, its door; it can be killed and started anew."""

    def __init__(self, simulation: "Simulation", number: int) -> None:
        self.simulation = simulation
        self.number = number
        self.starts = 0
        self.process = Process("none")
        self.runtime: Runtime
        self.door = Door(number)

    def start(self) -> None:
        """Starts the process: everything in memory is new, the database is what it was."""
        simulation = self.simulation
        self.starts += 1
        self.process = Process(f"replica-{self.number}-{self.starts}")
        skew = simulation.temper.skew_ms * (self.number + 1)
        name = f"{simulation.seed}/{self.number}/{self.starts}"
        self.runtime = Runtime(
            store=WatchedStore(simulation.driver, simulation.clock, simulation.on_commit),
            wire=simulation.wire,
            hook=simulation.hook,
            clock=VirtualClock(simulation.loop, skew),
            chance=SeededChance(name),
            vault=GlassVault(),
            settings=simulation.settings,
            sender=name,
            alone=simulation.temper.replicas == 1,
            live=live_state(simulation.settings),
            installed=simulation.installed,
            notify=simulation.notify,
        )
        if simulation.temper.carrier:  # a service opens its door when it knows its routes
            self.runtime.live.look = simulation.look
            row = simulation.driver.now(stored_rollouts.routing())
            watches = simulation.driver.now(stored_failovers.list_watches())
            self.runtime.live.apply_routes(routes.routes_of(self.runtime, row, watches))
        self.door.open(self.runtime)
        simulation.loop.start_in(self.process, self._main())

    async def _main(self) -> None:
        runtime = self.runtime
        while not await self._started():
            await asyncio.sleep(0.5)  # a process that cannot start ends, and is started again
        if self.simulation.temper.candidate or self.simulation.temper.carrier:
            self.simulation.loop.start_in(self.process, routes.follow(runtime))
        if not self._runs_jobs():
            return
        known = {kind: self._watched(run) for kind, run in handlers(runtime).items()}
        lanes = lanes_for(
            JOBS,
            runtime.settings.job_concurrency,
            per_account=runtime.settings.deliveries_per_account,
            per_endpoint=runtime.settings.deliveries_per_endpoint,
        )
        worker = Worker(
            runtime.store,
            runtime.clock,
            known,
            concurrency=sum(lane.slots for lane in lanes),
            on_error=self._job_failed,
            lanes=lanes,
            resting=runtime.live.breakers.resting,
        )
        await worker.run()

    def _runs_jobs(self) -> bool:
        temper = self.simulation.temper
        if temper.only_answers and self.number:
            return False
        return temper.workers or self.simulation.calm

    async def _started(self) -> bool:
        runtime = self.runtime
        try:
            if runtime.alone:
                await runtime.store.wake_orphans(runtime.store.now_ms())
            await retention.plan(runtime)
            await routes.refresh(runtime)
        except (StoreDoubt, Unavailable):
            return False
        return True

    def _watched(self, run: Any) -> Any:
        async def watched(job: Job) -> None:
            point = "settling" if job.kind in {"settle", "refresh"} else f"job {job.kind}"
            with self.simulation.coverage.point(point):
                await run(job)

        return watched

    def _job_failed(self, job: Job, error: BaseException) -> None:
        if not isinstance(error, TollkeeperError):
            self.simulation.crashed(f"{job.kind} {job.subject} raised {error!r}")

    def kill(self) -> None:
        """Kill -9."""
        self.simulation.coverage.killed(self.process)
        self.simulation.loop.kill(self.process)


class Simulation:
    """A seed's world."""

    def __init__(self, seed: int, coverage: Coverage) -> None:
        self.seed = seed
        self.loop = VirtualLoop(seed)  # type: ignore[abstract] # what asyncio asks for is there
        self.coverage = coverage
        self.temper = temper_of(self.loop)
        self.clock = VirtualClock(self.loop)
        self.calm = False
        self.settings = settings_of(self.temper)
        self.watch = Watch(self)
        self.violation: Violation | None = None
        self.commit_checks: list[Callable[[Change], Iterator[Violation]]] = []
        self.quiet_checks: list[Callable[[Mapping[str, Books]], Iterator[Violation]]] = []
        self.given: list[Given] = []
        self.ledger_of: dict[str, dict[str, Any]] = {}
        self.webhooks_seen: dict[str, list[str]] = {}
        self.connection: sqlite3.Connection = new_database()
        self.disk = Disk()
        self.driver = SimulatedDriver(self.loop, self.connection, self.disk, coverage)
        self.core = self._provider()
        self.weather = Weather()
        self.wire = SimulatedWire(self.loop, self.core, self.weather, coverage)
        self.hook = SimulatedHook(self.loop, self.coverage)
        self.installed = installed_of(retention=self.temper.idempotency)
        if self.temper.misreads:
            self.installed = misreading(self.installed, self.temper.candidate, self.temper.misreads)
        if self.temper.pair:
            mine = (self.temper.carrier, self.temper.pair)
            self.installed = {name: self.installed[name] for name in mine}
        if self.temper.liar:
            self.installed = misreading(self.installed, self.temper.liar, "declined")
        self.replicas = [Replica(self, n) for n in range(self.temper.replicas)]
        self.open_doors = self.replicas
        self.lasting: list[FaultRule] = []
        self.look = look_of(self.temper.vetoed)
        self.notify: SimulatedNotify | None = None
        if self.temper.pages:
            self.notify = SimulatedNotify(self.loop, seed, coverage)

    def _provider(self) -> SimulatorCore:
        temper = self.temper
        config = SimulatorConfig(
            accounts=[AccountConfig(key=PROVIDER_KEY)],
            keys=[KeyConfig(key="sk_test_other", account=OTHER_ACCOUNT)],
            honors_idempotency=temper.idempotency,
            authorization_seconds=604_800,
            refund_settle_seconds=3.0,
            webhook_backoff_seconds=(1.0, 3.0, 9.0, 27.0, 60.0),
        )
        return SimulatorCore(
            self.clock,
            SeededChance(f"provider/{self.seed}"),
            config,
            deliver=self._deliver if temper.webhooks else None,
            journal=self._on_effect,
            spawn=self.loop.outside,
        )

    async def _deliver(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        """The provider's webhook on its way to us: lost, doubled or late as the weather wills."""
        chance = self.loop.chance
        await asyncio.sleep(chance.random() * self.weather.latency_seconds * 4)
        if not self.calm and chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 40)
        if not self.calm and chance.random() < self.weather.lose_request:
            self.coverage.count("webhook.lost")
            raise OSError("simulated: lost")
        times = 1
        if not self.calm and chance.random() < 0.1:
            self.coverage.count("webhook.twice")
            times = 2
        status = 0
        for _ in range(times):
            status = await self._post(url, headers, body)
            if 200 <= status < 300:
                self.watch.told(body)
        return status

    async def _post(self, url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        replica = self.loop.chance.choice(self.open_doors)
        self._note_order(body)
        path = "/" + url.split("/", 3)[3]
        answer = await replica.door.request(
            self.loop, replica.process, Call("POST", path, headers, body), 10.0
        )
        if answer is None:
            raise TimeoutError("simulated: no answer to the webhook")
        return answer.status

    def _note_order(self, body: bytes) -> None:
        event = msgspec.json.decode(body)
        item = event["data"]["object"]
        about = item.get("payment_intent") or item["id"]
        seen = self.webhooks_seen.setdefault(about, [])
        for earlier in seen:
            if earlier != event["type"]:
                self.coverage.count("webhook.order", f"{earlier} > {event['type']}")
        seen.append(event["type"])

    async def set_up(self) -> None:
        """Keys, a merchant's endpoint, the provider's endpoints for us; then the replicas start."""
        store = WatchedStore(self.driver, self.clock, self.on_commit)
        digest = hashlib.sha256(API_KEY.encode()).hexdigest()
        key = ApiKey(
            id="key_1", digest=digest, account=ACCOUNT, role="admin", label="simulation",
            api_version="2026-11-24", created_ms=self.clock.now_ms(),
        )  # fmt: skip
        self.driver.now(keys.save_api_key(key))
        await self._register_webhooks()
        for replica in self.replicas:
            replica.start()
        runtime = self.replicas[0].runtime
        endpoint = Endpoint(
            id="we_1", account=ACCOUNT, url="https://merchant.example/hook",
            secrets=(deliver.seal_secret(runtime, "whsec_c2ltdWxhdGlvbg=="),), enabled=True,
            created_ms=self.clock.now_ms(),
        )  # fmt: skip
        await store.save_endpoint(endpoint)

    async def _register_webhooks(self) -> None:
        """The provider learns where to tell us, at some API version; we learn its secret."""
        version = self.loop.chance.choice(sorted(self.installed)).partition("@")[2]
        url = f"http://us/v1/inbound/stripe/{version}"
        fields = [("url", url), ("enabled_events[]", "*"), ("api_version", version)]
        reply = await self.provider_api("/v1/webhook_endpoints", fields)
        secret: str = msgspec.json.decode(reply.body)["secret"]
        ours = self.settings.providers["stripe"]
        mine = msgspec.structs.replace(ours, webhook_secrets=(secret,))
        self.settings = msgspec.structs.replace(self.settings, providers={"stripe": mine})

    async def provider_api(self, path: str, fields: list[tuple[str, str]]) -> SimReply:
        """A POST to the provider by hand, as from its dashboard."""
        return await self.core.handle(
            SimRequest(
                method="POST",
                path=path,
                headers=[
                    ("authorization", f"Bearer {PROVIDER_KEY}"),
                    ("content-type", "application/x-www-form-urlencoded"),
                ],
                body=urlencode(fields).encode(),
            )
        )

    # Checking

    def on_commit(self, change: Change) -> None:
        """Every commit is checked in the step in which it became durable."""
        payment = change.payment
        for check in self.commit_checks:
            self.check(check(change))
        self.coverage.count("status", payment.status)
        for attempt in change.attempts:
            if attempt.outcome is not None:
                self.coverage.count("outcome", f"{attempt.operation} {attempt.outcome}")
            if attempt.settled_by:
                self.coverage.count("settled", attempt.settled_by)
        self._note_settling(change)
        self.loop.note("commit", payment.id, payment.seq, payment.status)
        books = self.driver.now(payments.load_books(payment.id))
        assert books is not None, "what was committed can be read"
        audit = self.driver.now(payments.load_audit(payment.id))
        self.check(invariants.check_books(books, audit, HANDLES))
        self.check(self._effects(books))
        self.check(self.watch.commit(change, books))

    def _effects(self, books: Books) -> Iterator[Violation]:
        """What stands against the provider's effects. Whoever takes an approval for a decline says
        so at once; that it was one is known once it was cross-read, and holds at quiet."""
        first = books.attempts[0].integration
        lying = self.temper.misreads == "declined" and first == self.temper.candidate
        lying = lying or any(a.integration == self.temper.liar for a in books.attempts)
        for found in invariants.check_effects(books, self.part(books.payment.id)):
            if not lying or found.invariant != "I4":
                yield found

    def _note_settling(self, change: Change) -> None:
        for refund in change.refunds:
            if refund.failure_code == "failed_at_provider":
                self.coverage.count("refund.failed_late")
        if change.disputes:
            self.coverage.count("dispute")

    def _on_effect(self, entry: Any) -> None:
        """Every effect at the provider is checked in the step in which it happened."""
        payment_id = entry.metadata.get(invariants.PAYMENT_KEY, "")
        self.ledger_of.setdefault(payment_id, {})[entry.charge_id] = entry
        self.loop.note("effect", entry.charge_id, entry.status)
        books = self.driver.now(payments.load_books(payment_id))
        if books is None:
            detail = f"charged for {payment_id}, which no store holds"
            self.fail(Violation("I2", entry.charge_id, detail))
            return
        attempt = books.attempt(entry.idempotency_key)
        if attempt is not None and attempt.outcome == "unknown":
            self.coverage.count("effect.after_timeout")
        self.check(self._effects(books))
        self.check(self.watch.effect(entry, payment_id, books))

    def part(self, payment_id: str) -> invariants.Ledger:
        """What the provider's ledger has about one payment."""
        charges: Any = list(self.ledger_of.get(payment_id, {}).values())
        return invariants.Ledger(charges=charges, intents=[])

    def check(self, found: Iterable[Violation]) -> None:
        """Keeps the first violation of those found."""
        if self.violation is None:
            self.violation = next(iter(found), None)

    def fail(self, violation: Violation) -> None:
        """Keeps the first violation; the run ends at its next step."""
        if self.violation is None:
            self.violation = violation

    def crashed(self, detail: str) -> None:
        """Our own code broke: no invariant, but never right."""
        self.fail(Violation("CODE", f"seed {self.seed}", detail))

    def check_quiet(self) -> None:
        """Everything, once faults have stopped and every wait has passed."""
        payments = self.all_books()
        ledger: Any = self.core.ledger()
        now_ms = self.clock.now_ms()
        for books in payments.values():
            if not self._is_for_a_person(books):
                self.check(invariants.check_quiet(books, ledger, now_ms))
        self.check(invariants.check_orphans(payments, ledger))
        holdings = self.driver.now(audits.holdings())
        self.check(invariants.check_answers(self.given, holdings, payments))
        self.check(invariants.check_holdings(self._ours(holdings), now_ms, slack_ms=15_000))
        self.check(self.watch.quiet(payments))
        for check in self.quiet_checks:
            self.check(check(payments))

    def _is_for_a_person(self, books: Books) -> bool:
        """Whether a candidate has misread the payment and the other version's reading was not of
        our charge either: then a person was asked, and nothing else is changed."""
        asked = (books.payment.attention or "").startswith("cross-read:")
        return asked and bool(self.temper.misreads)

    def _ours(self, holdings: invariants.Holdings) -> invariants.Holdings:
        """Without what waits for a hostile endpoint, which may wait for as long as that hangs."""
        rows = self.connection.execute(
            "SELECT count(*), min(run_at_ms) FROM jobs WHERE kind = ? AND subject NOT LIKE ?",
            (HOSTILE_JOB[0], f"%{HOSTILE_JOB[1]}"),
        )
        count, due_ms = rows.fetchone()
        waiting = {kind: row for kind, row in holdings.waiting.items() if kind != HOSTILE_JOB[0]}
        if count:
            waiting[HOSTILE_JOB[0]] = (count, due_ms)
        return msgspec.structs.replace(holdings, waiting=waiting)

    def next_job_ms(self) -> int | None:
        """When the next job is due, beside the daily ones and what is sent to a hostile endpoint;
        `None` where there is nothing left to do."""
        rows = self.connection.execute(
            "SELECT kind, subject, run_at_ms FROM jobs WHERE kind NOT IN (?, ?) ORDER BY run_at_ms",
            retention.KINDS,
        )
        ours = (at for kind, subject, at in rows if (kind, subject[-5:]) != HOSTILE_JOB)
        return next(ours, None)

    def all_books(self) -> dict[str, Books]:
        """Every payment in the store, by id."""
        rows = self.connection.execute("SELECT id FROM payments ORDER BY id").fetchall()
        found = {}
        for (id_,) in rows:
            books = self.driver.now(payments.load_books(id_))
            assert books is not None, "a payment never goes away"
            found[id_] = books
        return found
