"""The reference page of the simulation: what it must cover, and the bugs planted to test it."""

from tollkeeper.testing import bugs, coverage, temper


def page() -> str:
    """`docs/reference/planted-bugs.md`."""
    rows = [f"| `{bug.name}` | {bug.story} |" for bug in bugs.BUGS]
    events = ", ".join(f"`{name}`" for name in coverage.EVENTS)
    troubles = "\n".join(f"- `{name}`: {says}." for name, says in temper.STRANGE.items())
    points = ", ".join(f"`{name}`" for name in coverage.CRASH_POINTS)
    return (
        "# Planted bugs and coverage\n\n"
        "A simulation that cannot find a bug proves nothing. Each of these can be planted with "
        "`./dev simulate --bug NAME` (or `--bug all`), and must be found.\n\n"
        "| bug | story |\n|---|---|\n" + "\n".join(rows) + "\n\n"
        "A batch of 500 seeds or more is void unless every status, every operation with every "
        "outcome, every way of settling and every network fault on every kind of request happened "
        f"in it, and these: {events}. Processes must have been killed at each of: {points}. "
        "A conclusion of each operation must have been corrected. Provider events that came often "
        "in one order must have come in the other as well.\n\n"
        "## Troubles of a world\n\n"
        "Each seed draws kills, network faults and faults of single requests, and keeps a few of "
        "these troubles. After the last fault hours pass in the worlds with late effects: the "
        "processes run only while there is something to do.\n\n" + troubles + "\n"
    )
