"""`tollkeeper failover`: what is watched, why traffic is where it is, and how to stop it."""

from typing import Annotated

import cyclopts
from rich.markup import escape

from tollkeeper import app as root
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
from tollkeeper.failover.state import Watch, in_words
from tollkeeper.flows.failover import commands
from tollkeeper.flows.failover.views import policy_view, watch_view
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.settings import NONE_WORKS, POLICIES

Reason = Annotated[str, cyclopts.Parameter(help="Reason for this action; recorded with it.")]

app = cyclopts.App(name="failover", help="Failover between the versions of one provider.")


@app.command
def status(*, json: AsJson = False, config: Config = None) -> int:
    """Show what each version that carries traffic is watched for, and what goes on.

    Exits with 1 while a version fails more than its history, or carries traffic that it was seen to
    misread. Example: `tollkeeper failover status`
    """
    watches = with_store(config, commands.page)
    settings = root.read_settings(config)
    views = [watch_view(watch, settings) for watch in watches]
    alarmed = any(watch.is_alarmed or watch.misreads for watch in watches)
    if json:
        print_json(views)
        return int(alarmed)
    table = table_of("provider", "carries", "for", "candidate", "share", "stands")
    for view in views:
        for stream in (*view.streams, *view.follow_ups):
            if stream.meant and not stream.share_percent and not stream.proposed:
                continue
            table.add_row(
                view.provider,
                stream.carrying,
                stream.meant or "all",
                stream.candidate or "none",
                f"{stream.share_percent:.0f} %",
                escape(stream.stands),
            )
    console.print(table)
    for view in views:
        out = ", ".join(view.taken_out) or "no version"
        console.print(f"{view.provider}: policy {view.policy}; taken out: {out}")
        for version in view.misreads:
            console.print(
                f"{version} carries traffic and misreads payments: no other could take it"
            )
        for key, through in view.follow_up_routes.items():
            owner, _, operation = key.partition("#")
            console.print(f"{operation}s of payments of {owner} go through {through}")
        for version, found in view.checks.items():
            console.print(f"{version}: {found.in_words}")
    if not watches:
        console.print("no payment has failed yet: there is nothing to watch")
    return int(alarmed)


@app.command
def explain(
    provider: str = "stripe",
    /,
    *,
    whole: Annotated[
        bool, cyclopts.Parameter(name="--all", negative="", help="Every look, not decisions alone.")
    ] = False,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Explain every decision of a failover with its numbers, and compute each of them again.

    R: the version fails more than its history. S: the failures are its own. T: the other version is
    better for everybody. Exits with 1 if the recomputed numbers differ.
    Example: `tollkeeper failover explain stripe`
    """
    found = with_store(config, lambda store: commands.explain(store, provider))
    if json:
        print_json(found)
        return int(not found.same)
    table = table_of("look", "at", "by", "payments", "share", "decision")
    for record in reversed(found.records):
        if record.kind == "counted" and not whole:
            continue
        table.add_row(
            str(record.seq),
            rfc3339(record.at_ms)[:19],
            record.actor,
            str(sum(step.payments for step in record.steps)),
            f"{record.after.share:.0%}",
            escape(record.reason),
        )
    console.print(table)
    for stream in (*found.watch.streams, *found.watch.follow_ups):
        if stream.is_whole or stream.goes_on or stream.operation:
            console.print(escape(in_words(stream)))
    said = "give the same numbers" if found.same else "give OTHER numbers"
    console.print(f"{len(found.records)} looks, computed again from what they counted, {said}")
    return int(not found.same)


@app.command
def stop(
    provider: str,
    /,
    *,
    reason: Reason,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Stop a failover that goes on. Its candidate gets no traffic until it is cleared.

    Traffic that has moved stays where it is: the way back is a rollout.
    Example: `tollkeeper failover stop stripe --reason "the provider mends it"`
    """

    async def work(runtime: Runtime) -> Watch:
        return await commands.stop(runtime, provider, reason=reason, actor=person())

    return _told(with_runtime(config, work), as_json=json)


@app.command
def clear(
    provider: str,
    version: str,
    /,
    *,
    reason: Reason,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Let traffic move again to a version that was taken out.

    Example: `tollkeeper failover clear stripe stripe@2022-11-15 --reason "mended"`
    """

    async def work(runtime: Runtime) -> Watch:
        return await commands.clear(runtime, provider, version, reason=reason, actor=person())

    return _told(with_runtime(config, work), as_json=json)


@app.command
def policy(
    provider: str,
    chosen: Annotated[
        str | None, cyclopts.Parameter(help="automatic, ask or off; without it, show what holds.")
    ] = None,
    /,
    *,
    reason: Annotated[str, cyclopts.Parameter(help="Reason for a change; recorded.")] = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Show what happens at a provider when a version fails, or say it for now.

    automatic: traffic moves on proof. ask: a move is proposed. off: nothing is watched. What is
    said here counts before the settings, until it is said again.
    Example: `tollkeeper failover policy stripe ask --reason "maintenance tonight"`
    """
    settings = root.read_settings(config)
    if chosen is not None:

        async def work(runtime: Runtime) -> Watch:
            return await commands.set_policy(
                runtime, provider, chosen, reason=reason, actor=person()
            )

        return _told(with_runtime(config, work), as_json=json)
    watches = {watch.provider: watch for watch in with_store(config, commands.page)}
    view = policy_view(provider, watches.get(provider), settings)
    if json:
        print_json(view)
        return 0
    console.print(
        f"{provider}: {view.policy} ({view.source}); if no version works: {view.none_works}"
    )
    console.print(POLICIES[view.policy])
    console.print(NONE_WORKS[view.none_works])
    return 0


@app.command(name="follow-ups")
def follow_ups(
    version: Annotated[str, cyclopts.Parameter(help="The version that made the payments.")],
    operation: Annotated[str, cyclopts.Parameter(help="capture, void or refund.")],
    /,
    *,
    through: Annotated[
        str, cyclopts.Parameter(help="The version to send them through; without it, their own.")
    ] = "",
    reason: Reason,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Send captures, voids or refunds of one version's payments through another version, at once.

    Authorizations stay where they are. If the other version refuses one provably, the payment's own
    version gets it.
    Example: `tollkeeper failover follow-ups stripe@2022-08-01 capture --through stripe@2022-11-15
    --reason "it refuses captures"`
    """

    async def work(runtime: Runtime) -> Watch:
        return await commands.route_follow_ups(
            runtime, version, operation, through, reason=reason, actor=person()
        )

    return _told(with_runtime(config, work), as_json=json)


def _told(watch: Watch, *, as_json: bool) -> int:
    if as_json:
        print_json(watch)
        return 0
    carried = ", ".join(stream.carrying for stream in watch.wholes) or "nothing was watched yet"
    out = ", ".join(watch.taken_out) or "no version"
    said = f"; policy {watch.policy} by hand" if watch.policy else ""
    console.print(f"{watch.provider}: carrying {carried}; taken out: {out}{said}")
    return 0
