"""Jobs: what is claimed, what a feature declares, and what the store does with them."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

import msgspec


class Due(msgspec.Struct, frozen=True):
    """A job that could be claimed: whose it is, and which peer it will ask. The peer is a provider
    or an endpoint; both are empty where there is none."""

    subject: str
    account: str = ""
    peer: str = ""


class Job(msgspec.Struct, frozen=True):
    """A claimed job. `fence` must be shown to finish or postpone it; `tries` counts claims."""

    kind: str
    subject: str
    fence: int
    tries: int


Parties = Literal["payments", "deliveries", "none"]
"""Where the account and the peer of a kind of job are read from."""


class JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job as its feature declares it. `run` takes the runtime and the job. `slots`: its
    part of all slots, beside the parts of the other kinds; `account` and `peer`: the share of them
    that one account and one peer may hold. `why`: what it does, and what may hang there.
    `lease_seconds`: how long a process that dies keeps a job of this kind from the others."""

    run: Callable[[Any, Job], Awaitable[None]]
    slots: int
    why: str
    parties: Parties = "none"
    account: float = 1.0
    peer: float = 1.0
    lease_seconds: float = 30.0


class JobStore(Protocol):
    """Jobs in the store."""

    async def claim_jobs(self, now_ms: int, lease_ms: int, limit: int) -> list[Job]: ...

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
        """Due jobs of one kind, oldest first; `parties` says whose account and peer they have:
        `payments`, `deliveries` or `none`."""
        ...

    async def claim_these(
        self, kind: str, subjects: list[str], now_ms: int, lease_ms: int
    ) -> list[Job]: ...

    async def finish_job(self, job: Job) -> bool: ...

    async def postpone_job(self, job: Job, run_at_ms: int) -> bool: ...

    async def enqueue_job(self, kind: str, subject: str, run_at_ms: int) -> None: ...

    async def next_job_ms(self, now_ms: int) -> int | None: ...

    async def count_jobs(self) -> dict[str, tuple[int, int]]: ...

    async def wake_orphans(self, now_ms: int) -> int:
        """Makes every `settle` job whose attempt was being sent due at `now_ms`. Only where this
        process is the only one that sends: at the start of a service on SQLite."""
        ...
