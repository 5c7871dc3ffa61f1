"""`tollkeeper routes`: which version takes new payments, by the settings or by stored routes."""

from typing import Annotated

import cyclopts

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
from tollkeeper.flows import routes
from tollkeeper.flows.rollouts import read
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.errors import Invalid
from tollkeeper.routing.routes import Condition, Rule
from tollkeeper.routing.rules import in_words

app = cyclopts.App(name="routes", help="Routes of new payments to integration versions.")


@app.command
def show(*, json: AsJson = False, config: Config = None) -> int:
    """Show the routes in force, and whether they come from the settings or from stored routes.

    A promotion, a failover and `routes set` store routes. From then on those count, and `[weights]`
    of the settings do not.
    Example: `tollkeeper routes show`
    """
    settings = root.read_settings(config).weights
    stored = with_store(config, read.stored_rules)
    rules = stored or (Rule(condition=Condition(), weights=settings),)
    source = "stored routes" if stored else "settings"
    if json:
        print_json({"source": source, "rules": rules, "settings": settings})
        return 0
    console.print(f"by the {source}:")
    table = table_of("for", "version", "weight", "in the settings")
    for rule in rules:
        for name, weight in rule.weights.items():
            table.add_row(
                in_words(rule.condition) or "all",
                name,
                f"{weight:g} %",
                f"{settings.get(name, 0):g} %",
            )
    console.print(table)
    return 0


@app.command(name="set")
def set_(
    weights: Annotated[
        list[str], cyclopts.Parameter(help="NAME=PERCENT for every version that takes payments.")
    ],
    /,
    *,
    reason: Annotated[str, cyclopts.Parameter(help="Reason; recorded with the routes.")],
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Move new payments by hand, at once: the weights of all versions, which add up to 100.

    Rules for a currency, a country or an account stay as they are.
    Example: `tollkeeper routes set stripe@2022-11-15=100 --reason "2022-08-01 is switched off"`
    """
    given = dict(_weight(text) for text in weights)
    if len(given) < len(weights):
        raise Invalid("a version is named twice: give each once")

    async def work(runtime: Runtime) -> dict[str, float]:
        return await routes.set_weights(runtime, given, reason=reason, actor=person())

    moved = with_runtime(config, work)
    if json:
        print_json({"weights": moved})
        return 0
    said = ", ".join(f"{name} {weight:g} %" for name, weight in moved.items())
    console.print(f"new payments go to {said}")
    for rule in with_store(config, read.stored_rules) or ():
        if rule.condition != Condition():
            kept = ", ".join(f"{name} {weight:g} %" for name, weight in rule.weights.items())
            console.print(f"a rule of its own stays for {in_words(rule.condition)}: {kept}")
    return 0


def _weight(text: str) -> tuple[str, float]:
    name, is_given, percent = text.partition("=")
    try:
        return name.strip(), float(percent.strip().removesuffix("%"))
    except ValueError:
        said = text if is_given else f"{text}: no ="
        raise Invalid(f"{said}: give NAME=PERCENT, like stripe@2022-11-15=100") from None


@app.command
def reset(
    *,
    yes: Annotated[bool, cyclopts.Parameter(negative="", help="Confirm the reset.")] = False,
    config: Config = None,
) -> int:
    """Discard the stored routes: the weights of the settings count again.

    Example: `tollkeeper routes reset --yes`
    """
    settings = root.read_settings(config).weights
    said = ", ".join(f"{name} {weight:g} %" for name, weight in settings.items())
    if not yes:
        console.print(f"with --yes new payments go by the settings: {said}")
        return 2
    with_store(config, read.reset_rules)
    console.print(f"new payments go by the settings: {said}")
    return 0
