"""A payment and what belongs to it: attempts, refunds, disputes. Amounts are minor units.

Law: a new field goes to the end of its value, with a default, so that the audit digests of older
rows stay what they were.
"""

from typing import Literal

import msgspec

from tollkeeper.payments.outcome import (
    DeclineReason,
    DisputeState,
    OutcomeKind,
    ProviderError,
    RefundState,
)

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
    since `moved_ms` where it had misread the payment as `moved_from`. `provider_error` is what the
    provider said about a failure. `reversing`: the charge showed up after the shop was told that
    the payment failed, and the account wants such charges reversed. `attention_until`: attention
    ends when what is open is settled, or only when a person clears it.
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
    provider_error: ProviderError | None = None
    reversing: bool = False
    attention_until: Literal["settled", "cleared"] = "settled"
    unique_reference: bool = False

    @property
    def waits_for_shopper(self) -> bool:
        """Whether the shopper has to authenticate."""
        return self.status == "requires_action"

    @property
    def is_undecided(self) -> bool:
        """Whether the provider or the shopper has not decided yet."""
        return self.status in {"processing", "requires_action"}

    @property
    def is_told_badly(self) -> bool:
        """Whether the shopper was told "failed", without a decline, or "wait"."""
        return self.is_doubtful or (self.status == "failed" and self.failure_code != "declined")

    @property
    def is_doubtful(self) -> bool:
        """Whether callers are told to wait: the outcome is unknown, or the provider decides."""
        return not self.outcome_known or self.status == "processing"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at one operation through one integration version.

    Its id is also the idempotency key that the provider sees. `outcome` is `None` while it is
    being sent. `purpose` is `abandon` where settling cancels an intent that the shopper left, and
    `reverse` where it gives back a charge that showed up late;
    `final` is false for a capture that leaves the rest of the authorization open. `sent_ms` is
    the last send, `first_sent_ms` the first; `replays` counts repeated sends of the same bytes,
    `looks` the passes of the settling ladder; `sender` is the process that sends it; `later`: the
    provider refused it for now or for our key, and may take the same another time, after `wait_s`
    seconds where it named a pause. `failure_code` is the stable word of a refusal. `in_use`: the
    provider last said that a request with this key is still running; `closed_key`: it answers this
    key with what it stored, so that sending again tells nothing new. `concluded_ms` is when absence
    was taken for proof, `corrected_ms` when a later fact showed the effect after all. `waits`: it
    was never sent, and is held until a version works. `routed`: a follow-up that an operator's
    route has sent through another version than the payment's at once.
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
    purpose: Literal["api", "abandon", "reverse"] = "api"
    final: bool = True
    sender: str = ""
    detail: str = ""
    replays: int = 0
    looks: int = 0
    settled_by: str = ""
    later: bool = False
    error: ProviderError | None = None
    failure_code: str | None = None
    wait_s: int = 0
    in_use: bool = False
    closed_key: bool = False
    concluded_ms: int | None = None
    corrected_ms: int | None = None
    waits: bool = False
    routed: bool = False

    @property
    def had_no_effect(self) -> bool:
        """Whether it was refused or declined."""
        return self.outcome in {"failed", "declined"}

    @property
    def was_not_sent(self) -> bool:
        """Whether it provably never reached the provider (class A)."""
        return self.result_class == "A"


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
    provider_error: ProviderError | None = None


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """One dispute, recorded as the provider tells it; it changes no status of the payment.
    `told_ms` is when the provider said so last, by its own clock."""

    id: str
    payment_id: str
    provider_id: str
    state: DisputeState
    amount_minor: int
    reason: str
    created_ms: int
    updated_ms: int
    told_ms: int = 0


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """All that the store holds about one payment, read in one snapshot. Oldest first."""

    payment: Payment
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    def open_attempts(self) -> tuple[Attempt, ...]:
        """Attempts whose effect is not known: being sent, or unknown."""
        return tuple(a for a in self.attempts if is_open(a))

    def held(self) -> Attempt | None:
        """The attempt that waits for a version that works: it was never sent."""
        return next((a for a in self.attempts if a.waits and a.outcome is None), None)

    def attempt(self, attempt_id: str) -> Attempt | None:
        return next((a for a in self.attempts if a.id == attempt_id), None)

    def refund(self, refund_id: str) -> Refund | None:
        return next((r for r in self.refunds if r.id == refund_id), None)


def is_open(attempt: Attempt) -> bool:
    """Whether the attempt may or may not have had its effect. A capture or a void that the provider
    accepted and decides later is open until then."""
    return attempt.outcome in {None, "unknown"} or is_decided_later(attempt)


def is_decided_later(attempt: Attempt) -> bool:
    """Whether the provider accepted a follow-up and has not decided it."""
    return attempt.outcome == "pending" and attempt.operation in {"capture", "void"}
