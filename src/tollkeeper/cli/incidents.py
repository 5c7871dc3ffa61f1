"""`tollkeeper incidents`: what happened, who works on it, and what was said to whom."""

from collections.abc import Awaitable, Callable
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
from tollkeeper.flows.incidents import commands
from tollkeeper.flows.incidents.views import IncidentView, short_views, whole_view
from tollkeeper.flows.ports import Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.incident import Incident

app: Final = cyclopts.App(
    name="incidents", help="Incidents: list, show, acknowledge, note, resolve."
)

IncidentId = Annotated[str, cyclopts.Parameter(help="An incident, `inc_...`.")]
Reason = Annotated[str, cyclopts.Parameter(help="Why; it stays in the timeline.")]

LIST_LENGTH: Final = 20


@app.command(name="list")
def list_incidents(
    *,
    limit: Annotated[int, cyclopts.Parameter(help="How many at most.")] = LIST_LENGTH,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List incidents, the newest first.

    Example: `tollkeeper incidents list --limit 5`
    """

    async def work(store: Store) -> list[IncidentView]:
        found = await commands.page(store, "", max(1, limit))
        return short_views(store, found)

    views = with_store(config, work)
    if json:
        print_json(views)
        return 0
    table = table_of("incident", "severity", "status", "opened", "about", "title")
    for view in views:
        table.add_row(
            view.id, view.severity, view.status, view.opened[:19], escape(view.about),
            escape(view.title),
        )  # fmt: skip
    console.print(table if views else "there was no incident")
    return 0


@app.command
def show(
    incident: Annotated[
        str, cyclopts.Parameter(help="An incident, `inc_...`; without it the newest.")
    ] = "",
    /,
    *,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Tell the story of an incident: what, whom it hurt, who works on it, every line so far.

    Exits with 1 if there was none. Example: `tollkeeper incidents show`
    """

    async def work(store: Store) -> IncidentView | None:
        found = await _found(store, incident)
        return None if found is None else await whole_view(store, found)

    view = with_store(config, work)
    if view is None:
        console.print("there was no incident")
        return 1
    if json:
        print_json(view)
    else:
        _print(view)
    return 0


async def _found(store: Store, incident: str) -> Incident | None:
    if incident:
        return await commands.one(store, incident)
    return next(iter(await commands.page(store, "", 1)), None)


def _print(view: IncidentView) -> None:
    drill = "DRILL " if view.drill else ""
    console.print(f"[bold]{drill}{view.severity.upper()} {escape(view.title)}[/bold]")
    console.print(f"  {view.status}: {escape(view.means)}")
    console.print(f"  began {view.began[:19]}, opened {view.opened[:19]}  {view.id}")
    console.print(f"  hurt: {escape(view.impact.says)}")
    if view.sure:
        console.print(f"  sure: {escape(view.sure)}")
    if view.next and not view.resolved:
        console.print(f"  next: {escape(view.next)}")
    if view.acknowledged_by:
        at = (view.acknowledged or "")[11:19]
        console.print(f"  acknowledged {at} by {escape(view.acknowledged_by)}")
    for role, who in view.roles.items():
        console.print(f"  {role}: {escape(who)}")
    if view.next_page:
        console.print(f"  the next ones are paged at {view.next_page[11:19]} if nobody answers")
    if view.resolved:
        why = f"{escape(view.resolution)} ({escape(view.resolved_by)})"
        console.print(f"  over since {view.resolved[:19]}: {why}")
    _print_rest(view)


def _print_rest(view: IncidentView) -> None:
    for deadline in view.deadlines:
        late = "  LATE" if deadline.late else ""
        console.print(f"  {deadline.report} report due {deadline.due[:16]}{late}")
    console.print("[bold]what happened[/bold]")
    for entry in view.timeline:
        fixes = f" (corrects {entry.corrects})" if entry.corrects is not None else ""
        source = escape(entry.source.removeprefix("machine:"))
        text = escape(" ".join(entry.text.split()))
        line = f"  {entry.number:>3} {entry.at[11:19]}  {text}{fixes}  [dim]{source}[/dim]"
        console.print(line)
    if view.notifications:
        console.print("[bold]who was told[/bold]")
    for one in view.notifications:
        to = escape(f"{one.person or one.receiver} by {one.receiver}")
        answer = escape(one.answers[-1][9:]) if one.answers else ""
        console.print(f"  {one.created[11:19]}  {one.kind} to {to}: {one.status}  {answer}")


@app.command(name="open")
def open_incident(
    title: Annotated[str, cyclopts.Parameter(help="What goes wrong, in a sentence.")],
    /,
    *,
    about: Annotated[
        str, cyclopts.Parameter(help="A provider, or `service`; without it neither.")
    ] = "",
    config: Config = None,
) -> int:
    """Open an incident by hand; people are paged as for any other.

    Example: `tollkeeper incidents open "shoppers report double charges" --about stripe`
    """
    return _acted(config, lambda it: commands.open_by_hand(it, title, about, actor=person()))


@app.command
def acknowledge(
    incident: IncidentId,
    /,
    *,
    note: Annotated[str, cyclopts.Parameter(help="A word for the timeline.")] = "",
    config: Config = None,
) -> int:
    """Say that you work on it: all paging for it stops.

    Example: `tollkeeper incidents acknowledge inc_01k... --note "looking at the logs"`
    """
    return _acted(config, lambda it: commands.acknowledge(it, incident, note=note, actor=person()))


@app.command
def note(
    incident: IncidentId,
    text: Annotated[str, cyclopts.Parameter(help="The line.")],
    /,
    *,
    corrects: Annotated[
        int | None, cyclopts.Parameter(help="The number of the entry that it sets right.")
    ] = None,
    config: Config = None,
) -> int:
    """Add a line to the timeline; with `--corrects` it sets an earlier one right.

    Example: `tollkeeper incidents note inc_01k... "the provider confirms a change"`
    """
    return _acted(
        config,
        lambda it: commands.note(it, incident, text=text, corrects=corrects, actor=person()),
    )


@app.command
def severity(
    incident: IncidentId,
    grade: Annotated[str, cyclopts.Parameter(help="sev1, sev2, sev3 or sev4.")],
    /,
    *,
    reason: Reason,
    config: Config = None,
) -> int:
    """Set the severity by hand.

    Example: `tollkeeper incidents severity inc_01k... sev1 --reason "a partner is down"`
    """
    return _acted(
        config,
        lambda it: commands.grade(it, incident, severity=grade, reason=reason, actor=person()),
    )


@app.command
def role(
    incident: IncidentId,
    role: Annotated[
        str, cyclopts.Parameter(help="commander, communication, operations or scribe.")
    ],
    who: Annotated[str, cyclopts.Parameter(help="Who has it; a name.")],
    /,
    *,
    config: Config = None,
) -> int:
    """Give a role to a person.

    Example: `tollkeeper incidents role inc_01k... commander backup`
    """
    return _acted(
        config, lambda it: commands.cast(it, incident, role=role, person=who, actor=person())
    )


@app.command
def classify(incident: IncidentId, /, *, reason: Reason, config: Config = None) -> int:
    """Classify it as major in the sense of DORA: the clock of the reports starts.

    Example: `tollkeeper incidents classify inc_01k... --reason "over 10 % of clients"`
    """
    return _acted(config, lambda it: commands.classify(it, incident, reason=reason, actor=person()))


@app.command
def merge(
    incident: IncidentId,
    into: Annotated[str, cyclopts.Parameter(help="The incident in which it goes on.")],
    /,
    *,
    reason: Reason,
    config: Config = None,
) -> int:
    """Go on in another incident.

    Example: `tollkeeper incidents merge inc_01k... inc_01j... --reason "the same cause"`
    """
    return _acted(
        config,
        lambda it: commands.merge(it, incident, into=into, reason=reason, actor=person()),
    )


@app.command
def split(
    incident: IncidentId,
    title: Annotated[str, cyclopts.Parameter(help="What the part is about.")],
    /,
    *,
    config: Config = None,
) -> int:
    """Make a part of an incident one of its own; people are paged for it as well.

    Example: `tollkeeper incidents split inc_01k... "refunds fail as well"`
    """

    async def act(runtime: Runtime) -> Incident:
        _, new = await commands.split(runtime, incident, title=title, actor=person())
        return new

    return _acted(config, act)


@app.command
def reopen(incident: IncidentId, /, *, reason: Reason, config: Config = None) -> int:
    """Say that it is not over; people are paged again.

    Example: `tollkeeper incidents reopen inc_01k... --reason "it fails again in Norway"`
    """
    return _acted(config, lambda it: commands.reopen(it, incident, reason=reason, actor=person()))


@app.command
def resolve(incident: IncidentId, /, *, reason: Reason, config: Config = None) -> int:
    """Say that it is over.

    Example: `tollkeeper incidents resolve inc_01k... --reason "rolled back; refunds checked"`
    """
    return _acted(config, lambda it: commands.resolve(it, incident, reason=reason, actor=person()))


def _acted(config: Config, act: Callable[[Runtime], Awaitable[Incident]]) -> int:
    async def work(runtime: Runtime) -> IncidentView:
        return await whole_view(runtime.store, await act(runtime))

    view = with_runtime(config, work)
    last = view.timeline[-1].text if view.timeline else ""
    console.print(f"{view.id} is {view.status}: {escape(last)}")
    return 0
