"""`tollkeeper reconcile`: after a restore, the provider's charges against our books."""

from datetime import UTC, datetime
from typing import Annotated

import cyclopts
import msgspec

from tollkeeper.cli.opening import AsJson, Config, console, print_json, with_runtime
from tollkeeper.flows.payments import reconcile as flow
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.kernel.money import display


def reconcile(
    *,
    since: Annotated[
        str, cyclopts.Parameter(help="Start of the lost interval, such as 2026-11-24T10:00 (UTC).")
    ],
    version: Annotated[
        str | None,
        cyclopts.Parameter(help="The integration version to use; by default the heaviest."),
    ] = None,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Compare the provider's charges since a moment with our books; exit 1 while any differs.

    The command corrects books that differ from the provider. Each correction is audited and
    reported to the shop. Payments that still differ are listed; the running service checks them
    again. Refund or cancel a charge without a payment of ours at the provider.

    Example: `tollkeeper reconcile --since 2026-11-24T10:00`
    """
    since_ms = moment_ms(since)

    async def work(runtime: Runtime) -> flow.Reconciled:
        weights = runtime.live.routes.rules[-1].weights
        chosen = version or max(weights, key=lambda name: weights[name])
        integration = runtime.integration(chosen)
        return await flow.reconcile(runtime, integration, since_ms)

    found = with_runtime(config, work)
    if json:
        print_json({"agreed": found.agreed, **msgspec.structs.asdict(found)})
    else:
        _tell(found)
    return 0 if found.agreed else 1


def moment_ms(text: str) -> int:
    """Unix milliseconds of an ISO 8601 moment; UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        fault = Fault("--since", f"{text!r} is no moment such as 2026-11-24T10:00")
        raise Invalid(fault.detail, faults=(fault,)) from error
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(zoned.timestamp() * 1000)


def _tell(found: flow.Reconciled) -> None:
    console.print(f"{found.charges} charges of ours at the provider")
    for entry in found.differing:
        console.print(
            f"[red]{_named(entry)}: {entry.detail}; not corrected yet, the running service looks "
            "again[/red]"
        )
    for entry in found.mended:
        console.print(f"{_named(entry)}: {entry.detail}; corrected in our books")
    if found.unread:
        console.print(f"[red]{found.unread} rows of the provider's list cannot be read[/red]")
    for entry in found.unexplained:
        console.print(f"[red]{_named(entry)}: {entry.detail}; no payment of ours explains it[/red]")
    console.print("[bold]agreed[/bold]" if found.agreed else "[bold]not agreed[/bold]")


def _named(entry: flow.Entry) -> str:
    return f"{entry.charge} ({entry.payment}, {display(entry.amount_minor, entry.currency)})"
