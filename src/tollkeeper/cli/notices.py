"""`tollkeeper providers notices`: what is reported to providers, and what they answered."""

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
    with_store,
)
from tollkeeper.flows.ports import Store
from tollkeeper.flows.providers import commands
from tollkeeper.flows.providers.views import NoticeView, notice_view
from tollkeeper.kernel.errors import Invalid

app: Final = cyclopts.App(name="notices", help="Notices: list, show, pack, approve, withdraw.")

NoticeId = Annotated[str, cyclopts.Parameter(help="A notice, `ntc_...`.")]
LIST_LENGTH: Final = 20


@app.command(name="list")
def list_notices(
    *,
    limit: Annotated[int, cyclopts.Parameter(help="How many at most.")] = LIST_LENGTH,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List notices to providers, the newest first.

    Example: `tollkeeper providers notices list --limit 5`
    """

    async def work(store: Store) -> list[NoticeView]:
        return [notice_view(one) for one in await commands.page(store, "", max(1, limit))]

    views = with_store(config, work)
    if json:
        print_json(views)
        return 0
    table = table_of("notice", "provider", "status", "level", "ready after", "subject")
    for view in views:
        table.add_row(
            view.id, escape(view.provider), view.status, view.level,
            f"{view.ready_seconds:.1f} s", escape(view.subject),
        )  # fmt: skip
    console.print(table if views else "there was no notice")
    return 0


@app.command
def show(
    notice: Annotated[
        str, cyclopts.Parameter(help="A notice, `ntc_...`; without it the newest.")
    ] = "",
    /,
    *,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Show a notice: its text, its state, who is late, and what was answered.

    Exits with 1 if there was none. Example: `tollkeeper providers notices show`
    """

    async def work(store: Store) -> NoticeView | None:
        if notice:
            return notice_view(await commands.one(store, notice))
        found = await commands.page(store, "", 1)
        return notice_view(found[0]) if found else None

    view = with_store(config, work)
    if view is None:
        console.print("there was no notice")
        return 1
    if json:
        print_json(view)
    else:
        _print(view)
    return 0


def _print(view: NoticeView) -> None:
    console.print(f"[bold]{escape(view.subject)}[/bold]  {view.id}")
    console.print(f"  {view.status}: {escape(view.means)}")
    console.print(f"  incident {view.incident}; ready {view.ready_seconds:.1f} s after it opened")
    if view.approved:
        console.print(f"  approved {view.approved[:19]} by {escape(view.approved_by)}")
    if view.sent:
        console.print(f"  delivered {view.sent[:19]}, level {view.level}")
    if view.due:
        console.print(f"  the provider is late from {view.due[:19]} on")
    for late in view.late:
        console.print(f"  [yellow]late[/yellow] {escape(late.replace(':', ': no '))}")
    for name, seconds in view.took_seconds.items():
        console.print(f"  {name} after {seconds / 60:.1f} minutes")
    for leak in view.leaks:
        console.print(f"  [red]may not leave[/red] {escape(leak)}")
    console.print(f"  pack: {view.pack_bytes} bytes, SHA-256 {view.pack_sha256[:16]}...")
    console.print(escape(view.text))
    for line in view.said:
        console.print(f"[bold]{line.at[:19]} {escape(view.title)} {escape(line.act)}[/bold]")
        if line.text:
            console.print(escape(line.text))


@app.command
def pack(
    notice: NoticeId,
    file: Annotated[Path, cyclopts.Parameter(help="Where the zip file is written.")],
    /,
    *,
    config: Config = None,
) -> int:
    """Write the evidence pack of a notice into a file, to read it before it leaves.

    Example: `tollkeeper providers notices pack ntc_01k... pack.zip`
    """
    body = with_store(config, lambda store: commands.pack_of(store, notice))
    try:
        file.write_bytes(body)
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from None
    console.print(f"{escape(str(file))}: {len(body)} bytes")
    return 0


@app.command(alias="send")
def approve(notice: NoticeId, /, *, config: Config = None) -> int:
    """Let a notice leave: the running service sends it over the channels of the card.

    Example: `tollkeeper providers notices approve ntc_01k...`
    """
    done = with_runtime(config, lambda it: commands.approve(it, notice, actor=person()))
    console.print(f"{done.id} may leave: {escape(done.subject)}")
    return 0


@app.command
def withdraw(
    notice: NoticeId,
    /,
    *,
    reason: Annotated[str, cyclopts.Parameter(help="Why; it stays in the timeline.")],
    config: Config = None,
) -> int:
    """Take a notice back: it is not sent any more, and its link opens nothing.

    Example: `tollkeeper providers notices withdraw ntc_01k... --reason "our own fault"`
    """
    done = with_runtime(
        config, lambda it: commands.withdraw(it, notice, reason=reason, actor=person())
    )
    console.print(f"{done.id} is withdrawn")
    return 0
