"""What goes wrong in a simulated world, and when it stops."""

import asyncio
from typing import Any, Final

from tollkeeper.simulator.core.faults import FaultRule
from tollkeeper.testing import strange
from tollkeeper.testing.strange import MONEY, READS
from tollkeeper.testing.world import Replica, Simulation

DROP: Final[dict[str, Any]] = {"effect": "drop", "when": "before"}
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    DROP,
    {"effect": "drop", "when": "after"},
    {"effect": "reset", "when": "before"},
    {"effect": "reset", "when": "after"},
    {"effect": "truncate"},
    {"effect": "error", "when": "before"},
    {"effect": "error", "when": "after"},
    {"effect": "html", "status": 502},
    {"effect": "rate_limited", "when": "before"},
    {"effect": "conflict", "when": "before"},
    {"effect": "sunset", "when": "before", "api_version": "2022-08-01"},
    {"effect": "late_effect", "seconds": 5.0},
    {"effect": "late_effect", "seconds": 8.0},
    {"effect": "late_effect", "seconds": 8.0},
    {"effect": "late_effect", "seconds": 8.0, "holds_key": True},
    {"effect": "error", "when": "after", "status": 409, "stored": False},
    {"effect": "rename_field", "path": "charges", "to": "charge_list"},
    {"effect": "rename_field", "path": "latest_charge", "to": "newest_charge"},
    {"effect": "ignore_version", "when": "before", "to": "2026-03-25.dahlia"},
    {"effect": "ignore_version", "when": "before", "to": "2022-08-01"},
    {"effect": "remove_field", "path": "status"},
    {"effect": "new_word", "path": "status", "value": "requires_patience"},
    {"effect": "change_type", "path": "amount"},
    {"effect": "null_field", "path": "id"},
    {"effect": "amount_unit", "path": "amount"},
    {"effect": "amount_unit", "object": "charge", "path": "amount_captured"},
    {"effect": "amount_unit", "object": "payment_intent", "path": "amount_capturable"},
    {"effect": "error_in_200", "status": 200},
    {"effect": "require_parameter", "when": "before", "parameter": "mandate_data"},
)


READABLE: Final = ("payment_intents.create", "refunds.create", *READS)
"""Operations whose replies may come in another version's form."""

LATE: Final = tuple(fault for fault in FAULTS if fault["effect"] == "late_effect")
REFUSALS: Final = tuple(
    fault
    for fault in FAULTS
    if fault["effect"] in {"rate_limited", "sunset", "require_parameter", "conflict"}
)


BY_VERSION: Final = frozenset({"sunset", "rename_field", "ignore_version"})
"""Effects by which some versions fail and others do not."""

OFTEN_KILLED: Final = 0.2
"""How many of the worlds that draw no kills have them all the same: every crash point is one."""


async def stir(simulation: Simulation, seconds: float) -> None:
    """Kills, faults and bad weather for `seconds`; then calm.

    A world draws some of the faults and some of the other troubles, and stays with them: the same
    few meet in many payments. (Groce et al., "Swarm testing", 2012.)
    """
    chance, loop = simulation.loop.chance, simulation.loop
    level = simulation.temper.chaos
    faults = chance.sample(FAULTS, chance.choice((1, 2, 3, 5, len(FAULTS))))
    if simulation.temper.outage:  # there all versions fail alike, so that nothing may move
        faults = [fault for fault in faults if fault["effect"] not in BY_VERSION] or [DROP]
    troubles = chance.sample(TROUBLES, chance.randrange(len(TROUBLES) + 1))
    if _kill not in troubles and chance.random() < OFTEN_KILLED:
        troubles.append(_kill)
    odd, odd_troubles = strange.faults_of(simulation), strange.troubles_of(simulation)
    end = loop.now + seconds
    if level:
        strange.begin(simulation)
    while loop.now < end and level:
        await asyncio.sleep(chance.random() * 4 / level)
        if (odd or odd_troubles) and chance.random() < 0.5:
            _odd(simulation, odd, odd_troubles)
        elif not troubles or chance.random() < 0.4:
            _fault(simulation, faults)
        else:
            chance.choice(troubles)(simulation)
    calm(simulation)


def calm(simulation: Simulation) -> None:
    """Everything works from now on."""
    simulation.calm = True
    simulation.watch.calm_since = simulation.loop.now
    clear_faults(simulation)
    strange.put_right(simulation)
    simulation.weather.refuse = simulation.weather.lose_request = 0.0
    simulation.weather.lose_reply = simulation.weather.late_request = 0.0
    simulation.weather.tail = 0.0
    simulation.disk.doubt = simulation.disk.absent = 0.0
    simulation.hook.away = 0.0


def clear_faults(simulation: Simulation) -> None:
    """Removes every rule; those that struck have happened."""
    for rule in simulation.core.faults.rules.values():
        if rule.hits:
            simulation.coverage.count("fault", rule.effect)
            if rule.effect in strange.ROW_EFFECTS and rule.operation.endswith(".list"):
                simulation.coverage.count("row.unreadable")
    simulation.core.faults.clear()
    for lasting in simulation.lasting if not simulation.calm else ():
        simulation.core.faults.add(lasting)


def _odd(
    simulation: Simulation, faults: list[dict[str, Any]], troubles: list[strange.Trouble]
) -> None:
    chance = simulation.loop.chance
    if troubles and (not faults or chance.random() < 0.5):
        chance.choice(troubles)(simulation)
        return
    chosen = dict(chance.choice(faults))
    operation = chance.choice(chosen.pop("operations"))
    rule = FaultRule(**chosen, operation=operation, probability=chance.choice((0.3, 1.0)))
    simulation.core.faults.add(rule)


def _kill(simulation: Simulation) -> None:
    replica = simulation.loop.chance.choice(simulation.replicas)
    if not replica.process.dead:
        kill(simulation, replica)


def kill(simulation: Simulation, replica: Replica) -> None:
    """Kills a process, which is started again after a while."""
    replica.kill()
    if len(simulation.replicas) > 1:
        simulation.coverage.count("replica.takeover")
    simulation.loop.outside(_restart(simulation, replica))


async def _restart(simulation: Simulation, replica: Any) -> None:
    await asyncio.sleep(0.2 + simulation.loop.chance.random() * 4)
    if replica.process.dead:  # after the calm it may have been started already
        replica.start()


def _fault(simulation: Simulation, faults: list[dict[str, Any]]) -> None:
    chance = simulation.loop.chance
    if chance.random() < 0.3:
        clear_faults(simulation)
        return
    chosen = dict(chance.choice(faults))
    operation = chance.choice((*MONEY, "payment_intents.*", "*"))
    if chosen["effect"] == "ignore_version":
        # what a capture or a cancellation releases is listed or not by the version that asked: a
        # provider that acts by another one makes a release look like a refund
        operation = chance.choice(READABLE)
    rule = FaultRule(**chosen, operation=operation, probability=chance.choice((0.3, 0.7, 1.0)))
    simulation.core.faults.add(rule)


def _ambush(simulation: Simulation) -> None:
    simulation.loop.outside(_late_then_refused(simulation))


def _repetition(simulation: Simulation) -> None:
    simulation.loop.outside(_lost_then_late(simulation))


async def _lost_then_late(simulation: Simulation) -> None:
    """Requests that never arrive, and late repetitions of them: what is late was sent last."""
    faults, chance = simulation.core.faults, simulation.loop.chance
    if simulation.calm:
        return
    lost = faults.add(FaultRule(effect="drop", when="before", operation=MONEY[0]))
    await asyncio.sleep(8.0 + chance.random() * 8)
    faults.remove(lost.id)
    if not simulation.calm:
        late = faults.add(FaultRule(effect="late_effect", seconds=8.0, operation=MONEY[0]))
        await asyncio.sleep(12.0)
        faults.remove(late.id)


async def _late_then_refused(simulation: Simulation) -> None:
    """What is hardest to tell apart: an effect that comes late, while its repetition is refused."""
    chance, faults = simulation.loop.chance, simulation.core.faults
    if simulation.calm:
        return
    operation = chance.choice((MONEY[0], *MONEY))
    late = FaultRule(**chance.choice(LATE), operation=operation, count=2)
    refusal = FaultRule(**chance.choice(REFUSALS), operation=operation)
    faults.add(late)
    await asyncio.sleep(4.0 + chance.random() * 2)
    if not simulation.calm:
        faults.add(refusal)
        await asyncio.sleep(chance.random() * 12)
        clear_faults(simulation)


def _weather(simulation: Simulation) -> None:
    chance, weather = simulation.loop.chance, simulation.weather
    pick = (0.0, 0.0, 0.1, 0.4)
    weather.refuse = chance.choice(pick)
    weather.lose_request = chance.choice(pick)
    weather.lose_reply = chance.choice(pick)
    weather.late_request = chance.choice((0.0, 0.0, 0.2))
    weather.latency_seconds = chance.choice((0.01, 0.1, 1.0))
    weather.tail = chance.choice((0.0, 0.2))


def _disk(simulation: Simulation) -> None:
    chance, disk = simulation.loop.chance, simulation.disk
    disk.doubt = chance.choice((0.0, 0.0, 0.05, 0.3))
    disk.absent = chance.choice((0.0, 0.0, 0.05, 0.2))
    disk.latency_seconds = chance.choice((0.001, 0.01, 0.3))


def _merchant(simulation: Simulation) -> None:
    simulation.hook.away = simulation.loop.chance.choice((0.0, 0.5, 1.0))


TROUBLES: Final = (_kill, _weather, _disk, _merchant, _ambush, _repetition)
"""Troubles that any world may keep, beside those of `strange`."""
