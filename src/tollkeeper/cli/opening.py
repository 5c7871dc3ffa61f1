"""What commands share: the settings, a store opened for the length of a command, and printing."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

from tollkeeper import app
from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime

Config = Annotated[
    Path | None,
    cyclopts.Parameter(
        name=["--config", "-c"], help="Settings file (TOML); by default TOLLKEEPER_CONFIG."
    ),
]
AsJson = Annotated[bool, cyclopts.Parameter(name="--json", negative="", help="Print JSON.")]

PIPED_COLUMNS: Final = 240
"""Wide enough that nothing is cut where the output goes to a file or a pipe."""

console: Final = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_COLUMNS
)


def person() -> str:
    """Who gives a command here: `cli:NAME`, as it is recorded."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container's user often has no name
        return f"cli:uid {os.getuid()}"


def table_of(*columns: str) -> Table:
    """A table whose first column, an id or a name, is never cut."""
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    return table


def with_store[T](config: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    """Runs `work` on the store of the settings at `config`."""

    async def session() -> T:
        store = await app.open_store(app.read_settings(config))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(session())


def with_runtime[T](config: Path | None, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Runs `work` with every port of a service, but with no worker."""

    async def session() -> T:
        settings = app.read_settings(config)
        app.configure_logging(settings)  # on standard error: what a command prints may be JSON
        async with app.Service(settings, work=False) as service:
            return await work(service.runtime)

    return asyncio.run(session())


def print_json(value: Any) -> None:
    """`value` as JSON on standard output, for machines."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
