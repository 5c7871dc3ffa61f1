"""Simulated rollouts that an operator pauses, or whose baseline fails, and what must hold then.

The draws are beside the loop's own, so that worlds without this stay as they were.
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Final

from tollkeeper.flows.rollouts import commands
from tollkeeper.kernel.errors import TollkeeperError
from tollkeeper.payments.invariants import Violation
from tollkeeper.rollouts.counting import DECLINE
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.routing.rules import EVERYBODY
from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.store import failovers as stored_failovers
from tollkeeper.store import rollouts as stored
from tollkeeper.testing import strange
from tollkeeper.testing.world import Simulation

MOST: Final = 100_000
NOTICE_MS: Final = 5_000
"""By when a rollout's records say that its baseline fails; the store may be away for a while."""

REFUSED: Final = ("sunset", "require_parameter")
"""Faults by which a version is refused, with no effect."""


def attach(simulation: Simulation) -> None:
    """Pauses the world's rollout, or breaks its baseline."""
    chance = random.Random(f"held {simulation.seed}")
    if simulation.temper.pauses:
        simulation.loop.outside(_hold(simulation, chance))
    if simulation.temper.breaks_baseline:
        simulation.loop.outside(_break(simulation, chance))


def _newest(simulation: Simulation) -> Rollout:
    return simulation.driver.now(stored.list_rollouts(1))[0]


async def _hold(simulation: Simulation, chance: random.Random) -> None:
    """Pauses the rollout early, mostly in the shadow; now and then takes a step meanwhile."""
    await asyncio.sleep(chance.choice((0.0, 0.0, 2.0, 10.0)))
    if not await _act(simulation, "pause"):
        return
    simulation.coverage.count("rollout.paused")
    await asyncio.sleep(5 + chance.random() * 20)
    if chance.random() < 0.5:
        await _act(simulation, "step")
        await asyncio.sleep(chance.random() * 10)
    await _act(simulation, "resume")


async def _act(simulation: Simulation, act: str) -> bool:
    runtime = simulation.replicas[-1].runtime
    id_ = _newest(simulation).id
    try:
        if act == "pause":
            await commands.pause(runtime, id_, reason="seed", actor="operator")
        elif act == "step":
            await commands.step(runtime, id_, reason="seed", actor="operator")
        else:
            await commands.resume(runtime, id_, reason="seed", actor="operator")
    except TollkeeperError:
        return False
    return True


async def _break(simulation: Simulation, chance: random.Random) -> None:
    """The provider refuses the baseline alone for a while, before any effect."""
    await asyncio.sleep(3 + chance.random() * 5)
    baseline = _newest(simulation).baseline
    rule = chance.choice([r for r in strange.breaking(baseline) if r["effect"] in REFUSED])
    for _ in range(12):  # a quiet spell clears every rule: this one is added again
        if simulation.calm:
            return
        added = FaultRule(**rule, operation="*", when="before")
        simulation.core.faults.add(added)
        await asyncio.sleep(2)
        simulation.core.faults.rules.pop(added.id, None)


def check_paused(rollout: Rollout, records: list[Record]) -> Iterator[Violation]:
    """Between a pause and its end no step is taken but on an operator's word."""
    held = False
    for record in records:
        if record.cause == "command":
            held = record.detail.startswith("paused") or (
                held and not record.detail.startswith("resumed")
            )
        elif held and record.decision is not None and record.decision.moves_on:
            yield Violation("I12", rollout.id, "went a step further while it was paused")


def check_failing(
    simulation: Simulation, rollout: Rollout, records: list[Record]
) -> Iterator[Violation]:
    """While the watch of failover says that the baseline fails, records say so, and no decline is
    compared with it."""
    spells = list(_spells(simulation, rollout))
    for record in records:
        inside = any(a + NOTICE_MS <= record.at_ms < b for a, b in spells)
        if record.cause != "evidence" or record.status != "running" or not inside:
            continue
        simulation.coverage.count("rollout.baseline_failed")
        if not record.baseline_fails or record.tallies.get(DECLINE):
            detail = f"record {record.seq} compares with a baseline that fails"
            yield Violation("I12", rollout.id, detail)


def _spells(simulation: Simulation, rollout: Rollout) -> Iterator[tuple[int, int]]:
    """From when until when the watch alarmed about the baseline. Captures, voids and refunds that
    fail say nothing about authorizations."""
    told = stored_failovers.list_failover_records(rollout.provider, MOST)
    since: int | None = None
    for record in reversed(simulation.driver.now(told)):
        if record.condition != EVERYBODY or record.operation:
            continue
        alarmed = record.carrying == rollout.baseline and record.after.alarmed
        if alarmed and since is None:
            since = record.at_ms
        if not alarmed and since is not None:
            yield since, record.at_ms
            since = None
    if since is not None:
        yield since, rollout.updated_ms + 1
