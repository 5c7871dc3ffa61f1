"""Drift: live replies that no longer look as the version reads them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.contracts.drift import Drift, DriftReader, drift_of
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.integrations.version import WireReply

NEW = INSTALLED["stripe@2022-11-15"]
READER = DriftReader(NEW, "authorize")
REPLY: dict[str, Any] = {
    "id": "pi_1", "status": "succeeded", "amount": 100, "amount_received": 100, "currency": "eur",
    "latest_charge": {"amount_captured": 100, "amount_refunded": 0}, "a_member": "nobody reads",
}  # fmt: skip


def _read(**changes: Any) -> Drift | None:
    kept = {k: v for k, v in {**REPLY, **changes}.items() if v is not ...}
    return READER.read(msgspec.json.encode(kept))


def test_a_reply_as_it_is_read_is_no_drift_whatever_else_it_holds() -> None:
    assert _read() is None
    assert _read(a_member=..., another={"deep": [1]}) is None


@pytest.mark.parametrize(
    ("change", "kind", "pointer"),
    [
        ({"amount": "100"}, "shape", "/amount"),
        ({"id": ...}, "shape", "/id"),
        ({"latest_charge": {"amount_captured": "x"}}, "shape", "/latest_charge/amount_captured"),
        ({"status": "requires_patience"}, "word", "/status"),
    ],
)
def test_what_is_missing_of_another_type_or_an_unknown_word_is_named(
    change: dict[str, Any], kind: str, pointer: str
) -> None:
    found = _read(**change)
    assert found is not None
    assert (found.kind, found.pointer) == (kind, pointer)


@given(st.binary(max_size=200))
def test_reading_never_raises(body: bytes) -> None:
    READER.read(body)


def test_the_outcome_of_a_live_reply_tells_its_drift() -> None:
    body = msgspec.json.encode({**REPLY, "status": "requires_patience"})
    found = drift_of(NEW.outcome("authorize", WireReply(status=200, body=body)))
    assert found == Drift("contract", "/status", "requires_patience")
    assert drift_of(NEW.outcome("authorize", WireReply(status=500))) is None
