"""Hours pass: cheap in virtual time, since our processes run only while there is something to do.

After the calm every process is killed. Time goes on to the next effect at the provider or to the
next job that is due; then one process starts, works until nothing is due soon, and is killed again.
"""

import asyncio
from typing import Final

from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.testing.ports import EPOCH_MS
from tollkeeper.testing.shoppers import Caller
from tollkeeper.testing.strange import HOURS
from tollkeeper.testing.world import Simulation

HORIZON_SECONDS: Final = 56 * 3600.0
"""Beyond the last effect (three hours), the last look after a conclusion (a day), and the look a
day later at the refund that reverses what it found."""

SOON_SECONDS: Final = 20.0
AWAKE_SECONDS: Final = (4.0, 60.0)
"""The shortest and the longest time that a process is awake."""

NAPS_SECONDS: Final = (0.0, 0.0, 0.0, 300.0, 900.0, 900.0, 1_800.0, *[3_600.0] * 16)
"""How long our processes sleep at least, each time: a request that the provider calls still running
would keep them awake for hours. Effects wake them."""

LATE_SECONDS: Final = 600.0
"""How long our processes sleep on after an effect where its webhooks are to be lost."""

RETURNING: Final = 1_000
"""Numbers of callers that come back are above this."""

RETURN_SECONDS: Final = 5 * 3600.0
"""Until then merchants come back: a refund that fails after them is looked at a day later."""

STEP_SECONDS: Final = 2.0

GIVES_BACK: Final = ("payment_intents.cancel", "refunds.create")
"""Operations that give back a charge that showed up late."""


async def pass_hours(simulation: Simulation) -> None:
    """Lets time go on until nothing can happen any more."""
    end = simulation.loop.now + HORIZON_SECONDS
    for replica in simulation.replicas:
        replica.kill()
    if simulation.temper.has("reverse"):
        _lose_answers_of_reversals(simulation)
    elif simulation.temper.has("hours") and simulation.loop.chance.random() < 0.5:
        simulation.core.faults.add(FaultRule(**HOURS[0], operation="refunds.create"))
    for nap_seconds in NAPS_SECONDS:
        if simulation.violation is not None or simulation.loop.now >= end:
            break
        await _sleep(simulation, simulation.loop.now + nap_seconds, end)
        await _work(simulation)
    _find_answers_again(simulation)
    await asyncio.sleep(max(end - simulation.loop.now, 0.0))
    await _work(simulation)


def _lose_answers_of_reversals(simulation: Simulation) -> None:
    """Most reversals come after the calm: the first of each kind take effect without an answer."""
    for operation in GIVES_BACK:
        count = simulation.loop.chance.choice((0, 1, 2))
        simulation.core.faults.add(FaultRule(effect="drop", operation=operation, count=count))


def _find_answers_again(simulation: Simulation) -> None:
    for rule in simulation.core.faults.rules.values():
        simulation.coverage.counts["answer.lost_hours_later", ""] += rule.hits
    simulation.core.faults.clear()


async def _sleep(simulation: Simulation, earliest: float, end: float) -> None:
    """Sleeps until a job is due, at least until `earliest`, or until an effect has taken place."""
    watch, loop = simulation.watch, simulation.loop
    due_ms = simulation.next_job_ms()
    until = end if due_ms is None else min(end, max(earliest, (due_ms - EPOCH_MS) / 1000))
    watch.landing.clear()
    try:
        async with asyncio.timeout(max(until - loop.now, 0.0)):
            await watch.landing.wait()
    except TimeoutError:
        return
    if loop.chance.random() < 0.4:
        await asyncio.sleep(LATE_SECONDS)


async def _work(simulation: Simulation) -> None:
    """One process works until nothing is due soon."""
    loop = simulation.loop
    replica = loop.chance.choice(simulation.replicas)
    simulation.open_doors = [replica]
    replica.start()
    began = simulation.watch.awake_since = loop.now
    _let_merchant_return(simulation)
    shortest, longest = AWAKE_SECONDS
    while loop.now < began + longest and simulation.violation is None:
        await asyncio.sleep(STEP_SECONDS)
        simulation.check(simulation.watch.tick())
        due_ms = simulation.next_job_ms()
        idle = due_ms is None or due_ms > simulation.clock.now_ms() + SOON_SECONDS * 1000
        if idle and loop.now >= began + shortest:
            simulation.check(simulation.watch.rest())
            break
    replica.kill()


def _let_merchant_return(simulation: Simulation) -> None:
    """Sometimes a merchant gives money back meanwhile, most of all where a conclusion was wrong."""
    chance = simulation.loop.chance
    known = simulation.watch.corrected or [given.payment_id for given in simulation.given]
    if known and simulation.loop.now < RETURN_SECONDS and chance.random() < 0.5:
        simulation.watch.returns += 1
        merchant = Caller(simulation, RETURNING + simulation.watch.returns)
        simulation.loop.outside(merchant.come_back(chance.choice(known)))
