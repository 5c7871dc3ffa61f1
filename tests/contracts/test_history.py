"""What providers really did, where that history is at hand: the headline cases."""

import os
from pathlib import Path

import pytest

from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import read_description
from tollkeeper.contracts.verdict import check
from tollkeeper.integrations.catalogue import INSTALLED

HOME = Path(os.environ.get("TOLLKEEPER_DATA") or Path(__file__).parents[3] / "shared" / "data")
FULL = HOME / "full-descriptions"

pytestmark = pytest.mark.skipif(
    not FULL.exists(), reason=f"no provider history at {HOME}; TOLLKEEPER_DATA names it"
)


@pytest.mark.parametrize(
    ("name", "compatible"),
    [
        ("stripe@2022-08-01", False),
        ("stripe@2022-11-15", True),
        ("stripe@2026-03-25.dahlia", True),
    ],
)
def test_the_update_of_november_2022_breaks_the_reader_of_charges_and_nobody_else(
    name: str, compatible: bool
) -> None:
    version = INSTALLED[name]
    result = check(
        usage_of(version),
        read_description((FULL / "stripe-2022-11-15.json").read_bytes()),
        read_description((FULL / "stripe-2022-08-01.json").read_bytes()),
        reader_through(version),
    )
    assert result.compatible is compatible
    breaking = [f for f in result.findings if f.severity == "breaking"]
    if not compatible:
        (finding,) = breaking
        assert finding.before == "charges"
        assert finding.after == "latest_charge"
        assert finding.witness is not None
        assert "unknown" in finding.witness["result"]
