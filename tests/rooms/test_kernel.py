"""Money, identifiers and times: exact, sortable, and the same everywhere."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.ids import is_id, new_id
from tollkeeper.kernel.money import EXPONENTS, Money, display, is_currency

MOMENTS = st.integers(0, 4_102_444_800_000)  # 1970 to 2100, in milliseconds


class Fixed:
    def __init__(self, value: int) -> None:
        self.value = value

    def bits(self, count: int) -> int:
        return self.value & ((1 << count) - 1)

    def uniform(self) -> float:
        return 0.0


@given(MOMENTS)
def test_times_are_those_of_the_standard_library(at_ms: int) -> None:
    moment = datetime.datetime.fromtimestamp(at_ms // 1000, datetime.UTC)
    expected = moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{at_ms % 1000:03d}Z"
    assert rfc3339(at_ms) == expected


@given(MOMENTS, MOMENTS, st.integers(0, 2**80 - 1), st.integers(0, 2**80 - 1))
def test_identifiers_sort_by_their_moment(one: int, two: int, a: int, b: int) -> None:
    first, second = new_id("pay", one, Fixed(a)), new_id("pay", two, Fixed(b))
    assert is_id(first, "pay")
    assert is_id(second, "pay")
    if one != two:
        assert (first < second) == (one < two)
    else:
        assert (first == second) == (a == b)


@given(st.text(max_size=40))
def test_nothing_else_is_an_identifier(text: str) -> None:
    assert not is_id(text, "pay") or (text.startswith("pay_") and len(text) == 30)
    assert not is_id(f"re_{text}", "pay")


@given(st.integers(0, 10**11), st.sampled_from(sorted(EXPONENTS)))
def test_amounts_are_shown_exactly(amount: int, currency: str) -> None:
    number, code = display(amount, currency).split(" ")
    whole, _, part = number.partition(".")
    assert (code, len(part)) == (currency, EXPONENTS[currency])
    assert int(whole + part) == amount
    assert str(Money(amount, currency)) == f"{number} {code}"


def test_exponents_are_those_of_iso_4217() -> None:
    assert {c: EXPONENTS[c] for c in ("EUR", "JPY", "KWD")} == {"EUR": 2, "JPY": 0, "KWD": 3}
    assert [c for c in ("XAU", "XTS", "eur", "EURO", "") if is_currency(c)] == []
