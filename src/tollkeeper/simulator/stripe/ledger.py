"""The provider's books: what really happened to money, for whoever must prove "never twice".

These structs are the schema of `GET /_control/ledger` and, for charges, of each line of the
ledger file: the last line about a charge is its state. Amounts are minor units, currencies
upper-case ISO 4217, moments Unix milliseconds.
"""

from typing import Literal

import msgspec

from tollkeeper.simulator.stripe.currencies import iso_minor
from tollkeeper.simulator.stripe.records import Charge, Dispute, Intent, Origin, Refund

ChargeStatus = Literal["pending", "authorized", "captured", "voided", "expired", "declined"]


class LedgerCapture(msgspec.Struct, frozen=True):
    """One capture. Request, key and version are empty for the capture that an automatic payment
    includes: no request of its own asked for it."""

    amount_minor: int
    at_ms: int
    request_id: str
    idempotency_key: str
    api_version: str


class LedgerRefund(msgspec.Struct, frozen=True):
    """Money given back (`refund`), or an authorization released uncaptured (`release`).

    `source` says who caused it: `api`, `dashboard`, `capture`, `cancel` or `expiry`.
    """

    refund_id: str
    kind: Literal["refund", "release"]
    amount_minor: int
    status: str
    reason: str | None
    failure_reason: str | None
    source: str
    request_id: str
    idempotency_key: str
    api_version: str
    metadata: dict[str, str]
    created_ms: int


class LedgerDispute(msgspec.Struct, frozen=True):
    dispute_id: str
    amount_minor: int
    reason: str
    status: str


class LedgerCharge(msgspec.Struct, frozen=True):
    """One attempt to take money.

    `status` is `captured` once anything was captured; a voided or expired charge never moved
    money; a pending one waits for the issuer, and its intent is `open` meanwhile. `live` means
    authorized or captured. `amount_refunded_minor` counts refunds that did not fail, never
    releases; `amount_released_minor` counts what was held and never captured, whether a release
    object tells of it or not. Key, version and request are those of the confirmation that made it,
    also where a shopper authenticated in between.
    """

    charge_id: str
    payment_intent_id: str
    account: str
    idempotency_key: str
    request_id: str
    api_version: str
    reference: str | None
    metadata: dict[str, str]
    payment_method: str
    status: ChargeStatus
    live: bool
    decline_code: str
    amount_minor: int
    currency: str
    amount_captured_minor: int
    amount_refunded_minor: int
    captures: list[LedgerCapture]
    refunds: list[LedgerRefund]
    disputes: list[LedgerDispute]
    created_ms: int
    updated_ms: int
    amount_released_minor: int = 0


class LedgerIntent(msgspec.Struct, frozen=True):
    """A payment intent; `open` means that it could still be confirmed and charge somebody."""

    payment_intent_id: str
    account: str
    status: str
    open: bool
    idempotency_key: str
    request_id: str
    api_version: str
    reference: str | None
    metadata: dict[str, str]
    amount_minor: int
    currency: str
    charge_ids: list[str]
    created_s: int


class Ledger(msgspec.Struct, frozen=True):
    """Everything, oldest first."""

    charges: list[LedgerCharge]
    intents: list[LedgerIntent]


def charge_entry(
    charge: Charge, refunds: list[Refund], disputes: list[Dispute], reference_key: str
) -> LedgerCharge:
    status = _status(charge)
    return LedgerCharge(
        charge_id=charge.id,
        payment_intent_id=charge.intent,
        account=charge.account,
        idempotency_key=charge.origin.idempotency_key,
        request_id=charge.origin.request_id,
        api_version=charge.origin.api_version,
        reference=charge.metadata.get(reference_key),
        metadata=dict(charge.metadata),
        payment_method=charge.payment_method,
        status=status,
        live=status in ("authorized", "captured"),
        decline_code=charge.decline_code,
        amount_minor=iso_minor(charge.amount, charge.currency),
        currency=charge.currency.upper(),
        amount_captured_minor=iso_minor(charge.amount_captured, charge.currency),
        amount_refunded_minor=iso_minor(charge.returned, charge.currency),
        captures=[
            _capture_entry(iso_minor(c.amount, charge.currency), c.at_ms, c.origin)
            for c in charge.captures
        ],
        refunds=[_refund_entry(refund) for refund in refunds],
        disputes=[_dispute_entry(d) for d in disputes],
        created_ms=charge.created_ms,
        updated_ms=charge.updated_ms,
        amount_released_minor=iso_minor(_released(charge, refunds), charge.currency),
    )


def _released(charge: Charge, refunds: list[Refund]) -> int:
    listed = sum(refund.amount for refund in refunds if refund.kind == "release")
    return charge.amount_released + listed


def _status(charge: Charge) -> ChargeStatus:
    if charge.pending:
        return "pending"
    if charge.declined:
        return "declined"
    if charge.amount_captured:
        return "captured"
    if charge.released:
        return "expired" if charge.released == "expired" else "voided"
    return "authorized"


def _capture_entry(amount: int, at_ms: int, origin: Origin) -> LedgerCapture:
    return LedgerCapture(
        amount, at_ms, origin.request_id, origin.idempotency_key, origin.api_version
    )


def _refund_entry(refund: Refund) -> LedgerRefund:
    return LedgerRefund(
        refund_id=refund.id,
        kind=refund.kind,
        amount_minor=iso_minor(refund.amount, refund.currency),
        status=refund.status,
        reason=refund.reason,
        failure_reason=refund.failure_reason,
        source=refund.origin.source,
        request_id=refund.origin.request_id,
        idempotency_key=refund.origin.idempotency_key,
        api_version=refund.origin.api_version,
        metadata=dict(refund.metadata),
        created_ms=refund.created_ms,
    )


def _dispute_entry(dispute: Dispute) -> LedgerDispute:
    amount_minor = iso_minor(dispute.amount, dispute.currency)
    return LedgerDispute(dispute.id, amount_minor, dispute.reason, dispute.status)


OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "processing")


def intent_entry(intent: Intent, reference_key: str) -> LedgerIntent:
    return LedgerIntent(
        payment_intent_id=intent.id,
        account=intent.account,
        status=intent.status,
        open=intent.status in OPEN,
        idempotency_key=intent.origin.idempotency_key,
        request_id=intent.origin.request_id,
        api_version=intent.origin.api_version,
        reference=intent.metadata.get(reference_key),
        metadata=dict(intent.metadata),
        amount_minor=iso_minor(intent.amount, intent.currency),
        currency=intent.currency.upper(),
        charge_ids=list(intent.charges),
        created_s=intent.created,
    )
