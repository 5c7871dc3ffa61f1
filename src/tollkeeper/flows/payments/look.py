"""One look at the provider while a caller waits: bounded in time, through every sound version.

Gather: one question to each version until one is answered. Decide: `judging`. It moves no money.
"""

from typing import Final

import msgspec

from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.sending import SendResult, ask_once, order_for
from tollkeeper.integrations.version import Integration, OperationInput
from tollkeeper.payments.failover import glance_for
from tollkeeper.payments.judging import (
    charge_mismatch,
    is_decline,
    judge_seen,
    may_be_charge_of,
    may_be_refund_of,
    seen_as,
)
from tollkeeper.payments.outcome import Charge, Outcome, OutcomeKind, RefundState, unknown
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.reconcile import unread_may_be_refund

NEAR_S: Final = 10
"""How far from the send a charge is looked for, in seconds of the provider's clock."""

MOST_DRIFT_MS: Final = NEAR_S * 500
"""How far the provider's clock may be from where it was believed to be: half of that."""

MAX_PAGES: Final = 3
SHORTEST_SECONDS: Final = 0.05


class Seen(msgspec.Struct, frozen=True):
    """What a look gave. `outcome` is what the attempt came to, `None` where no effect shows;
    `answered`: some version could read the provider's answer; `by` is that version."""

    outcome: Outcome | None = None
    answered: bool = False
    by: str = ""


NOTHING: Final = Seen()


async def settled_at_once(
    runtime: Runtime, books: Books, attempt: Attempt, heard: SendResult
) -> SendResult:
    """What one look makes of a result that proves nothing, within `rescue_seconds`: an unreadable
    success becomes known, and a refusal that no table knows is confirmed or stays unknown."""
    glance = glance_for(heard.outcome)
    if glance is None:
        return heard
    seen = await look(runtime, books, attempt, seconds=runtime.settings.rescue_seconds)
    if seen.outcome is not None and seen.outcome.is_known:
        return msgspec.structs.replace(heard, outcome=seen.outcome, by="lookup", read_by=seen.by)
    if glance == "rescue" or seen.answered:
        return heard
    refusal = heard.outcome.refusal
    code = refusal.code if refusal is not None else ""
    doubt = unknown("status", f"refused with {code}, and no look could confirm it")
    return msgspec.structs.replace(heard, outcome=doubt)


async def look(runtime: Runtime, books: Books, attempt: Attempt, *, seconds: float) -> Seen:
    """Asks what became of `attempt` through the other versions first, since its own may be the one
    that fails. Who sees a decline may misread, and it would end the payment: then the next one is
    asked as well. Gives up after `seconds`, or where the provider is being asked too much."""
    own = runtime.integration(attempt.integration)
    until = runtime.clock.monotonic() + seconds
    declined = NOTHING
    for version in (*runtime.router.other_versions(own.name, books.payment.account), own):
        left = until - runtime.clock.monotonic()
        if left < SHORTEST_SECONDS or runtime.live.health(own.provider).is_full:
            break
        seen = await _through(runtime, version, books, attempt, until)
        if not seen.answered or (declined.answered and seen.outcome is None):
            continue
        named = msgspec.structs.replace(seen, by=version.name)
        if seen.outcome is None or not is_decline(seen.outcome):
            return named
        if declined.answered:
            return declined  # two see it
        declined = named
    return declined


async def _through(
    runtime: Runtime, version: Integration, books: Books, attempt: Attempt, until: float
) -> Seen:
    order = order_for(runtime, books.payment, attempt)
    if attempt.operation == "refund":
        return await _refund(runtime, version, order, books, attempt, until)
    if order.provider_id is None:
        return await _listed(runtime, version, order, books, attempt, until)
    left = until - runtime.clock.monotonic()
    said = await ask_once(runtime, version, "lookup", order, left)
    if not said.is_answer or said.charge is None:
        return NOTHING
    return _of_charge(books, attempt, said.charge)


def _of_charge(books: Books, attempt: Attempt, charge: Charge) -> Seen:
    shown = seen_as(books.payment, attempt, charge)
    if shown is None:
        foreign = charge_mismatch(books.payment, charge) is not None
        return Seen(None, answered=not foreign and not _moved_otherwise(books, attempt, charge))
    return _judged(books, attempt, shown)


def _moved_otherwise(books: Books, attempt: Attempt, charge: Charge) -> bool:
    """Whether a capture shows a sum that is neither the one before it nor the one after it."""
    moved = charge.captured_minor != books.payment.captured_minor
    return attempt.operation == "capture" and moved


def _judged(books: Books, attempt: Attempt, shown: Outcome) -> Seen:
    """What a reading of our own effect says. One that cannot be of it is no answer: something of
    ours is there, so that it confirms no refusal."""
    outcome = judge_seen(books.payment, attempt, shown)
    return Seen(outcome, answered=outcome.is_known)


async def _listed(
    runtime: Runtime,
    version: Integration,
    order: OperationInput,
    books: Books,
    attempt: Attempt,
    until: float,
) -> Seen:
    """Looks for the attempt's charge around its send, by the provider's clock."""
    health = runtime.live.health(version.provider)
    assumed_ms = health.skew_ms
    skew_s = assumed_ms // 1000
    order = msgspec.structs.replace(
        order,
        created_from_s=attempt.first_sent_ms // 1000 - NEAR_S + min(0, skew_s),
        created_to_s=runtime.store.now_ms() // 1000 + NEAR_S + max(0, skew_s),
    )
    whole = True
    for _ in range(MAX_PAGES):
        said = await ask_once(runtime, version, "find", order, until - runtime.clock.monotonic())
        if not said.is_answer:
            return NOTHING
        for charge in said.charges:
            if charge.attempt_id == attempt.id:
                return _of_charge(books, attempt, charge)
        whole = whole and not any(may_be_charge_of(books.payment, row) for row in said.unread)
        if said.next_cursor is None:
            # the answer tells the provider's time: by that, was it asked about the right time?
            missed = abs(health.skew_ms - assumed_ms) > MOST_DRIFT_MS
            return Seen(None, answered=whole and not missed)
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    return NOTHING


async def _refund(
    runtime: Runtime,
    version: Integration,
    order: OperationInput,
    books: Books,
    attempt: Attempt,
    until: float,
) -> Seen:
    whole = True
    for _ in range(MAX_PAGES):
        left = until - runtime.clock.monotonic()
        said = await ask_once(runtime, version, "list_refunds", order, left)
        if not said.is_answer:
            return NOTHING
        for refund in said.refunds:
            if refund.attempt_id == attempt.id:
                kind = _REFUND_KIND[refund.state]
                shown = Outcome(kind=kind, refund=refund)
                return _judged(books, attempt, shown)
        ids, currency = [attempt.id], books.payment.currency
        whole = whole and not any(unread_may_be_refund(books, row, ids) for row in said.unread)
        whole = whole and not any(
            may_be_refund_of(attempt, currency, refund) for refund in said.refunds
        )
        if said.next_cursor is None:
            return Seen(None, answered=whole)
        order = msgspec.structs.replace(order, cursor=said.next_cursor)
    return NOTHING


_REFUND_KIND: Final[dict[RefundState, OutcomeKind]] = {
    "pending": "pending",
    "succeeded": "approved",
    "failed": "declined",
}
