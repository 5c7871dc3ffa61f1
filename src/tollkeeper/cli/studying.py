"""`tollkeeper signals`: departures from contracts, a backtest of the detectors, objectives."""

from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
from rich.markup import escape
from rich.progress import Progress as Bar

from tollkeeper.cli.opening import (
    AsJson,
    Config,
    console,
    print_json,
    table_of,
    with_runtime,
    with_store,
)
from tollkeeper.flows.ports import Store
from tollkeeper.flows.signals import budgets, studying
from tollkeeper.flows.signals.budgets import ObjectiveView, objective_view
from tollkeeper.flows.signals.studying import Page
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals import openslo
from tollkeeper.signals.departures import Departure
from tollkeeper.signals.slos import Objective

app: Final = cyclopts.App(name="signals", help="What is counted: drift, backtest, objectives.")

slo: Final = cyclopts.App(name="slo", help="Objectives of OpenSLO files: check, status.")
app.command(slo)

Hours = Annotated[float, cyclopts.Parameter(help="Of the last so many hours.")]


@app.command
def drift(*, hours: Hours = 24.0, json: AsJson = False, config: Config = None) -> int:
    """List what does not fit a version: replies, refusals, and skew of versions, by shape.

    Shows the pointer, the parameter, or the other API version that webhooks or replies come in.
    Shows the share of requests, first and last seen, accounts, and the outline of one reply,
    without values. `--json` has all outlines.
    Exits with 1 if there is any. Example: `tollkeeper signals drift --hours 2`
    """
    found = with_store(config, lambda store: studying.drift(store, hours))
    if json:
        print_json(found)
        return int(bool(found))
    table = table_of("first", "last", "version", "operation", "what", "share", "accounts")
    for one in found:
        shape = _shape(one)
        table.add_row(
            rfc3339(one.first_ms)[:16],
            rfc3339(one.last_ms)[:16],
            one.integration,
            one.operation,
            escape(shape),
            f"{one.count} of {one.of}, {one.share:.0%}",
            escape(", ".join(one.accounts[:3])),
        )
    console.print(table if found else "no reply and no webhook departs from what its version reads")
    for one in found:
        for outline in one.samples[:1]:
            console.print(f"{escape(_shape(one))} looked so:", markup=True)
            console.print(escape(outline), soft_wrap=True)
    return int(bool(found))


def _shape(one: Departure) -> str:
    if one.version:
        return f"rendered at {one.version}, read as {one.integration.partition('@')[2]}"
    return " ".join(part for part in (one.pointer, one.error, str(one.status)) if part)


@app.command
def backtest(
    *,
    hours: Hours = 1.0,
    times: Annotated[
        float, cyclopts.Parameter(help="Multiplies every threshold of the detectors; 1 or more.")
    ] = 1.0,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Run the detectors over stored counts: when would they have paged?

    Exits with 1 if they would have. Example: `tollkeeper signals backtest --hours 6 --times 1.2`
    """

    async def work(store: Store) -> list[Page]:
        pages = []
        with Bar(console=console, transient=True, disable=json) as bar:
            task = bar.add_task("looking", total=1.0)
            async for step in studying.backtest(store, hours, times):
                if isinstance(step, Page):
                    pages.append(step)
                else:
                    bar.update(task, completed=step.done)
        return pages

    pages: list[Any] = with_store(config, work)
    if json:
        print_json(pages)
        return int(bool(pages))
    table = table_of("at", "detector", "about", "bad", "statistic")
    for page in pages:
        about = ", ".join(f"{name} {value}" for name, value in page.slice.items())
        table.add_row(
            rfc3339(page.at_ms)[:19],
            page.bank,
            escape(about) or "everything",
            f"{page.bad:g} of {page.of:g}",
            f"{page.statistic:.1f} of {page.threshold:g}",
        )
    console.print(table if pages else f"nothing would have paged in {hours:g} hours")
    return int(bool(pages))


@slo.command
def check(
    files: Annotated[list[Path], cyclopts.Parameter(help="OpenSLO v1 files, YAML.", negative="")],
    /,
    *,
    json: AsJson = False,
) -> int:
    """Say what an OpenSLO file means here: what is counted, the target, the rules that alert.

    References between the files are followed. Exits with 2 if one cannot be watched.
    Example: `tollkeeper signals slo check objectives.yaml`
    """
    views = [objective_view(one) for one in openslo_read(files)]
    if json:
        print_json(views)
        return 0
    _print_objectives(views)
    return 0


@slo.command
def status(*, json: AsJson = False, config: Config = None) -> int:
    """Show how fast the error budgets of the objectives in `slo_files` burn now.

    Exits with 1 if a rule holds. Example: `tollkeeper signals slo status`
    """
    views: list[ObjectiveView] = with_runtime(config, budgets.standing)
    if json:
        print_json(views)
    elif views:
        _print_objectives(views)
    else:
        console.print("the setting slo_files names no file")
    return int(any(view.burning for view in views))


def openslo_read(files: list[Path]) -> list[Objective]:
    """The objectives of some files."""
    texts = {}
    for path in files:
        try:
            texts[str(path)] = path.read_bytes()
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror}") from None
    return openslo.read(texts)


def _print_objectives(views: list[ObjectiveView]) -> None:
    table = table_of("objective", "counts", "good", "target", "alerts while it burns", "now")
    for view in views:
        where = "; ".join(f"{name} {', '.join(values)}" for name, values in view.where.items())
        table.add_row(
            view.name, escape(f"{view.counts} {where}".strip()), view.good,
            f"{view.target:.6g} in {view.days:g} d", "\n".join(view.rules),
            escape("\n".join(view.burning)) or "-",
        )  # fmt: skip
    console.print(table)
