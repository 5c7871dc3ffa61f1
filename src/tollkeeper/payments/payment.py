"""A payment and what belongs to it: attempts, refunds, disputes. Amounts are minor units."""

from typing import Literal

import msgspec

from tollkeeper.payments.outcome import DeclineReason, OutcomeKind, RefundState

Status = Literal[
    "requires_action", "processing", "requires_capture", "succeeded", "canceled", "failed"
]
CaptureMethod = Literal["automatic", "manual"]
MoneyOperation = Literal["authorize", "capture", "void", "refund"]
ResultClass = Literal["A", "B1", "B2", "C"]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One payment. `seq` counts its changes; `audit_head` is the hash of its last audit row.

    `reserved_minor` is what captures and refunds in flight hold: it was taken under the payment's
    lock before anything was sent. `integration` is the version that follow-ups are pinned to,
    since `moved_ms` where it had misread the payment as `moved_from`.
    """

    id: str
    account: str
    amount_minor: int
    currency: str
    capture_method: CaptureMethod
    payment_method: str
    integration: str
    created_ms: int
    updated_ms: int
    deadline_ms: int
    status: Status = "processing"
    outcome_known: bool = True
    capturable_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    reserved_minor: int = 0
    provider_id: str | None = None
    redirect_url: str | None = None
    return_url: str | None = None
    customer: str | None = None
    reference: str | None = None
    description: str | None = None
    country: str | None = None
    metadata: dict[str, str] = {}
    decline_reason: DeclineReason | None = None
    failure_code: str | None = None
    authorization_expires_ms: int | None = None
    multicapture: bool = False
    disputed: bool = False
    attention: str | None = None
    moved_from: str | None = None
    moved_ms: int | None = None
    seq: int = 0
    audit_head: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at one operation through one integration version.

    Its id is also the idempotency key that the provider sees. `outcome` is `None` while it is
    being sent. `purpose` is `abandon` where settling cancels an intent that nobody will complete;
    `final` is false for a capture that leaves the rest of the authorization open. `sent_ms` is
    the last send, `first_sent_ms` the first; `replays` counts repeated sends of the same bytes,
    `looks` the passes of the settling ladder; `sender` is the process that sends it; `later`: the
    provider refused it for now, and may take the same another time.
    """

    id: str
    payment_id: str
    operation: MoneyOperation
    integration: str
    amount_minor: int
    first_sent_ms: int
    sent_ms: int
    outcome: OutcomeKind | None = None
    result_class: ResultClass | None = None
    refund_id: str | None = None
    provider_id: str | None = None
    purpose: Literal["api", "abandon"] = "api"
    final: bool = True
    sender: str = ""
    detail: str = ""
    replays: int = 0
    looks: int = 0
    settled_by: str = ""
    later: bool = False


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """One refund; `origin` is `api` for ours and `external` for one seen only at the provider."""

    id: str
    payment_id: str
    amount_minor: int
    status: RefundState
    origin: Literal["api", "external"]
    created_ms: int
    updated_ms: int
    provider_id: str | None = None
    reason: str | None = None
    failure_code: str | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """One dispute, recorded as the provider tells it; it changes no status of the payment."""

    id: str
    payment_id: str
    provider_id: str
    state: Literal["open", "won", "lost"]
    amount_minor: int
    reason: str
    created_ms: int
    updated_ms: int


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """All that the store holds about one payment, read in one snapshot. Oldest first."""

    payment: Payment
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    def open_attempts(self) -> tuple[Attempt, ...]:
        """Attempts whose effect is not known: being sent, or unknown."""
        return tuple(a for a in self.attempts if is_open(a))

    def attempt(self, attempt_id: str) -> Attempt | None:
        return next((a for a in self.attempts if a.id == attempt_id), None)

    def refund(self, refund_id: str) -> Refund | None:
        return next((r for r in self.refunds if r.id == refund_id), None)


def is_open(attempt: Attempt) -> bool:
    """Whether the attempt may or may not have had its effect."""
    return attempt.outcome is None or attempt.outcome == "unknown"
