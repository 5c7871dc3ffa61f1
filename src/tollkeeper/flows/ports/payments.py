"""What the flows of payments need of the store."""

from typing import Protocol

from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import Change, Exchange
from tollkeeper.payments.commit import KeyTaken, Recorded
from tollkeeper.payments.payment import Books, Payment


class PaymentStore(Protocol):
    """Payments in the store."""

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

    async def load_audit(self, payment_id: str) -> list[AuditRow]: ...

    async def load_key(self, account: str, key: str) -> KeyTaken | None: ...
