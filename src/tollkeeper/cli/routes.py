"""`tollkeeper routes`: which version takes new payments, by settings and by promotions."""

from typing import Annotated

import cyclopts

from tollkeeper import app as root
from tollkeeper.cli.opening import AsJson, Config, console, print_json, table_of, with_store
from tollkeeper.flows.ports import RoutingRow, Store

app = cyclopts.App(name="routes", help="Which integration version takes new payments.")


@app.command
def show(*, json: AsJson = False, config: Config = None) -> int:
    """Show the routes in force, and whether they are the settings' or a promotion's.

    After the first promotion the store's routes count, and `[weights]` of the settings do not.
    Example: `tollkeeper routes show`
    """
    settings = root.read_settings(config).weights
    row = with_store(config, _read)
    if json:
        print_json({
            "source": "promotions" if row.rules else "settings",
            "rules": row.rules or [{"condition": {}, "weights": settings}],
            "settings": settings,
        })  # fmt: skip
        return 0
    if not row.rules:
        console.print("the settings' weights count, as nothing was promoted:")
    table = table_of("for", "version", "weight", "in the settings")
    for rule in row.rules or ():
        condition = rule.condition
        parts = [p for p in (condition.currency, condition.country, condition.account) if p]
        for name, weight in rule.weights.items():
            table.add_row(
                " ".join(parts) or "all", name, f"{weight:g} %", f"{settings.get(name, 0):g} %"
            )
    for name, weight in settings.items() if not row.rules else ():
        table.add_row("all", name, f"{weight:g} %", f"{weight:g} %")
    console.print(table)
    return 0


@app.command
def reset(
    *,
    yes: Annotated[bool, cyclopts.Parameter(negative="", help="Do it.")] = False,
    config: Config = None,
) -> int:
    """Forget what promotions made of the routes: the settings' weights count again.

    Example: `tollkeeper routes reset --yes`
    """
    settings = root.read_settings(config).weights
    said = ", ".join(f"{name} {weight:g} %" for name, weight in settings.items())
    if not yes:
        console.print(f"with --yes new payments go by the settings: {said}")
        return 2
    with_store(config, lambda store: store.reset_rules())
    console.print(f"new payments go by the settings: {said}")
    return 0


async def _read(store: Store) -> RoutingRow:
    return await store.routing()
