"""The drill under the version that carries everything: what it counts, and one short real run."""

from pathlib import Path
from typing import Any

import pytest

from tollkeeper.flows.operations.doctor import Report
from tollkeeper.payments.invariants import PAYMENT_KEY, Ledger, LedgerCharge, Violation
from tollkeeper.testing.drill_carrying import ROWS, WEIGHTS, carrying, figures, is_wrong, play
from tollkeeper.testing.drill_scene import Harm, Visit, harm_of, said


def _visit(identifier: str, says: str, **fields: Any) -> Visit:
    usual: dict[str, Any] = {
        "at": 1.0, "status": "succeeded", "final_seconds": 2.0, "asked_seconds": 0.01,
        "attempts": 1,
    }  # fmt: skip
    return Visit(payment_id=identifier, said=says, **(usual | fields))


def _ledger(*paid: str) -> Ledger:
    charges = [
        LedgerCharge(
            charge_id=f"ch_{name}", payment_intent_id=f"pi_{name}", idempotency_key=name,
            metadata={PAYMENT_KEY: name}, live=True, amount_minor=1, currency="EUR",
            amount_captured_minor=1, amount_refunded_minor=0, captures=[], refunds=[],
        )
        for name in paid
    ]  # fmt: skip
    return Ledger(charges=charges, intents=[])


def test_a_row_counts_those_who_came_while_the_provider_was_broken() -> None:
    visits = [
        _visit("p0", "succeeded", at=-1.0, asked_seconds=0.004),
        _visit("p1", "succeeded", asked_seconds=0.02, attempts=2),
        _visit("p2", "wait", final_seconds=9.0),
        _visit("p3", "failed", status="failed", asked_seconds=0.03),
        _visit("p4", "declined", status="failed", has_money=False),
        _visit("", "no answer", status="", final_seconds=None),
    ]
    row = figures("new_parameter", visits, Harm(unresolved=1, other=2), _ledger("p0", "p1", "p2"))
    told = (row.told_succeeded, row.told_wait, row.told_failed, row.told_declined, row.told_nothing)
    assert (row.shoppers, told) == (5, (1, 1, 1, 1, 1))
    ended = (row.ended_paid, row.ended_failed, row.ended_without_money, row.never_final)
    assert ended == (2, 1, 1, 1)
    assert (row.median_ms, row.p95_ms, row.clean_median_ms) == (10.0, 30.0, 4.0)
    assert (row.attempts, row.final_seconds) == (1.2, 2.0)
    assert (row.wrong, row.unresolved, row.harmed) == (0, 3, False)


def test_a_row_says_when_traffic_began_to_move_and_when_all_of_it_had() -> None:
    old, new = "stripe@2022-08-01", "stripe@2022-11-15"
    came = [(1.0, old), (2.0, old), (3.0, new), (4.0, old), (5.0, ""), (6.0, new), (7.0, new)]
    visits = [_visit(f"p{at}", "succeeded", at=at, taken_by=by) for at, by in came]
    row = figures("new_parameter", visits, Harm(), _ledger())
    assert (row.first_moved_seconds, row.all_moved_seconds) == (3.0, 4.0)
    stays = figures("new_parameter", visits[:2], Harm(), _ledger())
    assert (stays.first_moved_seconds, stays.all_moved_seconds) == (None, None)


def test_a_row_without_shoppers_has_no_latency() -> None:
    row = figures("new_parameter", [], Harm(), _ledger())
    assert (row.shoppers, row.median_ms, row.p95_ms, row.final_seconds) == (0, None, None, None)


@pytest.mark.parametrize(
    ("says", "is_paid", "wrong"),
    [
        ("succeeded", True, False),
        ("succeeded", False, True),
        ("failed", True, True),
        ("failed", False, False),
        ("declined", True, True),
        ("wait", True, False),
        ("no answer", True, False),
    ],
)
def test_an_answer_is_wrong_where_it_is_final_and_the_ledger_contradicts_it(
    says: str, is_paid: bool, wrong: bool
) -> None:
    assert is_wrong(_visit("p", says), {"p"} if is_paid else set()) == wrong


@pytest.mark.parametrize(
    ("status", "payment", "expected"),
    [
        (201, {"status": "succeeded"}, "succeeded"),
        (201, {"status": "failed", "decline_reason": "lost_card"}, "declined"),
        (201, {"status": "failed", "failure_code": "refused"}, "failed"),
        (202, {"status": "processing"}, "wait"),
        (201, {"status": "requires_action"}, "wait"),
        (503, {"code": "overloaded"}, "no answer"),
    ],
)
def test_an_answer_is_told_by_its_status_and_its_payment(
    status: int, payment: dict[str, Any], expected: str
) -> None:
    assert said(status, payment) == expected


def test_violations_count_by_what_they_mean() -> None:
    found = ["I1", "I4", "I3", "I14", "I9", "I7"]
    report = Report(
        payments=6, charges=6, open_attempts=0, attention=0, statuses={},
        violations=[Violation(name, "pay_1", "") for name in found],
    )  # fmt: skip
    assert harm_of(report) == Harm(double=1, lost=1, misread=1, unresolved=1, other=2)


def test_every_row_breaks_the_version_that_carries_everything() -> None:
    assert sorted(WEIGHTS.values()) == [0.0, 0.0, 100.0]
    carrier = next(name for name, weight in WEIGHTS.items() if weight).partition("@")[2]
    assert {rule.get("api_version", carrier) for _, rule in ROWS.values()} == {carrier}


def test_every_row_stands_in_the_how_to() -> None:
    page = Path(__file__).parents[2] / "docs/how-to/run-a-drill.md"
    text = page.read_text(encoding="utf-8")
    for name, (story, _) in ROWS.items():
        assert f"| `{name}` | {story} |" in text


def test_a_wrong_name_is_misuse_and_suggests_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert carrying(row=("renamed_charge",)) == 2
    assert "renamed_charges" in capsys.readouterr().err
    assert carrying(rate=0.0) == 2


@pytest.mark.timeout(120)
def test_a_short_drill_tells_no_shopper_what_is_not_so() -> None:
    row = play("renamed_charges", rate=8.0, seconds=2.0)
    assert row.shoppers > 3
    assert row.told_nothing == 0
    assert row.ended_paid + row.ended_without_money == row.shoppers
    assert not row.harmed, row
    assert row.clean_median_ms is not None
