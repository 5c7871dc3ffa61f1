"""The settling ladder: what to do next about a payment whose truth is not known, and when.

Law: nothing is sent again but the same bytes under the same key, and only where the provider
retains keys. "Not found" counts only when the question was asked after the in-flight window of the
last send. An intent that could still be confirmed is cancelled before its payment is called failed.
"""

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.payments.outcome import Charge
from tollkeeper.payments.payment import Attempt, Books, Payment
from tollkeeper.payments.results import moved, totals, with_attempt, with_refund

LOOK_BACKOFF_MS: Final = (
    300, 700, 1_500, 3_000, 5_000, 8_000, 12_000, 15_000, 30_000, 60_000, 60_000, 60_000,
    120_000, 300_000, 900_000,
)  # fmt: skip
"""Pauses between passes of the ladder: dense while a shopper may be waiting, then ever longer."""

MOST_PAUSE_OF_AGE: Final = 2
"""No pause is longer than so many times the time since the attempt was sent."""

PENDING_LOOK_MS: Final = 30_000
"""How often a charge that the provider has not decided is looked at."""

PENDING_BACKOFF_MS: Final = 3_600_000
"""How often a pending refund, or an authorization past its expiry, is looked at."""

LOOKS_BEFORE_REPLAY: Final = 1
"""Passes that ask before the same bytes are sent again: asking costs nothing."""

MAX_REPLAYS: Final = 3

StepKind = Literal[
    "reread",
    "lookup",
    "find",
    "search",
    "list_refunds",
    "replay",
    "cancel",
    "not_executed",
    "wait",
    "done",
]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a pinned version and the settings allow. Milliseconds.

    `send_ms`: the longest one send can take; `window_ms`: the longest a request that we gave up on
    may still land (W); `retention_ms`: how long the provider keeps idempotency keys, 0 for never;
    `attention_ms`: after how long without an answer a person is told; `authorization_ms`: how long
    an authorization lives; `action_ms`: how long a shopper may take to authenticate.
    """

    send_ms: int
    window_ms: int
    retention_ms: int
    attention_ms: int
    authorization_ms: int
    action_ms: int


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What this pass has learned so far. `charge_asked_ms` is when the answered question was put,
    by the store's clock; `charge_near` that it was only about the time around the send; `*_failed`
    that it could not be answered."""

    reread: bool = False
    charge: Charge | None = None
    charge_asked_ms: int | None = None
    charge_near: bool = False
    charge_failed: bool = False
    refunds_asked_ms: int | None = None
    refunds_failed: bool = False
    replayed: bool = False
    canceled: bool = False


class Step(msgspec.Struct, frozen=True):
    """One step; `attempt` is the one it is about."""

    kind: StepKind
    attempt: Attempt | None = None


WAIT: Final = Step("wait")
DONE: Final = Step("done")


def next_step(
    books: Books,
    look: Look,
    policy: Policy,
    now_ms: int,
    *,
    reply_stored: bool,
    refresh: bool,
    only_sender: str | None = None,
) -> Step:
    """The next step of this pass. `reply_stored`: the open attempt's reply lies in the store;
    `refresh`: a webhook or a shopper's return says that something changed; `only_sender`: the one
    process that can be sending now, where that is known."""
    for attempt in in_order(books.open_attempts()):
        if being_sent(attempt, policy, now_ms, only_sender):
            return WAIT
        if reply_stored and not look.reread:
            return Step("reread", attempt)
        if attempt.operation == "refund":
            return _refund_step(attempt, look, policy, now_ms)
        return _charge_step(books, attempt, look, policy, now_ms)
    return _watch_step(books, look, now_ms, refresh=refresh)


def in_order(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Open attempts in the order of settling: a cancellation first, since it decides the rest."""
    return tuple(sorted(attempts, key=lambda a: a.operation != "void"))


def being_sent(attempt: Attempt, policy: Policy, now_ms: int, only_sender: str | None) -> bool:
    """Whether some process may still be sending `attempt` and will record its outcome."""
    if attempt.outcome is not None or now_ms >= attempt.sent_ms + policy.send_ms:
        return False
    return only_sender is None or attempt.sender == only_sender


def _charge_step(books: Books, attempt: Attempt, look: Look, policy: Policy, now_ms: int) -> Step:
    if look.charge_failed or look.canceled:
        return WAIT
    if look.charge_asked_ms is None:
        return Step("lookup" if known_provider_id(books) else "find", attempt)
    late_enough = look.charge_asked_ms > attempt.sent_ms + policy.window_ms
    charge = look.charge
    if attempt.operation == "authorize" and charge is not None:
        return Step("cancel", attempt) if late_enough and charge.state == "open" else WAIT
    if _may_replay(books.payment, attempt, look, policy, now_ms):
        return Step("replay", attempt)
    moved_otherwise = (
        attempt.operation == "capture"
        and charge is not None
        and charge.captured_minor != books.payment.captured_minor
    )
    if not late_enough or moved_otherwise:
        return WAIT
    return Step("search" if look.charge_near else "not_executed", attempt)


def _refund_step(attempt: Attempt, look: Look, policy: Policy, now_ms: int) -> Step:
    if look.refunds_failed:
        return WAIT
    if look.refunds_asked_ms is None:
        return Step("list_refunds", attempt)
    if look.refunds_asked_ms > attempt.sent_ms + policy.window_ms:
        return Step("not_executed", attempt)
    return WAIT


def _may_replay(
    payment: Payment, attempt: Attempt, look: Look, policy: Policy, now_ms: int
) -> bool:
    """Replay is for a shopper who still waits, with a key that the provider still holds."""
    return (
        not look.replayed
        and attempt.looks >= LOOKS_BEFORE_REPLAY
        and attempt.replays < MAX_REPLAYS
        and now_ms < payment.deadline_ms
        and now_ms + policy.send_ms < attempt.first_sent_ms + policy.retention_ms
    )


def _watch_step(books: Books, look: Look, now_ms: int, *, refresh: bool) -> Step:
    payment = books.payment
    if payment.provider_id is None or look.charge_failed or look.refunds_failed:
        return DONE
    if look.charge_asked_ms is None and (refresh or _charge_is_due(payment, now_ms)):
        return Step("lookup")
    if look.refunds_asked_ms is None and (refresh or pending_refunds(books)):
        return Step("list_refunds")
    timed_out = payment.status == "requires_action" and now_ms >= payment.deadline_ms
    still_open = look.charge is not None and look.charge.state in {"requires_action", "open"}
    if timed_out and still_open and not look.canceled:
        return Step("cancel")
    return DONE


def _charge_is_due(payment: Payment, now_ms: int) -> bool:
    if payment.status == "requires_action":
        return now_ms >= payment.deadline_ms
    if payment.status == "requires_capture":
        return payment.authorization_expires_ms is not None and (
            now_ms >= payment.authorization_expires_ms
        )
    return payment.status == "processing"


def pending_refunds(books: Books) -> bool:
    """Whether some refund is accepted by the provider and not decided."""
    return any(r.status == "pending" and r.provider_id is not None for r in books.refunds)


def known_provider_id(books: Books) -> str | None:
    """The charge's provider id: settled, or as hinted by an open authorization's reply."""
    if books.payment.provider_id is not None:
        return books.payment.provider_id
    for attempt in books.open_attempts():
        if attempt.operation in {"authorize", "void"} and attempt.provider_id is not None:
            return attempt.provider_id
    return None


def look_at_ms(books: Books, policy: Policy, now_ms: int) -> int | None:
    """When the ladder must look at this payment again; `None` when it need not."""
    due = [at for at in (_open_due(books, policy, now_ms), _watch_due(books, now_ms)) if at]
    return min(due, default=None)


def _open_due(books: Books, policy: Policy, now_ms: int) -> int | None:
    due = [_attempt_due(books, a, policy, now_ms) for a in books.open_attempts()]
    return min(due, default=None)


def _attempt_due(books: Books, attempt: Attempt, policy: Policy, now_ms: int) -> int:
    if attempt.outcome is None:
        return max(now_ms + LOOK_BACKOFF_MS[0], attempt.sent_ms + policy.send_ms + 1)
    pause = LOOK_BACKOFF_MS[min(attempt.looks, len(LOOK_BACKOFF_MS) - 1)]
    # webhooks and rollbacks make it look out of turn: many looks alone make no old attempt
    age = max(now_ms - attempt.first_sent_ms, LOOK_BACKOFF_MS[0])
    pause = min(pause, MOST_PAUSE_OF_AGE * age)
    # never sleep past the moment at which "not found" begins to count
    ripe = attempt.sent_ms + policy.window_ms + 1
    return min(now_ms + pause, ripe) if ripe > now_ms else now_ms + pause


def _watch_due(books: Books, now_ms: int) -> int | None:
    payment = books.payment
    if books.open_attempts():
        return None
    if payment.status == "requires_action":
        return max(payment.deadline_ms, now_ms + PENDING_LOOK_MS)
    if payment.status == "processing":
        return now_ms + PENDING_LOOK_MS
    if payment.status == "requires_capture" and payment.authorization_expires_ms is not None:
        return max(payment.authorization_expires_ms, now_ms + PENDING_BACKOFF_MS)
    return now_ms + PENDING_BACKOFF_MS if pending_refunds(books) else None


def looked(books: Books, attempt: Attempt, policy: Policy, now_ms: int) -> Books:
    """The books after a pass that settled nothing about `attempt`: counted, and after
    `policy.attention_ms` without an answer handed to a person as well."""
    again = replace(
        attempt,
        looks=attempt.looks + 1,
        outcome="unknown",
        result_class="C",
        detail=attempt.detail or "the process that sent it ended before the reply was stored",
    )
    books = totals(with_attempt(books, again))
    overdue = now_ms > attempt.first_sent_ms + policy.attention_ms
    if not overdue or books.payment.attention is not None:
        return books
    note = (
        f"{attempt.operation} {attempt.id} through {attempt.integration} is not settled: "
        f"{again.detail}. Next: look the payment up at the provider by metadata "
        f"tollkeeper_attempt={attempt.id}; settling goes on by itself meanwhile"
    )
    return replace(books, payment=replace(books.payment, attention=note[:1000]))


def replaying(books: Books, attempt: Attempt, now_ms: int) -> Books:
    """The books that must be committed before the same bytes are sent again."""
    again = replace(
        attempt, sent_ms=now_ms, replays=attempt.replays + 1, outcome="unknown", result_class="C"
    )
    return totals(with_attempt(books, again))


def not_executed(books: Books, attempt: Attempt, now_ms: int) -> Books:
    """The books after proof by absence: the effect never took place and no longer can."""
    done = replace(
        attempt,
        outcome="failed",
        settled_by="not_found",
        detail="not found at the provider after the in-flight window",
    )
    books = with_attempt(books, done)
    payment = books.payment
    if attempt.operation == "authorize":
        payment = replace(moved(payment, "not_executed"), failure_code="not_executed")
    elif attempt.operation == "refund":
        refund = books.refund(attempt.refund_id or "")
        assert refund is not None, "a refund attempt has its refund"
        failed = replace(refund, status="failed", failure_code="not_executed", updated_ms=now_ms)
        books = with_refund(books, failed)
    return totals(replace(books, payment=replace(payment, updated_ms=now_ms)))
