"""Severity: from users affected and money a minute, by a table that a plan may replace."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.incidents.incident import SEVERITIES, Impact, Severity


class SeverityRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: an incident has this severity where any of its limits is reached. `share_percent`
    counts only with `users_least` customers or more, so that two of three payments at night are no
    emergency by themselves. Money is in minor units a minute, by currency."""

    severity: Severity
    share_percent: float = 101.0
    users_least: int = 1
    users_per_minute: float = 1e18
    money_minor_per_minute: dict[str, int] = {}


TABLE: Final[tuple[SeverityRow, ...]] = (
    SeverityRow(
        severity="sev1",
        share_percent=25,
        users_least=3,
        users_per_minute=60,
        money_minor_per_minute={"EUR": 500_000, "USD": 500_000, "GBP": 500_000},
    ),
    SeverityRow(
        severity="sev2",
        share_percent=5,
        users_least=3,
        users_per_minute=10,
        money_minor_per_minute={"EUR": 50_000, "USD": 50_000, "GBP": 50_000},
    ),
    SeverityRow(severity="sev3", users_per_minute=0.0001),
)
"""The default table; what reaches no row is sev4."""


def severity_of(impact: Impact, table: Sequence[SeverityRow] = TABLE) -> Severity:
    """The first row that an impact reaches."""
    for row in table:
        if _reaches(impact, row):
            return row.severity
    return SEVERITIES[-1]


def is_graver(one: Severity, other: Severity) -> bool:
    """Whether the first severity is graver than the second."""
    return SEVERITIES.index(one) < SEVERITIES.index(other)


def _reaches(impact: Impact, row: SeverityRow) -> bool:
    if impact.share * 100 >= row.share_percent and impact.users >= row.users_least:
        return True
    if impact.users and impact.users_a_minute >= row.users_per_minute:
        return True
    limits = row.money_minor_per_minute.items()
    return any(impact.money_a_minute(currency) >= limit for currency, limit in limits)
