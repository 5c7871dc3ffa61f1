"""A Change: all that one commit writes about one payment, derived from its books before and after.

Law: rows, audit row, outgoing events, the stored answer and the payment's next look are one value,
so that no commit can hold one without the others.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.payments.assignment import Assignment, FirstResult, FollowUpResult, ShadowResult
from tollkeeper.payments.audit import AuditRow, audit_row, key_digest
from tollkeeper.payments.late import corrected_attempts, corrected_refunds
from tollkeeper.payments.payment import Attempt, Books, Dispute, Payment, Refund
from tollkeeper.payments.view import dispute_view, encode, payment_view, refund_view

EVENT_TYPES: Final[dict[str, str]] = {
    "payment.processing": "the payment was accepted and is not decided yet",
    "payment.requires_action": "the shopper must authenticate; `next_action` says where",
    "payment.requires_capture": "the money is authorized and waits for a capture",
    "payment.succeeded": "the money was captured",
    "payment.canceled": "the authorization was voided, expired or cancelled at the provider",
    "payment.failed": "declined, refused, or proved not to have been executed",
    "payment.captured": "a part was captured and the rest stays capturable",
    "payment.attention_required": "a person must look at the payment",
    "payment.corrected": "a later fact showed that what was taken for not executed took effect",
    "refund.pending": "the provider accepted the refund and has not decided",
    "refund.succeeded": "the refund was made, by us or in the provider's dashboard",
    "refund.failed": "the refund was refused, or failed after it had succeeded",
    "refund.corrected": "a refund that was taken for not executed took effect",
    "dispute.open": "the shopper's bank disputes the charge",
    "dispute.won": "the dispute was closed in our favor",
    "dispute.lost": "the dispute was closed against us",
    "dispute.prevented": "the dispute was settled before it was opened",
    "dispute.inquiry": "the shopper's bank asks about the charge, and disputes nothing yet",
    "dispute.inquiry_closed": "the bank's inquiry ended without a dispute",
    "contract.broken": "a provider's new description breaks an installed integration version",
    "contract.kept": "a provider has a new description, and every installed version fits it",
    "rollout.started": "a candidate began to earn its traffic",
    "rollout.advanced": "the evidence or an operator allowed the next step, or the shadow ended",
    "rollout.paused": "an operator lets a rollout go no step further; rollback stays armed",
    "rollout.resumed": "an operator lets a paused rollout go on",
    "rollout.promoted": "the candidate took all of its traffic",
    "rollout.rolled_back": "the candidate was taken out; what is unknown is being settled",
    "rollout.ended": "an operator ended it, or its time was up with nothing shown",
    "rollout.alarmed": "a promoted version fails more than it did; it may be an outage",
    "failover.alarm": "the version that carries traffic fails more than its history",
    "failover.quiet": "the version that carries traffic fails no more than before",
    "failover.share": "another share of first attempts goes to the candidate of a failover",
    "failover.moved": "all traffic of a version goes to another one, which is better by proof",
    "failover.stopped": "the candidate of a failover was worse, and was taken out",
    "failover.none_works": "no installed version works",
    "failover.proposed": "another version would take over: start a rollout, or move by hand",
    "failover.works_again": "a version works again, after no installed one did",
    "failover.misread": "another version sees a payment otherwise than the one moved to read it",
    "failover.cleared": "an operator lets traffic move to a version again",
    "failover.follow_ups": "an operator has chosen the version that follow-ups go through",
    "failover.policy": "an operator has chosen what happens if a version fails",
    "routes.set": "an operator gave new payments to versions by hand",
}
"""Every outgoing event type and when it is sent."""


class IdempotencyClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency key and what it is bound to, for ever. `fingerprint` is the hash of the
    request; `token` tells our own repeated commit from another request's claim."""

    account: str
    key: str
    fingerprint: str
    token: str
    payment_id: str
    refund_id: str | None = None


class HeldReference(msgspec.Struct, frozen=True, kw_only=True):
    """A shop's reference that no second live payment may use. `previous` is the ended payment that
    held it before, empty where there was none."""

    account: str
    reference: str
    payment_id: str
    previous: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that replays of a key get until `expires_ms`."""

    account: str
    key: str
    status: int
    body: bytes
    expires_ms: int


class OutEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be told to the account's webhook endpoints. `data` is JSON."""

    id: str
    account: str
    payment_id: str
    type: str
    created_ms: int
    data: bytes


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent and what came back for one attempt: `request` and `reply` are sealed, or
    masked by shape once the outcome is known. `None` leaves what is stored as it is."""

    attempt_id: str
    payment_id: str
    request: bytes | None = None
    reply: bytes | None = None
    sealed: bool = True


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's webhook; unique by provider and event id. `payload` is sealed. `charge_id` is
    the provider's id of the charge that it names."""

    provider: str
    event_id: str
    integration: str
    word: str
    payload: bytes
    received_ms: int
    fate: str
    payment_id: str | None = None
    charge_id: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic change. `expected_seq` is the payment's `seq` that it was decided upon (`None`:
    the payment is new); the store refuses it where that has moved on.

    `look_at_ms`: when settling looks at the payment next; `None` removes the look. `read_again`:
    the rollout that cross-reads the payment anew where it had agreed.
    """

    payment: Payment
    expected_seq: int | None
    audit: AuditRow
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    events: tuple[OutEvent, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    look_at_ms: int | None = None
    claim: IdempotencyClaim | None = None
    held: HeldReference | None = None
    answer: Answer | None = None
    inbound: Inbound | None = None
    assignment: Assignment | None = None
    observed: FirstResult | None = None
    shadowed: ShadowResult | None = None
    read_again: str | None = None
    followed: FollowUpResult | None = None


def between(
    before: Books | None,
    after: Books,
    *,
    cause: str,
    actor: str,
    now_ms: int,
    look_at_ms: int | None,
    event_ids: Iterator[str],
    claim: IdempotencyClaim | None = None,
) -> Change:
    """The change from `before` to `after`. `event_ids` yields a fresh id for each event; `claim` is
    the key that the change binds."""
    seq = before.payment.seq if before else 0
    attempts = _new(before.attempts if before else (), after.attempts)
    refunds = _new(before.refunds if before else (), after.refunds)
    disputes = _new(before.disputes if before else (), after.disputes)
    payment = replace(after.payment, seq=seq + 1)
    row = audit_row(
        payment,
        attempts,
        refunds,
        disputes,
        cause=cause,
        actor=actor,
        at_ms=now_ms,
        previous=before.payment.audit_head if before else "",
        claim=_digest_of(claim) if claim is not None else None,
    )
    events = tuple(
        OutEvent(
            id=next(event_ids),
            account=payment.account,
            payment_id=payment.id,
            type=type_,
            created_ms=now_ms,
            data=data,
        )
        for type_, data in _events(before, after, refunds, disputes)
    )
    return Change(
        payment=replace(payment, audit_head=row.hash),
        expected_seq=seq if before else None,
        audit=row,
        attempts=attempts,
        refunds=refunds,
        disputes=disputes,
        events=events,
        look_at_ms=look_at_ms,
        claim=claim,
    )


def _digest_of(claim: IdempotencyClaim) -> str:
    return key_digest(claim.account, claim.key, claim.fingerprint, claim.refund_id)


def committed(books: Books, change: Change) -> Books:
    """`books` as the store holds them once `change`, which was made from them, is committed."""
    return replace(books, payment=change.payment)


def _new[T](before: tuple[T, ...], after: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(item for item in after if item not in before)


def _events(
    before: Books | None,
    after: Books,
    refunds: tuple[Refund, ...],
    disputes: tuple[Dispute, ...],
) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    old, new = before.payment if before else None, after.payment
    if old is not None:
        body = encode(payment_view(new)) if old != new else b""
        if old.status != new.status:
            found.append((f"payment.{new.status}", body))
        elif old.captured_minor != new.captured_minor:
            found.append(("payment.captured", body))
        elif old.outcome_known and not new.outcome_known and new.status == "processing":
            found.append(("payment.processing", body))
        if new.attention is not None and old.attention is None:
            found.append(("payment.attention_required", body))
        if any(a.refund_id is None for a in corrected_attempts(before, after)):
            found.append(("payment.corrected", body))
    found.extend(
        (f"refund.{r.status}", encode(refund_view(after, r)))
        for r in refunds
        if _tells(before, after, r)
    )
    found.extend(
        ("refund.corrected", encode(refund_view(after, refund)))
        for refund in corrected_refunds(before, after)
    )
    currency = new.currency
    found.extend(
        (f"dispute.{d.state}", encode(dispute_view(d, currency)))
        for d in disputes
        if _has_moved(before, d)
    )
    return found


def _has_moved(before: Books | None, dispute: Dispute) -> bool:
    """Whether more changed about a dispute than when the provider said it."""
    old = next((d for d in before.disputes if d.id == dispute.id), None) if before else None
    return old is None or replace(old, told_ms=dispute.told_ms) != dispute


def _tells(before: Books | None, after: Books, refund: Refund) -> bool:
    """Whether the refund's status is news: a refund that is still being sent is none."""
    old = before.refund(refund.id) if before else None
    if old is not None and old.status == refund.status and old.provider_id == refund.provider_id:
        return False
    return not any(a.refund_id == refund.id for a in after.open_attempts())
