"""Card numbers are found wherever they stand, and little else is.

All numbers here are test numbers that Stripe publishes.
"""

import sys
from itertools import pairwise
from random import Random
from types import FrameType

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
        "2024-11-24T13:08:00.123Z", "2024-11-24 13:08:00.123456", "20241124130800123456",
        "0000000000000000", "+49 30 901820", "9999999999999995", "+4915123456789",
        "+49 151 23456789",
        "004915123456789", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000",
        "901.72 380.18 341.58 22.06 303.33 818.14", "38, 40, 42, 44, 46, 48, 50, 52",
    ],
)  # fmt: skip
def test_what_is_no_card_number_is_left_alone(text: str) -> None:
    assert find_card_numbers(text) == []
    assert mask_card_numbers(text) == text


SIGNS = [
    "/", "_", "  ", "     ", "\t", "\n", "\r\n", "\u00a0", "\u2009", "\u202f", "\u3000", "\u200b",
    "\u200d", "\u2060", "\ufeff", "\u00ad", "\u2010", "\u2012", "\u2013", "\u2014", "\u2212", "-",
    "--", " - ", " / ", ".", ",", ", ", ";", ":", "|", "*", "+", "~", "\\", "·", "•", "'", ")(",
    "%20", "&nbsp;", "x", "\ufe0f\u20e3",
]  # fmt: skip


def parted(number: str, sign: str) -> str:
    sizes = (4, 4, 4, 4) if len(number) == 16 else (4, 6, 5)
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    return sign.join(number[a:b] for a, b in pairwise(ends))


@pytest.mark.parametrize("number", ["4242424242424242", "5555555555554444", "378282246310005"])
@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_a_number_is_found_whatever_stands_between_its_groups(sign: str, number: str) -> None:
    written = parted(number, sign)
    for text in (written, f"paid with {written} yesterday", f"<{written}>"):
        (span,) = find_card_numbers(text)
        assert text[slice(*span)] == written.strip()


@pytest.mark.parametrize(
    "sign", ["", " ", "-", ".", "/", "_", "\t", "  ", "\u200b", ", "], ids=ascii
)
def test_a_number_is_found_with_signs_between_all_of_its_digits(sign: str) -> None:
    assert len(find_card_numbers(sign.join("4242424242424242"))) == 1


@pytest.mark.parametrize("zero", ["٠", "۰", "०", "০", "０", "𝟎", "𝟶", "₀"])
@pytest.mark.parametrize("number", PUBLISHED)
def test_digits_of_every_script_count(zero: str, number: str) -> None:
    written = "".join(chr(ord(zero) + int(digit)) for digit in number)
    assert find_card_numbers(written) == [(0, len(number))]


@pytest.mark.parametrize("digits", ["⓪①②③④⑤⑥⑦⑧⑨", "⁰¹²³⁴⁵⁶⁷⁸⁹"])
def test_digits_in_circles_and_above_the_line_count(digits: str) -> None:
    written = "".join(digits[int(digit)] for digit in "4242424242424242")
    assert find_card_numbers(f"a {written}") == [(2, 18)]


@pytest.mark.parametrize("number", PUBLISHED)
@pytest.mark.parametrize(
    ("before", "behind"),
    [("0", ""), ("00", ""), ("0000", ""), ("", "1228"), ("", "1228123"), ("", "122028"),
     ("", "2812"), ("20241124", ""), ("0", "1228"), ("", "4242424242424242")],
)  # fmt: skip
def test_a_number_is_found_glued_to_what_forms_put_beside_it(
    before: str, number: str, behind: str
) -> None:
    text = f"{before}{number}{behind}"
    assert number not in mask_card_numbers(text)


@pytest.mark.parametrize("number", [n for n in PUBLISHED if len(n) == 16 and n[:2] != "30"])
@pytest.mark.parametrize(
    ("before", "behind"),
    [("", "9"), ("", "99"), ("", "123"), ("", "98765432"), ("1", ""), ("99", "")],
)
def test_a_usual_number_is_found_glued_to_any_digits(before: str, number: str, behind: str) -> None:
    assert number not in mask_card_numbers(f"no. {before}{number}{behind}.")


@pytest.mark.parametrize(
    "text", ["04242 4242 4242 4242", "4242 4242 4242 42421228", "4242-4242-4242-4242-1228",
             "+4242424242424242", "4242424242424242/12/28", "12/28 4242424242424242"]
)  # fmt: skip
def test_a_parted_number_is_found_beside_other_digits(text: str) -> None:
    assert len(find_card_numbers(text)) == 1


@pytest.mark.parametrize("part", ["4 ", "4", "4242 ", "40/", "0 ", "4242 4242 4242 4242 "])
def test_work_grows_no_faster_than_the_text(part: str) -> None:
    assert calls_to_search(part * 2_000) <= 2.2 * calls_to_search(part * 1_000) + 100


def calls_to_search(text: str) -> int:
    """How many function calls a search makes: the same on every machine, unlike its seconds."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        find_card_numbers(text)
    finally:
        sys.setprofile(before)
    return calls


def test_of_random_order_numbers_few_are_taken_for_cards() -> None:
    chance = Random(1)  # noqa: S311 - the same numbers in every run
    for count, most in ((8, 0.0), (10, 0.0), (14, 0.03), (16, 0.06), (19, 0.08)):
        numbers = ("".join(chance.choices("0123456789", k=count)) for _ in range(2_000))
        assert sum(bool(find_card_numbers(number)) for number in numbers) <= 2_000 * most, count


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
