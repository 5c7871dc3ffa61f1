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
    "up": ("serving:up", "Service, simulator and demo shoppers on one file, to look at."),
    "serve": ("serving:serve", "The service, for production."),
    "payments": ("payments:app", "Look at payments."),
    "integrations": ("integrations:app", "Integration versions: list, new, freeze, retire."),
    "contracts": ("contracts:app", "Will a provider's update break an integration?"),
    "rollout": ("rollout:app", "Canary rollouts of integration versions."),
    "routes": ("routes:app", "Which integration version takes new payments."),
    "keys": ("keys:app", "API keys: create, list, revoke."),
    "doctor": ("doctor:doctor", "The invariants on a live store, and against a ledger."),
    "reconcile": ("reconcile:reconcile", "After a restore: the provider's charges and our books."),
    "db": ("database:app", "The database's schema."),
    "simulator": ("serving:simulator", "A payment provider that can be broken."),
    "drill": ("serving:drill", "An incident, replayed against the running service."),
}
"""Every command: where it is, and a line about it, which the list of commands shows. A command that
is asked for by itself says more, and loads what it needs and nothing else."""


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
