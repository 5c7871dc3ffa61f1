"""`tollkeeper contracts`: will this provider update break us?"""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
import msgspec

from tollkeeper import app as root
from tollkeeper.cli.opening import AsJson, Config, console, print_json, with_world
from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import Description, read_description
from tollkeeper.contracts.reports.machines import as_junit, as_sarif
from tollkeeper.contracts.reports.plain import as_json, as_markdown, as_text
from tollkeeper.contracts.usage import Usage, read_usage
from tollkeeper.contracts.verdict import check as verdict_on
from tollkeeper.contracts.witness import Reader
from tollkeeper.flows.check import Replay
from tollkeeper.flows.check import replay as replay_stored
from tollkeeper.flows.world import World
from tollkeeper.integrations.catalogue import find
from tollkeeper.kernel.errors import Invalid

Format = Literal["text", "json", "markdown", "sarif", "junit"]

app = cyclopts.App(name="contracts", help="Check a provider's update against what we use.")


@app.command
def check(
    *,
    new: Annotated[Path, cyclopts.Parameter(help="The provider's new description.")],
    old: Annotated[
        Path | None, cyclopts.Parameter(help="The old one, to tell new findings from standing.")
    ] = None,
    integration: Annotated[
        str | None, cyclopts.Parameter(help="An installed version, like stripe@2022-11-15.")
    ] = None,
    usage: Annotated[
        Path | None, cyclopts.Parameter(help="A usage file, for any other integration.")
    ] = None,
    format: Annotated[Format, cyclopts.Parameter(help="How to print.")] = "text",
) -> int:
    """Check one integration against a description; exit 1 where it is not compatible.

    Example: `tollkeeper contracts check --integration stripe@2022-08-01 --old a.json --new b.json`
    """
    if (integration is None) == (usage is None):
        raise Invalid("name either --integration or --usage")
    used, reader = _used(integration, usage)
    before = _description(old) if old is not None else None
    checked = verdict_on(used, _description(new), before, reader)
    printers = {
        "text": as_text,
        "json": as_json,
        "markdown": as_markdown,
        "sarif": lambda result: as_sarif(result, new.name),
        "junit": as_junit,
    }
    sys.stdout.write(printers[format](checked))
    return 0 if checked.compatible else 1


@app.command(name="usage")
def print_usage(integration: str, /) -> int:
    """Print what an installed version sends and reads, as a usage file.

    Example: `tollkeeper contracts usage stripe@2022-11-15`
    """
    used, _ = _used(integration, None)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(used), indent=1).decode() + "\n")
    return 0


def _used(integration: str | None, usage: Path | None) -> tuple[Usage, Reader | None]:
    if usage is not None:
        return read_usage(_bytes(usage)), None
    version = find(integration or "")
    spec = importlib.util.find_spec(version.request.__module__)
    source = Path(spec.origin).read_text("utf-8") if spec is not None and spec.origin else ""
    return usage_of(version, source), reader_through(version)


def _description(path: Path) -> Description:
    try:
        return read_description(_bytes(path))
    except Invalid as error:
        raise Invalid(f"{path}: {error.detail}", faults=error.faults) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error


@app.command
def rehearse(
    integration: str,
    /,
    *,
    endpoint: Annotated[str, cyclopts.Parameter(help="A sandbox's or simulator's address.")],
    baseline: Annotated[
        str | None, cyclopts.Parameter(help="A version to play beside it, to tell whose fault.")
    ] = None,
    key: Annotated[
        str, cyclopts.Parameter(help="The sandbox's secret key; never a live one.")
    ] = "sk_test_tollkeeper",
    json: AsJson = False,
) -> int:
    """Play the playbooks against a live endpoint; exit 1 where one goes wrong.

    Example: `tollkeeper contracts rehearse stripe@2022-11-15 --endpoint http://127.0.0.1:12111`
    """
    if not key.startswith("sk_test_") and "_test_" not in key:
        raise Invalid("the key is not a test key, and a rehearsal charges cards")
    found = root.rehearse(
        endpoint, key, find(integration), find(baseline) if baseline is not None else None
    )
    if json:
        print_json({"passed": found.passed, **msgspec.structs.asdict(found)})
        return 0 if found.passed else 1
    for difference in found.differences:
        console.print(f"✗ {difference.play} ({difference.operation}): {difference.seen}")
    for difference in found.shared:
        console.print(f"! {difference.play}: wrong for {found.baseline} as well: {difference.seen}")
    good = found.plays - len(found.differences) - len(found.shared)
    console.print(f"{found.version}: {good} of {found.plays} plays went as they must")
    return 0 if found.passed else 1


@app.command
def replay(
    integration: str,
    /,
    *,
    days: Annotated[float, cyclopts.Parameter(help="How far back to read.")] = 7.0,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Let a version read again what others received; nothing is sent. Exit 1 where readings differ
    and where nothing could be compared.

    Example: `tollkeeper contracts replay stripe@2026-03-25.dahlia --days 30`
    """
    candidate = find(integration)

    async def read_again(world: World) -> Replay:
        since_ms = world.store.now_ms() - int(days * 86_400_000)
        return await replay_stored(world.store, world.vault, candidate, world.installed, since_ms)

    found = with_world(config, read_again)
    if json:
        print_json({"verdict": found.verdict, **msgspec.structs.asdict(found)})
    else:
        for item in found.disagreements:
            console.print(
                f"✗ {item.attempt_id} {item.operation} {item.field}: "
                f"{item.baseline} was read, {item.candidate} would be"
            )
        console.print(
            f"{found.version}: {found.verdict}; {found.agreed} of {found.compared} replies agree, "
            f"{found.not_independent} were its own, {found.unreadable} cannot be read"
        )
    return 0 if found.verdict == "agrees" else 1
