"""`tollkeeper doctor`: the invariants on a live store, and against a provider's ledger."""

import sys
import time
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from rich.markup import escape

from tollkeeper import app
from tollkeeper.cli.opening import AsJson, Config, console, print_json, with_store
from tollkeeper.flows.operations.doctor import Report, examine
from tollkeeper.flows.ports import Store
from tollkeeper.kernel.errors import Invalid
from tollkeeper.payments.invariants import Ledger

SHOWN = 50
ROUNDS = 2
ROUND_SECONDS = 1.0


def doctor(
    *,
    ledger: Annotated[
        str | None,
        cyclopts.Parameter(help="A provider's ledger: the address of a simulator, or a JSON file."),
    ] = None,
    quiet: Annotated[
        bool,
        cyclopts.Parameter(
            negative="",
            help="Assume that nothing is under way: compare sums, report open attempts.",
        ),
    ] = False,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Check every payment against the invariants; exit 1 if one is violated.

    Example: `tollkeeper doctor --ledger http://127.0.0.1:12111`
    """
    books = read_ledger(ledger) if ledger is not None else None

    async def check(store: Store) -> Report:
        return await examine(store, books, quiet=quiet)

    report = with_store(config, check)
    for _ in range(ROUNDS):
        if report.healthy or books is None or ledger is None:
            break
        # payments go on while we look: what is wrong is wrong the next time, too
        time.sleep(ROUND_SECONDS)
        books = read_ledger(ledger)
        report = lasting(report, with_store(config, check))
    if json:
        print_json({"healthy": report.healthy, **msgspec.structs.asdict(report)})
    else:
        _tell(report)
    return 0 if report.healthy else 1


def lasting(before: Report, after: Report) -> Report:
    """`after` with those violations alone that stood in `before` as well."""
    known = {(violation.invariant, violation.subject) for violation in before.violations}
    stay = [v for v in after.violations if (v.invariant, v.subject) in known]
    return msgspec.structs.replace(after, violations=stay)


def read_ledger(source: str) -> Ledger:
    """A ledger from a simulator's address or from a file of the same JSON."""
    try:
        return msgspec.json.decode(_raw(source), type=Ledger)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"no ledger at {source}: {error}") from error


def _raw(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        return Path(source).read_bytes()
    result = app.fetch(f"{source.rstrip('/')}/_control/ledger")
    if result.reply is None or result.reply.status != 200:
        what = result.failure.error if result.failure else "not a ledger"
        raise Invalid(f"no ledger at {source}: {what}")
    return result.reply.body


def _tell(report: Report) -> None:
    spread = ", ".join(f"{count} {status}" for status, count in report.statuses.items())
    console.print(f"{report.payments} payments ({spread or 'none'}), {report.charges} charges")
    console.print(
        f"{report.open_attempts} attempts not settled yet, {report.attention} need attention"
    )
    for violation in report.violations[:SHOWN]:
        console.print(f"[red]{violation.invariant}[/red] {violation.subject}: {violation.detail}")
    if len(report.violations) > SHOWN:
        console.print(f"... and {len(report.violations) - SHOWN} more")
    for warning in report.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}")
    verdict = "healthy" if report.healthy else f"{len(report.violations)} violations"
    console.print(f"[bold]{verdict}[/bold]")
    sys.stdout.flush()
