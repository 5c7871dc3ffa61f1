"""Card numbers are found wherever they stand, and little else is.

All numbers here are test numbers that Stripe publishes.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.payments.cards import find_card_numbers, is_card_number, mask_card_numbers

PUBLISHED = [
    "4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222",
    "5200828282828210", "378282246310005", "371449635398431", "6011111111111117",
    "6011000990139424", "3056930009020004", "36227206271667", "3566002020360505",
    "6200000000000005", "6205500000000000004",
]  # fmt: skip


@pytest.mark.parametrize("number", PUBLISHED)
def test_a_published_test_number_of_each_network_is_found(number: str) -> None:
    assert is_card_number(number)
    assert find_card_numbers(f"card={number};") == [(5, 5 + len(number))]


@pytest.mark.parametrize("number", PUBLISHED)
def test_a_number_with_one_digit_wrong_is_none(number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert find_card_numbers(wrong) == []


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4242", "4242-4242-4242-4242", "4242.4242.4242.4242",
        "4242\u00a04242\u20114242 4242", "３７８２８２２４６３１０００５", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "on 2024-12-01 4242424242424242", "4242424242424242 12/34", "x4242424242424242y",
        '{"number":4242424242424242}', "37828 2246310 005",
    ],
)  # fmt: skip
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert len(find_card_numbers(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "pm_card_visa", "1764000000000", "pay_01jd8m4v2k0000000000000000", "4242 4242 4242",
        "4242  4242  4242  4242", "00004242424242424242", "2024-11-24T13:08:00.123Z",
        "0000000000000000", "+49 30 901820", "9999999999999995",
    ],
)  # fmt: skip
def test_what_is_no_card_number_is_left_alone(text: str) -> None:
    assert find_card_numbers(text) == []
    assert mask_card_numbers(text) == text


def test_every_number_of_a_text_is_masked() -> None:
    text = "first 4242424242424242, then 3782-822463-10005."
    assert mask_card_numbers(text, "#") == "first #, then #."


@given(st.text(max_size=80), st.sampled_from(PUBLISHED), st.text(max_size=80))
def test_no_surrounding_hides_a_number(before: str, number: str, after: str) -> None:
    assert number not in mask_card_numbers(f"{before} x {number} x {after}")


@given(st.text(alphabet="0123456789 -.", max_size=200))
def test_spans_are_in_order_apart_and_card_numbers(text: str) -> None:
    position = 0
    for start, end in find_card_numbers(text):
        assert position <= start < end
        assert is_card_number("".join(filter(str.isdigit, text[start:end])))
        position = end
