"""`tollkeeper rollout`: move a new integration version in, and take it out again."""

import asyncio
import math
from typing import Annotated, Final

import cyclopts
import msgspec
from rich.live import Live

from tollkeeper.cli import rollout_acts
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
from tollkeeper.cli.rollout_acts import Reason, RolloutId
from tollkeeper.cli.rollout_picture import PLOT_WIDTH, Shown, picture, rehearsed, told
from tollkeeper.flows.ports import Store
from tollkeeper.flows.rollouts import commands, starting
from tollkeeper.flows.rollouts import read as read_flow
from tollkeeper.flows.rollouts.explain import Explained
from tollkeeper.flows.rollouts.explain import explain as explain_flow
from tollkeeper.flows.rollouts.forecast import forecast
from tollkeeper.flows.rollouts.starting import Rehearsal
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Invalid
from tollkeeper.rollouts.estimate import Estimate
from tollkeeper.rollouts.rollout import ACTIVE, Plan, Rollout
from tollkeeper.rollouts.wrong import what_is_wrong
from tollkeeper.routing.routes import PPM, Condition

app: Final = cyclopts.App(name="rollout", help="Canary rollouts of integration versions.")

REFRESH_SECONDS: Final = 0.5
ESTIMATE_SECONDS: Final = 5.0
"""How often the time that is left is estimated anew: it asks more of the store."""


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
    dry_run: Annotated[
        bool,
        cyclopts.Parameter(
            negative="",
            help="Start nothing; print what would refuse it, and how long it would take.",
        ),
    ] = False,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Move new payments to a version as evidence allows, with automatic rollback.

    With `--dry-run` it exits with 1 if the rollout would not start.

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

    if dry_run:

        async def rehearse(runtime: Runtime) -> Rehearsal:
            return await starting.rehearse(
                runtime, candidate, plan, condition=condition, override=override
            )

        return rehearsed(with_runtime(config, rehearse), as_json=json)

    async def work(runtime: Runtime) -> Rollout:
        return await starting.begin_rollout(
            runtime, candidate, plan, condition=condition, override=override, actor=person()
        )

    return told(with_runtime(config, work), as_json=json)


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
    table = table_of(
        "id", "started", "candidate", "baseline", "status", "step", "share", "what is wrong", "why"
    )
    for rollout in found:
        table.add_row(
            rollout.id,
            rfc3339(rollout.created_ms)[:19],
            rollout.candidate,
            rollout.baseline,
            rollout.status,
            f"{rollout.step_percent:g} %",
            f"{rollout.share_ppm / PPM:.2%}",
            what_is_wrong(rollout),
            rollout.waiting or rollout.reason,
        )
    console.print(table)
    return 0


@app.command
def show(rollout_id: RolloutId = None, /, *, json: AsJson = False, config: Config = None) -> int:
    """Show one rollout: shares, counts, evidence with its boundary, and what is left.

    Example: `tollkeeper rollout show`
    """
    shown = with_store(config, lambda store: _read(store, rollout_id))
    if json:
        print_json(msgspec.structs.asdict(shown.rollout) | {"estimate": shown.left})
        return 0
    console.print(picture(shown))
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
        shown, estimated = await _read(store, rollout_id), loop.time()
        with Live(picture(shown), console=console, auto_refresh=False) as live:
            while shown.rollout.status in ACTIVE and loop.time() < end:
                await asyncio.sleep(REFRESH_SECONDS)
                if fresh := loop.time() >= estimated + ESTIMATE_SECONDS:
                    estimated = loop.time()
                shown = await _read(store, shown.rollout.id, None if fresh else shown.left)
                live.update(picture(shown), refresh=True)
        return 0

    try:
        return with_store(config, work)
    except KeyboardInterrupt:
        return 130


async def _read(store: Store, rollout_id: str | None, left: Estimate | None = None) -> Shown:
    """A rollout as it is now; what is left is estimated anew where it is not given."""
    rollout = await read_flow.one(store, rollout_id)
    first = max(rollout.seq - PLOT_WIDTH * 4, 0)
    records = await read_flow.records(store, rollout.id, first, PLOT_WIDTH * 4)
    if rollout.status not in ACTIVE:
        return Shown(rollout, records)
    return Shown(rollout, records, left or await forecast(store, rollout))


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
    console.print(picture(Shown(found.rollout, found.records)))
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


rollout_acts.add_to(app)
