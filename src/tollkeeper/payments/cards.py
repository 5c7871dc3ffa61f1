"""Finding card numbers where none may be: they are refused at the door and never logged.

Law: a run of digits is a card number when its first digits belong to an issuer network, its length
fits that network, and its check digit agrees (ISO/IEC 7812-1, annex B: the Luhn formula). Payment
methods are providers' tokens; this only keeps numbers out.
"""

import re
from typing import Final

NETWORKS: Final[tuple[tuple[str, int, int, frozenset[int]], ...]] = (
    ("Visa", 4, 4, frozenset({13, 16, 18, 19})),
    ("Mastercard", 51, 55, frozenset({16})),
    ("Mastercard", 2221, 2720, frozenset({16})),
    ("American Express", 34, 34, frozenset({15})),
    ("American Express", 37, 37, frozenset({15})),
    ("Diners Club", 300, 305, frozenset(range(14, 20))),
    ("Diners Club", 3095, 3095, frozenset(range(14, 20))),
    ("Diners Club", 36, 36, frozenset(range(14, 20))),
    ("Diners Club", 38, 39, frozenset(range(14, 20))),
    ("JCB", 3528, 3589, frozenset(range(16, 20))),
    ("Discover", 6011, 6011, frozenset(range(16, 20))),
    ("Discover", 644, 659, frozenset(range(16, 20))),
    ("UnionPay", 62, 62, frozenset(range(16, 20))),
    ("UnionPay", 81, 81, frozenset(range(16, 20))),
    ("RuPay", 60, 60, frozenset({16})),
    ("RuPay", 82, 82, frozenset({16})),
    ("Mir", 2200, 2204, frozenset(range(16, 20))),
    ("Troy", 9792, 9792, frozenset({16})),
    ("Maestro", 50, 50, frozenset(range(12, 20))),
    ("Maestro", 56, 58, frozenset(range(12, 20))),
    ("Maestro", 61, 61, frozenset(range(12, 20))),
    ("Maestro", 63, 63, frozenset(range(12, 20))),
    ("Maestro", 67, 68, frozenset(range(12, 20))),
)
"""Network, lowest and highest first digits, lengths; as the networks publish them."""

SHORTEST: Final = 12
LONGEST: Final = 19

_GROUP: Final = re.compile(r"\d+")
_SEPARATORS: Final = frozenset(" -.\u00a0\u2009\u2010\u2011\u2013")
"""What people write between groups of digits: spaces, hyphens, dots. One at a time."""


def find_card_numbers(text: str) -> list[tuple[int, int]]:
    """Spans `(start, end)` of `text` that are card numbers, in order, without overlap.

    Digits of any script count. Groups of digits may be parted by one space, hyphen or dot, and a
    number begins and ends where a group does.
    """
    groups = [match.span() for match in _GROUP.finditer(text)]
    found: list[tuple[int, int]] = []
    index = 0
    while index < len(groups):
        last = _number_from(text, groups, index)
        if last is None:
            index += 1
        else:
            found.append((groups[index][0], groups[last][1]))
            index = last + 1
    return found


def mask_card_numbers(text: str, mask: str = "[card number]") -> str:
    """`text` with every card number replaced by `mask`."""
    for start, end in reversed(find_card_numbers(text)):
        text = text[:start] + mask + text[end:]
    return text


def _number_from(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last of the groups that make a card number with `first`, the longest if several do."""
    digits, best = "", None
    for index in range(first, len(groups)):
        start, end = groups[index]
        if index > first and not _adjoin(text, groups[index - 1][1], start):
            break
        if len(digits) + end - start > LONGEST:
            break
        digits += "".join(str(int(digit)) for digit in text[start:end])
        if is_card_number(digits):
            best = index
    return best


def _adjoin(text: str, end: int, start: int) -> bool:
    """Whether one separator and nothing else stands between two groups."""
    return start - end == 1 and text[end] in _SEPARATORS


def is_card_number(digits: str) -> bool:
    """Whether ASCII `digits` have an issuer's prefix, a fitting length and a right check digit."""
    return SHORTEST <= len(digits) <= LONGEST and _is_issued(digits) and _luhn(digits)


def _is_issued(digits: str) -> bool:
    return any(
        len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high
        for _, low, high, lengths in NETWORKS
    )


def _luhn(digits: str) -> bool:
    """Every second digit from the right is doubled and its digits added; the sum ends in 0."""
    total = sum(int(digit) for digit in digits[-1::-2])
    total += sum(int(digit) * 2 - 9 * (digit > "4") for digit in digits[-2::-2])
    return total % 10 == 0
