"""What an attempt's outcome does to a payment: books and an outcome in, the new books out."""

from msgspec.structs import replace

from tollkeeper.payments import transitions
from tollkeeper.payments.judging import classify
from tollkeeper.payments.outcome import (
    Charge,
    FailureCode,
    Outcome,
    ProviderError,
    RefundSeen,
    Refusal,
)
from tollkeeper.payments.payment import Attempt, Books, Payment, Refund, is_open

HOLDS_MONEY = ("capture", "refund")
"""Operations that reserve their amount while their effect is not known."""

ENDED = frozenset({"failed", "canceled"})
"""Statuses in which a cancellation changes nothing more."""


def apply_outcome(
    books: Books,
    attempt: Attempt,
    outcome: Outcome,
    now_ms: int,
    *,
    by: str = "reply",
    next_attempt: Attempt | None = None,
) -> Books:
    """The books after `outcome` of `attempt` became known, or is known to be unknown.

    `outcome` was judged already. `by` says what told us (`reply`, `reread`, `lookup`, `listing`,
    `replay`, `webhook`). `next_attempt` is a failover that starts in the same change; it is allowed
    only after class A or B1. An authorization takes its payment along to the other version.
    """
    result_class = classify(outcome)
    known = outcome.kind != "unknown"
    in_use = outcome.doubt is not None and outcome.doubt.kind == "in_use"
    done = replace(
        attempt,
        outcome=outcome.kind,
        result_class=result_class or attempt.result_class,
        provider_id=_provider_id(outcome) or attempt.provider_id,
        detail=_detail(outcome)[:200],
        settled_by=by if known else "",
        later=outcome.refusal is not None and (outcome.refusal.later or outcome.refusal.ours),
        error=_error(outcome),
        failure_code=_code(outcome, result_class),
        wait_s=outcome.refusal.retry_after_s if outcome.refusal is not None else 0,
        in_use=in_use,
    )
    books = with_attempt(books, done)
    if next_attempt is not None:
        assert result_class in {"A", "B1"}, f"failover after class {result_class}"
        payment = replace(books.payment, updated_ms=now_ms)
        if attempt.operation == "authorize":
            payment = replace(payment, integration=next_attempt.integration)
        return totals(replace(with_attempt(books, next_attempt), payment=payment))
    if known:
        books = _APPLY[attempt.operation](books, done, outcome, now_ms)
    refusal = outcome.refusal
    if refusal is not None and refusal.ours and books.payment.attention is None:
        note = _ours(attempt, refusal)
        payment = replace(books.payment, attention=note, attention_until="cleared")
        books = replace(books, payment=payment)
    return totals(replace(books, payment=replace(books.payment, updated_ms=now_ms)))


def with_attempt(books: Books, attempt: Attempt) -> Books:
    """The books with `attempt` put in its place, or added at the end."""
    if any(a.id == attempt.id for a in books.attempts):
        attempts = tuple(attempt if a.id == attempt.id else a for a in books.attempts)
    else:
        attempts = (*books.attempts, attempt)
    return replace(books, attempts=attempts)


def with_refund(books: Books, refund: Refund) -> Books:
    """The books with `refund` put in its place, or added at the end."""
    if any(r.id == refund.id for r in books.refunds):
        refunds = tuple(refund if r.id == refund.id else r for r in books.refunds)
    else:
        refunds = (*books.refunds, refund)
    return replace(books, refunds=refunds)


def moved(payment: Payment, move: transitions.Transition) -> Payment:
    """`payment` after one move of the table."""
    return replace(payment, status=transitions.target(payment.status, move))


def totals(books: Books) -> Books:
    """The books with the payment's sums made anew from their rows."""
    unsettled = books.open_attempts()
    in_flight = {a.refund_id for a in unsettled if a.refund_id}
    return replace(
        books,
        payment=replace(
            books.payment,
            outcome_known=not any(a.outcome is not None for a in unsettled),
            reserved_minor=sum(a.amount_minor for a in unsettled if a.operation in HOLDS_MONEY),
            refunded_minor=sum(
                r.amount_minor
                for r in books.refunds
                if r.status != "failed" and r.id not in in_flight
            ),
        ),
    )


def _authorize(books: Books, attempt: Attempt, outcome: Outcome, now_ms: int) -> Books:
    payment = books.payment
    charge = outcome.charge
    if outcome.kind in {"approved", "pending"}:
        assert charge is not None, "an approval carries its charge"
        return replace(books, payment=charged(payment, charge))
    if outcome.kind == "declined":
        reason = outcome.decline.reason if outcome.decline else "declined"
        payment = replace(
            moved(payment, "declined"),
            decline_reason=reason,
            failure_code="declined",
            provider_error=attempt.error,
            provider_id=(charge.provider_id if charge else None) or payment.provider_id,
            redirect_url=None,
        )
        return replace(books, payment=payment)
    payment = replace(
        moved(payment, "refused"), failure_code=attempt.failure_code, provider_error=attempt.error
    )
    return replace(books, payment=payment)


def _code(outcome: Outcome, result_class: str | None) -> FailureCode | None:
    """The stable word for an attempt that is known to have had no effect."""
    if outcome.kind == "declined":
        return "declined"
    if outcome.kind != "failed":
        return None
    return "not_sent" if result_class == "A" else _reason(outcome)


def _reason(outcome: Outcome) -> FailureCode:
    return outcome.refusal.reason if outcome.refusal is not None else "refused"


def _ours(attempt: Attempt, refusal: Refusal) -> str:
    return (
        f"{attempt.integration} refused our key or account: {refusal.code} ({refusal.detail}). "
        "Next: check the provider's secret key and the account's permissions"
    )


def charged(payment: Payment, charge: Charge) -> Payment:
    """`payment`, still undecided, after its charge was seen in a state that decides or pends."""
    move: dict[str, transitions.Transition] = {
        "authorized": "authorized",
        "captured": "paid",
        "requires_action": "action_required",
        "processing": "pending",
    }
    chosen = move[charge.state]
    if chosen != "action_required" or payment.status != "requires_action":
        payment = moved(payment, chosen)
    return replace(
        payment,
        provider_id=charge.provider_id,
        capturable_minor=charge.capturable_minor if charge.state == "authorized" else 0,
        captured_minor=charge.captured_minor if charge.state == "captured" else 0,
        redirect_url=charge.redirect_url if charge.state == "requires_action" else None,
    )


def _capture(books: Books, attempt: Attempt, outcome: Outcome, now_ms: int) -> Books:
    if outcome.kind != "approved":
        return books  # refused or declined: the reservation falls away with the attempt
    charge = outcome.charge
    assert charge is not None, "an approval carries its charge"
    return replace(books, payment=captured(books.payment, attempt, charge.capturable_minor))


def captured(payment: Payment, attempt: Attempt, left_minor: int) -> Payment:
    """`payment` after `attempt` captured; `left_minor` is what the provider can still capture."""
    total = payment.captured_minor + attempt.amount_minor
    if attempt.final or left_minor == 0:
        return replace(moved(payment, "captured"), captured_minor=total, capturable_minor=0)
    payment = moved(payment, "partly_captured")
    return replace(payment, captured_minor=total, capturable_minor=left_minor)


def _void(books: Books, attempt: Attempt, outcome: Outcome, now_ms: int) -> Books:
    if outcome.kind != "approved":
        return books
    return voided(books, attempt, now_ms)


def voided(books: Books, attempt: Attempt, now_ms: int) -> Books:
    """The books after `attempt` cancelled the charge: nothing can be taken any more."""
    attempts = tuple(
        replace(a, outcome="failed", detail="cancelled before it took effect", settled_by="void")
        if a.id != attempt.id and a.operation in {"authorize", "capture"} and is_open(a)
        else a
        for a in books.attempts
    )
    if books.payment.status in ENDED:
        return replace(books, attempts=attempts)  # the intent had landed after the end
    # the shopper may have come back while it was under way: then it was an authorization that went
    undecided = books.payment.status in {"processing", "requires_action"}
    abandoned = attempt.purpose == "abandon" and undecided
    payment = replace(
        moved(books.payment, "abandoned" if abandoned else "voided"),
        capturable_minor=0,
        redirect_url=None,
        failure_code="not_completed" if abandoned else None,
    )
    return replace(books, attempts=attempts, payment=payment)


def _refund(books: Books, attempt: Attempt, outcome: Outcome, now_ms: int) -> Books:
    refund = books.refund(attempt.refund_id or "")
    assert refund is not None, "a refund attempt has its refund"
    if outcome.kind in {"approved", "pending"}:
        seen = outcome.refund
        assert seen is not None, "an approval carries its refund"
        return with_refund(books, refund_as_seen(refund, seen, now_ms))
    code: str = "failed_at_provider" if outcome.decline else _reason(outcome)
    if attempt.result_class == "A":
        code = "try_again"
    failed = replace(
        refund,
        status="failed",
        failure_code=code,
        provider_error=attempt.error,
        updated_ms=now_ms,
    )
    return with_refund(books, failed)


def refund_as_seen(refund: Refund, seen: RefundSeen, now_ms: int) -> Refund:
    """`refund` with the provider's id and state."""
    return replace(refund, status=seen.state, provider_id=seen.provider_id, updated_ms=now_ms)


def _provider_id(outcome: Outcome) -> str | None:
    if outcome.refund is not None:
        return outcome.refund.provider_id
    return outcome.charge.provider_id if outcome.charge is not None else None


def _error(outcome: Outcome) -> ProviderError | None:
    """The provider's own words about a refusal or a decline."""
    for part in (outcome.refusal, outcome.decline):
        if part is not None:
            return part.error or (ProviderError(part.code) if part.code else None)
    return None


def _detail(outcome: Outcome) -> str:
    for part in (outcome.doubt, outcome.refusal):
        if part is not None:
            return part.detail
    return outcome.decline.code if outcome.decline is not None else ""


_APPLY = {"authorize": _authorize, "capture": _capture, "void": _void, "refund": _refund}
