"""The audit chain: whatever is altered, added or removed is seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms import books as b
from tests.store.stage import change

from tollkeeper.payments.audit import AuditRow, broken_link, seal_hash
from tollkeeper.payments.change import committed
from tollkeeper.payments.payment import Books, Dispute


def chain() -> list[AuditRow]:
    books = b.sending()
    opening = change(None, books)
    rows = [opening.audit]
    books = committed(books, opening)
    for n in range(4):
        after = replace(books, payment=replace(books.payment, reference=f"{n}"))
        made = change(books, after)
        rows.append(made.audit)
        books = committed(after, made)
    return rows


ROWS = chain()


def test_a_whole_chain_is_whole() -> None:
    assert broken_link(ROWS) is None
    assert broken_link(ROWS[:3]) is None
    assert broken_link([]) is None


@given(st.integers(0, 4), st.sampled_from(["at_ms", "actor", "body", "previous", "hash", "seq"]))
def test_any_altered_field_breaks_it(at: int, field: str) -> None:
    row = ROWS[at]
    old = getattr(row, field)
    new: Any = old + 1 if isinstance(old, int) else old + old[:1]
    if new == old:
        new = "x"
    altered = [*ROWS[:at], replace(row, **{field: new}), *ROWS[at + 1 :]]
    assert broken_link(altered) is not None


@given(st.permutations(range(5)), st.integers(0, 4))
def test_rows_that_are_missing_or_in_another_order_break_it(order: list[int], gone: int) -> None:
    if order != sorted(order):
        assert broken_link([ROWS[n] for n in order]) is not None
    without = ROWS[:gone] + ROWS[gone + 1 :]
    assert (broken_link(without) is None) == (gone == 4)  # who cuts the end, changes the head


def _disputed(books: Books, reason: str) -> Books:
    dispute = Dispute(
        id="dp_1", payment_id=books.payment.id, provider_id="dp", state="open", amount_minor=1,
        reason=reason, created_ms=0, updated_ms=0,
    )  # fmt: skip
    return replace(books, disputes=(dispute,))


ALTERED: dict[str, Any] = {
    "reference": lambda books, text: b.later(books, reference=text),
    "attention": lambda books, text: b.later(books, attention=text),
    "dispute": _disputed,
    "attempt": lambda books, text: replace(
        books, attempts=(replace(books.attempts[0], detail=text),)
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_two_changes_that_differ_in_anything_have_two_hashes(what: str) -> None:
    books = b.sending()
    books = committed(books, change(None, books))
    one, other = (ALTERED[what](books, text) for text in ("1", "2"))
    assert change(books, one).audit.hash != change(books, other).audit.hash


def test_a_seal_depends_on_every_head_and_on_the_seal_before() -> None:
    heads = [("pay_1", "a"), ("pay_2", "b")]
    seals = {
        seal_hash("", heads), seal_hash("x", heads), seal_hash("", heads[:1]),
        seal_hash("", [("pay_1", "a"), ("pay_2", "c")]), seal_hash("", heads[::-1]),
    }  # fmt: skip
    assert len(seals) == 5
