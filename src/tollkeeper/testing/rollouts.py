"""Rollouts in the simulated world: somebody starts one, interferes with it, and all is checked.

The checks read the store and the records as an auditor would: they share no code with the
controller but the evidence's own function.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from tollkeeper.flows.rollouts import commands, starting
from tollkeeper.kernel.errors import TollkeeperError
from tollkeeper.payments.assignment import Assignment
from tollkeeper.payments.change import Change
from tollkeeper.payments.invariants import Violation
from tollkeeper.payments.payment import Books
from tollkeeper.rollouts import counting
from tollkeeper.rollouts.evidence import whole_wealth
from tollkeeper.rollouts.rollout import ACTIVE, Plan, Record, Rollout, start
from tollkeeper.routing.routes import number_of, split, unit_digest
from tollkeeper.store import rollouts as stored
from tollkeeper.testing import rollouts_held
from tollkeeper.testing.world import Simulation

NOTICE_MS: Final = 1_000
"""By when every replica must act on a change."""

STEPS: Final = ((10.0, 40.0, 100.0), (30.0, 60.0, 100.0), (50.0, 100.0), (80.0,))


async def attach(simulation: Simulation) -> None:
    """Adds the checks of rollouts to a world's own, starts one, and lets an operator at it."""
    simulation.commit_checks.append(lambda change: check_assignment(simulation, change))
    simulation.commit_checks.append(lambda change: check_rescuer(simulation, change))
    simulation.quiet_checks.append(lambda payments: check_quiet(simulation, payments))
    await _begin(simulation)
    simulation.loop.outside(_interfere(simulation))
    rollouts_held.attach(simulation)


async def _begin(simulation: Simulation) -> None:
    chance = simulation.loop.chance
    # a candidate that misreads is to be seen doing it, before anybody stops it
    steps = chance.choice(STEPS[2:] if simulation.temper.misreads else STEPS)
    plan = Plan(
        steps_percent=steps,
        dwell_seconds=1.0,
        limit_seconds=chance.choice((50.0, 90.0)),
        alpha=0.1,
        pause_at=steps[:1] if simulation.temper.misreads else chance.choice(((), (), steps[:1])),
        floor_percent=chance.choice((10.0, 30.0, 80.0)),
        shadow_payments=1,
        shadow_seconds=2.0,
        cross_read_percent=100.0,
        watch_seconds=60.0,
    )
    await starting.begin_rollout(
        simulation.replicas[0].runtime, simulation.temper.candidate, plan,
        override="simulation", actor="operator",
    )  # fmt: skip
    simulation.coverage.count("rollout.started")


async def _interfere(simulation: Simulation) -> None:
    chance = simulation.loop.chance
    misreads = simulation.temper.misreads
    await asyncio.sleep(chance.random() * (15 if misreads else 40))
    if chance.random() < (0.2 if misreads else 0.5):
        await _act(simulation, chance.choice(("abort", "stop", "promote", "roll back", "approve")))
        await asyncio.sleep(chance.random() * 10)
    if not misreads and chance.random() < 0.5:
        return
    # who misreads money is found out by a person where no cross-read does
    await asyncio.sleep(30 + chance.random() * 30)
    while _is_carrying(simulation):
        await _act(simulation, "roll back")
        await asyncio.sleep(1.0)


def _is_carrying(simulation: Simulation) -> bool:
    newest = simulation.driver.now(stored.list_rollouts(1))[0]
    return newest.status in {*ACTIVE, "promoted"}


async def _act(simulation: Simulation, act: str) -> None:
    runtime = simulation.replicas[-1].runtime
    id_ = simulation.driver.now(stored.list_rollouts(1))[0].id
    try:
        if act == "abort":
            await commands.abort(runtime, id_, reason="seed", actor="operator")
        elif act == "stop":
            await commands.stop_all(runtime, reason="seed", actor="operator")
        elif act == "approve":
            await commands.approve(runtime, id_, actor="operator")
        elif act == "promote":
            await commands.promote(runtime, id_, reason="seed", actor="operator")
        else:
            await commands.roll_back(runtime, id_, reason="seed", actor="operator")
    except TollkeeperError:
        return
    simulation.coverage.count("rollout.operated", act)


def check_assignment(simulation: Simulation, change: Change) -> Iterator[Violation]:
    """At the commit of a new payment: it is where the share in force may have put it."""
    placed, payment = change.assignment, change.payment
    if placed is None or change.expected_seq is not None:
        return
    rollout = simulation.driver.now(stored.load_rollout(placed.rollout_id))
    assert rollout is not None, "an assignment belongs to a rollout"
    unit = unit_digest(rollout.salt, f"{payment.account}\n{payment.customer or payment.id}")
    if placed.share_ppm and not rollout.promoted_once and placed.unit != unit:
        yield Violation("I12", payment.id, "counted as another unit than its customer")
    if placed.share_ppm and not rollout.promoted_once:
        yield from _check_chance(rollout, placed, f"{payment.account}\n{payment.customer}")
    if placed.arm != "canary" or rollout.status == "promoted":
        return
    at_ms = placed.assigned_ms
    if rollout.status not in ACTIVE and at_ms > rollout.updated_ms + NOTICE_MS:
        yield Violation("I12", payment.id, f"a canary after its rollout was {rollout.status}")
    if rollout.status not in ACTIVE:
        return
    if at_ms >= rollout.valid_until_ms and rollout.plan.orphaned == "baseline":
        yield Violation("I12", payment.id, "a canary on a share that nobody had renewed")


def check_rescuer(simulation: Simulation, change: Change) -> Iterator[Violation]:
    """At a failover: no candidate rescues a payment before it was promoted."""
    tries = [a for a in change.attempts if a.operation == "authorize"]
    candidate = simulation.temper.candidate
    if len(tries) < 2 or tries[-1].integration != candidate or tries[-2].integration == candidate:
        return
    newest = simulation.driver.now(stored.list_rollouts(1))[0]
    if not newest.promoted_once:
        detail = f"failed over to {candidate}, which was never promoted"
        yield Violation("I12", change.payment.id, detail)


def _check_chance(rollout: Rollout, placed: Assignment, customer: str) -> Iterator[Violation]:
    """Its arm is what its customer's number and its own coin say, at the chances written down."""
    eligible, coin = split(placed.share_ppm)
    may = number_of(rollout.salt, customer) < eligible
    heads = number_of(f"coin {rollout.salt}", placed.payment_id) < coin
    if (placed.arm == "canary") != (may and heads) or placed.again_ppm != (coin if may else 0):
        yield Violation("I12", placed.payment_id, "an arm that is not what chance said")


def check_quiet(simulation: Simulation, payments: Mapping[str, Books]) -> Iterator[Violation]:
    """Once nothing moves any more."""
    for rollout in simulation.driver.now(stored.list_rollouts(10)):
        simulation.coverage.count("rollout", rollout.status)
        records = simulation.driver.now(stored.list_records(rollout.id, 0, 10_000))
        yield from _check_story(rollout, records)
        yield from _check_counts(simulation, rollout, records)
        yield from _check_evidence(rollout, records)
        yield from _check_payments(simulation, rollout, payments)
        yield from rollouts_held.check_paused(rollout, records)
        yield from rollouts_held.check_failing(simulation, rollout, records)


def _check_handed_over(rollout: Rollout, payments: Mapping[str, Books]) -> Iterator[Violation]:
    """A version that was taken out follows nobody up, also after it was promoted."""
    if rollout.status in {*ACTIVE, "promoted"}:
        return
    for books in payments.values():
        if books.payment.integration == rollout.candidate:
            detail = f"still the candidate's after it was {rollout.status}"
            yield Violation("I12", books.payment.id, detail)


def _check_story(rollout: Rollout, records: list[Record]) -> Iterator[Violation]:
    numbers = [record.seq for record in records]
    if numbers != list(range(1, len(records) + 1)):
        yield Violation("I12", rollout.id, f"its records are numbered {numbers}")
    if rollout.status in ACTIVE and rollout.crossings.disagreed:
        yield Violation("I12", rollout.id, "the baseline disagrees and the canary goes on")
    for record in records:
        waits = record.decision is not None and record.decision.kind == "hold"
        if waits and record.crossings.disagreed and record.status in ACTIVE:
            yield Violation("I12", rollout.id, "waited though the baseline disagreed")
    decided = [record.decision.kind for record in records if record.decision is not None]
    if "promote" in decided and not rollout.certificates[-1].granted:
        yield Violation("I12", rollout.id, "promoted without a certificate")
    if rollout.status not in {*ACTIVE, "promoted"} and rollout.share_ppm:
        yield Violation("I12", rollout.id, f"{rollout.status} with a share in force")


def _check_counts(
    simulation: Simulation, rollout: Rollout, records: list[Record]
) -> Iterator[Violation]:
    """Every unit that was counted was counted once, at the share that it had."""
    rows = simulation.connection.execute(
        "SELECT share_ppm, canary, coalesce(failed, decided_ms IS NULL), count(*) FROM assignments "
        "WHERE rollout_id = ? AND counted IS NOT NULL GROUP BY 1, 2, 3",
        (rollout.id,),
    ).fetchall()
    real = Counter({(share, bool(canary), bool(bad)): n for share, canary, bad, n in rows})
    told: Counter[tuple[int, bool, bool]] = Counter()
    for record in records:
        for one in record.tallies.get("failure", ()):
            told[one.share_ppm, False, False] += one.baseline_ok
            told[one.share_ppm, False, True] += one.baseline_bad
            told[one.share_ppm, True, False] += one.canary_ok
            told[one.share_ppm, True, True] += one.canary_bad
    if +told != +real:
        yield Violation("I12", rollout.id, f"counted {dict(+told)}, the books say {dict(+real)}")


def _check_evidence(rollout: Rollout, records: list[Record]) -> Iterator[Violation]:
    again, running = start(rollout), True
    for record in records:
        if record.tallies and running:
            again = counting.count(again, record.tallies)
        running = running and record.status != "promoted"
    if whole_wealth(again.evidence) != whole_wealth(rollout.evidence):
        yield Violation("I12", rollout.id, "its evidence cannot be computed again from its records")


def _check_payments(
    simulation: Simulation, rollout: Rollout, payments: Mapping[str, Books]
) -> Iterator[Violation]:
    """Whoever was charged through the candidate has a place in its rollout."""
    yield from _check_handed_over(rollout, payments)
    if rollout.promoted_once:
        return  # its payments after that are no canaries
    units = {
        row[0]
        for row in simulation.connection.execute(
            "SELECT unit FROM assignments WHERE rollout_id = ?", (rollout.id,)
        )
    }
    taken = {
        row[0]
        for row in simulation.connection.execute(
            "SELECT payment_id FROM canary_payments WHERE rollout_id = ?", (rollout.id,)
        )
    }
    for books in payments.values():
        payment, first = books.payment, books.attempts[0]
        if first.integration != rollout.candidate or first.operation != "authorize":
            continue
        if unit_digest(rollout.salt, f"{payment.account}\n{payment.customer}") not in units:
            yield Violation("I12", payment.id, "went through a candidate and counts nowhere")
        if payment.id not in taken:
            yield Violation("I12", payment.id, "went through a candidate, which nobody wrote down")
