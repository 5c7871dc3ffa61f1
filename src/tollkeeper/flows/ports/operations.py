"""What the flows of operations need of the store: keys, the audit, retention."""

from typing import Protocol

import msgspec

from tollkeeper.payments.invariants import Audited, Holdings, Seal, SealedHead


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


class OperationStore(Protocol):
    """API keys, the audit and retention in the store."""

    async def save_api_key(self, key: ApiKey) -> None: ...

    async def find_api_key(self, digest: str) -> ApiKey | None: ...

    async def list_api_keys(self) -> list[ApiKey]: ...

    async def holdings(self) -> Holdings: ...

    async def load_audited(self, payment_id: str) -> Audited | None:
        """Books and audit rows as they were at one moment."""
        ...

    async def seals(self) -> list[Seal]: ...

    async def page_sealed(self, after: tuple[str, int], limit: int) -> list[SealedHead]:
        """Sealed heads above `after` (payment id, audit row), in that order."""
        ...

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
