"""Vetoes: named evidence on which moving traffic to another version must be refused.

Law: a veto rests on rows that a person can read, never on a confidence.
"""

from collections.abc import Mapping
from typing import Final

from tollkeeper.signals.evidence import Evidence

type Rows = Mapping[str, Evidence]

VETOES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "issuer": (("declines_alone", "bank_unavailable"), ("declines_alone", "declines_gathered")),
    "bad_traffic": (("wrong_numbers",), ("many_methods",), ("refused_for_one",)),
    "our_infrastructure": (
        ("anchor",), ("anchor_asked",), ("second",), ("one_host",), ("no_space",), ("no_handles",),
        ("event_loop_lag",), ("clock_off",),
    ),
    "our_database": (("store_errors",),),
    "our_configuration": (
        ("our_settings", "short_timeouts"), ("settings_refused",), ("settings_astray",),
    ),
}  # fmt: skip
"""By domain: each tuple of rows that all say yes is a reason. Another version fails alike where a
bank, a caller, our machines, our settings or our store are at fault."""


def vetoes_of(rows: Rows) -> frozenset[str]:
    """The domains for which a named reason stands."""
    return frozenset(
        domain
        for domain, reasons in VETOES.items()
        if any(all(_says_yes(rows, name) for name in reason) for reason in reasons)
    )


def _says_yes(rows: Rows, name: str) -> bool:
    found = rows.get(name)
    return found is not None and found.state == "yes"
