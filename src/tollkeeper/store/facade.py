"""The store as the flows see it: every operation by name, run by whichever driver stands behind."""

import asyncio
from typing import Protocol

from tollkeeper.flows.ports import (
    ApiKey,
    Delivery,
    Due,
    Endpoint,
    Follow,
    Job,
    Place,
    Rerouting,
    RoutingRow,
    SeenDescription,
)
from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import Change, Exchange, Inbound, OutEvent
from tollkeeper.payments.commit import Duplicate, KeyTaken, Recorded
from tollkeeper.payments.invariants import Audited, Holdings, Seal, SealedHead
from tollkeeper.payments.payment import Books, Payment
from tollkeeper.rollouts.rollout import Crossings, Record, Rollout, Shadows
from tollkeeper.store.operations import (
    changes,
    examining,
    hooks,
    keeping,
    queue,
    reading,
    rolling,
    watching,
)
from tollkeeper.store.statements import Operation


class Driver(Protocol):
    """Runs operations: `write` as one durable atomic unit, `write_long` likewise where it reads or
    writes many rows; `read` for one statement, which sees one moment by itself;
    `read_at_one_moment` for several that must see the same one."""

    async def write[T](self, operation: Operation[T]) -> T: ...

    async def write_long[T](self, operation: Operation[T]) -> T: ...

    async def read[T](self, operation: Operation[T]) -> T: ...

    async def read_at_one_moment[T](self, operation: Operation[T]) -> T: ...

    async def signal(self, channel: str) -> asyncio.Event | None:
        """Set at every notification on `channel`; `None` where there are none."""
        ...

    async def close(self) -> None: ...


class StoreClock(Protocol):
    """The clock that waiting windows are counted by."""

    def now_ms(self) -> int: ...


class StoreFacade:
    """Satisfies `flows.ports.Store`. `clock` is the store's own."""

    def __init__(self, driver: Driver, clock: StoreClock) -> None:
        self.driver = driver
        self.clock = clock

    def now_ms(self) -> int:
        return self.clock.now_ms()

    async def close(self) -> None:
        await self.driver.close()

    async def commit(self, change: Change) -> Recorded:
        return await self.driver.write(self.commit_operation(change))

    def commit_operation(self, change: Change) -> Operation[Recorded]:
        """The operation that `commit` runs."""
        return changes.commit_change(change)

    async def load_books(self, payment_id: str) -> Books | None:
        return await self.driver.read(reading.load_books(payment_id))

    async def load_payment(self, payment_id: str) -> Payment | None:
        return await self.driver.read(reading.load_payment(payment_id))

    async def payment_of_charge(self, provider_id: str) -> str | None:
        return await self.driver.read(reading.payment_of_charge(provider_id))

    async def earlier_charge(self, provider: str, before: str) -> str | None:
        return await self.driver.read(reading.earlier_charge(provider, before))

    async def reference_holder(self, account: str, reference: str) -> tuple[str | None, str]:
        return await self.driver.read_at_one_moment(reading.reference_holder(account, reference))

    async def hinted_charge(self, payment_id: str) -> str | None:
        return await self.driver.read(hooks.hinted_charge(payment_id))

    async def hint(self, payment_id: str, charge_id: str, now_ms: int) -> None:
        await self.driver.write(hooks.hint(payment_id, charge_id, now_ms))

    async def match_inbound(self, job: Job, charge_id: str, payment_id: str, now_ms: int) -> bool:
        return await self.driver.write(hooks.match_inbound(job, charge_id, payment_id, now_ms))

    async def list_payments(
        self,
        account: str,
        filters: dict[str, str],
        cursor: str,
        limit: int,
        *,
        backwards: bool = False,
    ) -> list[Payment]:
        return await self.driver.read(
            reading.list_payments(account, filters, cursor, limit, backwards=backwards)
        )

    async def page_exchanges(self, after: str, limit: int) -> list[Exchange]:
        return await self.driver.read(reading.page_exchanges(after, limit))

    async def load_exchange(self, attempt_id: str) -> Exchange | None:
        return await self.driver.read(reading.load_exchange(attempt_id))

    async def save_exchange(self, exchange: Exchange) -> None:
        await self.driver.write(changes.save_exchange(exchange))

    async def page_ids(self, after: str, limit: int) -> list[str]:
        return await self.driver.read(reading.page_ids(after, limit))

    async def holdings(self) -> Holdings:
        return await self.driver.read_at_one_moment(examining.holdings())

    async def load_audit(self, payment_id: str) -> list[AuditRow]:
        return await self.driver.read(reading.load_audit(payment_id))

    async def load_audited(self, payment_id: str) -> Audited | None:
        return await self.driver.read_at_one_moment(examining.load_audited(payment_id))

    async def seals(self) -> list[Seal]:
        return await self.driver.read(examining.seals())

    async def page_sealed(self, after: tuple[str, int], limit: int) -> list[SealedHead]:
        return await self.driver.read(examining.page_sealed(after, limit))

    async def load_key(self, account: str, key: str) -> KeyTaken | None:
        return await self.driver.read(reading.load_key(account, key))

    async def load_event(self, event_id: str) -> OutEvent | None:
        return await self.driver.read(reading.load_event(event_id))

    async def list_events(self, account: str, cursor: str, limit: int) -> list[OutEvent]:
        return await self.driver.read(reading.list_events(account, cursor, limit))

    async def receive(self, inbound: Inbound, trace_at_ms: int | None = None) -> Duplicate | None:
        result: Duplicate | None = await self.driver.write(hooks.receive(inbound, trace_at_ms))
        return result

    async def insert_rollout(self, rollout: Rollout, record: Record, event: OutEvent) -> bool:
        return await self.driver.write(rolling.insert_rollout(rollout, record, event))

    async def save_rollout(
        self,
        job: Job | None,
        rollout: Rollout,
        *,
        record: Record | None = None,
        units: tuple[str, ...] = (),
        follows: tuple[str, ...] = (),
        crossing: tuple[str, ...] = (),
        events: tuple[OutEvent, ...] = (),
        rules: Rerouting | None = None,
    ) -> bool:
        return await self.driver.write(
            rolling.save_rollout(
                job,
                rollout,
                record,
                units=units,
                follows=follows,
                crossing=crossing,
                events=events,
                rules=rules,
            )
        )

    async def load_rollout(self, rollout_id: str) -> Rollout | None:
        return await self.driver.read(rolling.load_rollout(rollout_id))

    async def list_rollouts(self, limit: int) -> list[Rollout]:
        return await self.driver.read(rolling.list_rollouts(limit))

    async def list_rollouts_of(self, account: str, limit: int) -> list[Rollout]:
        return await self.driver.read(rolling.list_rollouts_of(account, limit))

    async def list_records(self, rollout_id: str, after: int, limit: int) -> list[Record]:
        return await self.driver.read(rolling.list_records(rollout_id, after, limit))

    async def uncounted(self, rollout_id: str, lost_before_ms: int, limit: int) -> list[Place]:
        return await self.driver.read(rolling.uncounted(rollout_id, lost_before_ms, limit))

    async def crossings(self, rollout_id: str, limit: int) -> tuple[Crossings, tuple[str, ...]]:
        return await self.driver.read(rolling.crossings(rollout_id, limit))

    async def follows(self, rollout_id: str, limit: int) -> list[Follow]:
        return await self.driver.read(rolling.follows(rollout_id, limit))

    async def shadows(self, rollout_id: str) -> Shadows:
        return await self.driver.read(rolling.shadows(rollout_id))

    async def list_shadows(self, rollout_id: str, limit: int) -> list[tuple[str, str]]:
        return await self.driver.read(rolling.list_shadows(rollout_id, limit))

    async def cross_read_of(self, rollout_id: str, payment_id: str) -> str | None:
        return await self.driver.read(rolling.cross_read_of(rollout_id, payment_id))

    async def note_cross_read(
        self, rollout_id: str, payment_id: str, verdict: str, *, over: bool = True
    ) -> None:
        await self.driver.write(rolling.note_cross_read(rollout_id, payment_id, verdict, over=over))

    async def adopt(self, rollout_id: str, payments: tuple[str, ...], now_ms: int) -> None:
        await self.driver.write_long(rolling.adopt(rollout_id, payments, now_ms))

    async def reset_rules(self) -> None:
        await self.driver.write(rolling.reset_rules())

    async def sweep(self, rollout_id: str, now_ms: int, limit: int) -> int:
        return await self.driver.write_long(rolling.sweep(rollout_id, now_ms, limit))

    async def routing(self) -> RoutingRow:
        return await self.driver.read_at_one_moment(rolling.routing())

    async def routing_revision(self) -> int:
        return await self.driver.read(rolling.routing_revision())

    async def routing_signal(self) -> asyncio.Event | None:
        return await self.driver.signal(rolling.CHANNEL)

    async def looked_at(self, integration: str) -> int:
        return await self.driver.read(rolling.looked_at(integration))

    async def needed(self, integration: str) -> dict[tuple[str, bool], int]:
        return await self.driver.read(rolling.needed(integration))

    async def claim_jobs(self, now_ms: int, lease_ms: int, limit: int) -> list[Job]:
        return await self.driver.write(queue.claim_jobs(now_ms, lease_ms, limit))

    async def list_due(
        self,
        kind: str,
        parties: str,
        now_ms: int,
        *,
        full_accounts: list[str],
        full_peers: list[str],
        limit: int,
    ) -> list[Due]:
        return await self.driver.read(
            queue.list_due(kind, parties, now_ms, full_accounts, full_peers, limit)
        )

    async def claim_these(
        self, kind: str, subjects: list[str], now_ms: int, lease_ms: int
    ) -> list[Job]:
        return await self.driver.write(queue.claim_these(kind, subjects, now_ms, lease_ms))

    async def finish_job(self, job: Job) -> bool:
        return await self.driver.write(queue.finish_job(job))

    async def postpone_job(self, job: Job, run_at_ms: int) -> bool:
        return await self.driver.write(queue.postpone_job(job, run_at_ms))

    async def enqueue_job(self, kind: str, subject: str, run_at_ms: int) -> None:
        await self.driver.write(queue.enqueue_job(kind, subject, run_at_ms))

    async def next_job_ms(self, now_ms: int) -> int | None:
        return await self.driver.read(queue.next_job_ms(now_ms))

    async def count_jobs(self) -> dict[str, tuple[int, int]]:
        return await self.driver.read(queue.count_jobs())

    async def wake_orphans(self, now_ms: int) -> int:
        return await self.driver.write_long(keeping.wake_orphans(now_ms))

    async def save_description(self, seen: SeenDescription, events: tuple[OutEvent, ...]) -> bool:
        return await self.driver.write(watching.save_description(seen, events))

    async def touch_description(self, seen: SeenDescription) -> None:
        await self.driver.write(watching.touch_description(seen))

    async def list_descriptions(self, provider: str, limit: int) -> list[SeenDescription]:
        return await self.driver.read(watching.list_descriptions(provider, limit))

    async def save_endpoint(self, endpoint: Endpoint) -> None:
        await self.driver.write(hooks.save_endpoint(endpoint))

    async def load_endpoint(self, endpoint_id: str) -> Endpoint | None:
        return await self.driver.read(hooks.load_endpoint(endpoint_id))

    async def list_endpoints(self, account: str) -> list[Endpoint]:
        return await self.driver.read(hooks.list_endpoints(account))

    async def finish_delivery(self, job: Job, delivery: Delivery, run_at_ms: int | None) -> bool:
        return await self.driver.write(hooks.finish_delivery(job, delivery, run_at_ms))

    async def list_deliveries(self, endpoint_id: str, limit: int) -> list[Delivery]:
        return await self.driver.read(hooks.list_deliveries(endpoint_id, limit))

    async def load_delivery(self, event_id: str, endpoint_id: str) -> Delivery | None:
        return await self.driver.read(hooks.load_delivery(event_id, endpoint_id))

    async def save_api_key(self, key: ApiKey) -> None:
        await self.driver.write(keeping.save_api_key(key))

    async def find_api_key(self, digest: str) -> ApiKey | None:
        return await self.driver.read(keeping.find_api_key(digest))

    async def list_api_keys(self) -> list[ApiKey]:
        return await self.driver.read(keeping.list_api_keys())

    async def expire(self, now_ms: int, keep_inbound_ms: int) -> int:
        return await self.driver.write_long(keeping.expire(now_ms, keep_inbound_ms))

    async def forget(self, *, exchanges_before_ms: int, events_before_ms: int) -> int:
        return await self.driver.write_long(keeping.forget(exchanges_before_ms, events_before_ms))

    async def seal_audit(self, now_ms: int, limit: int) -> tuple[str, int]:
        return await self.driver.write_long(keeping.seal_audit(now_ms, limit))
