"""How often the card filter takes for a card number what is none.

`./dev bench cards` makes identifiers as shops write them, from a seed, and asks the filter of the
door about each. The last row is the share of published test numbers that it finds, in every
writing that this bench knows.
Example: `./dev bench cards --count 100000 --seed 7 --json`
"""

import argparse
import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import rig

from tollkeeper.api.incoming import refuse_cards
from tollkeeper.kernel.errors import CardNumberRefused

PUBLISHED = ("4242424242424242", "5555555555554444", "378282246310005", "6011111111111117")
"""Test numbers that Stripe publishes."""

COUNTRIES = (
    1, 33, 34, 351, 36, 370, 39, 44, 45, 46, 47, 48, 49, 52, 55, 56, 57, 60, 61, 62, 63, 65, 66, 81,
    82, 84, 86, 91, 971,
)  # fmt: skip
ACCOUNTS = (("DE", 18), ("FR", 23), ("ES", 20), ("NL", 14), ("IT", 23), ("PL", 24))
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
WRITINGS: tuple[Callable[[str], str], ...] = (
    lambda n: n,
    *(lambda n, mark=mark: mark.join((n[:4], n[4:8], n[8:12], n[12:])) if len(n) == 16
      else mark.join((n[:4], n[4:10], n[10:]))
      for mark in (" ", "  ", "\t", "-", "/", "_", ".", "\u00a0", "\u200b", "\u2013", ",", "|")),
    lambda n: f"0{n}",
    lambda n: f"{n}1228",
    lambda n: f"{n}1228123",
    lambda n: f"{n} 12/28",
    lambda n: f"x{n}y",
    lambda n: "".join(chr(0x0660 + int(digit)) for digit in n),
    lambda n: "".join(chr(0xFF10 + int(digit)) for digit in n),
)  # fmt: skip


class Shop:
    """Writes identifiers, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def digits(self, count: int) -> str:
        return "".join(self.chance.choices("0123456789", k=count))

    def moment(self) -> datetime:
        microseconds = self.chance.randrange(10 * 365 * 86_400 * 1_000_000)
        return datetime(2020, 1, 1) + timedelta(microseconds=microseconds)  # noqa: DTZ001 - no zone matters

    def epoch_us(self) -> int:
        return int(self.moment().timestamp() * 1_000_000)

    def phone(self) -> str:
        country, number = self.chance.choice(COUNTRIES), self.digits(self.chance.randint(8, 10))
        forms = (
            f"+{country}{number}", f"+{country} {number[:3]} {number[3:]}", f"00{country}{number}",
            f"+{country}-{number[:3]}-{number[3:6]}-{number[6:]}",
        )  # fmt: skip
        return self.chance.choice(forms)

    def account(self) -> str:
        country, count = self.chance.choice(ACCOUNTS)
        number = self.digits(count)
        rest = int("".join(str(int(letter, 36)) for letter in f"{number}{country}00")) % 97
        whole = f"{country}{98 - rest:02d}{number}"
        parted = " ".join(whole[n : n + 4] for n in range(0, len(whole), 4))
        return self.chance.choice((whole, parted))

    def label(self) -> str:
        body = f"340434{self.digits(11)}"
        total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(body))
        return f"00{body}{-total % 10}"

    def kinds(self) -> dict[str, Callable[[], str]]:
        """Every kind of identifier, by its name."""
        numbers = {
            f"order number, {count} random digits": (lambda n=count: self.digits(n))
            for count in (8, 10, 12, 14, 15, 16, 17, 18, 19, 20, 24)
        }
        return numbers | {
            "order number with its date": lambda: f"ORD-{self.moment():%Y%m%d}-{self.digits(6)}",
            "order number, 3-7-7": (lambda: f"{self.digits(3)}-{self.digits(7)}-{self.digits(7)}"),
            "UUID": lambda: str(uuid.UUID(int=self.chance.getrandbits(128), version=4)),
            "hexadecimal, 128 bits": lambda: f"{self.chance.getrandbits(128):032x}",
            "telephone number": self.phone,
            "ISO timestamp": lambda: self.moment().isoformat(),
            "ISO timestamp, a blank for the T": lambda: f"{self.moment()}+01:00",
            "timestamp, digits alone": lambda: f"{self.moment():%Y%m%d%H%M%S%f}",
            "Unix time, ms": lambda: str(self.epoch_us() // 1000),
            "Unix time, us": lambda: str(self.epoch_us()),
            "Unix time, ns": lambda: str(self.epoch_us() * 1000 + self.chance.randrange(1000)),
            "snowflake": (
                lambda: str(
                    (self.epoch_us() // 1000 - SNOWFLAKE_EPOCH_MS << 22)
                    + self.chance.getrandbits(22)
                )
            ),
            "bank account (IBAN)": self.account,
            "shipping label (SSCC)": self.label,
            "amounts": lambda: " ".join(f"{self.chance.uniform(1, 999):.2f}" for _ in range(6)),
            "sizes": lambda: ", ".join(str(self.chance.randint(34, 54)) for _ in range(10)),
        }


def is_refused(text: str) -> bool:
    try:
        refuse_cards(text, "bench")
    except CardNumberRefused:
        return True
    return False


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--count", type=int, default=20_000, help="texts of each kind")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    rows = []
    for name, make in Shop(given.seed).kinds().items():
        refused = sum(is_refused(make()) for _ in range(given.count))
        rows.append({"text": name, "refused_percent": round(refused / given.count * 100, 3)})
    found = [is_refused(write(number)) for number in PUBLISHED for write in WRITINGS]
    share = round(sum(found) / len(found) * 100, 3)
    rows.append({"text": "published test numbers, all writings", "refused_percent": share})
    rig.show(rows, as_json=given.json)


if __name__ == "__main__":
    main()
