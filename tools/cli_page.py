"""The reference page of the command line, drawn from its own help."""

import inspect
import io
from collections.abc import Iterator

import cyclopts
from rich.console import Console

from tollkeeper.cli.main import app

WIDTH = 96


def page() -> str:
    """`docs/reference/cli.md`."""
    parts = [
        "# The command line\n\n"
        "Run it with `./dev run tollkeeper ...`, or `tollkeeper ...` where it is installed. Exit "
        "codes: 0 fine, 1 the answer is no, 2 misuse. Commands that read print JSON with "
        "`--json`. `tollkeeper simulator` has a page [of its own](simulator.md).\n"
    ]
    parts += [f"\n## `tollkeeper {' '.join(path)}`\n\n```text\n{_help(path)}\n```\n"
              for path in commands()]  # fmt: skip
    return "".join(parts)


def commands() -> list[tuple[str, ...]]:
    """The path of every command that runs something."""
    return sorted(_commands(app, ()))


def _commands(parent: cyclopts.App, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in parent:
        if name.startswith("-"):
            continue
        child = parent[name]
        if child.default_command is not None:
            yield (*path, name)
        yield from _commands(child, (*path, name))


def _help(path: tuple[str, ...]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=False, color_system=None)
    app.help_print([*path], console=console)
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def texts() -> Iterator[tuple[str, str]]:
    """Every command and every option with its help, as it stands in the code."""
    for path in commands():
        command = app
        for name in path:
            command = command[name]
        yield " ".join(path), inspect.cleandoc(str(command.help))
        for argument in command.assemble_argument_collection():
            if argument.parameter.help:
                yield " ".join((*path, argument.name)), argument.parameter.help


def without_example() -> list[str]:
    """Commands whose help shows no example."""
    return [" ".join(path) for path in commands() if "Example:" not in _help(path)]
