"""The invariants: each check has an example that violates it, and what is right violates none."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.rooms import books as b
from tests.store.stage import change

from tollkeeper.payments.audit import AuditRow
from tollkeeper.payments.change import committed
from tollkeeper.payments.invariants import (
    Given,
    Holdings,
    Ledger,
    LedgerCapture,
    LedgerCharge,
    LedgerIntent,
    LedgerRefund,
    check_answers,
    check_books,
    check_effects,
    check_holdings,
    check_orphans,
    check_quiet,
)
from tollkeeper.payments.payment import Books


def stored(*steps: Books) -> tuple[Books, list[AuditRow]]:
    """Books after a commit for each step, with their audit rows."""
    before: Books | None = None
    rows: list[AuditRow] = []
    for step in steps:
        after = step
        if before is not None:
            head = {"seq": before.payment.seq, "audit_head": before.payment.audit_head}
            after = b.later(step, **head)
        made = change(before, after)
        rows.append(made.audit)
        before = committed(after, made)
    assert before is not None
    return before, rows


def ledger_charge(books: Books, **fields: Any) -> LedgerCharge:
    payment = books.payment
    defaults: dict[str, Any] = {
        "charge_id": "ch_1",
        "payment_intent_id": "pi_1",
        "idempotency_key": books.attempts[0].id,
        "metadata": {"tollkeeper_payment": payment.id},
        "live": True,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "amount_captured_minor": payment.captured_minor,
        "amount_refunded_minor": payment.refunded_minor,
        "captures": [],
        "refunds": [],
    }
    return LedgerCharge(**(defaults | fields))


def ledger(*charges: LedgerCharge, intents: tuple[LedgerIntent, ...] = ()) -> Ledger:
    return Ledger(charges=list(charges), intents=list(intents))


def violated(found: Any) -> list[str]:
    return [violation.invariant for violation in found]


def test_what_is_right_violates_nothing() -> None:
    held = b.held()
    for books in (b.doubtful(), held, b.capturing(held, 400)[0], b.paid(), b.refunded(b.paid())):
        whole, rows = stored(books)
        assert violated(check_books(whole, rows)) == []
        if whole.open_attempts() or whole.payment.status == "processing":
            continue
        refunds = [
            LedgerRefund(r.provider_id or "", "refund", r.amount_minor, "succeeded", "api",
                         whole.attempts[-1].id)
            for r in whole.refunds
        ]  # fmt: skip
        mine = ledger(ledger_charge(whole, refunds=refunds))
        assert violated(check_effects(whole, mine)) == []
        assert violated(check_quiet(whole, mine, b.NOW_MS)) == []
        assert violated(check_orphans({whole.payment.id: whole}, mine)) == []


def _sent_again() -> Books:
    books = b.doubtful()
    return replace(books, attempts=(*books.attempts, *books.attempts))


def _refunded_twice() -> Books:
    books = b.refunded(b.paid())
    return replace(books, refunds=books.refunds * 2)


def _reversed_again() -> Books:
    held = b.held()
    reversals = [
        replace(
            b.capturing(held)[1], id=id_, operation="void", purpose="reverse", outcome="unknown"
        )
        for id_ in ("att_x", "att_y")
    ]
    return replace(held, attempts=(*held.attempts, *reversals))


BOOKS: dict[str, tuple[str, Any]] = {
    "money reserved for nothing": ("I13", lambda: b.later(b.held(), reserved_minor=5)),
    "more refunded than captured": ("I2", lambda: b.later(b.paid(), refunded_minor=2_000)),
    "more captured than authorized": ("I2", lambda: b.later(b.paid(), captured_minor=2_000)),
    "our refunds exceed the capture": ("I2", _refunded_twice),
    "sent again after silence": ("I11", _sent_again),
    "reversed again after silence": ("I11", _reversed_again),
    "captured at once, and in part": (
        "I13",
        lambda: b.later(b.paid(), capture_method="automatic", captured_minor=10),
    ),
    "followed up through another version": (
        "I6",
        lambda: b.later(b.capturing(b.held())[0], integration="stripe@2022-08-01"),
    ),
}


@pytest.mark.parametrize("what", BOOKS)
def test_books_that_are_wrong_by_themselves(what: str) -> None:
    invariant, books = BOOKS[what]
    whole, rows = stored(books())
    assert invariant in violated(check_books(whole, rows))


def test_an_audit_chain_that_is_broken_or_not_in_step_is_seen() -> None:
    books, rows = stored(b.held(), b.later(b.held(), reference="r"))
    assert violated(check_books(books, rows[:1])) == ["I7"]
    assert violated(check_books(books, [])) == ["I7"]
    torn = [rows[0], replace(rows[1], actor="somebody")]
    assert "I7" in violated(check_books(books, torn))


def test_a_status_that_went_back_is_seen() -> None:
    paid = b.paid()
    books, rows = stored(paid, b.later(paid, status="processing"))
    assert violated(check_books(books, rows)) == ["I5"]


def effects(books: Books, *charges: LedgerCharge) -> list[str]:
    return violated(check_effects(books, ledger(*charges)))


def test_effects_that_nobody_asked_for_are_seen() -> None:
    held = b.held()
    good = ledger_charge(held)
    assert effects(held, good, replace(good, charge_id="ch_2")) == ["I1"]
    assert effects(held) == ["I4"]
    failed = b.later(held, status="failed")
    assert effects(failed, good) == ["I4"]
    assert effects(held, replace(good, idempotency_key="att_x")) == ["I2"]
    assert effects(held, replace(good, amount_minor=1)) == ["I2"]
    assert effects(held, replace(good, currency="USD")) == ["I2"]
    assert effects(held, replace(good, amount_captured_minor=9_999)) == ["I2"]
    stray = LedgerCapture(amount_minor=400, idempotency_key="att_x")
    assert effects(held, replace(good, captures=[stray])) == ["I2"]
    capturing, attempt = b.capturing(held, 400)
    mine = LedgerCapture(amount_minor=400, idempotency_key=attempt.id)
    assert effects(capturing, replace(good, captures=[mine])) == []
    assert effects(capturing, replace(good, captures=[mine, mine])) == ["I1"]
    wrong = replace(mine, amount_minor=1_000)
    assert effects(capturing, replace(good, captures=[wrong])) == ["I2"]
    refund = LedgerRefund("re_x", "refund", 10, "succeeded", "api", "att_x")
    assert effects(held, replace(good, refunds=[refund])) == ["I2"]
    dashboard = replace(refund, source="dashboard", idempotency_key="")
    assert effects(held, replace(good, refunds=[dashboard])) == []


def quiet(books: Books, *charges: LedgerCharge, now_ms: int = b.NOW_MS, **rest: Any) -> list[str]:
    return violated(check_quiet(books, ledger(*charges, **rest), now_ms))


def test_what_is_left_over_at_quiet_is_seen() -> None:
    doubtful = b.doubtful()
    assert quiet(doubtful) == ["I14"]
    assert quiet(b.later(doubtful, attention="a person looks")) == []
    settled = replace(doubtful, attempts=())
    assert quiet(settled) == ["I14"]
    waiting = b.waiting_for_shopper()
    assert quiet(waiting, now_ms=waiting.payment.deadline_ms + 200_000) == ["I14"]
    paid = b.paid()
    good = ledger_charge(paid)
    assert quiet(paid) == ["I4", "I13"]
    assert quiet(paid, replace(good, amount_captured_minor=1)) == ["I13"]
    assert quiet(paid, replace(good, amount_refunded_minor=1)) == ["I13"]
    unknown = LedgerRefund("re_x", "refund", 0, "succeeded", "dashboard", "")
    assert quiet(paid, replace(good, refunds=[unknown])) == ["I2"]
    canceled = b.later(b.held(), status="canceled")
    assert "I4" in quiet(canceled, ledger_charge(canceled))
    mine = {"tollkeeper_payment": canceled.payment.id}
    intent = LedgerIntent(payment_intent_id="pi_1", open=True, metadata=mine)
    assert quiet(canceled, intents=(intent,)) == ["I4"]
    assert quiet(canceled, intents=(replace(intent, open=False),)) == []


def test_answers_that_do_not_hold_are_seen() -> None:
    books = b.paid()
    id_ = books.payment.id
    held = Holdings(bound={"k": id_}, waiting={})
    answer = Given(key="k", status=201, payment_id=id_)

    def found(*given: Given) -> list[str]:
        return violated(check_answers(given, held, {id_: books}))

    assert found(answer, answer, replace(answer, status=500, payment_id="x")) == []
    assert found(replace(answer, payment_id="pay_x")) == ["I3", "I3"]
    assert found(replace(answer, key="other")) == ["I3"]
    assert "I8" in found(answer, replace(answer, payment_id="pay_x"))


def test_work_that_sleeps_and_events_without_a_fate_are_seen() -> None:
    held = Holdings(bound={}, waiting={"settle": (2, 100)})
    assert violated(check_holdings(held, 150, 50)) == []
    assert violated(check_holdings(held, 151, 50)) == ["I15"]
    owed = Holdings(bound={}, waiting={}, pending_deliveries=frozenset({"e|w"}))
    assert violated(check_holdings(owed, 0, 0)) == ["I9"]
    planned = replace(owed, delivery_jobs=frozenset({"e|w"}))
    assert violated(check_holdings(planned, 0, 0)) == []


def test_a_charge_of_no_payment_is_seen() -> None:
    charge = ledger_charge(b.held())
    assert violated(check_orphans({}, ledger(charge))) == ["I2"]


def test_a_ledger_with_more_fields_is_read() -> None:
    text = msgspec.json.encode({"charges": [], "intents": [], "at_ms": 5})
    assert msgspec.json.decode(text, type=Ledger) == ledger()
