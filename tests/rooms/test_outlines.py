"""Outlines of replies: what departed can be seen, and nothing of a person or a card."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.integrations.outlines import DEPTH, MOST_BYTES, outline
from tollkeeper.payments.cards import find_card_numbers
from tollkeeper.signals.counts import Cell
from tollkeeper.signals.samples import EACH, MOST_SHAPES, Sampling

KEPT = frozenset({"id", "status", "email", "amount"})

INTENT: dict[str, Any] = {
    "id": "pi_3QU3MBtC8zeRgNwq",
    "amount": 1_000,
    "status": "requires_source_action",
    "state": "succeeded",
    "captured": True,
    "latest_charge": None,
    "email": "jane",
    "receipt_email": "jane@example.com",
    "billing_details": {"name": "Jane Doe", "address": {"city": "Berlin"}},
    "metadata": {"status": "jane", "jane": "doe"},
    "charges": {"data": [{"status": "succeeded", "number": "4242424242424242"}]},
    "Jane Doe": 1,
    "n4242424242424242": 1,
}


def shown(pointer: str, document: Any = INTENT) -> Any:
    return json.loads(outline(json.dumps(document).encode(), pointer, KEPT))


def test_an_outline_has_names_and_types_and_words_that_we_read() -> None:
    assert shown("/status") == {
        "id": "(text)", "amount": "(number)", "status": "requires_source_action",
        "state": "(text)", "captured": "(yes or no)", "latest_charge": "(null)", "email": "(text)",
        "receipt_email": "(text)", "billing_details": "object", "metadata": "object",
        "charges": {"data": ["object"]},
    }  # fmt: skip


def test_the_outline_is_of_the_object_that_holds_the_place_or_the_nearest_above() -> None:
    assert shown("/charges/data/-/status") == {"status": "succeeded", "number": "(text)"}
    assert shown("/charges/gone/deeper") == {"data": [{"status": "succeeded", "number": "(text)"}]}
    assert shown("/billing_details/address/city") == shown("/status")
    assert shown("/metadata/jane") == shown("/status")


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "empty"), (b" \n", "empty"), (b"<html>Jane", "no JSON"), (b"[" * 5_000, "no JSON"),
     (b'"jane"', "(text)"), (b"7", "(number)")],
)  # fmt: skip
def test_what_is_no_object_is_said_in_a_word(body: bytes, said: str) -> None:
    assert json.loads(outline(body, "/a/b", KEPT)) == said


def test_an_outline_is_bounded() -> None:
    names = [f"{'a' * 60}{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(99)]
    wide = {name: {"status": "x" * 39} for name in names}
    assert len(outline(json.dumps(wide).encode(), "", KEPT)) <= MOST_BYTES
    some = {name: {"status": "x" * 39} for name in names[:24]}
    assert shown("", some) == dict.fromkeys(names[:24], "object")
    deep: Any = "end"
    for _ in range(50):
        deep = {"a": deep}
    assert json.dumps(shown("", deep)).count("a") <= DEPTH + 1


_SECRET = st.sampled_from(["4242424242424242", "5555555555554444", "Jane Doe", "jane@example.com"])
_NAMES = st.sampled_from(["status", "id", "error", "message", "metadata", "name", "list", "x"])
_JSON = st.recursive(
    _SECRET | st.integers() | st.none(),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(_NAMES | _SECRET, below, max_size=5)
    ),
    max_leaves=20,
)


@given(_JSON, st.lists(_NAMES, max_size=3))
def test_no_value_of_a_person_or_a_card_is_ever_shown(document: Any, names: list[str]) -> None:
    text = outline(json.dumps(document).encode(), "/" + "/".join(names), KEPT)
    assert "ane" not in text
    assert not find_card_numbers(text)
    assert not any(figure in text for figure in "0123456789")


def cell(pointer: str) -> Cell:
    return Cell(kind="attempt", integration="stripe@2", operation="authorize", pointer=pointer)


def test_a_process_takes_a_few_samples_of_so_many_shapes() -> None:
    sampling = Sampling()
    for number in range(2 * MOST_SHAPES):
        for _ in range(2 * EACH):
            if sampling.is_wanted(cell(f"/{number}")):
                sampling.take(cell(f"/{number}"), 0, "{}")
    assert len(sampling.pending) == EACH * MOST_SHAPES
    assert {sample.number for sample in sampling.pending} == set(range(EACH))
