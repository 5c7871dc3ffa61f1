"""The laboratory of `./dev bench failover` tells the rule what the running flows tell it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab import failing, onset, ruled
from tests.altering import alter
from tests.flows.stage import MIDDLE, NEW, Stage, stage

from tollkeeper.failover.drawn import Step
from tollkeeper.failover.rule import State
from tollkeeper.failover.state import Record
from tollkeeper.flows import routes
from tollkeeper.flows.failover import controller
from tollkeeper.flows.ports import TrialRow
from tollkeeper.routing.rules import EVERYBODY
from tollkeeper.store import failovers

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-canary" / "bin" / "python"

PLAN = [False] * 3 + [True] * 14 + [False] * 6
"""Whether the fault is there when a payment comes."""

FAULTS: dict[str, tuple[dict[str, Any], failing.Fault]] = {
    "refused": (
        {"effect": "sunset", "when": "before", "status": 410, "api_version": MIDDLE[7:]},
        failing.Fault("", "refused"),
    ),
    "refused for everybody": (
        {"effect": "require_parameter", "when": "before", "parameter": "x",
         "operation": "*.create"},
        failing.Fault("", "refused", failing.V + failing.W),
    ),
    "unreadable": (
        {"effect": "rename_field", "object": "payment_intent", "path": "status", "to": "renamed",
         "api_version": MIDDLE[7:]},
        failing.Fault("", "unreadable"),
    ),
    "unreadable for everybody": (
        {"effect": "rename_field", "object": "payment_intent", "path": "status", "to": "renamed"},
        failing.Fault("", "unreadable", failing.V + failing.W, readers=""),
    ),
    "dead": (
        {"effect": "error", "when": "before", "status": 503, "operation": "*"},
        failing.Fault("", "dead", failing.V + failing.W),
    ),
}  # fmt: skip


async def shopped(s: Stage, fault: dict[str, Any]) -> list[str]:
    """Payments two seconds apart, each with the fault that the plan gives it."""
    ids = []
    for is_broken in PLAN:
        s.core.faults.clear()
        if is_broken:
            s.fault(**fault)
        ids.append((await s.create())["id"])
        s.runtime.live.flushed_at = 0.0  # the clock of the process stands still
        await routes.flush(s.runtime)
        await s.work(2)
        await s.clock.advance(0.007)  # no trial has the time of a verdict that was counted before
    return ids


def played(fault: failing.Fault, ids: list[str], rows: dict[str, TrialRow], state: State) -> Any:
    """The same payments in the laboratory, with the coins and assignments that the flows drew."""
    policy = ruled.Ruled(look_s=0.0, state=state)
    for number, (id_, is_broken) in enumerate(zip(ids, PLAN, strict=True)):
        trial = rows[id_].trial if id_ in rows else None
        shopper = failing.Shopper(
            at=2.0 * number if is_broken else -1000.0 + 2.0 * number,
            slice_=0.0,
            share=0.0 if trial is not None and trial.through_w else 0.999_999,
            coin=0.0 if trial is not None and trial.second == "again" else 0.9,
            mine=(0.9, 0.9),
            others=(0.9, 0.9),
            reread=0.9,
        )
        done = failing.pay(fault._replace(declined=0.0), policy, shopper)
        done = done._replace(at=2.0 * number, over_at=2.0 * number)
        policy.begun(done)
        policy.over(done)
    return policy


def evidence(state: State) -> tuple[Any, ...]:
    """What the rule concluded, without R, which counts healthy payments a second later."""
    return (
        state.phase, state.share, state.none_works, state.by_told, state.s, state.t, state.u,
        state.none, state.read_over, state.rescued, state.again_bad, state.dead, state.w_failed,
    )  # fmt: skip


def healthy(steps: list[Step]) -> int:
    return sum(step.healthy for step in steps)


@pytest.mark.parametrize("name", FAULTS)
async def test_the_laboratory_counts_what_the_flows_count(tmp_path: Path, name: str) -> None:
    theirs, ours = FAULTS[name]
    async with stage(tmp_path, weights={MIDDLE: 100.0}) as s:
        if name != "unreadable":  # there a third version must confirm what the second reads
            both = {one: s.runtime.installed[one] for one in (MIDDLE, NEW)}
            alter(s.runtime, installed=both)
        ids = await shopped(s, theirs)
        found: list[TrialRow] = await s.store.list_trials("stripe", 0, "", 1_000)
        told: list[Record] = (await s.store.list_failover_records("stripe", 1_000))[::-1]
    records = [record for record in told if record.condition == EVERYBODY]
    steps = [step for record in records for step in record.steps]
    assert len(steps) >= 14
    policy = played(
        ours, ids, {row.payment_id: row for row in found if row.is_trial}, records[0].before
    )
    assert [step.trial for step in policy.steps] == [step.trial for step in steps]
    assert evidence(policy.state) == evidence(records[-1].after)
    assert abs(healthy(policy.steps) - healthy(steps)) <= 1


def test_the_laboratory_waits_as_long_as_the_product() -> None:
    assert ruled.LOOK_S * 1000 == controller.LOOK_MS
    assert onset.CHECK_AFTER_S * 1000 == failovers.CHECK_AFTER_MS
    assert onset.POLL_S == routes.POLL_SECONDS


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="run ./dev canary-env for the laboratory's numpy")
@pytest.mark.parametrize("table", ["none", "outage", "misread"])
def test_the_laboratory_follows_r_as_the_rule_does_and_measures(table: str) -> None:
    done = subprocess.run(
        [PYTHON, "bench/failover.py", "--quick", "--only", table], cwd=ROOT, text=True,
        capture_output=True, env={**os.environ, "PYTHONPATH": "src"}, check=True,
    )  # fmt: skip
    assert float(done.stderr.split("the product's R to ")[1].split()[0]) < 1e-9
    assert table in done.stdout
