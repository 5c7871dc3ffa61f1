"""Replay: stored replies read again by another version; what was not compared is never green."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tollkeeper.app import Service, SystemClock, read_settings, upgrade_database
from tollkeeper.flows.contracts.rehearse import Replay, replay
from tollkeeper.flows.payments import create
from tollkeeper.flows.payments.answers import Key
from tollkeeper.integrations.catalogue import INSTALLED
from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.stripe.config import DEFAULT_KEY

NEW = "stripe@2026-03-25.dahlia"
CARDS = ("pm_card_visa", "pm_card_visa_chargeDeclinedInsufficientFunds")


async def _replayed(folder: Path, received_by: str, candidate: Any, *, since_ms: int = 0) -> Replay:
    """Payments received by one version, then read again by `candidate`."""
    async with RunningSimulator() as simulator:
        config = folder / "tollkeeper.toml"
        config.write_text(
            f'database = "{folder / "replay.sqlite3"}"\n'
            'vault_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="\n'
            f'[providers.stripe]\nbase_url = "{simulator.url}"\nsecret_key = "{DEFAULT_KEY}"\n'
            f'[weights]\n"{received_by}" = 100\n'
        )
        settings = read_settings(config, {})
        upgrade_database(settings)
        async with Service(settings, work=False) as service:
            for number, card in enumerate(CARDS):
                key = Key(account="a", key=f"k{number}", fingerprint="f", actor="test")
                asked = create.NewPayment(amount_minor=700, currency="EUR", payment_method=card)
                await create.create(service.runtime, key, asked)
            runtime = service.runtime
            return await replay(
                runtime.store, runtime.vault, candidate, runtime.installed, since_ms
            )


async def test_two_versions_of_one_shape_agree_on_what_was_stored(tmp_path: Path) -> None:
    found = await _replayed(tmp_path, "stripe@2022-11-15", INSTALLED[NEW])
    assert found.verdict == "agrees"
    assert found.compared == len(CARDS)


async def test_a_candidate_that_misreads_money_differs_in_that_field(tmp_path: Path) -> None:
    real = INSTALLED[NEW]

    def misread(operation: Any, reply: Any) -> Any:
        said = real.outcome(operation, reply)
        if said.charge is None:
            return said
        charge = msgspec.structs.replace(said.charge, amount_minor=said.charge.amount_minor * 100)
        return msgspec.structs.replace(said, charge=charge)

    candidate = msgspec.structs.replace(real, outcome=misread)
    found = await _replayed(tmp_path, "stripe@2022-11-15", candidate)
    assert found.verdict == "differs"
    assert {(d.field, d.baseline, d.candidate) for d in found.disagreements} == {
        ("amount_minor", "700", "70000")
    }


@pytest.mark.parametrize("received_by", [NEW])
async def test_what_the_candidate_received_itself_proves_nothing(
    tmp_path: Path, received_by: str
) -> None:
    found = await _replayed(tmp_path, received_by, INSTALLED[NEW])
    assert found.verdict == "nothing compared"
    assert found.not_independent == len(CARDS)


async def test_an_empty_window_is_nothing_compared(tmp_path: Path) -> None:
    later_ms = SystemClock().now_ms() + 3_600_000
    found = await _replayed(tmp_path, "stripe@2022-11-15", INSTALLED[NEW], since_ms=later_ms)
    assert found.verdict == "nothing compared"
    assert found.compared == 0
