"""What the flows of webhooks need of the store: inbound events, endpoints, deliveries."""

from typing import Literal, Protocol

import msgspec

from tollkeeper.flows.ports.jobs import Job
from tollkeeper.payments.change import Inbound, OutEvent
from tollkeeper.payments.commit import Duplicate


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


class WebhookStore(Protocol):
    """Webhooks in the store."""

    async def receive(self, inbound: Inbound, trace_at_ms: int | None = None) -> "Duplicate | None":
        """Stores a webhook and a job in the same commit: `refresh` where it names a payment, else
        `trace` at `trace_at_ms` where it names a charge."""
        ...

    async def match_inbound(self, job: Job, charge_id: str, payment_id: str, now_ms: int) -> bool:
        """Gives the unmatched events of a charge to a payment, which is looked at; ends the job."""
        ...

    async def hint(self, payment_id: str, charge_id: str, now_ms: int) -> None:
        """Keeps a charge's id for a payment, and enqueues its `refresh`."""
        ...

    async def hinted_charge(self, payment_id: str) -> str | None:
        """The charge that a webhook or a listing named last as this payment's."""
        ...

    async def load_event(self, event_id: str) -> OutEvent | None: ...

    async def list_events(self, account: str, cursor: str, limit: int) -> list[OutEvent]: ...

    async def save_endpoint(self, endpoint: Endpoint) -> None: ...

    async def load_endpoint(self, endpoint_id: str) -> Endpoint | None: ...

    async def list_endpoints(self, account: str) -> list[Endpoint]: ...

    async def finish_delivery(self, job: Job, delivery: Delivery, run_at_ms: int | None) -> bool:
        """Writes the ledger row; finishes the job, or postpones it to `run_at_ms`."""
        ...

    async def list_deliveries(self, endpoint_id: str, limit: int) -> list[Delivery]: ...

    async def load_delivery(self, event_id: str, endpoint_id: str) -> Delivery | None: ...
