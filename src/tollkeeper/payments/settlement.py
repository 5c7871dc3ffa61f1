"""The settling ladder: what to do next about a payment whose truth is not known, and when.

Law: nothing is sent again but the same bytes under the same key, and only where the provider
retains keys. "Not found" counts only when the question was asked after the in-flight window of the
last send, and after the key was asked once more where that is safe. It is a conclusion and no fact:
later looks, and whatever else shows the effect, correct it. An intent that could still be confirmed
is cancelled before its payment is called failed.
"""

from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.payments.outcome import (
    QUESTIONS,
    STANDING_DISPUTES,
    Charge,
    Operation,
    Outcome,
)
from tollkeeper.payments.payment import Attempt, Books, Payment, is_decided_later, is_open
from tollkeeper.payments.reconcile import misses_dispute
from tollkeeper.payments.results import moved, totals, with_attempt, with_refund

LOOK_BACKOFF_MS: Final = (
    300, 700, 1_500, 3_000, 5_000, 8_000, 12_000, 15_000, 30_000, 60_000, 60_000, 60_000,
    120_000, 300_000, 900_000,
)  # fmt: skip
"""Pauses between passes of the ladder: dense while a shopper may be waiting, then ever longer."""

MOST_PAUSE_OF_AGE: Final = 2
"""No pause is longer than so many times the time since the attempt was sent."""

IN_USE_LOOK_MS: Final = 60_000
"""How often is looked while the provider says that our request is still running."""

PENDING_LOOK_MS: Final = 30_000
"""How often a charge that the provider has not decided is looked at."""

PENDING_BACKOFF_MS: Final = 3_600_000
"""How often a pending refund, or an authorization past its expiry, is looked at."""

LOOKS_BEFORE_REPLAY: Final = 1
"""Passes that ask before the same bytes are sent again: asking costs nothing."""

MAX_REPLAYS: Final = 8
"""Repetitions while a shopper may be waiting. The pauses above spread them over two minutes: a
payment outlives a short outage. One more repetition comes before absence is believed."""

LATE_LOOKS_MS: Final = (300_000, 3_600_000, 86_400_000)
"""When the provider is asked again after a conclusion from absence: five minutes, an hour, a day.
Later than that, reconciliation finds what webhooks did not tell."""

LATE_AGAIN_MS: Final = 60_000
"""When a late look that was not answered is taken again at the earliest; then ever later."""

LATE_GIVE_UP_MS: Final = 3 * 86_400_000
"""How long a late look that is not answered is tried."""

REVERSAL_PAUSES_MS: Final = (0, 60_000, 900_000)
"""Pauses before the attempts at reversing a charge that showed up late."""

REFUND_LOOKS_MS: Final = (86_400_000, 5 * 86_400_000, 15 * 86_400_000)
"""When a refund that succeeded is looked at again: banks return refunds for days, and the webhook
about it may be lost."""

StepKind = Literal[
    "reread",
    "lookup",
    "find",
    "search",
    "list_refunds",
    "list_disputes",
    "replay",
    "cancel",
    "reverse",
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
    `reversing_accounts`: those whose charges are reversed that show up after the shop was told
    "failed". `asks`: the questions that the provider answers; without one, its step is skipped and
    nothing is concluded from absence.
    """

    send_ms: int
    window_ms: int
    retention_ms: int
    attention_ms: int
    authorization_ms: int
    action_ms: int
    reversing_accounts: frozenset[str] = frozenset()
    asks: frozenset[Operation] = QUESTIONS


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What this pass has learned so far. `charge_asked_ms` is when the answered question was put,
    by the store's clock; `charge_near` that it was only about the time around the send; `*_failed`
    that it could not be answered; `refunds_unread` that some row of the answer could not be read.
    `replayed`: attempts that were sent again. `hint`: a charge's id that a webhook or a listing
    named. `account_shown`: our key was seen to open our account before the question was put."""

    hint: str | None = None
    reread: bool = False
    charge: Charge | None = None
    charge_asked_ms: int | None = None
    charge_near: bool = False
    charge_failed: bool = False
    refunds_asked_ms: int | None = None
    refunds_failed: bool = False
    refunds_unread: bool = False
    disputes_asked: bool = False
    disputes_failed: bool = False
    replayed: frozenset[str] = frozenset()
    canceled: bool = False
    account_shown: bool = False


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
    waits = False
    for attempt in worked_on(books):
        if being_sent(attempt, policy, now_ms, only_sender):
            waits = True
        elif reply_stored and not look.reread and not waits:
            return Step("reread", attempt)
        else:
            settles = _refund_step if attempt.operation == "refund" else _charge_step
            step = settles(books, attempt, look, policy, now_ms)
            if step != WAIT:
                return step
            waits = True
    if waits:
        return WAIT
    return _watch_step(books, look, policy.asks, now_ms, refresh=refresh)


def in_order(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Open attempts in the order of settling: a cancellation first, since it decides the rest."""
    return tuple(sorted(attempts, key=lambda a: a.operation != "void"))


def worked_on(books: Books) -> tuple[Attempt, ...]:
    """The open attempts that one pass works on: the first about the charge itself, which decides
    the others, and every refund, so that none waits for another."""
    ordered = in_order(books.open_attempts())
    first = [attempt for attempt in ordered if attempt.operation != "refund"][:1]
    return (*first, *(attempt for attempt in ordered if attempt.operation == "refund"))


def being_sent(attempt: Attempt, policy: Policy, now_ms: int, only_sender: str | None) -> bool:
    """Whether some process may still be sending `attempt` and will record its outcome, or will send
    it at a moment that has not come."""
    if attempt.outcome is None and now_ms < attempt.sent_ms:
        return True
    if attempt.outcome is not None or now_ms >= attempt.sent_ms + policy.send_ms:
        return False
    return only_sender is None or attempt.sender == only_sender


def _charge_step(books: Books, attempt: Attempt, look: Look, policy: Policy, now_ms: int) -> Step:
    if look.charge_failed or look.canceled:
        return WAIT
    if look.charge_asked_ms is None:
        return _first_question(books, attempt, look, policy, now_ms)
    late_enough = look.charge_asked_ms > attempt.sent_ms + policy.window_ms
    charge = look.charge
    if attempt.operation == "authorize" and charge is not None:
        return Step("cancel", attempt) if late_enough and charge.state == "open" else WAIT
    if is_decided_later(attempt):
        return WAIT  # the provider has it: neither a repetition nor absence says anything
    if _may_replay(books.payment, attempt, look, policy, now_ms):
        return Step("replay", attempt)
    moved_otherwise = (
        attempt.operation == "capture"
        and charge is not None
        and charge.captured_minor != books.payment.captured_minor
    )
    if not late_enough or moved_otherwise:
        return WAIT
    if look.charge_near:
        return Step("search", attempt)
    return _absent(books.payment, attempt, look, policy, now_ms)


def _refund_step(books: Books, attempt: Attempt, look: Look, policy: Policy, now_ms: int) -> Step:
    if look.refunds_failed:
        return WAIT
    if look.refunds_asked_ms is None:
        if "list_refunds" in policy.asks:
            return Step("list_refunds", attempt)
        return _without_asking(books.payment, attempt, look, policy, now_ms)
    if _may_replay(books.payment, attempt, look, policy, now_ms):
        return Step("replay", attempt)
    if look.refunds_asked_ms > attempt.sent_ms + policy.window_ms:
        return _absent(books.payment, attempt, look, policy, now_ms)
    return WAIT


def _first_question(
    books: Books, attempt: Attempt, look: Look, policy: Policy, now_ms: int
) -> Step:
    if known_provider_id(books, look) is not None and "lookup" in policy.asks:
        return Step("lookup", attempt)
    if "find" in policy.asks:
        return Step("find", attempt)
    return _without_asking(books.payment, attempt, look, policy, now_ms)


def _without_asking(
    payment: Payment, attempt: Attempt, look: Look, policy: Policy, now_ms: int
) -> Step:
    """A provider that cannot be asked: the same bytes under the same key tell, or a webhook."""
    if not is_decided_later(attempt) and _may_replay(payment, attempt, look, policy, now_ms):
        return Step("replay", attempt)
    return WAIT


def _absent(payment: Payment, attempt: Attempt, look: Look, policy: Policy, now_ms: int) -> Step:
    """The provider shows no effect after the window: the key is asked once more, then it counts."""
    if attempt.id in look.replayed:
        return WAIT  # what the key said began another window
    asked_late = attempt.sent_ms >= attempt.first_sent_ms + policy.window_ms
    if attempt.in_use or not asked_late:
        safe = _is_wanted(payment, attempt, now_ms) or payment.capture_method == "manual"
        if safe and _key_tells(attempt, policy, now_ms):
            return Step("replay", attempt)
        if attempt.in_use and now_ms < attempt.first_sent_ms + policy.retention_ms:
            return WAIT  # a request of ours is running; to ask could charge a shopper who has left
    return Step("not_executed", attempt)


def _is_wanted(payment: Payment, attempt: Attempt, now_ms: int) -> bool:
    """Whether the effect is still wanted if the repetition causes it: a payment only while the
    shopper may be waiting; what the shop asked for about a payment always."""
    return attempt.operation != "authorize" or now_ms < payment.deadline_ms


def _key_tells(attempt: Attempt, policy: Policy, now_ms: int) -> bool:
    """Whether the provider still keeps the key, and has not said all that it will say."""
    kept = now_ms + policy.send_ms < attempt.first_sent_ms + policy.retention_ms
    return kept and not attempt.closed_key


def _may_replay(
    payment: Payment, attempt: Attempt, look: Look, policy: Policy, now_ms: int
) -> bool:
    """Early repetitions, for those who still wait for an answer."""
    return (
        attempt.id not in look.replayed
        and attempt.looks >= LOOKS_BEFORE_REPLAY
        and attempt.replays < MAX_REPLAYS
        and _is_wanted(payment, attempt, now_ms)
        and _key_tells(attempt, policy, now_ms)
    )


def _watch_step(
    books: Books, look: Look, asks: frozenset[Operation], now_ms: int, *, refresh: bool
) -> Step:
    payment = books.payment
    if look.charge_failed or look.refunds_failed:
        return DONE
    if _is_left_open(books, look):
        return Step("cancel")
    charge_due = refresh or _charge_is_due(payment, now_ms) or _is_doubted(books, now_ms)
    if known_provider_id(books, look) is None:
        return _watch_unknown(books, look, wanted=charge_due and "find" in asks)
    wanted = (charge_due or look.hint is not None) and "lookup" in asks
    if look.charge_asked_ms is None and wanted:
        return Step("lookup")
    if payment.provider_id is None:
        return DONE
    wanted = (refresh or refunds_due(books, now_ms)) and "list_refunds" in asks
    if look.refunds_asked_ms is None and wanted:
        return Step("list_refunds")
    wanted = _asks_disputes(books, look, refresh=refresh) and "list_disputes" in asks
    if not look.disputes_asked and wanted:
        return Step("list_disputes")
    return _ending_step(books, look, now_ms)


def _reversal_due(books: Books) -> int:
    """When a charge that showed up late may be reversed, after the attempts that were made."""
    made = [a.first_sent_ms for a in books.attempts if a.purpose == "reverse"]
    pause = REVERSAL_PAUSES_MS[min(len(made), len(REVERSAL_PAUSES_MS) - 1)]
    return max(made, default=0) + pause


def _is_left_open(books: Books, look: Look) -> bool:
    """Whether an intent that could still be confirmed landed after its payment had ended."""
    charge, payment = look.charge, books.payment
    if charge is None or look.canceled or payment.status not in {"failed", "canceled"}:
        return False
    return charge.state in {"open", "requires_action"}


def _ending_step(books: Books, look: Look, now_ms: int) -> Step:
    payment = books.payment
    if payment.reversing and now_ms >= _reversal_due(books):
        return Step("reverse")
    timed_out = payment.status == "requires_action" and now_ms >= payment.deadline_ms
    still_open = look.charge is not None and look.charge.state in {"requires_action", "open"}
    if timed_out and still_open and not look.canceled:
        return Step("cancel")
    return DONE


def _watch_unknown(books: Books, look: Look, *, wanted: bool) -> Step:
    """A payment that ended without a charge: looked for by our reference, since none was seen."""
    ended = books.payment.status in {"failed", "canceled"}
    sent = [a for a in books.attempts if a.operation == "authorize" and a.result_class != "A"]
    if not ended or not sent or not wanted or look.charge_asked_ms is not None:
        return DONE
    return Step("search", sent[-1])


def _asks_disputes(books: Books, look: Look, *, refresh: bool) -> bool:
    if look.charge is not None and misses_dispute(books, look.charge):
        return True
    return refresh and any(d.state in STANDING_DISPUTES for d in books.disputes)


def _is_doubted(books: Books, now_ms: int) -> bool:
    """Whether absence was taken for proof, and the time for another look has come."""
    return any(
        a.operation != "refund" and now_ms >= a.concluded_ms + LATE_LOOKS_MS[0]
        for a in books.attempts
        if a.concluded_ms is not None and a.corrected_ms is None
    )


def refunds_due(books: Books, now_ms: int) -> bool:
    """Whether some refund is not decided, may have failed late, or may have taken effect late."""
    if pending_refunds(books):
        return True
    late = any(
        a.operation == "refund" and now_ms >= a.concluded_ms + LATE_LOOKS_MS[0]
        for a in books.attempts
        if a.concluded_ms is not None and a.corrected_ms is None
    )
    return late or any(
        now_ms >= r.updated_ms + REFUND_LOOKS_MS[0]
        for r in books.refunds
        if r.status == "succeeded"
    )


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


def known_provider_id(books: Books, look: Look) -> str | None:
    """The charge's provider id: settled, or as hinted by a webhook or an open attempt's reply."""
    if books.payment.provider_id is not None:
        return books.payment.provider_id
    if look.hint is not None:
        return look.hint
    for attempt in books.open_attempts():
        if attempt.operation in {"authorize", "void"} and attempt.provider_id is not None:
            return attempt.provider_id
    return None


def look_at_ms(books: Books, policy: Policy, now_ms: int) -> int | None:
    """When the ladder must look at this payment again; `None` when it need not."""
    due = [_open_due(books, policy, now_ms), _watch_due(books, now_ms), _late_due(books, now_ms)]
    return min((at for at in due if at is not None), default=None)


def _open_due(books: Books, policy: Policy, now_ms: int) -> int | None:
    due = [_attempt_due(books, a, policy, now_ms) for a in worked_on(books)]
    return min(due, default=None)


def _attempt_due(books: Books, attempt: Attempt, policy: Policy, now_ms: int) -> int:
    if attempt.outcome is None:
        return max(now_ms + LOOK_BACKOFF_MS[0], attempt.sent_ms + policy.send_ms + 1)
    pause = LOOK_BACKOFF_MS[min(attempt.looks, len(LOOK_BACKOFF_MS) - 1)]
    # webhooks and rollbacks make it look out of turn: many looks alone make no old attempt
    age = max(now_ms - attempt.first_sent_ms, LOOK_BACKOFF_MS[0])
    pause = min(pause, MOST_PAUSE_OF_AGE * age)
    if attempt.in_use and now_ms < attempt.first_sent_ms + policy.attention_ms:
        pause = min(pause, IN_USE_LOOK_MS)
    # never sleep past the moment at which "not found" begins to count
    ripe = attempt.sent_ms + policy.window_ms + 1
    return min(now_ms + pause, ripe) if ripe > now_ms else now_ms + pause


def late_again_ms(books: Books, now_ms: int) -> int | None:
    """When a late look that was not answered is taken again: each pause is as long as it has been
    due, so that a provider that is away for long is not asked each minute; `None` to give up."""
    waited = now_ms - max((at for at in _late_points(books) if at <= now_ms), default=now_ms)
    return now_ms + max(LATE_AGAIN_MS, waited) if waited < LATE_GIVE_UP_MS else None


def _late_due(books: Books, now_ms: int) -> int | None:
    """When what was concluded, or may yet fail, is looked at again."""
    return min((at for at in _late_points(books) if at > now_ms), default=None)


def _late_points(books: Books) -> list[int]:
    due = [
        a.concluded_ms + pause
        for a in books.attempts
        if a.concluded_ms is not None and a.corrected_ms is None
        for pause in LATE_LOOKS_MS
    ]
    due += [
        r.updated_ms + pause
        for r in books.refunds
        if r.status == "succeeded" and r.provider_id is not None
        for pause in REFUND_LOOKS_MS
    ]
    return due


def _watch_due(books: Books, now_ms: int) -> int | None:
    payment = books.payment
    if books.open_attempts():
        return None
    if payment.reversing:
        return max(now_ms + LOOK_BACKOFF_MS[0], _reversal_due(books))
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
        outcome=attempt.outcome or "unknown",
        result_class=attempt.result_class or "C",
        detail=attempt.detail or "the process that sent it ended before the reply was stored",
    )
    books = totals(with_attempt(books, again))
    overdue = now_ms > attempt.first_sent_ms + policy.attention_ms
    if not overdue or books.payment.attention is not None:
        return books
    note = (
        f"{attempt.operation} {attempt.id} through {attempt.integration} is not settled: "
        f"{again.detail}. Next: look the payment up at the provider by metadata "
        f"tollkeeper_attempt={attempt.id}; settling goes on meanwhile"
    )
    return replace(books, payment=replace(books.payment, attention=note[:1000]))


def replaying(books: Books, attempt: Attempt, now_ms: int) -> Books:
    """The books that must be committed before the same bytes are sent again."""
    again = replace(
        attempt, sent_ms=now_ms, replays=attempt.replays + 1, outcome="unknown", result_class="C"
    )
    return totals(with_attempt(books, again))


def replay_proves(said: Outcome) -> bool:
    """Whether the answer to a repetition settles the attempt. A refusal does only where the
    provider says that it repeats what it stored about the first request."""
    if said.kind in {"approved", "pending", "declined"}:
        return True
    return said.kind == "failed" and said.replayed


def with_key_answer(books: Books, attempt_id: str, said: Outcome) -> Books:
    """The books with what the provider said of our key: that a request with it is still running, or
    that it repeats a stored answer, so that asking again tells nothing new. Silence, an error or a
    refusal of the repetition leave what it said before."""
    mine = books.attempt(attempt_id)
    if mine is None or not is_open(mine):
        return books
    kind = said.doubt.kind if said.doubt is not None else ""
    in_use = kind == "in_use" or (mine.in_use and not said.replayed)
    stored = said.replayed or (said.may_retry is False and not in_use)
    again = replace(mine, in_use=in_use, closed_key=mine.closed_key or stored)
    return with_attempt(books, again) if again != mine else books


def not_executed(books: Books, attempt: Attempt, now_ms: int) -> Books:
    """The books after proof by absence: the effect never took place and no longer can."""
    done = replace(
        attempt,
        outcome="failed",
        settled_by="not_found",
        detail="not found at the provider after the in-flight window",
        concluded_ms=now_ms,
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
