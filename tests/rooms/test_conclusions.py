"""What must hold of conclusions, accounts and readers (I16, I17), on books and ledgers by hand."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.rooms import books as b
from tests.rooms.test_invariants import ledger, ledger_charge, violated

from tollkeeper.payments import invariants
from tollkeeper.payments.invariants import LedgerCapture, LedgerRefund
from tollkeeper.payments.payment import Books, Dispute
from tollkeeper.payments.results import with_attempt
from tollkeeper.payments.settlement import looked, not_executed

HOUR_MS = 3_600_000


def concluded(operation: str) -> Books:
    """A payment of which one request was taken for not executed."""
    made: dict[str, Any] = {
        "authorize": b.doubtful,
        "capture": lambda: b.capturing(b.held(), 400)[0],
        "void": lambda: b.voiding(b.held())[0],
        "refund": lambda: b.refunding(b.paid(), 400)[0],
    }
    books: Books = made[operation]()
    books = looked(books, books.attempts[-1], b.POLICY, b.NOW_MS)
    return not_executed(books, books.attempts[-1], b.NOW_MS)


def effect_of(books: Books) -> Any:
    """The charge as the ledger has it once that request took effect after all."""
    attempt = books.attempts[-1]
    fields: dict[str, dict[str, Any]] = {
        "authorize": {"amount_captured_minor": books.payment.amount_minor},
        "capture": {
            "amount_captured_minor": 400,
            "captures": [LedgerCapture(400, attempt.id)],
        },
        "void": {"live": False},
        "refund": {
            "amount_refunded_minor": 400,
            "refunds": [LedgerRefund("re_1", "refund", 400, "succeeded", "api", attempt.id)],
        },
    }
    return ledger_charge(books, **fields[attempt.operation])


def corrected(books: Books, **fields: Any) -> Books:
    changes: dict[str, Any] = {"corrected_ms": b.NOW_MS, "outcome": "approved"} | fields
    return with_attempt(books, replace(books.attempts[-1], **changes))


@pytest.mark.parametrize("operation", ["authorize", "capture", "void", "refund"])
def test_a_conclusion_that_the_ledger_contradicts_is_seen_until_it_is_corrected(
    operation: str,
) -> None:
    books = concluded(operation)
    charge = effect_of(books)
    assert violated(invariants.check_contradictions(books, ledger(charge))) == ["I16"]
    assert violated(invariants.check_contradictions(corrected(books), ledger(charge))) == []
    without = ledger() if operation == "authorize" else ledger(ledger_charge(books))
    assert violated(invariants.check_contradictions(books, without)) == []


@pytest.mark.parametrize("operation", ["authorize", "capture", "refund"])
def test_an_effect_within_the_window_could_have_been_seen(operation: str) -> None:
    books = concluded(operation)
    attempt = books.attempts[-1]
    for late_ms, found in ((0, ["I4"]), (12_000, ["I4"]), (12_001, [])):
        effects = {attempt.id: attempt.sent_ms + late_ms}
        assert violated(invariants.check_evidence(books, effects, 12_000)) == found
    assert violated(invariants.check_evidence(books, {}, 12_000)) == []
    later = {attempt.id: attempt.sent_ms + 5_000}
    effects = {attempt.id: attempt.sent_ms + 17_000}
    assert violated(invariants.check_evidence(books, effects, 12_000, later)) == ["I4"]


def test_a_correction_has_its_event_and_attention() -> None:
    books = corrected(concluded("refund"))
    for told, cleared, found in (
        (["refund.corrected"], True, []),
        (["refund.corrected"], False, ["I16"]),
        (["payment.corrected"], True, ["I16"]),
    ):
        check = invariants.check_corrections(books, told, cleared=cleared)
        assert violated(check) == found
    noted = replace(books, payment=replace(books.payment, attention="a refund took effect"))
    check = invariants.check_corrections(noted, ["refund.corrected"], cleared=False)
    assert violated(check) == []


def test_a_refund_under_way_may_be_overtaken_by_one_that_is_corrected() -> None:
    late = corrected(concluded("refund"))
    sums = replace(late.payment, refunded_minor=0)
    found = tuple(replace(refund, status="succeeded") for refund in late.refunds)
    opened = b.refunding(replace(late, payment=sums, refunds=found), 800, 2)[0]
    begun = opened.attempts[-1]
    for first_sent_ms, expected in ((b.NOW_MS - 1, []), (b.NOW_MS + 1, ["I2"])):
        books = with_attempt(opened, replace(begun, first_sent_ms=first_sent_ms))
        found_now = [v for v in invariants.check_books(books, []) if "our refunds" in v.detail]
        assert violated(found_now) == expected


def test_a_late_charge_is_reversed_where_its_account_wants_that_and_only_once() -> None:
    stands = b.paid()
    late = with_attempt(stands, replace(stands.attempts[0], corrected_ms=b.NOW_MS))
    assert violated(invariants.check_reversals(late, wanted=True)) == ["I16"]
    assert violated(invariants.check_reversals(late, wanted=False)) == []
    refund = b.refunding(late, 1_000)[0]
    made = replace(refund.attempts[-1], purpose="reverse", outcome="approved")
    once = with_attempt(refund, made)
    assert violated(invariants.check_reversals(once, wanted=True)) == []
    assert violated(invariants.check_reversals(once, wanted=False)) == ["I16"]
    twice = with_attempt(once, replace(made, id="att_again"))
    assert violated(invariants.check_reversals(twice, wanted=True)) == ["I1"]


def test_a_reference_of_its_own_has_one_holder_but_for_a_correction() -> None:
    def holder(id_: str, **fields: Any) -> Books:
        books = b.paid()
        payment = replace(
            books.payment, id=id_, reference="order-1", unique_reference=True, **fields
        )
        return replace(books, payment=payment)

    first, second = holder("pay_1"), holder("pay_2")
    assert violated(invariants.check_references([first, second])) == ["I8"]
    assert violated(invariants.check_references([first, holder("pay_2", status="failed")])) == []
    assert violated(invariants.check_references([first, holder("pay_2", account="a")])) == []
    assert violated(invariants.check_references([first, corrected(second)])) == []


def test_a_dispute_is_what_the_provider_said_last() -> None:
    dispute = Dispute(
        id="dp_1", payment_id="pay_1", provider_id="du_1", state="open", amount_minor=1,
        reason="", created_ms=1, updated_ms=1,
    )  # fmt: skip
    books = replace(b.paid(), disputes=(dispute,))
    assert violated(invariants.check_disputes(books, {"du_1": "open"})) == []
    assert violated(invariants.check_disputes(books, {"du_1": "lost"})) == ["I5"]
    assert violated(invariants.check_disputes(b.paid(), {"du_1": "open"})) == ["I5"]


def test_a_poisoned_row_holds_up_its_own_payment_alone() -> None:
    books = b.doubtful()
    own = books.payment.id
    assert violated(invariants.check_unhidden([books, b.paid()], own)) == []
    assert violated(invariants.check_unhidden([books], "pay_other")) == ["I17"]
    running = with_attempt(books, replace(books.attempts[0], in_use=True))
    assert violated(invariants.check_unhidden([running], "pay_other")) == []


def test_settling_that_waits_beyond_its_bound_is_seen() -> None:
    assert violated(invariants.check_waits({"pay_1": 5_000}, 5_000)) == []
    assert violated(invariants.check_waits({"pay_1": 5_001, "pay_2": 1}, 5_000)) == ["I17"]
