"""The settling ladder: what it may do next, and what it never does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms import books as b

from tollkeeper.payments import results
from tollkeeper.payments.outcome import Outcome, unknown
from tollkeeper.payments.payment import Books
from tollkeeper.payments.reservation import open_abandon
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.settlement import (
    LOOK_BACKOFF_MS,
    MAX_REPLAYS,
    PENDING_LOOK_MS,
    Look,
    Step,
    being_sent,
    look_at_ms,
    looked,
    next_step,
    not_executed,
    replay_proves,
    replaying,
    with_key_answer,
)

SITUATIONS = {
    "authorizing": b.doubtful,
    "capturing": lambda: b.capturing(b.held(), 400)[0],
    "voiding": lambda: b.voiding(b.held())[0],
    "refunding": lambda: b.refunding(b.paid(), 400)[0],
    "waiting": b.waiting_for_shopper,
    "held": b.held,
    "paid": b.paid,
}
LONG_AFTER_MS = b.NOW_MS + 10**9


def step(books: Books, look: Look, now_ms: int = LONG_AFTER_MS, **options: Any) -> Step:
    settings = {"reply_stored": False, "refresh": False} | options
    return next_step(books, look, b.POLICY, now_ms, **settings)


LOOKS = st.builds(
    Look,
    reread=st.booleans(),
    charge=st.none() | st.sampled_from(["open", "authorized", "requires_action"]).map(
        lambda state: b.charge(b.doubtful(), state)
    ),
    charge_asked_ms=st.none() | st.integers(b.NOW_MS, LONG_AFTER_MS),
    charge_near=st.booleans(),
    charge_failed=st.booleans(),
    refunds_asked_ms=st.none() | st.integers(b.NOW_MS, LONG_AFTER_MS),
    refunds_failed=st.booleans(),
    replayed=st.sampled_from((frozenset[str](), frozenset({"every"}))),
    canceled=st.booleans(),
)  # fmt: skip


@given(
    st.sampled_from(sorted(SITUATIONS)),
    LOOKS,
    st.integers(b.NOW_MS, LONG_AFTER_MS),
    st.fixed_dictionaries({"reply_stored": st.booleans(), "refresh": st.booleans()}),
    st.fixed_dictionaries({"looks": st.integers(0, 9), "replays": st.integers(0, 4)}),
)
def test_the_laws_of_the_ladder(
    name: str, look: Look, now_ms: int, options: dict[str, bool], counts: dict[str, int]
) -> None:
    books = SITUATIONS[name]()
    books = replace(books, attempts=tuple(replace(a, **counts) for a in books.attempts))
    if look.replayed:
        look = replace(look, replayed=frozenset(a.id for a in books.attempts))
    chosen = step(books, look, now_ms, **options)
    attempt = chosen.attempt
    if chosen.kind == "not_executed":
        assert attempt is not None
        asked = look.refunds_asked_ms if attempt.operation == "refund" else look.charge_asked_ms
        assert asked is not None
        assert asked > attempt.sent_ms + b.POLICY.window_ms
        assert attempt.operation == "refund" or not look.charge_near
        assert not (look.charge_failed if attempt.operation != "refund" else look.refunds_failed)
    if chosen.kind == "replay":
        assert attempt is not None
        late = now_ms > attempt.sent_ms + b.POLICY.window_ms
        assert attempt.replays < MAX_REPLAYS or late
        assert now_ms < attempt.first_sent_ms + b.POLICY.retention_ms
        if attempt.operation == "authorize" and books.payment.capture_method != "manual":
            assert now_ms < books.payment.deadline_ms  # a hold takes no money of who has left
        asked = look.refunds_asked_ms if attempt.operation == "refund" else look.charge_asked_ms
        assert asked is not None  # it asks before it sends
    if chosen.kind == "cancel":
        assert look.charge is not None
        assert look.charge.state in {"open", "requires_action"}
    if not books.open_attempts():
        assert chosen.kind not in {"replay", "not_executed", "reread", "find"}


@given(st.sampled_from(sorted(SITUATIONS)), LOOKS, st.integers(b.NOW_MS, LONG_AFTER_MS))
def test_without_retention_nothing_is_ever_sent_again(name: str, look: Look, now_ms: int) -> None:
    forgetful = replace(b.POLICY, retention_ms=0)
    chosen = next_step(
        SITUATIONS[name](), look, forgetful, now_ms, reply_stored=False, refresh=False
    )
    assert chosen.kind != "replay"


def test_what_may_still_be_on_its_way_is_left_alone() -> None:
    books = b.sending()
    sent_ms = books.attempts[0].sent_ms
    assert step(books, Look(), sent_ms + 1, reply_stored=True).kind == "wait"
    assert step(books, Look(), sent_ms + b.POLICY.send_ms).kind == "find"
    mine = replace(books.attempts[0], sender="me")
    assert being_sent(mine, b.POLICY, sent_ms + 1, None)
    assert being_sent(mine, b.POLICY, sent_ms + 1, "me")
    assert not being_sent(mine, b.POLICY, sent_ms + 1, "another")


def test_a_stored_reply_is_read_first_then_the_provider_is_asked() -> None:
    books = b.doubtful()
    assert step(books, Look(), reply_stored=True).kind == "reread"
    assert step(books, Look(reread=True), reply_stored=True).kind == "find"
    hinted = replace(books, attempts=(replace(books.attempts[0], provider_id="pi_1"),))
    assert step(hinted, Look()).kind == "lookup"
    assert step(b.refunding(b.paid())[0], Look()).kind == "list_refunds"


def test_a_charge_that_is_not_around_its_send_is_searched_for_before_it_is_given_up() -> None:
    books = b.doubtful()
    near = Look(charge_asked_ms=LONG_AFTER_MS, charge_near=True)
    assert step(books, near).kind == "search"
    assert step(books, replace(near, charge_near=False)).kind == "not_executed"
    early = replace(near, charge_asked_ms=books.attempts[0].sent_ms + 1)
    assert step(books, early).kind == "wait"


def test_an_intent_that_could_still_be_confirmed_is_cancelled_and_not_failed() -> None:
    books = b.doubtful()
    look = Look(charge=b.charge(books, "open"), charge_asked_ms=LONG_AFTER_MS)
    assert step(books, look).kind == "cancel"
    early = replace(look, charge_asked_ms=books.attempts[0].sent_ms + 1)
    assert step(books, early).kind == "wait"


def test_a_shopper_who_never_came_back_is_waited_for_until_the_deadline() -> None:
    books = b.waiting_for_shopper()
    seen = Look(charge=b.charge(books, "requires_action"), charge_asked_ms=b.NOW_MS)
    assert step(books, Look(), books.payment.deadline_ms - 1).kind == "done"
    assert step(books, Look(), books.payment.deadline_ms).kind == "lookup"
    assert step(books, seen, books.payment.deadline_ms).kind == "cancel"


def test_proof_of_absence_ends_each_operation_without_effect() -> None:
    failed = not_executed(b.doubtful(), b.doubtful().attempts[0], b.NOW_MS)
    assert (failed.payment.status, failed.payment.failure_code) == ("failed", "not_executed")
    for opened, attempt in (b.capturing(b.held(), 400), b.voiding(b.held())):
        after = not_executed(opened, attempt, b.NOW_MS)
        assert (after.payment.status, after.payment.reserved_minor) == ("requires_capture", 0)
    opened, attempt = b.refunding(b.paid(), 400)
    after = not_executed(opened, attempt, b.NOW_MS)
    assert (after.refunds[0].status, after.payment.refunded_minor) == ("failed", 0)


def test_a_repetition_is_committed_as_sent_now() -> None:
    books = b.doubtful()
    again = replaying(books, books.attempts[0], b.NOW_MS + 5).attempts[0]
    assert (again.sent_ms, again.replays, again.outcome) == (b.NOW_MS + 5, 1, "unknown")
    assert again.first_sent_ms == books.attempts[0].first_sent_ms


def test_a_person_is_told_once_and_settling_goes_on() -> None:
    books = b.doubtful()
    attempt = books.attempts[0]
    soon = looked(books, attempt, b.POLICY, b.NOW_MS + 1)
    assert soon.payment.attention is None
    late_ms = attempt.first_sent_ms + b.POLICY.attention_ms + 1
    late = looked(soon, soon.attempts[0], b.POLICY, late_ms)
    assert attempt.id in (late.payment.attention or "")
    assert late.attempts[0].looks == 2
    assert look_at_ms(late, b.POLICY, late_ms) is not None


@given(st.sampled_from(sorted(SITUATIONS)), st.integers(b.NOW_MS, LONG_AFTER_MS))
def test_whatever_is_open_is_looked_at_again_and_never_in_the_past(name: str, now_ms: int) -> None:
    books = SITUATIONS[name]()
    due = look_at_ms(books, b.POLICY, now_ms)
    if books.open_attempts() or books.payment.status in {"processing", "requires_action"}:
        assert due is not None
    if due is not None:
        assert due > now_ms


def test_looks_are_dense_at_first_and_meet_the_end_of_the_window() -> None:
    books = b.doubtful()
    sent_ms = books.attempts[0].sent_ms
    assert look_at_ms(books, b.POLICY, sent_ms) == sent_ms + LOOK_BACKOFF_MS[0]
    tired = replace(books, attempts=(replace(books.attempts[0], looks=99),))
    late_ms = sent_ms + b.POLICY.window_ms // 2  # old enough for a pause beyond the window
    assert look_at_ms(tired, b.POLICY, late_ms) == sent_ms + b.POLICY.window_ms + 1


@pytest.mark.parametrize("name", ["held", "paid"])
def test_a_webhook_is_a_reason_to_look_at_charge_and_refunds(name: str) -> None:
    books = SITUATIONS[name]()
    books = b.later(books, provider_id="pi_1")
    assert step(books, Look(), b.NOW_MS, refresh=True).kind == "lookup"
    seen = Look(charge=b.charge(books, "captured"), charge_asked_ms=b.NOW_MS)
    assert step(books, seen, b.NOW_MS, refresh=True).kind == "list_refunds"
    assert step(books, replace(seen, refunds_asked_ms=1), b.NOW_MS, refresh=True).kind == "done"


def test_looks_out_of_turn_do_not_put_the_next_one_off() -> None:
    """Found by the simulation: webhooks and a rollback had looked seventeen times in 40 seconds,
    and the next look was a quarter of an hour away."""
    books = b.doubtful()
    (attempt,) = books.open_attempts()
    now_ms = attempt.sent_ms + b.POLICY.window_ms + 40_000
    often = results.with_attempt(books, replace(attempt, looks=len(LOOK_BACKOFF_MS) + 3))
    due = look_at_ms(often, b.POLICY, now_ms)
    assert due is not None
    assert due <= now_ms + 2 * (now_ms - attempt.first_sent_ms)


def test_a_shopper_who_comes_back_during_the_cancellation_had_an_authorization_that_went() -> None:
    """Found by the simulation: it was taken for an intent that nobody had completed."""
    waiting = b.waiting_for_shopper()
    opened = open_abandon(waiting, "att_v", "pi_1", b.NOW_MS)
    void = opened.attempt("att_v")
    assert void is not None
    back = replace(opened, payment=replace(opened.payment, status="requires_capture"))
    gone = results.voided(back, void, b.NOW_MS).payment
    assert (gone.status, gone.failure_code) == ("canceled", None)
    left = results.voided(opened, void, b.NOW_MS).payment
    assert (left.status, left.failure_code) == ("failed", "not_completed")


def test_a_charge_that_is_not_decided_is_looked_at_and_one_that_is_decided_is_not() -> None:
    undecided = b.later(b.held(), status="processing", capturable_minor=0)
    assert step(undecided, Look(), b.NOW_MS).kind == "lookup"
    for decided in (b.held(), b.paid()):
        assert step(decided, Look(), b.NOW_MS).kind == "done"
    assert look_at_ms(undecided, b.POLICY, b.NOW_MS) == b.NOW_MS + PENDING_LOOK_MS


def test_a_sum_that_moved_otherwise_is_no_absence() -> None:
    opened, attempt = b.capturing(b.held(multicapture=True), 300, final=False)
    doubt = apply_outcome(opened, attempt, b.SILENT, b.NOW_MS)
    late_ms = b.NOW_MS + 10 * b.POLICY.window_ms
    asked = Look(charge_asked_ms=late_ms, replayed=frozenset({attempt.id}))
    other = b.charge(doubt, "authorized", captured_minor=200, capturable_minor=800)
    assert step(doubt, replace(asked, charge=other), late_ms).kind == "wait"
    same = b.charge(doubt, "authorized")
    done = replace(asked, charge=same, replayed=frozenset())
    forgetful = replace(b.POLICY, retention_ms=0)
    concluded = next_step(doubt, done, forgetful, late_ms, reply_stored=False, refresh=False)
    assert concluded.kind == "not_executed"


def test_what_a_key_said_is_kept_and_decides_the_next_step() -> None:
    books = b.doubtful()
    attempt = books.attempts[0]
    running = unknown("in_use", "status 409")
    held = with_key_answer(books, attempt.id, running)
    assert (held.attempts[0].in_use, held.attempts[0].closed_key) == (True, False)
    stored = replace(unknown("status", "status 500"), replayed=True)
    closed = with_key_answer(held, attempt.id, stored)
    assert (closed.attempts[0].in_use, closed.attempts[0].closed_key) == (False, True)
    assert with_key_answer(books, "att_none", running) is books
    for said in (unknown("silence", "no answer"), unknown("status", "status 500"), b.refused()):
        assert with_key_answer(held, attempt.id, said).attempts[0].in_use, "it takes back nothing"
    assert with_key_answer(books, attempt.id, unknown("status", "status 500")) is books
    # a key that is in use is asked again whatever the shopper's deadline; a closed one never
    late_ms = b.NOW_MS + 3 * b.POLICY.window_ms
    asked = Look(charge_asked_ms=late_ms)
    assert step(held, asked, late_ms).kind == "replay"
    assert step(closed, asked, late_ms).kind == "not_executed"


@pytest.mark.parametrize("kind", ["approved", "pending", "declined"])
def test_a_repetition_proves_by_an_answer_and_by_a_stored_refusal_alone(kind: Any) -> None:
    assert replay_proves(Outcome(kind=kind))
    refusal = b.refused()
    assert not replay_proves(refusal)
    assert replay_proves(replace(refusal, replayed=True))
    assert not replay_proves(replace(b.SILENT, replayed=True))


# A provider that cannot be asked


@pytest.mark.parametrize("name", SITUATIONS)
@given(LOOKS, st.integers(b.NOW_MS, LONG_AFTER_MS), st.booleans())
def test_a_provider_that_cannot_be_asked_is_not_asked_and_absence_is_never_concluded(
    name: str, look: Look, now_ms: int, refresh: bool
) -> None:
    policy = replace(b.POLICY, asks=frozenset())
    blind = replace(look, charge_asked_ms=None, refunds_asked_ms=None, charge=None)
    options: dict[str, Any] = {"reply_stored": False, "refresh": refresh}
    kind = next_step(SITUATIONS[name](), blind, policy, now_ms, **options).kind
    assert kind in {"replay", "wait", "done", "reread"}


def test_a_provider_that_cannot_be_asked_is_sent_the_same_bytes_again() -> None:
    asked = b.doubtful()
    books = looked(asked, asked.attempts[-1], b.POLICY, b.NOW_MS)
    policy = replace(b.POLICY, asks=frozenset())
    at_ms = b.NOW_MS + b.POLICY.send_ms
    options: dict[str, Any] = {"reply_stored": False, "refresh": False}
    assert next_step(books, Look(), policy, at_ms, **options).kind == "replay"
    keyless = replace(policy, retention_ms=0)
    assert next_step(books, Look(), keyless, at_ms, **options).kind == "wait"
