"""`tollkeeper integrations`: installed versions, new ones, and freezing them."""

from typing import Annotated

import cyclopts

from tollkeeper import app as root
from tollkeeper.cli.opening import AsJson, Config, console, print_json, table_of
from tollkeeper.integrations.catalogue import INSTALLED

app = cyclopts.App(name="integrations", help="Integration versions.")


@app.command(name="list")
def list_(
    *,
    weights: Annotated[
        bool, cyclopts.Parameter(negative="", help="Only those that the settings give weight.")
    ] = False,
    json: AsJson = False,
    config: Config = None,
) -> int:
    """List the installed versions and the share of new payments that each takes.

    Example: `tollkeeper integrations list`
    """
    shares = root.read_settings(config).weights
    rows = [
        {
            "name": name,
            "weight_percent": shares.get(name, 0.0),
            "follows_up": sorted(item.handles),
            "in_flight_window_seconds": item.in_flight_window_s,
            "idempotency_retention_seconds": item.retention_s,
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
