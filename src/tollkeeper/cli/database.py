"""`tollkeeper db`: the schema."""

import cyclopts

from tollkeeper import app as root
from tollkeeper.cli.opening import Config, console

app = cyclopts.App(name="db", help="Migrate the database.")


@app.command
def migrate(*, config: Config = None) -> int:
    """Migrate the database to the newest schema; safe to repeat, and safe beside older replicas.

    Example: `tollkeeper db migrate --config production.toml`
    """
    settings = root.read_settings(config)
    revision = root.upgrade_database(settings)
    console.print(f"schema is at {revision}")
    return 0
