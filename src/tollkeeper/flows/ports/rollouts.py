"""What the flows of rollouts need of the store."""

import asyncio
from typing import Protocol

import msgspec

from tollkeeper.flows.ports.jobs import Job
from tollkeeper.payments.change import OutEvent
from tollkeeper.rollouts.rollout import Crossings, Record, Rollout, Shadows
from tollkeeper.routing.routes import Rule


class Place(msgspec.Struct, frozen=True):
    """One unit's place in a rollout and what its first attempt came to, as stored."""

    unit: str
    payment_id: str
    canary: bool
    share_ppm: int
    decided_ms: int | None
    failed: bool | None
    unreadable: bool | None
    declined: bool | None
    latency_ms: int | None
    assigned_ms: int


class Follow(msgspec.Struct, frozen=True):
    """The first follow-up of a unit's payment, as stored."""

    unit: str
    share_ppm: int
    canary: bool
    failed: bool


class Rerouting(msgspec.Struct, frozen=True, kw_only=True):
    """The routing rules from now on, and as they were stored when that was decided."""

    before: tuple[Rule, ...] | None
    after: tuple[Rule, ...]


class RoutingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What every replica acts on. `rules` is `None` until some are stored. `unproved`: see
    `routing.routes.Routes`."""

    revision: int
    rules: tuple[Rule, ...] | None
    rollouts: tuple[Rollout, ...]
    unproved: frozenset[str] = frozenset()
    unproved_for: dict[str, frozenset[str]] = {}


class RolloutStore(Protocol):
    """Rollouts in the store."""

    async def insert_rollout(self, rollout: Rollout, record: Record, event: OutEvent) -> bool: ...

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
    ) -> bool: ...

    async def load_rollout(self, rollout_id: str) -> Rollout | None: ...

    async def list_rollouts(self, limit: int) -> list[Rollout]: ...

    async def list_rollouts_of(self, account: str, limit: int) -> list[Rollout]: ...

    async def list_records(self, rollout_id: str, after: int, limit: int) -> list[Record]: ...

    async def uncounted(self, rollout_id: str, lost_before_ms: int, limit: int) -> list[Place]: ...

    async def crossings(self, rollout_id: str, limit: int) -> tuple[Crossings, tuple[str, ...]]: ...

    async def follows(self, rollout_id: str, limit: int) -> list[Follow]: ...

    async def shadows(self, rollout_id: str) -> Shadows: ...

    async def list_shadows(self, rollout_id: str, limit: int) -> list[tuple[str, str]]: ...

    async def cross_read_of(self, rollout_id: str, payment_id: str) -> str | None: ...

    async def note_cross_read(
        self, rollout_id: str, payment_id: str, verdict: str, *, over: bool = True
    ) -> None: ...

    async def adopt(self, rollout_id: str, payments: tuple[str, ...], now_ms: int) -> None: ...

    async def set_rules(self, rules: Rerouting, event: OutEvent) -> bool: ...

    async def reset_rules(self) -> None: ...

    async def sweep(self, rollout_id: str, now_ms: int, limit: int) -> int: ...

    async def routing(self) -> RoutingRow: ...

    async def routing_revision(self) -> int: ...

    async def routing_signal(self) -> asyncio.Event | None:
        """Set when another replica has changed the routes; `None` where the store cannot tell, as
        a file. The same one for every call while its connection lasts."""
        ...

    async def open_jobs(self, integration: str) -> int:
        """Payments of a version that settling still looks at."""
        ...

    async def needed(self, integration: str) -> dict[tuple[str, bool], int]: ...
