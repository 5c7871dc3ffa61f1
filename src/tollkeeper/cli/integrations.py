"""`tollkeeper integrations`: installed versions, new ones, and freezing them."""

from pathlib import Path
from typing import Annotated

import cyclopts
from msgspec.structs import asdict

import tollkeeper
from tollkeeper import app as root
from tollkeeper.cli.opening import AsJson, Config, console, print_json, table_of, with_runtime
from tollkeeper.flows.rollouts.retire import standing
from tollkeeper.integrations.catalogue import GOLDEN, INSTALLED, find
from tollkeeper.integrations.freezing import broken, entered, read_registry
from tollkeeper.integrations.scaffold import catalogue_entry, module_path, parts_of, scaffold
from tollkeeper.kernel.clock import rfc3339
from tollkeeper.kernel.errors import Conflict, Invalid

app = cyclopts.App(name="integrations", help="Integration versions.")


@app.command(name="list")
def list_(
    *,
    weights: Annotated[
        bool, cyclopts.Parameter(negative="", help="Only versions with weight in the settings.")
    ] = False,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List the installed versions and their shares of new payments.

    Example: `tollkeeper integrations list`
    """
    shares = root.read_settings(config).weights
    rows = [
        {
            "name": name,
            "weight_percent": shares.get(name, 0.0),
            "follows_up": sorted(item.handles),
            "in_flight_window_seconds": item.capabilities.in_flight_window_s,
            "idempotency_retention_seconds": item.capabilities.keys_kept_s,
        }
        for name, item in sorted(INSTALLED.items())
        if not weights or shares.get(name)
    ]
    if json:
        print_json(rows)
        return 0
    table = table_of("version", "weight", "follows up also", "in-flight window")
    for row in rows:
        table.add_row(
            str(row["name"]),
            f"{row['weight_percent']:g} %",
            ", ".join(INSTALLED[str(row["name"])].handles),
            f"{row['in_flight_window_seconds']} s",
        )
    console.print(table)
    return 0


@app.command
def retire(name: str, /, *, json: AsJson = False, config: Config = None) -> int:
    """Check whether a version can be removed from the catalogue; exit 1 while it is needed.

    Run it before the release that removes the version. Decided payments no longer need it:
    their refunds go through a version that handles them.
    Example: `tollkeeper integrations retire stripe@2022-08-01`
    """
    found = with_runtime(config, lambda runtime: standing(runtime, name))
    if json:
        print_json({**asdict(found), "may_go": found.may_go})
    elif found.may_go:
        console.print(f"{name}: nothing needs it. Refunds go through {found.successors[0]}")
    else:
        console.print(f"{name} is needed: " + "; ".join(found.reasons))
    return 0 if found.may_go else 1


HOME = Path(tollkeeper.__file__).parent
"""The folder of the package, where integration versions live."""


@app.command
def new(
    name: str,
    /,
    *,
    like: Annotated[
        str | None,
        cyclopts.Parameter(help="The installed version to copy; by default the newest."),
    ] = None,
    folder: Annotated[
        Path | None,
        cyclopts.Parameter(help="The package's sources; by default the installed ones."),
    ] = None,
) -> int:
    """Create a new integration version: a copy, or a skeleton for a new provider.

    The fix of a frozen version is its next revision, `stripe@2022-11-15+2`.
    Example: `tollkeeper integrations new stripe@2027-01-31.elm --like stripe@2026-03-25.dahlia`
    """
    folder = folder or HOME
    provider, version, revision = parts_of(name)
    if not version:
        raise Invalid(f"{name!r} is not provider@version")
    path = folder / module_path(provider, version, revision)
    if path.exists():
        raise Conflict(f"{path} exists already")
    source = ""
    like = like or (f"{provider}@{version}" if revision > 1 else newest_of(provider))
    if like is not None:
        model = find(like)
        place = folder / module_path(model.provider, model.version, model.revision)
        source = place.read_text("utf-8")
    text = scaffold(provider, version, source, revision=revision)
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(text, encoding="utf-8")
    console.print(f"written: {path}")
    console.print("enter it in integrations/catalogue.py:")
    console.print(catalogue_entry(provider, version, revision))
    return 0


def newest_of(provider: str) -> str | None:
    """The newest installed version of `provider`, or `None` where it is a new one."""
    mine = [name for name, item in INSTALLED.items() if item.provider == provider]
    return max(mine, default=None)


@app.command
def freeze(
    name: str,
    /,
    *,
    check: Annotated[
        bool, cyclopts.Parameter(negative="", help="Only check whether the version is unchanged.")
    ] = False,
    folder: Annotated[
        Path | None,
        cyclopts.Parameter(help="The package's sources; by default the installed ones."),
    ] = None,
) -> int:
    """Freeze a version at its release.

    After that the version, its imports below `integrations/` and its golden bytes must not change.

    Example: `tollkeeper integrations freeze stripe@2022-11-15`
    """
    integration = find(name)
    sources = root.sources_of(integration)
    if not sources:
        raise Invalid(f"{name} belongs to another distribution, which freezes it itself")
    samples = GOLDEN.get(integration.provider)
    place = (folder or HOME) / "integrations" / "frozen.json"
    registry = read_registry(place.read_bytes() if place.exists() else b"")
    if check:
        if name not in registry:
            console.print(f"{name} is not frozen")
            return 1
        problems = broken(registry, integration, sources, samples)
        for problem in problems:
            console.print(problem)
        console.print(f"{name} is {'not ' if problems else ''}as it was frozen")
        return 1 if problems else 0
    day = rfc3339(root.SystemClock().now_ms()).partition("T")[0]
    place.write_bytes(entered(registry, integration, sources, samples, day))
    console.print(f"{name} is frozen; a fix is a new revision from now on")
    return 0
