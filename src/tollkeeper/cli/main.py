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

app: Final = cyclopts.App(
    name="tollkeeper",
    help="An online payment service that stays up while the payment providers change.",
    version_flags=["--version"],
)
for _name, _place in {
    "up": "serving:up",
    "serve": "serving:serve",
    "payments": "payments:app",
    "integrations": "integrations:app",
    "contracts": "contracts:app",
    "rollout": "rollout:app",
    "routes": "routes:app",
    "keys": "keys:app",
    "doctor": "doctor:doctor",
    "reconcile": "reconcile:reconcile",
    "db": "database:app",
    "simulator": "serving:simulator",
    "drill": "serving:drill",
}.items():
    # by name, so that a command loads what it needs and nothing else
    app.command(f"tollkeeper.cli.{_place}", name=_name)

_errors: Final = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code."""
    try:
        result = app(
            sys.argv[1:] if arguments is None else list(arguments),
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
