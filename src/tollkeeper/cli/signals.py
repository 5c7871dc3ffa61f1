"""`tollkeeper status`, `why`, `alerts` and `changes`: what goes wrong, whose it is, since when."""

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
from tollkeeper.flows.runtime import Runtime
from tollkeeper.flows.signals import commands
from tollkeeper.flows.signals.views import (
    AlertView,
    LookView,
    VerdictView,
    alert_view,
    change_view,
    look_view,
)
from tollkeeper.kernel.clock import moment_ms
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.signals.alerts import Alert
from tollkeeper.signals.cases import BadCase, Case, look, read, write
from tollkeeper.signals.counts import Change

Reason = Annotated[str, cyclopts.Parameter(help="Reason for this action; recorded with it.")]
AlertId = Annotated[str, cyclopts.Parameter(help="An alert, `alr_...`.")]

LIST_LENGTH: Final = 20
EVIDENCE_SHOWN: Final = 6

alerts: Final = cyclopts.App(name="alerts", help="Alerts: list, show, silence, judge.")
changes: Final = cyclopts.App(name="changes", help="Changes that verdicts weigh: list, announce.")


def status(*, json: AsJson = False, config: Config = None) -> int:
    """Say whether something goes wrong now, whose it is, and what happens next.

    Exits with 1 while an alert is open. Example: `tollkeeper status`
    """
    watches = with_store(config, commands.watches)
    found = [alert_view(alert, watches) for alert in with_store(config, commands.open_alerts)]
    if json:
        print_json(found)
        return int(bool(found))
    if not found:
        console.print("no alert is open")
    for view in found:
        _print_alert(view)
    return int(bool(found))


def why(
    about: Annotated[
        str, cyclopts.Parameter(help="An alert, a provider, or `service`; without it the newest.")
    ] = "",
    /,
    *,
    at: Annotated[
        str, cyclopts.Parameter(help="A moment in RFC 3339: compute the look of then again.")
    ] = "",
    case: Annotated[
        Path | None, cyclopts.Parameter(help="A case that `alerts export` has written.")
    ] = None,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Explain a verdict: the evidence for and against it, the runner-up, what would change it.

    With `--at` the look of that moment is computed again from the stored counts. Exits with 1 if
    there is nothing to explain. Example: `tollkeeper why --at 2026-11-26T10:02:00Z`
    """
    if case is not None:
        return _why_case(case, as_json=json)
    if at:
        return _why_at(at, config, as_json=json)
    alert = with_store(config, lambda store: _found(store, about))
    if alert is None:
        console.print("there was no alert" + (f" about {about}" if about else ""))
        return 1
    view = alert_view(alert)
    if json:
        print_json(view)
        return 0
    _print_alert(view)
    for verdict in (view.verdict, view.also):
        if verdict is not None:
            _print_evidence(verdict)
    console.print("[bold]said so far[/bold]")
    for line in view.history:
        console.print(f"  {escape(line)}")
    return 0


async def _found(store: Store, about: str) -> Alert | None:
    if about.startswith("alr_"):
        return await commands.one(store, about)
    return await commands.newest(store, about)


def _why_at(at: str, config: Config, *, as_json: bool) -> int:
    at_ms = _moment(at)

    async def work(runtime: Runtime) -> LookView:
        look = await commands.look_at(runtime.store, runtime.live.routes, at_ms)
        return look_view(look)

    return _print_look(with_runtime(config, work), as_json=as_json)


def _why_case(path: Path, *, as_json: bool) -> int:
    try:
        case = read(path.read_bytes())
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}") from None
    except BadCase as error:
        raise Invalid(f"{path} holds no case: {error}") from None
    if not as_json:
        judged = f"; judged {case.judged}" if case.judged else ""
        console.print(f"{case.alert}: {case.said} was said{judged}. Today:", markup=False)
    return _print_look(look_view(look(case)), as_json=as_json)


def _print_look(view: LookView, *, as_json: bool) -> int:
    if as_json:
        print_json(view)
        return int(not view.verdicts)
    console.print(f"{view.at}: {len(view.alarms)} alarms")
    for line in view.alarms:
        console.print(f"  {escape(line)}")
    for verdict in view.verdicts:
        console.print(escape(verdict.says))
        console.print(f"  sure: {escape(verdict.sure)}")
        _print_evidence(verdict)
    return int(not view.verdicts)


def _moment(text: str) -> int:
    found = moment_ms(text)
    if found is None:
        fault = Fault("--at", "a moment like 2026-11-26T10:02:00Z")
        raise Invalid(f"--at {text[:40]!r} is no moment", faults=(fault,))
    return found


def _print_alert(view: AlertView) -> None:
    console.print(f"[bold]{escape(view.says)}[/bold]")
    if view.verdict is not None:
        console.print(f"  sure:  {escape(view.verdict.sure)}")
    if view.also is not None:
        console.print(f"  also:  {escape(view.also.says)}")
    for line in view.traffic:
        console.print(f"  traffic: {escape(line)}")
    console.print(f"  next:  {escape(view.next)}")
    ended = f", resolved {view.resolved[:19]}" if view.resolved else ""
    silenced = f", silenced until {view.silenced_until[:19]}" if view.silenced_until else ""
    judged = f", judged {escape(view.judged)}" if view.judged else ""
    console.print(f"  alert: {view.id}, open since {view.opened[:19]}{ended}{silenced}{judged}")


def _print_evidence(verdict: VerdictView) -> None:
    for title, rows in (("for", verdict.evidence_for), ("against", verdict.evidence_against)):
        if rows:
            console.print(f"[bold]evidence {title} {verdict.domain.replace('_', ' ')}[/bold]")
        for row in rows[:EVIDENCE_SHOWN]:
            console.print(f"  {row.weight:+.1f}  {escape(row.says)}")
    console.print(f"  {escape(verdict.would_change)}")
    if verdict.vetoes:
        named = ", ".join(name.replace("_", " ") for name in verdict.vetoes)
        console.print(f"  no traffic is moved because of: {named}")


@alerts.command(name="list")
def list_alerts(
    *,
    limit: Annotated[int, cyclopts.Parameter(help="How many at most.")] = LIST_LENGTH,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List alerts, the newest first.

    Example: `tollkeeper alerts list --limit 5`
    """
    found = with_store(config, lambda store: commands.page(store, "", max(1, limit)))
    views = [alert_view(alert) for alert in found]
    if json:
        print_json(views)
        return 0
    table = table_of("alert", "opened", "status", "about", "says")
    for view in views:
        table.add_row(view.id, view.opened[:19], view.status, view.about, escape(view.says))
    console.print(table if views else "there was no alert")
    return 0


@alerts.command
def show(alert: AlertId, /, *, json: AsJson = False, config: Config = None) -> int:
    """Show one alert with its evidence.

    Example: `tollkeeper alerts show alr_01k...`
    """
    return why(alert, json=json, config=config)


@alerts.command
def export(
    alert: AlertId,
    file: Annotated[Path, cyclopts.Parameter(help="The file to write.")],
    /,
    *,
    config: Config = None,
) -> int:
    """Write what the last look at an alert read into a file, as a case. It holds counts alone.

    Do so within a day: then the counts are gone.

    Example: `tollkeeper alerts export alr_01k... case.json`
    """

    async def work(runtime: Runtime) -> Case:
        return await commands.case_of(runtime.store, runtime.live.routes, alert)

    case = with_runtime(config, work)
    try:
        file.write_bytes(write(case))
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from None
    console.print(f"{file}: {len(case.window.batches)} batches; judged: {case.judged or 'not yet'}")
    return 0


@alerts.command
def silence(
    alert: AlertId,
    /,
    *,
    minutes: Annotated[float, cyclopts.Parameter(help="For how long, in minutes.")] = 60.0,
    reason: Reason,
    config: Config = None,
) -> int:
    """Send no more messages about an alert for a while. It stays open and watched.

    Example: `tollkeeper alerts silence alr_01k... --minutes 30 --reason "known maintenance"`
    """

    async def work(runtime: Runtime) -> Alert:
        return await commands.silence(runtime, alert, minutes * 60, reason=reason, actor=person())

    view = alert_view(with_runtime(config, work))
    console.print(f"{view.id} is silenced until {view.silenced_until}")
    return 0


@alerts.command
def judge(
    alert: AlertId,
    judgment: Annotated[str, cyclopts.Parameter(help="right or wrong.")],
    /,
    *,
    reason: Reason,
    config: Config = None,
) -> int:
    """Say that the verdict of an alert was right or wrong. `alerts export` makes a case of it.

    Example: `tollkeeper alerts judge alr_01k... wrong --reason "it was our firewall"`
    """

    async def work(runtime: Runtime) -> Alert:
        return await commands.judge(runtime, alert, judgment, reason=reason, actor=person())

    view = alert_view(with_runtime(config, work))
    console.print(f"{view.id}: {escape(view.judged)}")
    return 0


@changes.command(name="list")
def list_changes(
    *,
    hours: Annotated[float, cyclopts.Parameter(help="Of the last so many hours.")] = 24.0,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List what was changed: deploys, settings, routes, rollouts, descriptions, announcements.

    Example: `tollkeeper changes list --hours 2`
    """
    found = with_store(config, lambda store: commands.changes(store, hours))
    views = [change_view(change) for change in found]
    if json:
        print_json(views)
        return 0
    table = table_of("at", "kind", "where", "what")
    for view in views:
        where = " ".join(
            part for part in (view.provider, view.integration, view.host, view.account) if part
        )
        table.add_row(view.at[:19], view.kind, escape(where) or "everywhere", escape(view.text))
    console.print(table if views else "nothing was changed")
    return 0


@changes.command
def announce(
    kind: Annotated[
        str,
        cyclopts.Parameter(
            help="deploy, settings, migration, infrastructure, status_feed or announced."
        ),
    ],
    text: Annotated[str, cyclopts.Parameter(help="What was changed, in a sentence.")],
    /,
    *,
    provider: Annotated[str, cyclopts.Parameter(help="Only this provider.")] = "",
    integration: Annotated[str, cyclopts.Parameter(help="Only this integration version.")] = "",
    host: Annotated[str, cyclopts.Parameter(help="Only this machine of ours.")] = "",
    account: Annotated[str, cyclopts.Parameter(help="Only this account.")] = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Announce a change, from a pipeline or by hand, so that verdicts weigh it.

    Example: `tollkeeper changes announce deploy "release 42" --integration stripe@2022-11-15`
    """
    given = commands.Announcement(
        kind=kind,
        text=text,
        provider=provider,
        integration=integration,
        host=host,
        account=account,
    )

    async def work(runtime: Runtime) -> Change:
        return await commands.announce(runtime, given, actor=person())

    view = change_view(with_runtime(config, work))
    if json:
        print_json(view)
    else:
        console.print(f"{view.at[:19]} {view.kind}: {escape(view.text)}")
    return 0
