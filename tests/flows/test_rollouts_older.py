"""Rollouts that an older release has begun: their records explain as they were written."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows.stage import stage
from tests.flows.test_rollouts import PLAN, begin, running, shop

from tollkeeper.flows.rollouts import commands, controller, explain
from tollkeeper.rollouts.evidence import whole_wealth
from tollkeeper.rollouts.rollout import Record

LONG = replace(PLAN, steps_percent=(5, 100), floor_percent=5, dwell_seconds=1e6)


def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller writes records as before the cap: the whole wealth, and no word about it."""
    real: Any = controller._record

    def record(before: Any, after: Any, *rest: Any) -> Record:
        made: Record = real(before, after, *rest)
        return replace(made, capped=False, wealth=whole_wealth(after.evidence, capped=False))

    monkeypatch.setattr(controller, "_record", record)


async def test_older_records_explain_bit_for_bit_also_where_newer_ones_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as at:
        with monkeypatch.context() as patched:
            as_before(patched)
            made = await begin(at, LONG)
            for number in range(8):
                await shop(at, 5, first=number * 10)
                at.clock.now += 2
        await shop(at, 5, first=500)
        found = await commands.load_rollout(at.runtime, made.id)
        whole = whole_wealth(found.evidence, capped=False)
        assert whole > whole_wealth(found.evidence), "luck of the arms, which does not count"
        records = await explain.all_records(at.runtime, made.id)
        assert {record.capped for record in records if record.tallies} == {False, True}
        explained = await explain.explain(at.runtime, made.id)
        assert (explained.complete, explained.same) == (True, True)


async def test_a_record_says_what_the_decision_saw(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await running(at, LONG)
        await shop(at, 20, first=100)
        *_, last = await explain.all_records(at.runtime, made.id)
        assert last.capped
        assert sum(last.parts.values()) == pytest.approx(last.wealth)
