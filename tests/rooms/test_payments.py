"""The payments room: what outcomes do, what may begin, and what is believed."""

import itertools
from typing import Any

import pytest
from msgspec.structs import replace
from tests.rooms import books as b

from tollkeeper.kernel.errors import Conflict, Invalid
from tollkeeper.payments import transitions
from tollkeeper.payments.judging import (
    classify,
    judge,
    judge_seen,
    may_send_elsewhere,
    not_sent,
    silence,
)
from tollkeeper.payments.outcome import Decline, Outcome
from tollkeeper.payments.payment import Attempt, Books
from tollkeeper.payments.reconcile import reconcile_charge
from tollkeeper.payments.reservation import open_capture, open_refund, open_void, refundable_minor
from tollkeeper.payments.results import apply_outcome
from tollkeeper.payments.settlement import Look, looked, next_step

DECLINED = Outcome(kind="declined", decline=Decline("insufficient_funds", "insufficient_funds"))


# The table of moves


def test_every_status_is_reached_and_every_move_is_used() -> None:
    reached = {new for _, new in transitions.reachable()} | {"processing"}
    assert reached == {
        "processing", "requires_action", "requires_capture", "succeeded", "canceled", "failed",
    }  # fmt: skip
    assert all(targets for _, targets in transitions.MOVES.values())


def test_only_what_turned_up_late_or_was_misread_leaves_a_final_status() -> None:
    late = {"found_authorized", "found_paid"}
    misread = {"misread_approval", "misread_capture"}
    for move, (_, targets) in transitions.MOVES.items():
        if set(targets) & transitions.FINAL:
            assert move in late | misread
    left = {move for move, (_, targets) in transitions.MOVES.items() if "succeeded" in targets}
    assert left == misread


def test_a_move_that_is_not_in_the_table_asserts() -> None:
    for move, status in itertools.product(transitions.MOVES, sorted(transitions.FINAL)):
        if transitions.is_legal(status, move):
            continue
        with pytest.raises(AssertionError):
            transitions.target(status, move)


# Classes and judging


@pytest.mark.parametrize(
    ("outcome", "expected", "again"),
    [
        (not_sent("dns_error", ""), "A", True),
        (b.refused(), "B1", True),
        (DECLINED, "B2", False),
        (silence("wait", "http_response_timeout"), "C", False),
        (Outcome(kind="approved"), None, False),
        (Outcome(kind="pending"), None, False),
    ],
)
def test_only_proof_of_no_effect_lets_another_version_try(
    outcome: Outcome, expected: str | None, again: bool
) -> None:
    assert classify(outcome) == expected
    assert may_send_elsewhere(classify(outcome)) is again


WRONG: list[dict[str, Any]] = [
    {"amount_minor": 100_000},
    {"amount_minor": 10},
    {"currency": "USD"},
    {"payment_id": "pay_of_another"},
    {"payment_id": None},
    {"attempt_id": "att_of_another"},
    {"attempt_id": None},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("state", ["captured", "requires_action", "declined"])
def test_an_answer_about_anything_else_is_unknown(wrong: dict[str, Any], state: str) -> None:
    books = b.sending(capture_method="automatic")
    said = b.approved(books, state, **wrong)
    if state == "declined":
        said = replace(said, kind="declined", decline=DECLINED.decline)
    judged = judge(books.payment, books.attempts[0], said)
    assert judged.kind == "unknown"
    assert judged.doubt is not None
    assert judged.doubt.kind == "mismatch"
    assert judged.decline is None


@pytest.mark.parametrize(
    ("state", "sums"),
    [
        ("captured", {"captured_minor": 999}),
        ("captured", {"captured_minor": 0}),
        ("authorized", {"capturable_minor": 0}),
        ("authorized", {"capturable_minor": 2_000}),
    ],
)
def test_sums_that_do_not_add_up_are_unknown(state: str, sums: dict[str, int]) -> None:
    method = "automatic" if state == "captured" else "manual"
    books = b.sending(capture_method=method)
    assert judge(books.payment, books.attempts[0], b.approved(books, state)).kind == "approved"
    said = judge(books.payment, books.attempts[0], b.approved(books, state, **sums))
    assert said.kind == "unknown"


@pytest.mark.parametrize("state", ["captured", "authorized", "processing", "requires_action"])
def test_a_decline_whose_charge_is_alive_is_unknown(state: str) -> None:
    books = b.sending(capture_method="automatic" if state == "captured" else "manual")
    said = replace(DECLINED, charge=b.charge(books, state))
    assert judge(books.payment, books.attempts[0], said).kind == "unknown"
    dead = replace(DECLINED, charge=b.charge(books, "declined"))
    assert judge(books.payment, books.attempts[0], dead).kind == "declined"


def test_a_hold_that_another_version_takes_for_captured_right_after_the_send_is_not_believed() -> (
    None
):
    books = b.sending(capture_method="manual")
    read = b.approved(books, "captured")
    assert judge(books.payment, books.attempts[0], read).kind == "approved"
    assert judge_seen(books.payment, books.attempts[0], read).kind == "unknown"
    held = b.approved(books, "authorized")
    assert judge_seen(books.payment, books.attempts[0], held).kind == "approved"
    at_once = b.sending(capture_method="automatic")
    read = b.approved(at_once, "captured")
    assert judge_seen(at_once.payment, at_once.attempts[0], read).kind == "approved"


def test_a_charge_that_is_captured_at_once_is_no_hold() -> None:
    books = b.sending(capture_method="automatic")
    said = judge(books.payment, books.attempts[0], b.approved(books, "authorized"))
    assert said.kind == "unknown"
    assert said.doubt is not None


def test_a_capture_of_another_amount_is_unknown() -> None:
    books, attempt = b.capturing(b.held(), 400)
    for amount, kind in ((400, "approved"), (1_000, "unknown"), (0, "unknown")):
        said = b.approved(books, "captured", captured_minor=amount)
        assert judge(books.payment, attempt, said).kind == kind
    other = b.approved(books, "captured", captured_minor=400, provider_id="pi_other")
    assert judge(books.payment, attempt, other).kind == "unknown"


def test_a_void_is_believed_only_where_the_charge_is_canceled() -> None:
    books, attempt = b.voiding(b.held())
    for state, kind in (("canceled", "approved"), ("authorized", "unknown")):
        assert judge(books.payment, attempt, b.approved(books, state)).kind == kind
    assert judge(books.payment, attempt, Outcome(kind="approved")).kind == "unknown"


@pytest.mark.parametrize(
    "wrong", [{"amount_minor": 99}, {"currency": "USD"}, {"attempt_id": None}], ids=str
)
def test_a_refund_of_anything_else_is_unknown(wrong: dict[str, Any]) -> None:
    books, attempt = b.refunding(b.paid(), 100)
    said = Outcome(kind="approved", refund=b.seen(attempt))
    assert judge(books.payment, attempt, said).kind == "approved"
    assert judge(
        books.payment, attempt, replace(said, refund=b.seen(attempt, **wrong))
    ).kind == "unknown"  # fmt: skip


# Results


def told(outcome: Outcome, **fields: Any) -> Books:
    books = b.sending(**fields)
    return apply_outcome(books, books.attempts[0], outcome, b.NOW_MS)


def test_each_outcome_of_an_authorization_has_its_status() -> None:
    blank = b.sending()
    assert b.held().payment.status == "requires_capture"
    books = b.sending(capture_method="automatic")
    captured = apply_outcome(books, books.attempts[0], b.approved(books, "captured"), b.NOW_MS)
    assert (captured.payment.status, captured.payment.captured_minor) == ("succeeded", 1_000)
    assert b.waiting_for_shopper().payment.redirect_url == "http://bank"
    assert told(DECLINED).payment.decline_reason == "insufficient_funds"
    for outcome, code in ((b.refused(), "refused"), (not_sent("dns_error", ""), "not_sent")):
        assert told(outcome).payment.failure_code == code
        assert told(outcome).payment.status == "failed"
    assert (
        b.doubtful().payment
        == replace(
            blank.payment, id=b.doubtful().payment.id, outcome_known=False, updated_ms=b.NOW_MS
        )
        or not b.doubtful().payment.outcome_known
    )


def test_a_failover_keeps_the_first_attempt_and_moves_the_payment_to_its_version() -> None:
    books = b.sending()
    following = replace(books.attempts[0], id="att_2", integration="stripe@2022-08-01")
    after = apply_outcome(books, books.attempts[0], b.refused(), b.NOW_MS, next_attempt=following)
    assert after.payment.status == "processing"
    assert after.payment.integration == "stripe@2022-08-01"
    assert [a.outcome for a in after.attempts] == ["failed", None]
    for outcome in (DECLINED, b.SILENT):
        with pytest.raises(AssertionError):
            apply_outcome(books, books.attempts[0], outcome, b.NOW_MS, next_attempt=following)


def test_a_partial_capture_releases_the_rest_and_one_that_is_not_final_keeps_it() -> None:
    books = b.paid(300)
    assert (books.payment.status, books.payment.captured_minor) == ("succeeded", 300)
    assert books.payment.capturable_minor == 0
    opened, attempt = b.capturing(b.held(multicapture=True), 300, final=False)
    said = b.approved(opened, "authorized", capturable_minor=700, captured_minor=300)
    after = apply_outcome(opened, attempt, said, b.NOW_MS)
    assert (after.payment.status, after.payment.capturable_minor) == ("requires_capture", 700)
    assert after.payment.captured_minor == 300


def test_money_in_flight_is_reserved_until_its_outcome_is_known() -> None:
    opened, attempt = b.capturing(b.held(), 400)
    assert opened.payment.reserved_minor == 400
    silent = apply_outcome(opened, attempt, b.SILENT, b.NOW_MS)
    assert (silent.payment.reserved_minor, silent.payment.outcome_known) == (400, False)
    free = apply_outcome(opened, attempt, b.refused(), b.NOW_MS)
    assert (free.payment.reserved_minor, free.payment.captured_minor) == (0, 0)
    assert free.payment.status == "requires_capture"


def test_a_refund_that_is_declined_gives_its_amount_back() -> None:
    opened, attempt = b.refunding(b.paid(), 400)
    assert refundable_minor(opened) == 600
    declined = apply_outcome(opened, attempt, DECLINED, b.NOW_MS)
    assert refundable_minor(declined) == 1_000
    assert declined.refunds[0].status == "failed"
    assert refundable_minor(b.refunded(b.paid(), 400)) == 600


# Reservation


def refuses(error: type[Exception], start: Any, *args: Any, **options: Any) -> None:
    with pytest.raises(error):
        start(*args, **options)


def test_a_follow_up_needs_a_status_that_allows_it() -> None:
    for books in (b.sending(), b.doubtful(), b.paid(), told(DECLINED)):
        refuses(Conflict, open_capture, books, "a", 0, amount_minor=None, final=True)
        refuses(Conflict, open_void, books, "a", 0)
    for books in (b.sending(), b.held(), told(DECLINED)):
        refuses(Conflict, open_refund, books, "a", "r", 0, amount_minor=None, reason=None)


def test_no_more_is_captured_than_is_held_and_no_more_refunded_than_captured() -> None:
    refuses(Invalid, open_capture, b.held(), "a", 0, amount_minor=1_001, final=True)
    refuses(Invalid, open_capture, b.held(), "a", 0, amount_minor=10, final=False)
    refuses(Invalid, open_refund, b.paid(300), "a", "r", 0, amount_minor=301, reason=None)
    in_flight, _ = b.refunding(b.paid(), 700)
    refuses(Invalid, open_refund, in_flight, "a", "r", 0, amount_minor=301, reason=None)
    both, second = b.refunding(in_flight, 300, 2)
    assert second.amount_minor == 300
    refuses(Invalid, open_refund, both, "a", "r", 0, amount_minor=None, reason=None)


@pytest.mark.parametrize("operation", ["capture", "void"])
def test_while_one_is_open_another_must_wait(operation: str) -> None:
    opened, _ = b.capturing(b.held()) if operation == "capture" else b.voiding(b.held())
    refuses(Conflict, open_capture, opened, "a", 0, amount_minor=None, final=True)
    refuses(Conflict, open_void, opened, "a", 0)


def test_a_void_after_a_part_was_captured_is_refused() -> None:
    opened, attempt = b.capturing(b.held(multicapture=True), 300, final=False)
    said = b.approved(opened, "authorized", capturable_minor=700, captured_minor=300)
    books = apply_outcome(opened, attempt, said, b.NOW_MS)
    refuses(Conflict, open_void, books, "a", 0)


def test_follow_ups_go_through_the_payments_version() -> None:
    held = b.later(b.held(), integration="stripe@2022-08-01")
    attempts: list[Attempt] = [b.capturing(held)[1], b.voiding(held)[1]]
    assert {a.integration for a in attempts} == {"stripe@2022-08-01"}


def accepted(operation: str) -> tuple[Books, Attempt]:
    """A follow-up that the provider answered with "received, decided later"."""
    if operation == "capture":
        opened, attempt = b.capturing(b.held(), 600)
    else:
        opened, attempt = b.voiding(b.held())
    received = Outcome(kind="pending", charge=b.charge(opened, "authorized"))
    said = judge(opened.payment, attempt, received)
    assert said.kind == "pending"
    return apply_outcome(opened, attempt, said, b.NOW_MS), attempt


@pytest.mark.parametrize("operation", ["capture", "void"])
def test_a_follow_up_that_is_decided_later_stays_open_and_keeps_its_amount(operation: str) -> None:
    books, attempt = accepted(operation)
    assert [a.id for a in books.open_attempts()] == [attempt.id]
    assert books.payment.reserved_minor == (600 if operation == "capture" else 0)
    assert (books.payment.status, books.payment.outcome_known) == ("requires_capture", False)
    for again in (b.capturing, b.voiding):
        with pytest.raises(Conflict):
            again(books)


@pytest.mark.parametrize("operation", ["capture", "void"])
def test_what_is_decided_later_is_neither_repeated_nor_concluded(operation: str) -> None:
    books, _ = accepted(operation)
    late_ms = b.NOW_MS + 100 * b.POLICY.window_ms
    asked = Look(charge=b.charge(books, "authorized"), charge_asked_ms=late_ms)
    step = next_step(books, asked, b.POLICY, late_ms, reply_stored=False, refresh=False)
    assert step.kind == "wait"
    counted = looked(books, books.attempts[-1], b.POLICY, late_ms)
    assert (counted.attempts[-1].outcome, counted.attempts[-1].looks) == ("pending", 1)
    assert counted.payment.attention is not None


@pytest.mark.parametrize(
    ("operation", "state", "sums", "outcome", "status"),
    [
        ("capture", "captured", {"captured_minor": 600}, "approved", "succeeded"),
        ("capture", "canceled", {}, "failed", "canceled"),
        ("void", "canceled", {}, "approved", "canceled"),
        ("void", "captured", {"captured_minor": 1_000}, "failed", "succeeded"),
    ],
)
def test_what_was_decided_later_is_settled_by_a_reading(
    operation: str, state: str, sums: dict[str, int], outcome: str, status: str
) -> None:
    books, attempt = accepted(operation)
    seen = b.charge(books, state, **sums)
    after = reconcile_charge(books, seen, b.NOW_MS + 9, by="lookup", asked_ms=b.NOW_MS + 9)
    done = after.attempt(attempt.id)
    assert done is not None
    assert (done.outcome, after.payment.status) == (outcome, status)
    assert (after.payment.reserved_minor, after.payment.outcome_known) == (0, True)
