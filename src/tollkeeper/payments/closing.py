"""Closing a change: what every change needs besides its own decision, added in one place."""

from collections.abc import Iterator

from msgspec.structs import replace

from tollkeeper.payments.change import Change, IdempotencyClaim, between
from tollkeeper.payments.late import (
    MAX_REVERSALS,
    came_to_life,
    is_given_back,
    is_partly_captured,
    still_reversible,
)
from tollkeeper.payments.payment import Books
from tollkeeper.payments.settlement import Policy, look_at_ms


def build_change(
    before: Books | None,
    after: Books,
    policy: Policy,
    *,
    cause: str,
    actor: str,
    now_ms: int,
    event_ids: Iterator[str],
    claim: IdempotencyClaim | None = None,
) -> Change:
    """The Change from `before` to `after`, with the authorization's expiry, the end of attention
    that is no longer needed, and the time of the next look."""
    after = _with_expiry(after, policy, now_ms)
    after = _with_time_to_act(before, after, policy, now_ms)
    after = _without_needless_attention(before, after)
    after = _with_reversal(before, after, policy)
    return between(
        before,
        after,
        cause=cause,
        actor=actor,
        now_ms=now_ms,
        look_at_ms=look_at_ms(after, policy, now_ms),
        event_ids=event_ids,
        claim=claim,
    )


def _with_expiry(books: Books, policy: Policy, now_ms: int) -> Books:
    payment = books.payment
    if payment.status != "requires_capture" or payment.authorization_expires_ms is not None:
        return books
    expires_ms = now_ms + policy.authorization_ms
    return replace(books, payment=replace(payment, authorization_expires_ms=expires_ms))


def _with_time_to_act(before: Books | None, after: Books, policy: Policy, now_ms: int) -> Books:
    """A shopper who was just asked to authenticate gets the whole time for it."""
    was = before.payment.status if before is not None else ""
    if after.payment.status != "requires_action" or was == "requires_action":
        return after
    return replace(after, payment=replace(after.payment, deadline_ms=now_ms + policy.action_ms))


def _without_needless_attention(before: Books | None, after: Books) -> Books:
    """Attention given because something could not be settled ends when it is settled."""
    was_open = before is not None and bool(before.open_attempts())
    payment = after.payment
    if payment.attention is None or not was_open or after.open_attempts():
        return after
    if payment.attention_until == "cleared":
        return after
    return replace(after, payment=replace(after.payment, attention=None))


def _with_reversal(before: Books | None, after: Books, policy: Policy) -> Books:
    """A charge that showed up after the shop was told "failed" is reversed where the account wants
    that; the mark goes when nothing of it is left, when somebody captured a part of it, or when a
    person must act."""
    payment = after.payment
    if before is not None and came_to_life(before, after):
        wanted = payment.account in policy.reversing_accounts
        return replace(after, payment=replace(payment, reversing=wanted))
    if payment.reversing and is_partly_captured(after):
        return replace(after, payment=replace(payment, reversing=False))
    if not payment.reversing or still_reversible(after):
        return after
    if is_given_back(after):
        return replace(after, payment=replace(payment, reversing=False))
    note = (
        f"the charge showed up after the payment had failed, and {MAX_REVERSALS} attempts at "
        "giving it back had no effect. Next: refund it at the provider"
    )
    was = f"{payment.attention}; " if payment.attention else ""
    told = f"{was}{note}"[:1000]
    given_up = replace(payment, reversing=False, attention=told, attention_until="cleared")
    return replace(after, payment=given_up)
