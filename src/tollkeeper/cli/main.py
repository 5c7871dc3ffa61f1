"""The command line, joined from one small file a topic. Exits: 0 fine, 1 no, 2 misuse."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import cyclopts
from rich.console import Console

from tollkeeper.kernel.errors import TollkeeperError

FINE: Final = 0
NO: Final = 1
MISUSE: Final = 2

_COMMANDS: Final = {
    "up": ("serving:up", "Run a demo: service, simulator and shoppers on one file."),
    "serve": ("serving:serve", "Run the service, for production."),
    "payments": ("payments:app", "Payments: list, show, clear."),
    "integrations": ("integrations:app", "Integration versions: list, new, freeze, retire."),
    "contracts": ("contracts:app", "Check whether a provider's update breaks an integration."),
    "rollout": ("rollout:app", "Canary rollouts of integration versions."),
    "failover": ("failover:app", "Failover between versions: status, explain, stop, clear."),
    "status": ("signals:status", "Say what goes wrong now, whose it is, what happens next."),
    "why": ("signals:why", "Explain a verdict, now or of a moment of the past."),
    "alerts": ("signals:alerts", "Alerts: list, show, silence, judge."),
    "incidents": ("incidents:app", "Incidents: list, show, acknowledge, note, resolve."),
    "oncall": ("oncall:app", "The on-call plan: apply, check, show, who, cover."),
    "providers": ("providers:app", "Providers: contact cards, notices, announcements."),
    "notify": ("oncall:notify", "Messages to people: test."),
    "status-page": ("statuspage:app", "The status page: show, write, override, back."),
    "signals": ("studying:app", "What is counted: drift, backtest, objectives."),
    "changes": ("signals:changes", "Changes that verdicts weigh: list, announce."),
    "routes": ("routes:app", "Routes of new payments to integration versions: show, set, reset."),
    "keys": ("keys:app", "API keys: create, list, revoke."),
    "doctor": ("doctor:doctor", "Check the invariants on a live store, and with a ledger."),
    "reconcile": (
        "reconcile:reconcile",
        "Compare the provider's charges with our books after a restore.",
    ),
    "db": ("database:app", "Migrate the database."),
    "simulator": ("serving:simulator", "Run or control a payment provider that can be broken."),
    "drill": ("serving:drill", "Replay an incident."),
}
"""Every command: where it is, and a line about it, which the list of commands shows. A command that
is asked for alone prints more, and loads what it needs and nothing else."""


_PROGRAMS: Final = ("simulator", "drill")
"""Commands that are programs of their own, with commands and help of their own."""


def application(*, overview: bool = False) -> cyclopts.App:
    """The command line; with `overview` each command has its line instead of its own text."""
    made = cyclopts.App(
        name="tollkeeper",
        help="An online payment service that stays up while the payment providers change.",
        version_flags=["--version"],
    )
    for name, (place, about) in _COMMANDS.items():
        if overview:
            made.command(f"tollkeeper.cli.{place}", name=name, help=about)
        else:
            made.command(f"tollkeeper.cli.{place}", name=name)
    return made


app: Final = application()

_errors: Final = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    overview = not given or given[0] in {"--help", "-h"}
    if len(given) > 1 and given[0] in _PROGRAMS and given[1] not in {"--help", "-h"}:
        given.insert(1, "--")  # What follows, --help included, is for the program.
    try:
        result = (application(overview=True) if overview else app)(
            given,
            exit_on_error=False,
            print_error=True,
            result_action="return_value",
        )
    except cyclopts.CycloptsError:
        return MISUSE
    except TollkeeperError as error:
        _errors.print(f"[bold]{error.code}[/bold]: {error.detail}", soft_wrap=True)
        said = [f"{f.pointer}: {f.detail}" if f.pointer else f.detail for f in error.faults[:20]]
        for line in said if said != [error.detail] else ():
            _errors.print(f"  {line}", soft_wrap=True)
        if not error.faults:
            _errors.print(error.advice, soft_wrap=True)
        return MISUSE if error.side == "caller" or error.code == "misconfigured" else NO
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return result if isinstance(result, int) else FINE


def run() -> None:
    """The console script."""
    sys.exit(main())
