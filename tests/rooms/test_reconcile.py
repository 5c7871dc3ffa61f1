"""Readings of the provider: any order and any repetition of true ones gives the same books."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms import books as b

from tollkeeper.payments.outcome import Charge, DisputeSeen, Doubt, Outcome, RefundSeen, UnreadRow
from tollkeeper.payments.payment import Books
from tollkeeper.payments.reconcile import (
    reconcile_charge,
    reconcile_dispute,
    reconcile_disputes,
    reconcile_refunds,
    released_minor,
    unread_may_be_refund,
)
from tollkeeper.payments.results import apply_outcome

HISTORIES: list[tuple[str, ...]] = [
    ("processing", "captured"),
    ("requires_action", "processing", "captured"),
    ("requires_action", "declined"),
    ("requires_action", "canceled"),
    ("processing", "authorized", "canceled"),
    ("requires_action", "authorized", "captured"),
    ("open", "requires_action", "authorized"),
]
"""What one charge goes through at the provider; the last state is its truth."""


def read(books: Books, *readings: Charge) -> Books:
    for reading in readings:
        books = reconcile_charge(books, reading, b.NOW_MS, by="lookup", asked_ms=b.NOW_MS)
    return books


def facts(books: Books) -> tuple[Any, ...]:
    p = books.payment
    return (
        p.status, p.captured_minor, p.capturable_minor, p.refunded_minor, p.decline_reason,
        p.provider_id, p.redirect_url, p.attention, [a.outcome for a in books.attempts],
        [(r.amount_minor, r.status, r.provider_id) for r in books.refunds],
    )  # fmt: skip


@given(st.sampled_from(HISTORIES), st.data())
def test_once_the_truth_was_read_no_older_reading_undoes_it(
    history: tuple[str, ...], data: st.DataObject
) -> None:
    books = b.doubtful()
    readings = [b.charge(books, state) for state in history]
    early = data.draw(st.lists(st.sampled_from(readings[:-1]), max_size=4))
    stale = data.draw(st.lists(st.sampled_from(readings), max_size=4))
    in_order = read(books, *readings)
    # what was read before the truth may be anything; what comes after it changes nothing
    straight = read(books, *early, readings[-1])
    assert straight.payment.status == in_order.payment.status
    assert straight.payment.captured_minor == in_order.payment.captured_minor
    if straight.payment.status in {"succeeded", "canceled", "failed"}:
        assert facts(read(straight, *stale)) == facts(straight)
    assert facts(read(in_order, readings[-1], readings[-1])) == facts(in_order)


@pytest.mark.parametrize("state", ["authorized", "captured"])
def test_a_reading_older_than_what_we_know_brings_nothing_back(state: str) -> None:
    books, attempt = b.voiding(b.held())
    stale = b.charge(books, "authorized")
    after = read(books, b.charge(books, "canceled"))
    assert after.payment.status == "canceled"
    asked_ms = after.payment.updated_ms - 1
    again = reconcile_charge(after, stale, b.NOW_MS + 9, by="lookup", asked_ms=asked_ms)
    assert again.payment.status == "canceled"
    fresh = reconcile_charge(
        after, b.charge(books, state), b.NOW_MS + 9, by="lookup", asked_ms=b.NOW_MS + 5
    )
    assert fresh.payment.status in {"requires_capture", "succeeded"}
    assert fresh.payment.attention is not None
    assert attempt.operation == "void"


def test_a_reading_that_is_not_ours_changes_nothing() -> None:
    books = b.doubtful()
    for wrong in ({"payment_id": "pay_x"}, {"amount_minor": 1}, {"currency": "USD"}):
        assert read(books, b.charge(books, "authorized", **wrong)) is books
    foreign = b.charge(books, "authorized", attempt_id="att_x")
    assert read(books, foreign).payment.status == "processing"


def test_each_open_attempt_is_settled_by_what_the_charge_shows() -> None:
    assert read(b.doubtful(), b.charge(b.doubtful(), "open")).payment.status == "processing"
    books, _ = b.capturing(b.held(), 400)
    done = read(books, b.charge(books, "captured", captured_minor=400))
    assert (done.payment.status, done.payment.captured_minor) == ("succeeded", 400)
    assert done.attempts[-1].outcome == "approved"
    waiting = read(books, b.charge(books, "authorized"))
    assert waiting.attempts[-1].outcome is None
    gone = read(books, b.charge(books, "canceled"))
    assert (gone.attempts[-1].outcome, gone.payment.status) == ("failed", "canceled")
    books, _ = b.voiding(b.held())
    taken = read(books, b.charge(books, "captured"))
    assert (taken.attempts[-1].outcome, taken.payment.status) == ("failed", "succeeded")


def test_external_changes_are_moves_of_their_own() -> None:
    held = b.later(b.held(), authorization_expires_ms=b.NOW_MS + 10)
    gone = b.charge(held, "canceled")
    for at_ms in (b.NOW_MS + 5, b.NOW_MS + 10):  # canceled by somebody, and expired
        after = reconcile_charge(held, gone, at_ms, by="lookup", asked_ms=at_ms)
        assert (after.payment.status, after.payment.capturable_minor) == ("canceled", 0)
    partly = read(held, b.charge(held, "captured", captured_minor=250))
    assert (partly.payment.status, partly.payment.captured_minor) == ("succeeded", 250)


def test_an_external_capture_that_was_read_as_a_smaller_one_is_put_right_by_a_newer_look() -> None:
    held = b.later(b.held(), authorization_expires_ms=b.NOW_MS + 10)
    partly = read(held, b.charge(held, "captured", captured_minor=250))
    whole = b.charge(held, "captured", captured_minor=1_000)
    asked_ms = partly.payment.updated_ms
    assert reconcile_charge(partly, whole, asked_ms, by="lookup", asked_ms=asked_ms) is partly
    after = reconcile_charge(partly, whole, asked_ms + 1, by="lookup", asked_ms=asked_ms + 1)
    assert (after.payment.status, after.payment.captured_minor) == ("succeeded", 1_000)
    assert "250" in (after.payment.attention or "")
    smaller = b.charge(held, "captured", captured_minor=100)
    assert reconcile_charge(after, smaller, asked_ms + 9, by="x", asked_ms=asked_ms + 9) is after


def listing(books: Books, *seen: RefundSeen) -> Books:
    ids = tuple(f"re_new_{item.provider_id}" for item in seen)
    return reconcile_refunds(books, seen, ids, b.NOW_MS, by="listing")


@given(st.data())
def test_refunds_read_in_any_order_and_number_give_the_same_books(data: st.DataObject) -> None:
    first, one = b.refunding(b.paid(), 300, 1)
    books, two = b.refunding(first, 200, 2)
    truth = [
        b.seen(one, "succeeded"), b.seen(two, "failed"), b.seen(None, provider_id="re_dashboard"),
    ]  # fmt: skip
    history = [b.seen(one, "pending"), b.seen(two, "pending"), b.seen(two, "succeeded"), *truth]
    reads = data.draw(st.lists(st.permutations(history), min_size=1, max_size=3))
    for some in reads:
        books = listing(books, *some[: data.draw(st.integers(0, len(some)))])
    books = listing(books, *truth)
    settled = sorted((r.amount_minor, r.status) for r in books.refunds)
    assert settled == [(100, "succeeded"), (200, "failed"), (300, "succeeded")]
    assert books.payment.refunded_minor == 400
    assert books.open_attempts() == ()
    assert listing(books, *history) is books


def test_a_refund_that_fails_after_it_succeeded_gives_its_amount_back() -> None:
    books = b.refunded(b.paid(), 300)
    assert books.payment.refunded_minor == 300
    failed = listing(books, b.seen(books.attempts[-1], "failed"))
    assert (failed.payment.refunded_minor, failed.refunds[0].status) == (0, "failed")
    assert listing(failed, b.seen(books.attempts[-1], "succeeded")) is failed


@pytest.mark.parametrize("amount", [0, 1_001, 2**60])
def test_an_external_refund_that_cannot_be_is_not_taken_for_one(amount: int) -> None:
    books = b.paid()
    after = listing(books, b.seen(None, amount_minor=amount))
    assert after.payment.refunded_minor == 0
    assert after.refunds == ()


def test_a_refund_of_another_amount_or_currency_settles_nothing() -> None:
    books, attempt = b.refunding(b.paid(), 300)
    assert listing(books, b.seen(attempt, amount_minor=3)) is books
    assert listing(books, b.seen(attempt, currency="USD")) is books


def test_a_row_without_a_reference_may_be_any_refund_in_doubt_but_those_that_are_known() -> None:
    books, attempt = b.refunding(b.paid(), 400)
    doubt = Doubt("contract", "refund status word not known")
    named = UnreadRow(doubt=doubt, provider_id="re_1", attempt_id=attempt.id)
    other = UnreadRow(doubt=doubt, provider_id="re_1", attempt_id="att_other")
    bare = UnreadRow(doubt=doubt, provider_id="re_1")
    assert unread_may_be_refund(books, named, [attempt.id])
    assert not unread_may_be_refund(books, other, [attempt.id])
    assert unread_may_be_refund(books, bare, [attempt.id])
    known = replace(books, refunds=(replace(books.refunds[0], provider_id="re_1"),))
    assert not unread_may_be_refund(known, bare, [attempt.id])


def dispute(state: Any, told_s: int) -> DisputeSeen:
    return DisputeSeen(
        provider_id="dp_1", state=state, amount_minor=5, currency="EUR", told_s=told_s
    )


@given(st.permutations([("open", 10), ("lost", 20), ("won", 30)]))
def test_the_newest_word_about_a_dispute_counts_in_any_order(told: list[Any]) -> None:
    books = b.paid()
    for state, told_s in told:
        books = reconcile_dispute(books, dispute(state, told_s), "dp_ours", b.NOW_MS)
    assert [d.state for d in books.disputes] == ["won"]
    assert not books.payment.disputed
    assert books.payment.status == "succeeded"


@given(st.permutations(["open", "prevented"]))
def test_of_one_second_an_end_counts_more_than_an_opening(states: list[Any]) -> None:
    books = b.paid()
    for state in states:
        books = reconcile_dispute(books, dispute(state, 10), "dp_ours", b.NOW_MS)
    assert [d.state for d in books.disputes] == ["prevented"]


def test_a_dispute_that_is_opened_again_right_after_a_listing_is_open() -> None:
    books = reconcile_dispute(b.paid(), dispute("open", 10), "dp_ours", b.NOW_MS)
    books = reconcile_disputes(books, (dispute("inquiry_closed", 20),), ("dp_new",), b.NOW_MS)
    assert [d.state for d in books.disputes] == ["inquiry_closed"]
    books = reconcile_dispute(books, dispute("open", 20), "dp_ours", b.NOW_MS)
    assert [d.state for d in books.disputes] == ["open"]


def test_a_word_that_repeats_a_state_makes_what_was_said_before_it_older() -> None:
    books = reconcile_dispute(b.paid(), dispute("open", 10), "dp_ours", b.NOW_MS)
    books = reconcile_dispute(books, dispute("open", 20), "dp_ours", b.NOW_MS)
    assert reconcile_dispute(books, dispute("lost", 15), "dp_ours", b.NOW_MS) is books
    assert reconcile_dispute(books, dispute("open", 0), "dp_ours", b.NOW_MS) is books
    assert [d.state for d in books.disputes] == ["open"]


def test_a_payment_is_disputed_until_its_last_dispute_ends_and_an_inquiry_is_no_dispute() -> None:
    books = reconcile_dispute(b.paid(), dispute("inquiry", 1), "dp_ours", b.NOW_MS)
    assert not books.payment.disputed
    books = reconcile_dispute(books, dispute("open", 2), "dp_ours", b.NOW_MS)
    other = replace(dispute("open", 3), provider_id="dp_2")
    books = reconcile_dispute(books, other, "dp_other", b.NOW_MS)
    books = reconcile_dispute(books, dispute("won", 4), "dp_ours", b.NOW_MS)
    assert books.payment.disputed
    books = reconcile_dispute(books, replace(other, state="lost", told_s=5), "x", b.NOW_MS)
    assert not books.payment.disputed


def test_an_unchanged_reading_gives_the_very_same_books() -> None:
    for books, state in ((b.held(), "authorized"), (b.paid(), "captured")):
        assert read(books, b.charge(books, state)) is books


@pytest.mark.parametrize(("state", "outcome"), [("failed", "declined"), ("succeeded", "approved")])
def test_a_refund_in_doubt_is_settled_as_the_provider_shows_it(state: str, outcome: str) -> None:
    opened, attempt = b.refunding(b.paid(), 300)
    doubt = apply_outcome(opened, attempt, b.SILENT, b.NOW_MS)
    after = listing(doubt, b.seen(attempt, state))
    assert (after.attempts[-1].outcome, after.refunds[0].status) == (outcome, state)


def test_a_release_is_no_refund_where_the_provider_worked_as_for_another_version() -> None:
    opened, attempt = b.capturing(b.held(), 400)
    releases = frozenset({"old@1"})
    for by, left in (("reread", 600), ("reply", 0)):
        shown = b.charge(opened, "captured", captured_minor=400, capturable_minor=0)
        said = Outcome(kind="approved", charge=shown)
        books = apply_outcome(opened, attempt, said, b.NOW_MS, by=by)
        assert released_minor(books, releases) == left
        assert released_minor(books, frozenset()) == 0
