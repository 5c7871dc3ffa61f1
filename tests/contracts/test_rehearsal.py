"""Rehearsals against the real simulator over sockets: what no description shows."""

from typing import Any

import msgspec
import pytest

from tollkeeper.app import SystemChance, SystemClock
from tollkeeper.contracts.plays import PLAYS
from tollkeeper.flows.contracts.rehearse import Rehearsal, Stage, rehearse
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.stripe.config import DEFAULT_KEY
from tollkeeper.wire.provider import HttpWire


async def _rehearsed(
    name: str, baseline: str | None = None, fault: dict[str, Any] | None = None
) -> Rehearsal:
    async with RunningSimulator() as simulator, HttpWire() as wire:
        if fault is not None:
            simulator.core.faults.add(msgspec.convert(fault, FaultRule))
        stage = Stage(
            wire=wire,
            clock=SystemClock(),
            chance=SystemChance(),
            base_url=simulator.url,
            secrets={"secret_key": DEFAULT_KEY},
        )
        before = INSTALLED[baseline] if baseline is not None else None
        return await rehearse(stage, INSTALLED[name], before)


@pytest.mark.parametrize("name", sorted(INSTALLED))
async def test_every_installed_version_plays_every_play(name: str) -> None:
    found = await _rehearsed(name)
    assert found.passed, found.differences
    assert found.plays == len(PLAYS) >= 15


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"effect": "amount_unit", "path": "amount"}, "asked 2000"),
        ({"effect": "decline_as_approval"}, "approved, not declined"),
        ({"effect": "ignore_version", "to": "2026-03-25.dahlia"}, "no charge in the intent"),
        ({"effect": "require_parameter", "parameter": "mandate"}, "parameter_missing"),
        ({"effect": "error_in_200"}, "not approved"),
        ({"effect": "sunset", "api_version": "2022-08-01"}, "http_404"),
        ({"effect": "new_word", "path": "status", "value": "requires_patience"}, "status word"),
    ],
)
async def test_what_no_description_shows_is_found(fault: dict[str, Any], says: str) -> None:
    rule = {"operation": "payment_intents.*", **fault}
    found = await _rehearsed("stripe@2022-08-01", fault=rule)
    assert not found.passed
    assert any(says in difference.seen for difference in found.differences), found.differences


async def test_what_goes_wrong_for_the_baseline_as_well_is_not_the_candidates_doing() -> None:
    rule = {"operation": "payment_intents.capture", "effect": "error", "status": 503}
    found = await _rehearsed("stripe@2022-11-15", "stripe@2022-08-01", rule)
    assert found.passed
    assert {d.operation for d in found.shared} == {"capture"}


async def test_a_provider_that_keeps_no_keys_is_found_by_the_play_of_the_same_key() -> None:
    async with RunningSimulator() as simulator, HttpWire() as wire:
        simulator.core.config.honors_idempotency = False
        stage = Stage(
            wire=wire,
            clock=SystemClock(),
            chance=SystemChance(),
            base_url=simulator.url,
            secrets={"secret_key": DEFAULT_KEY},
        )
        found = await rehearse(stage, INSTALLED["stripe@2022-11-15"])
    assert [d.play for d in found.differences] == ["the same key twice is one charge"]
    assert "another charge" in found.differences[0].seen
