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
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.settings import ProviderSettings

Reason = Annotated[str, cyclopts.Parameter(help="Reason for this action; recorded with it.")]

app = cyclopts.App(name="failover", help="Failover between the versions of one provider.")


@app.command
def status(*, json: AsJson = False, config: Config = None) -> int:
    """Show what each provider's carrying version is watched for, and what goes on.

    Exits with 1 while a version fails more than its history. Example: `tollkeeper failover status`
    """
    watches = with_store(config, commands.page)
    alarmed = any(watch.state.alarmed for watch in watches)
    if json:
        print_json([_shown(watch) for watch in watches])
        return int(alarmed)
    policies = root.read_settings(config).providers
    table = table_of("provider", "carries", "candidate", "share", "taken out", "policy", "stands")
    for watch in watches:
        mine = policies.get(watch.provider) or ProviderSettings()
        table.add_row(
            watch.provider,
            watch.carrying,
            watch.candidate or "none",
            f"{watch.state.share:.0%}",
            ", ".join(watch.taken_out) or "none",
            mine.failover,
            in_words(watch),
        )
    console.print(table)
    if not watches:
        console.print("no payment has failed yet: there is nothing to watch")
    return int(alarmed)


def _shown(watch: Watch) -> dict[str, object]:
    return {"watch": watch, "stands": in_words(watch)}


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
            str(sum(step.healthy + (step.trial is not None) for step in record.steps)),
            f"{record.after.share:.0%}",
            escape(record.reason),
        )
    console.print(table)
    console.print(in_words(found.watch))
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


def _told(watch: Watch, *, as_json: bool) -> int:
    if as_json:
        print_json(watch)
    else:
        console.print(
            f"{watch.provider}: {watch.carrying} carries, candidate {watch.candidate or 'none'}, "
            f"taken out {', '.join(watch.taken_out) or 'none'}"
        )
    return 0
