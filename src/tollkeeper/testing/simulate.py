"""Running seeds: `./dev simulate --seeds N`. A failing seed prints the command that replays it."""

import asyncio
import time
from typing import Annotated, Final

import cyclopts
import msgspec
from rich.console import Console

from tollkeeper.payments import invariants
from tollkeeper.payments.invariants import Violation
from tollkeeper.testing import (
    bugs,
    chaos,
    failovers,
    failovers_held,
    hours,
    neighbor,
    paging,
    rollouts,
    strange,
)
from tollkeeper.testing.coverage import Coverage
from tollkeeper.testing.loop import Stuck, TooLong
from tollkeeper.testing.planting import Bug
from tollkeeper.testing.shoppers import Caller
from tollkeeper.testing.temper import BLINDING
from tollkeeper.testing.world import Simulation

CHAOS_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 260.0
"""Long enough for the in-flight window, the authentication deadline and every backoff of the
ladder and of webhooks after the last fault."""

STILL_SECONDS: Final = 90.0
"""After the last fault: within it comes whatever is still under way and no job of ours knows of, as
a webhook that the provider sends again."""

POISON_SECONDS: Final = 120.0
"""W and its slack: by then every doubt is settled that can be."""

SOON_MS: Final = 120_000
"""Jobs beyond this look at what is decided, for what may show up after minutes or hours."""

ENOUGH: Final = 500
"""Seeds from which on a batch must have covered everything."""

app = cyclopts.App(name="simulate", help="Seeded simulations of the whole service.")
console: Final = Console(highlight=False)


class Result(msgspec.Struct, frozen=True):
    """How one seed ended; `digest` is over everything that happened."""

    seed: int
    violation: Violation | None
    digest: str
    virtual_seconds: float
    payments: int


def run_seed(seed: int, coverage: Coverage | None = None) -> Result:
    """Runs the world of `seed` to quiet and checks it."""
    simulation = Simulation(seed, coverage or Coverage())
    try:
        with failovers_held.small_numbers(simulation.temper):
            simulation.loop.run(_life(simulation))
    except (Stuck, TooLong) as error:
        simulation.fail(Violation("I15", f"seed {seed}", str(error)))
    for context in simulation.loop.errors:
        raised = context.get("exception")
        if raised is not None:
            simulation.crashed(f"{context.get('message')}: {raised!r}")
    return Result(
        seed=seed,
        violation=simulation.violation,
        digest=simulation.loop.digest(),
        virtual_seconds=simulation.loop.now,
        payments=len(simulation.given),
    )


async def _life(simulation: Simulation) -> None:
    await simulation.set_up()
    simulation.loop.outside(simulation.core.run())
    failovers.attach(simulation)
    if simulation.temper.pages:
        paging.attach(simulation)
    if simulation.temper.candidate:
        await rollouts.attach(simulation)
    if simulation.temper.has("neighbor"):
        await neighbor.attach(simulation)
    shopping = [
        simulation.loop.outside(Caller(simulation, number).shop())
        for number in range(simulation.temper.shoppers)
    ]
    await chaos.stir(simulation, CHAOS_SECONDS)
    if not simulation.temper.workers:
        for replica in simulation.replicas:
            replica.kill()
            replica.start()
    if simulation.temper.has("rows"):
        await _bear_poison(simulation)
    await _be_quiet(simulation, shopping)
    simulation.check(simulation.watch.rest_of_disputes())
    if simulation.violation is None and _has_more_to_come(simulation):
        await hours.pass_hours(simulation)
    if simulation.violation is None:
        simulation.check_quiet()


async def _be_quiet(simulation: Simulation, shopping: list[asyncio.Task[None]]) -> None:
    """Waits until nothing is due soon."""
    began = simulation.loop.now
    while simulation.loop.now < began + QUIET_SECONDS and simulation.violation is None:
        await asyncio.sleep(5.0)
        simulation.check(simulation.watch.tick())
        still = all(task.done() for task in shopping) and not _is_due_soon(simulation)
        if still and simulation.loop.now > began + STILL_SECONDS:
            break


def _is_due_soon(simulation: Simulation) -> bool:
    due_ms = simulation.next_job_ms()
    return due_ms is not None and due_ms < simulation.clock.now_ms() + SOON_MS


async def _bear_poison(simulation: Simulation) -> None:
    """Everything works again but for the rows of one payment, which stay unreadable for a while:
    that delays no other payment."""
    poisoned = strange.poison(simulation)
    began = simulation.loop.now
    while simulation.loop.now < began + POISON_SECONDS and simulation.violation is None:
        await asyncio.sleep(5.0)
        simulation.check(simulation.watch.tick())
    payments = simulation.all_books().values()
    simulation.check(invariants.check_unhidden(payments, poisoned))
    chaos.clear_faults(simulation)


def _has_more_to_come(simulation: Simulation) -> bool:
    """Whether effects may still land, or a conclusion may wait for its correction."""
    if simulation.temper.has("hours"):
        return True
    concluded = any(
        attempt.concluded_ms is not None and attempt.corrected_ms is None
        for books in simulation.all_books().values()
        for attempt in books.attempts
    )
    return concluded and bool(BLINDING & set(simulation.temper.strange))


@app.default
def simulate(
    seeds: Annotated[int, cyclopts.Parameter(help="How many seeds.")] = 100,
    *,
    first: Annotated[int, cyclopts.Parameter(help="The first seed.")] = 1,
    seed: Annotated[int | None, cyclopts.Parameter(help="Replay one seed, twice.")] = None,
    bug: Annotated[str | None, cyclopts.Parameter(help="Plant this bug, or `all` in turn.")] = None,
    budget: Annotated[float, cyclopts.Parameter(help="CPU-seconds to find a bug in.")] = 60.0,
) -> int:
    """Runs seeds and reports violations; exits 1 when there is one (or a planted bug is missed).

    Examples: `./dev simulate --seeds 1000`, `./dev simulate --seed 4711`,
    `./dev simulate --bug all`.
    """
    if bug is not None:
        return _hunt(bug, first, budget)
    if seed is not None:
        return _replay(seed)
    return _batch(range(first, first + seeds))


def _replay(seed: int) -> int:
    results = [run_seed(seed) for _ in range(2)]
    for result in results:
        console.print(
            f"seed {seed}: digest {result.digest}, {result.virtual_seconds:.0f} s virtual"
        )
    if results[0].digest != results[1].digest:
        console.print("[red]not reproducible: the two runs differ[/red]")
        return 1
    violation = results[0].violation
    if violation is None:
        console.print("no violation")
        return 0
    console.print(f"[red]{violation.invariant}[/red] {violation.subject}: {violation.detail}")
    return 1


def _batch(seeds: range) -> int:
    coverage = Coverage()
    bad: list[Result] = []
    began, payments = time.process_time(), 0
    for done, seed in enumerate(seeds, 1):
        result = run_seed(seed, coverage)
        payments += result.payments
        if result.violation is not None:
            bad.append(result)
            _tell(result)
        if done % 100 == 0:
            console.print(f"{done} seeds, {len(bad)} violations, {_rate(done, began)}")
    missing = coverage.missing() + coverage.unordered() if len(seeds) >= ENOUGH else []
    for name in missing:
        console.print(f"[red]void[/red]: never happened: {name}")
    console.print(
        f"{len(seeds)} seeds, {payments} answers, {len(bad)} violations, "
        f"{len(missing)} uncovered, {_rate(len(seeds), began)}"
    )
    return 1 if bad or missing else 0


def _rate(done: int, began: float) -> str:
    return f"{done / max(time.process_time() - began, 1e-9):.1f} seeds per CPU-second"


def _tell(result: Result) -> None:
    violation = result.violation
    assert violation is not None, "only a violation is told"
    console.print(
        f"[red]{violation.invariant}[/red] {violation.subject}: {violation.detail}\n"
        f"  replay: ./dev simulate --seed {result.seed}"
    )


def _hunt(name: str, first: int, budget: float) -> int:
    """Plants bugs and counts the seeds and the CPU-seconds until each is found."""
    chosen = list(bugs.BUGS) if name == "all" else [bugs.find(name)]
    missed = 0
    for bug in chosen:
        found = hunt(bug, first, budget)
        missed += found is None
        text = "[red]missed[/red]" if found is None else f"{found[0]} seeds, {found[1]:.1f} CPU-s"
        detail = "" if found is None else f" {found[2].invariant}: {found[2].detail}"
        console.print(f"{bug.name}: {text}{detail}")
    console.print(f"{len(chosen) - missed} of {len(chosen)} planted bugs found")
    return 1 if missed else 0


def hunt(bug: Bug, first: int, budget: float) -> tuple[int, float, Violation] | None:
    """Seeds, CPU-seconds and the violation that showed `bug`; `None` within `budget` seconds."""
    began = time.process_time()
    count = 0
    with bug.planted():
        while time.process_time() - began < budget:
            result = run_seed(first + count)
            count += 1
            if result.violation is not None:
                return count, time.process_time() - began, result.violation
    return None


if __name__ == "__main__":
    app()
