"""The cross-check: what a version reads in its first payments, another version looks up in full.

Law: one payment that it misread takes a version out. A misreading fails for no one to see, and
would be carried on without an end.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from tollkeeper.routing.routes import PPM, number_of

type Verdict = Literal["agreed", "disagreed", "unanswered"]

ENOUGH: Final = 50
"""Payments that must agree before no more are looked up."""

LATER: Final = 100
"""After those, one in so many payments is looked up, as long as the version carries."""

MOST_LATER: Final = 6
"""Such lookups that one process begins in a minute, at most: heavy traffic needs no more."""

MOST: Final = 500
"""Payments that are looked up at most, where nobody can answer."""


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """How the lookups of one version's payments stand. `is_out`: it was taken out for them."""

    asked: int = 0
    agreed: int = 0
    disagreed: int = 0
    unanswered: int = 0
    is_out: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether the version's next payment is looked up as well."""
        return self.agreed < ENOUGH and self.asked < MOST

    @property
    def in_words(self) -> str:
        """How they stand, for people."""
        said = f"{self.agreed} of {self.asked} payments looked up agree"
        return said + (f", {self.unanswered} could not be answered" if self.unanswered else "")


def begun(checks: Mapping[str, Checks], version: str) -> dict[str, Checks]:
    """The checks with those of a version that is given traffic anew: what was looked up long ago
    says nothing about now. What was refuted stays so."""
    before = checks.get(version)
    return {**checks, version: before if before is not None and before.disagreed else Checks()}


def noted(checks: Mapping[str, Checks], version: str, verdict: Verdict | None) -> dict[str, Checks]:
    """The checks after one more payment was to be looked up (`None`), or was."""
    before = checks.get(version, Checks())
    if verdict is None:
        after = replace(before, asked=before.asked + 1)
    else:
        after = replace(before, **{verdict: getattr(before, verdict) + 1})
    return {**checks, version: after}


def counted(
    checks: Mapping[str, Checks], rows: Iterable[tuple[str, Verdict | None]]
) -> dict[str, Checks]:
    """The checks after trials, each with the version whose payment is looked up, if it is, and the
    verdict, once there is one."""
    found = dict(checks)
    for version, verdict in rows:
        if version:
            found = noted(found, version, verdict)
    return found


def is_looked_up_later(payment_id: str) -> bool:
    """Whether a payment is one of the few that are looked up once enough have agreed. By its number
    alone, so that every replica draws the same."""
    return number_of("looked up later", payment_id) * LATER < PPM


def refuted(checks: Mapping[str, Checks]) -> list[str]:
    """Versions that misread a payment."""
    return [version for version, found in checks.items() if found.disagreed]


def enough(checks: Mapping[str, Checks]) -> list[str]:
    """Versions whose payments need not be looked up any more."""
    return [version for version, found in checks.items() if not found.goes_on]


def judgements(checks: Mapping[str, Checks]) -> tuple[list[str], list[str]]:
    """What replicas act on: versions that are refuted, and those that were looked at enough."""
    return sorted(refuted(checks)), sorted(enough(checks))
