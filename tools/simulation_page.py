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
        "A simulation that cannot find a bug proves nothing. Plant one of these bugs with "
        "`./dev simulate --bug NAME` (or `--bug all`): the simulation must find it.\n\n"
        "| bug | story |\n|---|---|\n" + "\n".join(rows) + "\n\n"
        "A batch of 500 seeds or more is valid only if all of this happened in it:\n\n"
        "- every status, and every operation with every outcome;\n"
        "- every way of settling, and every network fault on every kind of request;\n"
        f"- these events: {events};\n"
        f"- a kill at each of these points: {points};\n"
        "- a correction of a conclusion of each operation;\n"
        "- provider events in both orders, if they came often in one.\n\n"
        "## Troubles of a world\n\n"
        "Each seed draws kills, network faults and faults of single requests, and a few of these "
        "troubles. In worlds with late effects, hours pass after the last fault. The processes "
        "then run only while there is something to do.\n\n" + troubles + "\n"
    )
