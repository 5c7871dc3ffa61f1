"""`tollkeeper providers`: contact cards, announcements, and the rehearsal of the protocol."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from rich.markup import escape

from tollkeeper.cli import notices
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
from tollkeeper.flows.providers import cards
from tollkeeper.flows.providers.views import announcement_view, card_list, one_card
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.paging import Notification
from tollkeeper.kernel.clock import moment_ms
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.providers.announcement import AnnouncementKind
from tollkeeper.providers.card import Book
from tollkeeper.providers.rehearsal import Check

app: Final = cyclopts.App(
    name="providers", help="Providers: contact cards, notices, announcements, rehearsals."
)
app.command(notices.app)

CardFile = Annotated[Path, cyclopts.Parameter(help="Contact cards (TOML).")]
Name = Annotated[str, cyclopts.Parameter(help="A provider, such as `stripe`.")]
WAITED_S: Final = 15.0


@app.command
def apply(file: CardFile, /, *, config: Config = None) -> int:
    """Make contact cards the ones in force, after they were checked as a whole.

    Example: `tollkeeper providers apply providers.toml`
    """
    book = _book(file)
    revision = with_runtime(config, lambda it: cards.apply(it, book, actor=person()))
    console.print(f"revision {revision} is in force: {_sizes(book)}")
    return 0


@app.command
def check(file: CardFile, /) -> int:
    """Say what is wrong with contact cards, without applying them.

    Example: `tollkeeper providers check providers.toml`
    """
    console.print(f"fine: {_sizes(_book(file))}")
    return 0


def _book(file: Path) -> Book:
    try:
        return cards.read_book(file.read_bytes())
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from None


def _sizes(book: Book) -> str:
    contacts = sum(len(card.contacts) for card in book.providers.values())
    return f"{len(book.providers)} providers, {contacts} contacts"


@app.command(name="list")
def list_cards(*, json: AsJson = False, config: Config = None) -> int:
    """List the contacts of each provider, and what is stale or missing.

    Exits with 1 if something is. Example: `tollkeeper providers list`
    """
    views = with_store(config, card_list)
    if json:
        print_json(views)
    elif not views:
        console.print("there is no contact card; apply some with `providers apply FILE`")
    else:
        table = table_of("provider", "level", "contact", "role", "channels", "now", "verified")
        for view in views:
            for one in view.contacts:
                table.add_row(
                    escape(view.provider), one.level, escape(one.name), escape(one.role),
                    ", ".join(one.channels), "yes" if one.answers_now else "no",
                    escape(one.verified or "never"),
                )  # fmt: skip
        console.print(table)
        for view in views:
            for said in view.findings:
                console.print(f"[yellow]finding[/yellow] {escape(said)}")
    return int(any(view.findings for view in views))


@app.command
def show(name: Name, /, *, json: AsJson = False, config: Config = None) -> int:
    """Show the card of a provider: contacts, agreement, and what it has announced.

    Addresses and keys are left out. Example: `tollkeeper providers show stripe`
    """
    view = with_store(config, lambda store: one_card(store, name))
    if json:
        print_json(view)
        return 0
    console.print(f"[bold]{escape(view.title)}[/bold]  {escape(', '.join(view.account_ids))}")
    for one in view.contacts:
        console.print(
            escape(
                f"  {one.level} {one.name} ({one.role}): {', '.join(one.channels)}; "
                f"{one.hours} {one.time_zone}; {', '.join(one.languages)}; "
                f"verified {one.verified or 'never'}"
            )
        )
    for priority, (acknowledge, answer) in view.within_minutes.items():
        console.print(f"  {priority}: acknowledged in {acknowledge:g} min, answer in {answer:g}")
    automatic = ", ".join(view.automatic) or "none"
    console.print(f"  notices that leave without approval: {automatic}")
    for said in view.findings:
        console.print(f"  [yellow]finding[/yellow] {escape(said)}")
    for told in view.announcements:
        span = " to ".join(at[:16] for at in (told.since, told.until) if at)
        console.print(escape(f"  {told.kind} {span}: {told.text} {told.link}".rstrip()))
        for command in told.calls_for:
            console.print(f"    run: {escape(command)}")
    return 0


@app.command
def announce(
    name: Name,
    kind: Annotated[
        AnnouncementKind,
        cyclopts.Parameter(help="maintenance, deprecation, change or news."),
    ],
    text: Annotated[str, cyclopts.Parameter(help="What the provider says.")],
    /,
    *,
    version: Annotated[
        str, cyclopts.Parameter(help="The integration version that it concerns.")
    ] = "",
    link: Annotated[str, cyclopts.Parameter(help="Where it stands; `https://`.")] = "",
    since: Annotated[str, cyclopts.Parameter(help="From when on, in RFC 3339.")] = "",
    until: Annotated[str, cyclopts.Parameter(help="Until when, in RFC 3339.")] = "",
    config: Config = None,
) -> int:
    """Keep what a provider has announced, and say what to run because of it.

    Example: `tollkeeper providers announce stripe maintenance "database upgrade" --since
    2026-12-01T02:00:00Z --until 2026-12-01T04:00:00Z`
    """
    span = _moment("--since", since), _moment("--until", until)
    made = with_runtime(
        config,
        lambda it: cards.announce(
            it, name, kind, text, version=version, link=link, span=span,
            actor=person(),
        ),
    )  # fmt: skip
    view = announcement_view(made)
    console.print(f"{view.id} is kept")
    for command in view.calls_for:
        console.print(f"run: {escape(command)}")
    return 0


def _moment(flag: str, text: str) -> int | None:
    found = moment_ms(text) if text else None
    if text and found is None:
        fault = Fault(flag, "a moment like 2026-12-01T02:00:00Z")
        raise Invalid(f"{flag} {text[:40]!r} is no moment", faults=(fault,))
    return found


@app.command
def exercise(name: Name, /, *, json: AsJson = False, config: Config = None) -> int:
    """Rehearse the protocol with a provider, and check its card, without waking a person.

    Mail, chat and webhooks get a test message through the running service. Exits with 1 if
    something failed. Example: `tollkeeper providers exercise stripe`
    """

    async def work(runtime: Runtime) -> list[Check]:
        checks, ids = await cards.exercise(runtime, name)
        found: list[Notification] = []
        for _ in range(int(WAITED_S * 5) if ids else 0):
            found = await cards.tested(runtime.store, ids)
            if all(not one.is_waiting for one in found):
                break
            await asyncio.sleep(0.2)
        return checks + [_test_of(one) for one in found]

    checks = with_runtime(config, work)
    if json:
        print_json(checks)
    else:
        for one in checks:
            mark = "[green]fine[/green]  " if one.ok else "[red]failed[/red]"
            console.print(f"{mark} {one.what}: {escape(one.says)}")
    return int(not all(one.ok for one in checks))


def _test_of(one: Notification) -> Check:
    answer = one.tries[-1].answer if one.tries else "no service has tried it: does one run?"
    place = one.receiver.partition("/")[2]
    return Check(what="channel", ok=one.sent_ms is not None, says=f"{place}: {answer}")
