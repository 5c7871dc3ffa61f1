"""What flows need from the world, as protocols. Plumbing satisfies them by shape; `app` joins them.

Law: an implementation acknowledges a write only after it is durable, and never makes a network call
inside one. `Wire.send` never raises but on cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

import msgspec

from tollkeeper.integrations.version import WireReply, WireRequest
from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import Change, Exchange, Inbound, OutEvent
from tollkeeper.payments.commit import Duplicate, KeyTaken, Recorded
from tollkeeper.payments.invariants import Audited, Holdings, Seal, SealedHead
from tollkeeper.payments.payment import Books, Payment
from tollkeeper.rollouts.rollout import Crossings, Record, Rollout, Shadows
from tollkeeper.routing.routes import Rule

Stage = Literal["dns", "connect", "tls", "send", "wait", "read"]


class WireFailure(msgspec.Struct, frozen=True, kw_only=True):
    """No usable reply. `error` is a word of RFC 9209 (`dns_timeout`, `connection_refused`,
    `tls_certificate_error`, `http_response_timeout`, `http_response_incomplete`, ...).

    `acquired`: a connection stood, so the request may have been acted upon.
    """

    stage: Stage
    error: str
    acquired: bool
    detail: str = ""


class WireResult(msgspec.Struct, frozen=True, kw_only=True):
    """A reply or a failure, never both. `timings_ms` has the milliseconds spent per stage."""

    reply: WireReply | None = None
    failure: WireFailure | None = None
    timings_ms: dict[str, float] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where one provider's requests go. `base_url` has scheme and host, no trailing slash;
    `headers` carry the credentials."""

    base_url: str
    headers: tuple[tuple[str, str], ...] = ()


class Wire(Protocol):
    """The only thing that talks to providers."""

    async def send(self, request: WireRequest, target: Target) -> WireResult: ...


class Hook(Protocol):
    """The only thing that posts outgoing webhooks; guarded against server-side request forgery."""

    def refusal(self, url: str) -> str | None:
        """Why `url` can never be posted to, from its text alone; `None` if it may be."""
        ...

    async def post(
        self, url: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> "HookResult": ...


class HookResult(msgspec.Struct, frozen=True, kw_only=True):
    """`status` 0: nothing was answered, `error` says why."""

    status: int
    error: str = ""


class Vault(Protocol):
    """Seals bytes at rest and opens them again; `open` gives `None` for what it cannot open."""

    def seal(self, plain: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes | None: ...


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
    that one account and one peer may hold. `why`: what it does, and what may hang there."""

    run: Callable[[Any, Job], Awaitable[None]]
    slots: int
    why: str
    parties: Parties = "none"
    account: float = 1.0
    peer: float = 1.0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint of an account. `secrets`: the newest first; all of them sign, so that a
    secret can be rotated. They are sealed by the store's vault when at rest."""

    id: str
    account: str
    url: str
    secrets: tuple[str, ...]
    enabled: bool
    created_ms: int
    description: str = ""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger row of one event for one endpoint. `state`: pending, delivered, undeliverable."""

    event_id: str
    endpoint_id: str
    state: Literal["pending", "delivered", "undeliverable"]
    tries: int
    last_status: int | None
    last_error: str | None
    updated_ms: int


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the API; only the digest of its secret is kept."""

    id: str
    digest: str
    account: str
    role: str
    label: str
    api_version: str
    created_ms: int
    revoked_ms: int | None = None


class SeenDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's description that was seen. `text` is compressed (zlib); `verdicts` is JSON: what
    the check said for each installed version; `notes` a pre-announcement that was attached."""

    provider: str
    digest: str
    seen_ms: int
    checked_ms: int
    etag: str | None
    text: bytes
    verdicts: bytes
    notes: bytes | None = None


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
    """What every replica acts on. `rules` is `None` until a promotion has stored some. `unproved`:
    see `routing.routes.Routes`."""

    revision: int
    rules: tuple[Rule, ...] | None
    rollouts: tuple[Rollout, ...]
    unproved: frozenset[str] = frozenset()
    unproved_for: dict[str, frozenset[str]] = {}


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a source gave: `text`, `None` where it has not changed since `etag`, or an error."""

    text: bytes | None = None
    etag: str | None = None
    error: str = ""


class Sources(Protocol):
    """Reads descriptions and announcements: a URL with its ETag, or a file. Never raises."""

    async def fetch(self, source: str, etag: str | None) -> Fetched: ...


class Tell(Protocol):
    """Tells operators: one line of the log. `facts` hold no secret and no card number."""

    def __call__(self, event: str, /, **facts: object) -> None: ...


class Store(Protocol):
    """The operations that flows use. Each is one atomic unit, acknowledged after it is durable.

    Any of them may raise `StoreDoubt` (a commit's acknowledgement was lost: it may have happened)
    or `Unavailable` (it did not happen).
    """

    def now_ms(self) -> int:
        """The store's own clock, the one that waiting windows are counted by."""
        ...

    async def commit(self, change: Change) -> Recorded: ...

    async def load_books(self, payment_id: str) -> Books | None: ...

    async def load_payment(self, payment_id: str) -> Payment | None: ...

    async def payment_of_charge(self, provider_id: str) -> str | None: ...

    async def earlier_charge(self, provider: str, before: str) -> str | None:
        """The provider's id of a charge of a payment that was made before `before` (an id)."""
        ...

    async def reference_holder(self, account: str, reference: str) -> tuple[str | None, str]:
        """The first live payment with this reference, and the payment that holds it, live or not;
        empty where none does."""
        ...

    async def hinted_charge(self, payment_id: str) -> str | None:
        """The charge that a webhook or a listing named last as this payment's."""
        ...

    async def hint(self, payment_id: str, charge_id: str, now_ms: int) -> None:
        """Keeps a charge's id for a payment, and enqueues its `refresh`."""
        ...

    async def match_inbound(self, job: Job, charge_id: str, payment_id: str, now_ms: int) -> bool:
        """Gives the unmatched events of a charge to a payment, which is looked at; ends the job."""
        ...

    async def list_payments(
        self,
        account: str,
        filters: dict[str, str],
        cursor: str,
        limit: int,
        *,
        backwards: bool = False,
    ) -> list[Payment]: ...

    async def load_exchange(self, attempt_id: str) -> Exchange | None: ...

    async def page_exchanges(self, after: str, limit: int) -> list[Exchange]:
        """Exchanges of attempts above `after` (an id), oldest first."""
        ...

    async def save_exchange(self, exchange: Exchange) -> None: ...

    async def page_ids(self, after: str, limit: int) -> list[str]: ...

    async def holdings(self) -> Holdings: ...

    async def load_audit(self, payment_id: str) -> list[AuditRow]: ...

    async def load_audited(self, payment_id: str) -> Audited | None:
        """Books and audit rows as they were at one moment."""
        ...

    async def seals(self) -> list[Seal]: ...

    async def page_sealed(self, after: tuple[str, int], limit: int) -> list[SealedHead]:
        """Sealed heads above `after` (payment id, audit row), in that order."""
        ...

    async def load_key(self, account: str, key: str) -> KeyTaken | None: ...

    async def load_event(self, event_id: str) -> OutEvent | None: ...

    async def list_events(self, account: str, cursor: str, limit: int) -> list[OutEvent]: ...

    async def receive(self, inbound: Inbound, trace_at_ms: int | None = None) -> "Duplicate | None":
        """Stores a webhook and a job in the same commit: `refresh` where it names a payment, else
        `trace` at `trace_at_ms` where it names a charge."""
        ...

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

    async def reset_rules(self) -> None: ...

    async def sweep(self, rollout_id: str, now_ms: int, limit: int) -> int: ...

    async def routing(self) -> RoutingRow: ...

    async def routing_revision(self) -> int: ...

    async def routing_signal(self) -> asyncio.Event | None:
        """Set when another replica has changed the routes; `None` where the store cannot tell, as
        a file. The same one for every call while its connection lasts."""
        ...

    async def looked_at(self, integration: str) -> int:
        """Payments of a version that settling still looks at."""
        ...

    async def needed(self, integration: str) -> dict[tuple[str, bool], int]: ...

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

    async def save_description(self, seen: SeenDescription, events: tuple[OutEvent, ...]) -> bool:
        """Stores a new text with the events about it; false where it was known already."""
        ...

    async def touch_description(self, seen: SeenDescription) -> None: ...

    async def list_descriptions(self, provider: str, limit: int) -> list[SeenDescription]: ...

    async def save_endpoint(self, endpoint: Endpoint) -> None: ...

    async def load_endpoint(self, endpoint_id: str) -> Endpoint | None: ...

    async def list_endpoints(self, account: str) -> list[Endpoint]: ...

    async def finish_delivery(self, job: Job, delivery: Delivery, run_at_ms: int | None) -> bool:
        """Writes the ledger row; finishes the job, or postpones it to `run_at_ms`."""
        ...

    async def list_deliveries(self, endpoint_id: str, limit: int) -> list[Delivery]: ...

    async def load_delivery(self, event_id: str, endpoint_id: str) -> Delivery | None: ...

    async def save_api_key(self, key: ApiKey) -> None: ...

    async def find_api_key(self, digest: str) -> ApiKey | None: ...

    async def list_api_keys(self) -> list[ApiKey]: ...

    async def expire(self, now_ms: int, keep_inbound_ms: int) -> int:
        """Removes bodies of idempotency keys past their time, and payloads of old webhooks."""
        ...

    async def forget(self, *, exchanges_before_ms: int, events_before_ms: int) -> int:
        """Removes masked exchanges of attempts made before the first moment; and from before the
        second one events that nothing is owed of, deliveries that ended, webhooks' rows, and what
        rollouts that are over had counted."""
        ...

    async def seal_audit(self, now_ms: int, limit: int) -> tuple[str, int]:
        """Seals at most `limit` audit heads that no seal covers; gives the seal's hash and how many
        it covers."""
        ...
