"""`tollkeeper oncall` and `notify`: who is told, whose turn it is, and whether messages arrive."""

import asyncio
import sys
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
from tollkeeper.flows.incidents import commands, planning
from tollkeeper.flows.incidents.views import (
    ShiftView,
    cover_view,
    notification_view,
    shift_views,
)
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.importing import as_toml, imported
from tollkeeper.incidents.paging import Notification
from tollkeeper.incidents.plan import Plan
from tollkeeper.kernel.clock import moment_ms
from tollkeeper.kernel.errors import Fault, Invalid

app: Final = cyclopts.App(name="oncall", help="The on-call plan: apply, check, show, who, cover.")
notify: Final = cyclopts.App(name="notify", help="Messages to people: test.")

PlanFile = Annotated[Path, cyclopts.Parameter(help="A plan (TOML).")]

WAITED_S: Final = 15.0


@app.command
def apply(file: PlanFile, /, *, config: Config = None) -> int:
    """Make a plan the one in force, after it was checked as a whole.

    Example: `tollkeeper oncall apply oncall.toml`
    """
    plan = _plan(file)
    revision = with_runtime(config, lambda it: planning.apply(it, plan, actor=person()))
    console.print(f"revision {revision} is in force: {_sizes(plan)}")
    return 0


@app.command
def check(file: PlanFile, /) -> int:
    """Say what is wrong with a plan, without applying it.

    Example: `tollkeeper oncall check oncall.toml`
    """
    console.print(f"fine: {_sizes(_plan(file))}")
    return 0


def _plan(file: Path) -> Plan:
    return planning.read_plan(_read(file))


def _sizes(plan: Plan) -> str:
    return (
        f"{len(plan.people)} people, {len(plan.receivers)} receivers, "
        f"{len(plan.schedules)} schedules, {len(plan.policies)} policies"
    )


@app.command
def who(
    *,
    at: Annotated[str, cyclopts.Parameter(help="A moment in RFC 3339; without it now.")] = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Say who is on call in each schedule.

    Exits with 1 if a schedule has no one. Example: `tollkeeper oncall who`
    """
    at_ms = _moment("--at", at) if at else None

    async def work(runtime: Runtime) -> list[ShiftView]:
        plan = await plan_now(runtime)
        return shift_views(plan, await planning.on_call(runtime, at_ms))

    views = with_runtime(config, work)
    if json:
        print_json(views)
    elif not views:
        console.print("no plan with a schedule is in force; apply one with `oncall apply`")
    else:
        table = table_of("schedule", "on call", "until", "why")
        for view in views:
            until = view.until[:16] if view.until else ""
            why = f"covers ({view.cover})" if view.cover else "turn" if view.person else ""
            name = f"{view.person} ({view.title})" if view.person else "NO ONE"
            table.add_row(escape(view.schedule), escape(name), until, why)
        console.print(table)
    return int(not views or not all(view.person for view in views))


@app.command
def cover(
    schedule: Annotated[str, cyclopts.Parameter(help="The schedule.")],
    who: Annotated[str, cyclopts.Parameter(help="The person who takes the pages.")],
    /,
    *,
    since: Annotated[
        str, cyclopts.Parameter(help="From when on, in RFC 3339; without it now.")
    ] = "",
    until: Annotated[str, cyclopts.Parameter(help="Until when, in RFC 3339.")],
    reason: Annotated[str, cyclopts.Parameter(help="Why, if you like.")] = "",
    config: Config = None,
) -> int:
    """Take the pages of a schedule for a while. Anyone may.

    Example: `tollkeeper oncall cover engineers backup --until 2026-11-27T09:00:00Z`
    """
    until_ms = _moment("--until", until)

    async def work(runtime: Runtime) -> str:
        from_ms = _moment("--since", since) if since else None
        taken = await planning.cover(
            runtime, schedule, who, from_ms, until_ms, reason=reason, actor=person()
        )
        return taken.id

    console.print(f"{with_runtime(config, work)}: {escape(who)} covers {escape(schedule)}")
    return 0


@app.command
def uncover(
    cover: Annotated[str, cyclopts.Parameter(help="A cover, `cov_...`.")],
    /,
    *,
    config: Config = None,
) -> int:
    """Take a cover back.

    Example: `tollkeeper oncall uncover cov_01k...`
    """
    with_runtime(config, lambda it: planning.uncover(it, cover, actor=person()))
    console.print(f"{escape(cover)} is taken back")
    return 0


@app.command
def calendar(
    schedule: Annotated[str, cyclopts.Parameter(help="The schedule.")],
    /,
    *,
    days: Annotated[float, cyclopts.Parameter(help="Of the next so many days.")] = 60.0,
    config: Config = None,
) -> int:
    """Print the shifts of a schedule as an iCalendar file.

    Example: `tollkeeper oncall calendar engineers --days 90`
    """
    text = with_runtime(config, lambda it: planning.calendar(it, schedule, days))
    sys.stdout.write(text.decode("utf-8"))
    return 0


@app.command(name="take-calendar")
def take_calendar(
    schedule: Annotated[str, cyclopts.Parameter(help="The schedule that is covered.")],
    file: Annotated[Path, cyclopts.Parameter(help="An iCalendar file.")],
    /,
    *,
    days: Annotated[float, cyclopts.Parameter(help="Of the next so many days, 60 at most.")] = 60.0,
    config: Config = None,
) -> int:
    """Take the events of a calendar as covers: each names a person of the plan.

    Example: `tollkeeper oncall take-calendar engineers holidays.ics`
    """
    text = _read(file)
    made = with_runtime(
        config,
        lambda it: planning.cover_by_calendar(it, schedule, text, days, actor=person()),
    )
    console.print(f"{len(made)} covers of {escape(schedule)}")
    return 0


@app.command(name="import")
def import_schedule(
    file: Annotated[Path, cyclopts.Parameter(help="An export (JSON).")],
    /,
) -> int:
    """Print a schedule of PagerDuty or Opsgenie, as their APIs give it, as a part of a plan.

    What a plan cannot say is refused with the reason. Example: `tollkeeper oncall import old.json`
    """
    sys.stdout.write(as_toml(imported(_read(file))))
    return 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from None


@app.command
def show(*, json: AsJson = False, config: Config = None) -> int:
    """Show people, schedules, policies and covers; addresses and keys are left out.

    Example: `tollkeeper oncall show`
    """

    async def work(runtime: Runtime) -> tuple[Plan, list[object]]:
        return await plan_now(runtime), [cover_view(one) for one in await planning.covers(runtime)]

    plan, covers = with_runtime(config, work)
    if json:
        print_json({"plan": planning.shown(plan), "covers": covers})
        return 0
    for name, one in plan.people.items():
        louder = f", then {', '.join(one.louder)}" if one.louder else ""
        console.print(escape(f"person {name} ({one.title}): {', '.join(one.receivers)}{louder}"))
    for name, receiver in plan.receivers.items():
        console.print(escape(f"receiver {name}: {receiver.kind}"))
    for name, schedule in plan.schedules.items():
        console.print(escape(f"schedule {name}: {', '.join(schedule.people)} in turn"))
    for name, policy in plan.policies.items():
        levels = " -> ".join(
            f"{' + '.join(level.targets)} ({level.wait_seconds:g} s)" for level in policy.levels
        )
        console.print(escape(f"policy {name}: {levels}, {policy.rounds} rounds"))
    if not plan.policies:
        console.print("no plan is in force, so no page is sent. Apply one with `oncall apply FILE`")
    return 0


@notify.command(name="test")
def send_test(
    receiver: Annotated[
        str, cyclopts.Parameter(help="A receiver of the plan; without it all of them.")
    ] = "",
    /,
    *,
    config: Config = None,
) -> int:
    """Send a test message through the running service, and say whether it arrived.

    Exits with 1 if one did not arrive within 15 seconds. Example: `tollkeeper notify test chat`
    """

    async def work(runtime: Runtime) -> list[Notification]:
        ids = await commands.send_tests(runtime, receiver, actor=person())
        for _ in range(int(WAITED_S * 5)):
            found = await commands.sent(runtime.store, ids)
            if all(not one.is_waiting for one in found):
                break
            await asyncio.sleep(0.2)
        return await commands.sent(runtime.store, ids)

    views = [notification_view(one) for one in with_runtime(config, work)]
    for view in views:
        answer = view.answers[-1][9:] if view.answers else "no service has tried it: does one run?"
        console.print(escape(f"{view.receiver}: {view.status}, {answer}"))
    if not views:
        console.print("the plan has no receiver; apply one with `oncall apply FILE`")
    return int(not views or any(view.status != "sent" for view in views))


def _moment(flag: str, text: str) -> int:
    found = moment_ms(text)
    if found is None:
        fault = Fault(flag, "a moment like 2026-11-26T10:02:00Z")
        raise Invalid(f"{flag} {text[:40]!r} is no moment", faults=(fault,))
    return found
