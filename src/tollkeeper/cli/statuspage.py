"""`tollkeeper status-page`: what customers are told, and a person's word on it."""

from pathlib import Path
from typing import Annotated, Final

import cyclopts
from rich.markup import escape

from tollkeeper.cli.opening import (
    AsJson,
    Config,
    console,
    person,
    print_json,
    table_of,
    with_runtime,
)
from tollkeeper.flows.incidents import publishing
from tollkeeper.incidents.statusfiles import files_of
from tollkeeper.incidents.statuspage import WORDS

app: Final = cyclopts.App(name="status-page", help="The status page: show, write, override, back.")

Component = Annotated[
    str, cyclopts.Parameter(help="payments, captures, cancellations, refunds or webhooks.")
]


@app.command
def show(*, json: AsJson = False, config: Config = None) -> int:
    """Show what customers are told now.

    Example: `tollkeeper status-page show`
    """
    page = with_runtime(config, publishing.page_now)
    if json:
        print_json(page)
        return 0
    console.print(f"[bold]{escape(page.says)}[/bold]")
    table = table_of("component", "status", "said by a person")
    for one in page.components:
        table.add_row(one.name, WORDS[one.status], escape(one.text))
    console.print(table)
    for incident in page.incidents:
        newest = incident.updates[0]
        console.print(f"{escape(incident.name)} ({newest.phase}): {escape(newest.text)}")
    return 0


@app.command
def write(
    folder: Annotated[Path, cyclopts.Parameter(help="Where the files are written.")],
    /,
    *,
    url: Annotated[
        str, cyclopts.Parameter(help="Where they will be read; it ends in a slash.")
    ] = "https://status.invalid/",
    config: Config = None,
) -> int:
    """Write the files of the page once, whatever the settings say.

    Example: `tollkeeper status-page write /tmp/page`
    """
    page = with_runtime(config, publishing.page_now)
    files = files_of(page, url)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    console.print(f"{len(files)} files in {folder}")
    return 0


@app.command
def override(
    component: Component,
    status: Annotated[
        str,
        cyclopts.Parameter(
            help="operational, degraded_performance, partial_outage, major_outage or "
            "under_maintenance."
        ),
    ],
    /,
    *,
    text: Annotated[str, cyclopts.Parameter(help="A word to customers.")] = "",
    hours: Annotated[float, cyclopts.Parameter(help="For how long it holds.")] = 4.0,
    config: Config = None,
) -> int:
    """Say how a component is; your word stands above the signals.

    Example: `tollkeeper status-page override refunds under_maintenance --hours 2`
    """
    with_runtime(
        config,
        lambda it: publishing.override(
            it, component, status, hours * 3_600, text=text, actor=person()
        ),
    )
    console.print(f"{escape(component)}: {escape(status)} for {hours:g} hours")
    return 0


@app.command
def back(component: Component, /, *, config: Config = None) -> int:
    """Let the signals speak for a component again.

    Example: `tollkeeper status-page back refunds`
    """
    done = with_runtime(config, lambda it: publishing.back(it, component, actor=person()))
    console.print("the signals speak again" if done else "no person had said anything of it")
    return 0
