"""Finding card numbers where none may be: they are refused at the door and never logged.

Law: a run of digits is a card number when its first digits belong to an issuer network, its length
fits that network, and its check digit agrees (ISO/IEC 7812-1, annex B: the Luhn formula). How the
digits are written does not matter. Payment methods are providers' tokens; this only keeps numbers
out.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.payments.digits import Group, could_hold, decoded, groups_of

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

COMMON: Final = frozenset({"Visa", "Mastercard", "JCB", "Discover", "UnionPay", "Mir"})
"""The networks whose numbers are also found glued to digits of which nothing is known."""

USUAL: Final = 16
"""How many digits such a number has. Shorter and longer ones would be found in too many numbers
that are none."""

SHORTEST_GLUED: Final = 14
SHORTEST: Final = 12
LONGEST: Final = 19
LONGEST_TAIL: Final = 8
"""Digits glued behind a number: an expiry and a security code have at most these."""

LONGEST_HEAD: Final = 2
"""Digits glued before a number, unless they are zeros or a date: identifiers with the time in
front of them (19 digits) would pass for card numbers too often."""

PHONE_DIGITS: Final = 13
"""A telephone number after + or 00 has at most these, nearly always (ITU-T E.164 allows 15)."""

PRINTED: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})
"""Groups as printed on cards: so parted, a number is found with letters in between."""

_DATE: Final = re.compile(
    r"(?:19|20)?\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|1[0-2])\d\d"
)
_EXPIRY: Final = re.compile(
    r"(?:(?:0[1-9]|1[0-2])(?:20)?[2-4]\d|[2-4]\d(?:0[1-9]|1[0-2]))(?:\d{3,4})?"
)
_MOMENT: Final = re.compile(
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d\d{0,9}"
)
"""A timestamp without separators, down to nanoseconds."""

_IBAN: Final = re.compile(
    r"(?<![0-9A-Za-z])[A-Z]{2}\d{2}(?:[0-9A-Z]{11,30}|(?: [0-9A-Z]{4}){2,7}(?: [0-9A-Z]{1,4})?)"
    r"(?![0-9A-Za-z])"
)


def find_card_numbers(text: str) -> list[tuple[int, int]]:
    """Spans `(start, end)` of `text` that are card numbers, in order, without overlap.

    Digits of any script count, with any usual sign, several blanks or invisible characters between
    them, and glued to zeros, a date, an expiry or a security code. Bank accounts (IBAN) and
    telephone numbers that say what they are do not count.
    """
    if not could_hold(text, SHORTEST):
        return []
    text = _IBAN.sub(_without_account, text)
    found = _found(text)
    if not found and ("%" in text or "&" in text):
        return _found(decoded(text))
    return found


def mask_card_numbers(text: str, mask: str = "[card number]") -> str:
    """`text` with every card number replaced by `mask`."""
    for start, end in reversed(find_card_numbers(text)):
        text = text[:start] + mask + text[end:]
    return text


def _found(text: str) -> list[tuple[int, int]]:
    groups = groups_of(text)
    spans: list[tuple[int, int]] = []
    index = 0
    while index < len(groups):
        last = _last_adjoining(groups, index)
        found = _whole(groups[index : last + 1]) or _glued(groups[index : last + 1])
        if found is None:
            index += 1
        else:
            count, start, end = found
            places = [place for group in groups[index : index + count] for place in group.places]
            spans.append((places[start], places[end - 1] + 1))
            index += count
            if len(places) - end >= SHORTEST:  # another number may be glued to this one
                digits = groups[index - 1].digits[end - len(places) :]
                groups.insert(index, Group(digits=digits, gap=None, places=tuple(places[end:])))
    return spans


def _last_adjoining(groups: list[Group], first: int) -> int:
    """The last group that can belong to one number with `first`."""
    size = len(groups[first].digits)
    last = first
    while last + 1 < len(groups) and groups[last + 1].gap is not None:
        size += len(groups[last + 1].digits)
        if size > 2 * LONGEST:
            break
        last += 1
    return last


type Found = tuple[int, int, int]
"""How many groups a number takes, and its first digit and the one after its last among theirs."""


def _whole(groups: list[Group]) -> Found | None:
    """The longest number that begins and ends where groups do; zeros may stand before it."""
    digits, best = "", None
    zeros = len(groups[0].digits) - len(groups[0].digits.lstrip("0"))
    if zeros == len(groups[0].digits):
        return None
    for count, group in enumerate(groups, start=1):
        digits += group.digits
        size = len(digits) - zeros
        if size > LONGEST:
            break
        if size < SHORTEST or not is_card_number(digits[zeros:]):
            continue
        if _is_phone(groups[0], digits, zeros):
            continue
        if _is_written_as_one(groups[:count]):
            best = (count, zeros, len(digits))
    return best


def _is_phone(first: Group, digits: str, zeros: int) -> bool:
    international = first.signed or zeros == len("00")
    return international and len(digits) - zeros <= PHONE_DIGITS


def _is_written_as_one(groups: list[Group]) -> bool:
    """Whether what stands between the groups may stand within a number that is parted so."""
    return _may_be_sized(groups, tuple(len(group.digits) for group in groups))


def _may_be_sized(groups: list[Group], sizes: tuple[int, ...]) -> bool:
    gaps = {group.gap for group in groups[1:]}
    if "lettered" in gaps:
        return sizes in PRINTED
    if len({group.sign for group in groups[1:]}) > 1:  # amounts, addresses, coordinates
        return sizes in PRINTED or max(sizes) == 1 or not any(size % 4 for size in sizes)
    return "odd" not in gaps or min(sizes) >= 3 or max(sizes) == 1


def _glued(groups: list[Group]) -> Found | None:
    """A number with digits of something else before it, behind it, or both."""
    digits = ""
    for count, group in enumerate(groups[: max(map(len, PRINTED))], start=1):
        digits += group.digits
        if len(digits) <= SHORTEST_GLUED or _is_identifier(digits):
            continue
        for start, end in _glued_within(digits):
            if _is_printed(groups[:count], start, len(digits) - end):
                return count, start, end
    return None


def _is_printed(groups: list[Group], head: int, tail: int) -> bool:
    """Whether the number itself, without what is glued to it, is written as one."""
    if len(groups) == 1:
        return True
    sizes = [len(group.digits) for group in groups]
    sizes[0] -= head
    sizes[-1] -= tail
    return tuple(sizes) in PRINTED and _may_be_sized(groups, tuple(sizes))


def _glued_within(digits: str) -> Iterator[tuple[int, int]]:
    """Where in `digits` a number lies that has others before it or behind it."""
    for start in range(min(LONGEST_TAIL, len(digits) - SHORTEST_GLUED) + 1):
        for length in sorted(_networks(digits[start : start + 4]), reverse=True):
            end = start + length
            if not SHORTEST_GLUED <= length <= len(digits) - start:
                continue
            if _may_part(digits[:start], digits[start:end], digits[end:]):
                yield start, end


def _may_part(head: str, number: str, tail: str) -> bool:
    """Whether a number may be glued so: what stands around it is known; or at one side alone, for a
    network's usual 16 digits."""
    if not is_card_number(number):
        return False
    before, behind = _is_known(head), _is_known(tail)
    if before and behind:
        return True
    if len(number) != USUAL or _network(number) not in COMMON:
        return False
    return (before and len(tail) <= LONGEST_TAIL) or (behind and len(head) <= LONGEST_HEAD)


def _is_known(part: str) -> bool:
    """Nothing, zeros, a date, an expiry with a security code or without, or another number."""
    if not part.strip("0") or _DATE.fullmatch(part) or _EXPIRY.fullmatch(part):
        return True
    return is_card_number(part)


def _is_identifier(digits: str) -> bool:
    """Timestamps, and shipping labels (GS1's SSCC behind its 00), which carry a check digit."""
    if _MOMENT.fullmatch(digits):
        return True
    if len(digits) != 20 or not digits.startswith("00"):
        return False
    return sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(digits[2:])) % 10 == 0


def _without_account(match: re.Match[str]) -> str:
    """Blanks out a bank account whose check digits agree (ISO 13616), of the same length."""
    account = match[0]
    while account:
        compact = account.replace(" ", "")
        if len(compact) >= 15 and _mod_97(compact[4:] + compact[:4]) == 1:
            return "x" * len(account) + match[0][len(account) :]
        account = account.rpartition(" ")[0]
    return match[0]


def _mod_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97


def is_card_number(digits: str) -> bool:
    """Whether ASCII `digits` have an issuer's prefix, a fitting length and a right check digit."""
    return SHORTEST <= len(digits) <= LONGEST and _network(digits) is not None and _luhn(digits)


def _network(digits: str) -> str | None:
    """The network that issues numbers of this prefix and length."""
    return _networks(digits[:4]).get(len(digits))


@lru_cache(maxsize=10_000)
def _networks(prefix: str) -> dict[int, str]:
    """By length the networks that issue numbers with these first four digits, the first named one
    of several."""
    found: dict[int, str] = {}
    for name, low, high, lengths in NETWORKS:
        if low <= int(prefix[: len(str(low))]) <= high:
            for length in lengths:
                found.setdefault(length, name)
    return found


def _luhn(digits: str) -> bool:
    """Every second digit from the right is doubled and its digits added; the sum ends in 0."""
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


_DOUBLED: Final = str.maketrans("0123456789", "0246813579")
"""Each digit doubled, and the digits of the result added."""


def check_reason(reason: str) -> None:
    """Raises `Invalid` unless `reason` is a person's word that may be kept for ever."""
    if not 1 <= len(reason.strip()) <= 500:
        raise Invalid("give a reason", faults=(Fault("/reason", "1 to 500 characters"),))
    if find_card_numbers(reason):
        detail = "the reason looks like it holds a card number"
        raise Invalid(detail, faults=(Fault("/reason", detail),))
