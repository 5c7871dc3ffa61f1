"""What the commands of rollouts print: a rollout as a picture, a start, and a rehearsal of one."""

import math
from typing import Final

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tollkeeper.cli.opening import console, print_json, table_of
from tollkeeper.flows.rollouts.starting import Rehearsal
from tollkeeper.rollouts.estimate import Estimate, in_words
from tollkeeper.rollouts.evidence import part_of_wealth, whole_wealth
from tollkeeper.rollouts.rollout import Record, Rollout
from tollkeeper.rollouts.wrong import what_is_wrong
from tollkeeper.routing.routes import PPM

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
PLOT_WIDTH: Final = 40
TABLE_WIDTH: Final = 68
"""What the rest of the table of evidence takes, in columns."""
LOWEST: Final = -3.0
"""Decadic logarithm at the bottom of a plot: evidence of a thousandth."""


class Shown(msgspec.Struct, frozen=True):
    """A rollout, its newest records, and what is left of it, `None` where it has ended."""

    rollout: Rollout
    records: list[Record]
    left: Estimate | None = None


def told(rollout: Rollout, *, as_json: bool) -> int:
    """Prints a rollout that was changed or started; the exit code."""
    if as_json:
        print_json(rollout)
        return 0
    console.print(
        f"[bold]{rollout.id}[/bold] {rollout.candidate} against {rollout.baseline}: "
        f"{rollout.status}. {rollout.waiting or rollout.reason}"
    )
    for sentence in rollout.remembered:
        console.print(f"before: {sentence}", markup=False)
    return 0


def rehearsed(found: Rehearsal, *, as_json: bool) -> int:
    """Prints what a start would come to; the exit code is 1 where it would be refused."""
    if as_json:
        print_json(found)
        return 1 if found.refusals else 0
    against = f" against {found.baseline}" if found.baseline else ""
    verdict = "would not start" if found.refusals else "would start"
    console.print(f"{found.candidate}{against}: {verdict}; nothing was started", markup=False)
    for sentence in found.refusals:
        console.print(f"refused: {sentence}", markup=False)
    for sentence in found.remembered:
        console.print(f"before: {sentence}", markup=False)
    if found.estimate is not None:
        console.print(in_words(found.estimate), markup=False)
    return 1 if found.refusals else 0


def picture(shown: Shown) -> Group:
    """A rollout as a picture in text."""
    rollout, records = shown.rollout, shown.records
    share = rollout.share_ppm / PPM
    held = " (held back)" if rollout.status == "running" and rollout.cautious else ""
    head = Text.assemble(
        (rollout.id, "bold"),
        f"  {rollout.candidate} against {rollout.baseline}  ",
        (rollout.status, _STYLES.get(rollout.status, "yellow")),
    )
    steps = " > ".join(
        f"[{step:g}]" if number == rollout.step else f"{step:g}"
        for number, step in enumerate(rollout.plan.steps_percent)
    )
    lines: list[Text | Table] = [
        head,
        Text(f"steps {steps} %   share in force {share:.2%}{held}"),
        _evidence(rollout, records),
    ]
    seen = rollout.crossings
    lines.append(
        Text(
            f"cross-read: {seen.agreed} agree, {seen.disagreed} disagree, "
            f"{seen.unanswered} unanswered, {seen.asked} asked   "
            f"shadow: {rollout.shadows.differing} of {rollout.shadows.computed} differ"
        )
    )
    if rollout.watch is not None:
        watch_ = rollout.watch
        lines.append(
            Text(f"since promotion: {watch_.bad} of {watch_.seen} failed; 1e7 alarms, "
                 f"now {watch_.statistic:.3g}")
        )  # fmt: skip
    lines += [Text(f"before: {sentence}") for sentence in rollout.remembered]
    if wrong := what_is_wrong(rollout):
        lines.append(Text(f"what is wrong: {wrong}", "yellow"))
    ended = rollout.reason and not rollout.waiting
    lines.append(Text(f"ended: {rollout.reason}" if ended else f"next: {rollout.waiting}"))
    if shown.left is not None:
        lines.append(Text(f"left: {in_words(shown.left)}"))
    return Group(*lines)


_STYLES: Final = {"promoted": "green", "rolled_back": "red", "stopped": "red", "aborted": "red"}


def _evidence(rollout: Rollout, records: list[Record]) -> Table:
    table = table_of("guardrail", "canary bad", "baseline bad", "evidence", "boundary")
    boundary = 1 / rollout.plan.alpha
    table.add_column("over time", no_wrap=True)
    history = [record.parts for record in records if record.parts]
    for rail, seen in rollout.watched():
        table.add_row(
            rail.name,
            f"{seen.canary_bad} of {seen.canary_bad + seen.canary_ok}",
            f"{seen.baseline_bad} of {seen.baseline_bad + seen.baseline_ok}",
            f"{part_of_wealth(rail, seen):.3g}",
            f"{boundary:g}",
            plot([parts.get(rail.name, rail.part) for parts in history], boundary),
        )
    whole = [sum(parts.values()) for parts in history]
    table.add_row(
        "together", "", "", f"{whole_wealth(rollout.evidence):.3g}", f"{boundary:g}",
        plot(whole, boundary),
    )  # fmt: skip
    return table


def plot(values: list[float], boundary: float) -> str:
    """Evidence over time as one line of blocks, on a logarithmic scale up to the boundary."""
    if not values:
        return ""
    room = min(PLOT_WIDTH, max(8, console.width - TABLE_WIDTH))
    stride = max(1, math.ceil(len(values) / room))
    tops = [max(values[n : n + stride]) for n in range(0, len(values), stride)]
    high = math.log10(boundary)
    line = ""
    for value in tops:
        level = (math.log10(max(value, 10**LOWEST)) - LOWEST) / (high - LOWEST)
        line += BLOCKS[min(round(level * (len(BLOCKS) - 1)), len(BLOCKS) - 1)]
    return line
