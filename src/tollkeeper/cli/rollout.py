"""`tollkeeper rollout`: move a new integration version in, and take it out again."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tollkeeper.cli.opening import (
    AsJson,
    Config,
    console,
    person,
    print_json,
    table_of,
    with_runtime,
    with_store,
)
from tollkeeper.flows.ports import Store
from tollkeeper.flows.rollouts import commands
from tollkeeper.flows.rollouts import read as read_flow
from tollkeeper.flows.rollouts.explain import Explained
from tollkeeper.flows.rollouts.explain import explain as explain_flow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Invalid
from tollkeeper.rollouts.evidence import part_of_wealth, whole_wealth
from tollkeeper.rollouts.rollout import ACTIVE, Plan, Record, Rollout
from tollkeeper.routing.routes import PPM, Condition

app: Final = cyclopts.App(name="rollout", help="Canary rollouts of integration versions.")

REFRESH_SECONDS: Final = 0.5
BLOCKS: Final = " ▁▂▃▄▅▆▇█"
PLOT_WIDTH: Final = 40
TABLE_WIDTH: Final = 68
"""What the rest of the table of evidence takes, in columns."""
LOWEST: Final = -3.0
"""Decadic logarithm at the bottom of a plot: evidence of a thousandth."""

Reason = Annotated[
    str, cyclopts.Parameter(help="Reason for this action; recorded in the rollout's history.")
]
RolloutId = Annotated[
    str | None, cyclopts.Parameter(help="The rollout's id; by default the newest rollout.")
]


@app.command
def start(  # noqa: PLR0913 - the options of a command
    candidate: str,
    /,
    *,
    steps: Annotated[
        str, cyclopts.Parameter(help="Canary shares in percent, ascending; 100 promotes.")
    ] = ("1,5,25,50,100"),
    dwell: Annotated[
        float, cyclopts.Parameter(help="Minimum time at each step, in seconds.")
    ] = 60.0,
    limit: Annotated[float, cyclopts.Parameter(help="Maximum duration in seconds.")] = 604_800.0,
    alpha: Annotated[float, cyclopts.Parameter(help="Probability of a false rollback.")] = 0.01,
    pause_at: Annotated[
        str, cyclopts.Parameter(help="Steps (percent) that wait for `approve`.")
    ] = "",
    floor: Annotated[
        float, cyclopts.Parameter(help="Canary share (percent) while the evidence is suspicious.")
    ] = 1.0,
    shadow: Annotated[
        int, cyclopts.Parameter(help="Number of replies to reread before step one.")
    ] = 20,
    orphaned: Annotated[
        str, cyclopts.Parameter(help="Routes without a controller: baseline or keep.")
    ] = ("baseline"),
    currency: Annotated[
        str | None, cyclopts.Parameter(help="Only payments in this currency.")
    ] = None,
    country: Annotated[
        str | None, cyclopts.Parameter(help="Only payments from this country.")
    ] = None,
    account: Annotated[
        str | None, cyclopts.Parameter(help="Only payments of this account.")
    ] = None,
    override: Annotated[
        str, cyclopts.Parameter(help="Reason to start without a passing check.")
    ] = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Move new payments to a version as evidence allows, with automatic rollback.

    Example: `tollkeeper rollout start stripe@2022-11-15 --steps 1,5,25,50,100`
    """
    if orphaned not in {"baseline", "keep"}:
        raise Invalid(f"--orphaned {orphaned}: baseline or keep")
    plan = Plan(
        steps_percent=_numbers(steps, "--steps"),
        dwell_seconds=dwell,
        limit_seconds=limit,
        alpha=alpha,
        pause_at=_numbers(pause_at, "--pause-at"),
        floor_percent=floor,
        shadow_payments=shadow,
        orphaned="keep" if orphaned == "keep" else "baseline",
    )
    condition = Condition(currency=currency, country=country, account=account)

    async def work(runtime: Runtime) -> Rollout:
        return await commands.begin_rollout(
            runtime, candidate, plan, condition=condition, override=override, actor=person()
        )

    return _told(with_runtime(config, work), as_json=json)


def _numbers(text: str, name: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.replace("%", "").split(",") if part.strip())
    except ValueError:
        raise Invalid(f"{name} {text}: numbers with commas between, like 1,5,25") from None
    if not all(math.isfinite(number) for number in found):
        raise Invalid(f"{name} {text}: finite numbers")
    return found


@app.command(name="list")
def list_(*, json: AsJson = False, config: Config = None) -> int:
    """List rollouts, the newest first.

    Example: `tollkeeper rollout list`
    """

    async def read(store: Store) -> list[Rollout]:
        return await read_flow.page(store, 100)

    found = with_store(config, read)
    if json:
        print_json(found)
        return 0
    table = table_of("id", "started", "candidate", "baseline", "status", "step", "share", "why")
    for rollout in found:
        table.add_row(
            rollout.id,
            rfc3339(rollout.created_ms)[:19],
            rollout.candidate,
            rollout.baseline,
            rollout.status,
            f"{rollout.step_percent:g} %",
            f"{rollout.share_ppm / PPM:.2%}",
            rollout.reason or rollout.waiting,
        )
    console.print(table)
    return 0


@app.command
def show(rollout_id: RolloutId = None, /, *, json: AsJson = False, config: Config = None) -> int:
    """Show one rollout: shares, counts, evidence with its boundary, and the next step.

    Example: `tollkeeper rollout show`
    """
    rollout, records = with_store(config, lambda store: _read(store, rollout_id))
    if json:
        print_json(rollout)
        return 0
    console.print(picture(rollout, records))
    return 0


@app.command
def watch(
    rollout_id: RolloutId = None,
    /,
    *,
    seconds: Annotated[
        float, cyclopts.Parameter(help="Stop after these seconds; 0: when it ends.")
    ] = 0,
    config: Config = None,
) -> int:
    """Show one rollout live until it ends.

    Example: `tollkeeper rollout watch`
    """

    async def work(store: Store) -> int:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds if seconds else math.inf
        rollout, records = await _read(store, rollout_id)
        with Live(picture(rollout, records), console=console, auto_refresh=False) as live:
            while rollout.status in ACTIVE and loop.time() < end:
                await asyncio.sleep(REFRESH_SECONDS)
                rollout, records = await _read(store, rollout.id)
                live.update(picture(rollout, records), refresh=True)
        return 0

    try:
        return with_store(config, work)
    except KeyboardInterrupt:
        return 130


async def _read(store: Store, rollout_id: str | None) -> tuple[Rollout, list[Record]]:
    rollout = await read_flow.one(store, rollout_id)
    first = max(rollout.seq - PLOT_WIDTH * 4, 0)
    return rollout, await read_flow.records(store, rollout.id, first, PLOT_WIDTH * 4)


def picture(rollout: Rollout, records: list[Record]) -> Group:
    """A rollout as a picture in text."""
    share = rollout.share_ppm / PPM
    held = " (held back)" if rollout.status == "running" and rollout.cautious else ""
    head = Text.assemble(
        (rollout.id, "bold"),
        f"  {rollout.candidate} against {rollout.baseline}  ",
        (rollout.status, _STYLES.get(rollout.status, "yellow")),
    )
    steps = " > ".join(
        f"[{step:g}]" if number == rollout.step else f"{step:g}"
        for number, step in enumerate(rollout.plan.steps_percent)
    )
    lines: list[Text | Table] = [
        head,
        Text(f"steps {steps} %   share in force {share:.2%}{held}"),
        _evidence(rollout, records),
    ]
    seen = rollout.crossings
    lines.append(
        Text(
            f"cross-read: {seen.agreed} agree, {seen.disagreed} disagree, "
            f"{seen.unanswered} unanswered, {seen.asked} asked   "
            f"shadow: {rollout.shadows.differing} of {rollout.shadows.computed} differ"
        )
    )
    if rollout.watch is not None:
        watch_ = rollout.watch
        lines.append(
            Text(f"since promotion: {watch_.bad} of {watch_.seen} failed; 1e7 alarms, "
                 f"now {watch_.statistic:.3g}")
        )  # fmt: skip
    ended = rollout.reason and not rollout.waiting
    lines.append(Text(f"ended: {rollout.reason}" if ended else f"next: {rollout.waiting}"))
    return Group(*lines)


_STYLES: Final = {"promoted": "green", "rolled_back": "red", "stopped": "red", "aborted": "red"}


def _evidence(rollout: Rollout, records: list[Record]) -> Table:
    table = table_of("guardrail", "canary bad", "baseline bad", "evidence", "boundary")
    boundary = 1 / rollout.plan.alpha
    table.add_column("over time", no_wrap=True)
    history = [record.parts for record in records if record.parts]
    for rail, seen in rollout.watched():
        table.add_row(
            rail.name,
            f"{seen.canary_bad} of {seen.canary_bad + seen.canary_ok}",
            f"{seen.baseline_bad} of {seen.baseline_bad + seen.baseline_ok}",
            f"{part_of_wealth(rail, seen):.3g}",
            f"{boundary:g}",
            plot([parts.get(rail.name, rail.part) for parts in history], boundary),
        )
    whole = [sum(parts.values()) for parts in history]
    table.add_row(
        "together", "", "", f"{whole_wealth(rollout.evidence):.3g}", f"{boundary:g}",
        plot(whole, boundary),
    )  # fmt: skip
    return table


def plot(values: list[float], boundary: float) -> str:
    """Evidence over time as one line of blocks, on a logarithmic scale up to the boundary."""
    if not values:
        return ""
    room = min(PLOT_WIDTH, max(8, console.width - TABLE_WIDTH))
    stride = max(1, math.ceil(len(values) / room))
    tops = [max(values[n : n + stride]) for n in range(0, len(values), stride)]
    high = math.log10(boundary)
    line = ""
    for value in tops:
        level = (math.log10(max(value, 10**LOWEST)) - LOWEST) / (high - LOWEST)
        line += BLOCKS[min(round(level * (len(BLOCKS) - 1)), len(BLOCKS) - 1)]
    return line


@app.command
def explain(rollout_id: RolloutId = None, /, *, json: AsJson = False, config: Config = None) -> int:
    """Explain every decision of a rollout, and recompute its evidence from the stored counts.

    Exits with 1 if the recomputed numbers differ. Example: `tollkeeper rollout explain`
    """

    async def work(runtime: Runtime) -> Explained:
        rollout = await read_flow.one(runtime.store, rollout_id)
        return await explain_flow(runtime, rollout.id)

    found = with_runtime(config, work)
    if json:
        print_json(found)
        return 0 if found.same or not found.complete else 1
    console.print(picture(found.rollout, found.records))
    table = table_of("record", "at", "by", "status", "share", "evidence", "decision")
    for record in found.records:
        decided = record.decision
        if record.cause == "evidence" and (decided is None or decided.kind == "hold"):
            continue
        said = f"{decided.kind}: {decided.reason}" if decided is not None else record.detail
        table.add_row(
            str(record.seq),
            rfc3339(record.at_ms),
            record.actor,
            record.status,
            f"{record.share_ppm / PPM:.2%}",
            f"{record.wealth:.4g}",
            said,
        )
    console.print(table)
    for payment_id, detail in found.shadows[:20]:
        console.print(f"shadow {payment_id}: {detail}")
    if not found.complete:
        console.print("some counts were removed after their time: nothing is computed again")
        return 0
    again = "the same" if found.same else "[red]not the same[/red]"
    console.print(
        f"computed again from {len(found.records)} records: evidence "
        f"{found.recomputed_wealth:.6g}, {again}"
    )
    return 0 if found.same else 1


@app.command
def approve(
    rollout_id: RolloutId = None,
    /,
    *,
    reason: Reason = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Approve the step at which a rollout waits; the evidence still decides.

    Example: `tollkeeper rollout approve --reason "checked with finance"`
    """
    return _operate(config, rollout_id, commands.approve, reason, as_json=json)


@app.command
def abort(
    rollout_id: RolloutId = None,
    /,
    *,
    reason: Reason = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """End a rollout: the candidate takes no more new payments.

    Example: `tollkeeper rollout abort --reason "wrong week"`
    """
    return _operate(config, rollout_id, commands.abort, reason, as_json=json)


@app.command
def promote(
    rollout_id: RolloutId = None,
    /,
    *,
    reason: Reason,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Promote a candidate without waiting for the evidence.

    Example: `tollkeeper rollout promote --reason "the old version is switched off tonight"`
    """
    return _operate(config, rollout_id, commands.promote, reason, as_json=json)


@app.command
def rollback(
    rollout_id: RolloutId = None,
    /,
    *,
    reason: Reason = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Roll a candidate back, even after its promotion, and restore the previous routes.

    Example: `tollkeeper rollout rollback --reason "refunds fail"`
    """
    return _operate(config, rollout_id, commands.roll_back, reason, as_json=json)


@app.command
def stop(
    *,
    all_: Annotated[
        bool, cyclopts.Parameter(name="--all", negative="", help="Stop every rollout.")
    ] = False,
    reason: Reason = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Pull the kill switch: every candidate takes no new payment any more.

    Example: `tollkeeper rollout stop --all --reason "incident"`
    """
    if not all_:
        raise Invalid("stop --all stops every rollout; `rollout abort ID` ends one")

    async def work(runtime: Runtime) -> list[Rollout]:
        return await commands.stop_all(runtime, reason=reason, actor=person())

    stopped = with_runtime(config, work)
    if json:
        print_json(stopped)
        return 0
    for rollout in stopped:
        console.print(f"{rollout.id} {rollout.candidate}: stopped")
    console.print(f"{len(stopped)} rollouts stopped")
    return 0


def _operate(
    config: Path | None,
    rollout_id: str | None,
    act: Callable[..., Awaitable[Rollout]],
    reason: str,
    *,
    as_json: bool,
) -> int:
    async def work(runtime: Runtime) -> Rollout:
        rollout = await read_flow.one(runtime.store, rollout_id)
        return await act(runtime, rollout.id, reason=reason, actor=person())

    return _told(with_runtime(config, work), as_json=as_json)


def _told(rollout: Rollout, *, as_json: bool) -> int:
    if as_json:
        print_json(rollout)
    else:
        console.print(
            f"[bold]{rollout.id}[/bold] {rollout.candidate} against {rollout.baseline}: "
            f"{rollout.status}. {rollout.reason or rollout.waiting}"
        )
    return 0
