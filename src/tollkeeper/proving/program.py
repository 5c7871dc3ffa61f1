"""`./dev prove`: plays scenarios for real and scores what the service says of them.

Each scenario starts a service, a provider and shoppers of its own, over real sockets on loopback.
"""

import difflib
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from tollkeeper.kernel.errors import Invalid, TollkeeperError
from tollkeeper.proving.ground import prove
from tollkeeper.proving.played import Played
from tollkeeper.proving.prometheus import NAME, missing
from tollkeeper.proving.report import write
from tollkeeper.proving.scenario import Scenario, read
from tollkeeper.proving.scoring import Mark, Run, Score, rival_scores, run_of, score

LIBRARY: Final = Path(__file__).parent / "scenarios"
MISUSE: Final = 2

app = cyclopts.App(name="prove", help="Play scenarios for real, and score what is said of them.")
console: Final = Console(highlight=False, width=160)
progress: Final = Console(stderr=True, highlight=False)


class Case(msgspec.Struct, frozen=True):
    """A scenario to play with a seed."""

    scenario: Scenario
    seed: int
    with_rivals: bool = False


def play(case: Case) -> Played:
    """Plays a case, in a process of its own."""
    return prove(case.scenario, case.seed, _quiet, with_rivals=case.with_rivals)


def _quiet(text: str) -> None:
    """Progress is told by the process that started this one."""


def known() -> dict[str, Path]:
    """The scenarios of the library by their id."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.toml"))}


def chosen(faults: tuple[str, ...], files: tuple[Path, ...]) -> list[Scenario]:
    """The scenarios that are asked for; all of the library where none is."""
    library = known()
    for name in faults:
        if name not in library:
            near = difflib.get_close_matches(name, library, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(library)}"
            raise Invalid(f"no scenario {name!r}{hint}")
    names = faults or (() if files else tuple(library))
    return [read(library[name]) for name in names] + [read(path) for path in files]


def scaled(scenario: Scenario, rate: float | None, severity: float | None) -> Scenario:
    """A scenario at another rate, and its faults at another severity."""
    if rate is not None:
        scenario = replace(scenario, world=replace(scenario.world, rate=rate))
    if severity is not None and scenario.expect == "verdict":
        faults = tuple(replace(one, severity=one.severity * severity) for one in scenario.fault)
        scenario = replace(scenario, fault=faults)
    return scenario


@app.default
def main(  # noqa: PLR0913 - options, each with its help
    *,
    fault: Annotated[
        tuple[str, ...],
        cyclopts.Parameter(consume_multiple=True, help="Scenarios of the library, by id."),
    ] = (),
    scenario: Annotated[
        tuple[Path, ...], cyclopts.Parameter(consume_multiple=True, help="Scenario files.")
    ] = (),
    rate: Annotated[float | None, cyclopts.Parameter(help="Shoppers a second, for all.")] = None,
    severity: Annotated[
        float | None, cyclopts.Parameter(help="Multiplies every severity, 0 to 1.")
    ] = None,
    seeds: Annotated[int, cyclopts.Parameter(help="How often each is played.")] = 1,
    jobs: Annotated[int, cyclopts.Parameter(help="How many are played at once.")] = 2,
    rivals: Annotated[
        bool, cyclopts.Parameter(negative="", help="Score simpler rules on the same runs.")
    ] = False,
    report: Annotated[
        Path | None, cyclopts.Parameter(help="A folder: write a page with plots into it.")
    ] = None,
    json: Annotated[bool, cyclopts.Parameter(negative="", help="Print JSON.")] = False,
) -> int:
    """Play scenarios and compare what the service says with the truth.

    Exits with 1 where a verdict was wrong, a quiet scenario paged, or traffic moved wrongly.
    Examples: `./dev prove --fault F20 F28`, `./dev prove --scenario mine.toml --seeds 5`.
    """
    try:
        scenarios = [scaled(one, rate, severity) for one in chosen(fault, scenario)]
    except TollkeeperError as error:
        progress.print(f"{error.code}: {error.detail}", soft_wrap=True, markup=False)
        return MISUSE
    cases = [Case(one, seed, rivals) for one in scenarios for seed in range(1, seeds + 1)]
    runs = _play_all(cases, jobs)
    marks = [run.mark for run in runs]
    found = score(marks)
    others = rival_scores(runs)
    if report is not None:
        progress.print(f"written: {write(report, runs, found, others)}", markup=False)
    if json:
        said = {f"{one.mark.scenario}/{one.mark.seed}": one.played.rivals for one in runs}
        body = msgspec.json.encode(
            {"score": found, "marks": marks, "rivals": others, "rivals_said": said}
        )
        sys.stdout.write(msgspec.json.format(body).decode() + "\n")
    else:
        show(marks, found)
        show_rivals(found, others)
    if rivals and missing():
        progress.print(f"{NAME} is left out: {', '.join(missing())} not installed", markup=False)
    wrong = any(not one.right for one in marks if one.truth != "none" and one.valid)
    return int(wrong or found.false_pages > 0 or found.wrong_moves > 0)


def _play_all(cases: list[Case], jobs: int) -> list[Run]:
    runs = []
    with ProcessPoolExecutor(max_workers=max(1, jobs)) as pool:
        running = {pool.submit(play, case): case for case in cases}
        for number, done in enumerate(as_completed(running), 1):
            case = running[done]
            try:
                runs.append(run_of(case.scenario, done.result()))
            except Exception as error:  # noqa: BLE001 - one case must not end the others
                progress.print(f"{case.scenario.id} was not played: {error!r}", markup=False)
                continue
            last = runs[-1].mark
            progress.print(
                f"{number} of {len(cases)}: {last.scenario} ({last.truth}): {last.said}"
                f" after {last.attributed_seconds} s, {'right' if last.right else '-'}",
                markup=False,
            )
    return sorted(runs, key=lambda one: (one.mark.scenario, one.mark.seed))


def show(marks: list[Mark], found: Score) -> None:
    """The marks and the score as tables."""
    table = Table(box=None, pad_edge=False)
    for name in ("scenario", "truth", "said first", "detected s", "said s", "right", "grounded",
                 "pointer", "move", "valid", "in words"):  # fmt: skip
        table.add_column(name, no_wrap=name == "scenario", overflow="fold")
    for one in marks:
        table.add_row(
            one.scenario, one.truth, one.said, _shown(one.detected_seconds),
            _shown(one.attributed_seconds), _yes(one.right), _yes(one.grounded),
            _yes(one.pointer_right), "WRONG" if one.wrong_move else "", _yes(one.valid), one.says,
        )  # fmt: skip
    console.print(table)
    for name, value in msgspec.structs.asdict(found).items():
        console.print(f"{name:16} {value}")


def show_rivals(ours: Score, others: dict[str, Score]) -> None:
    """Our score beside those of the rivals, on the same runs; nothing where none ran."""
    if not others:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("who", "detected", "after s (p50)", "right", "sure or first, and wrong",
                 "false pages"):  # fmt: skip
        table.add_column(name)
    for name, one in {"Tollkeeper": ours, **others}.items():
        table.add_row(
            name, f"{one.detected:.0%}", _shown(one.detected_p50),
            f"{one.top_1 * one.detected:.0%}", f"{one.sure_and_wrong * one.detected:.0%}",
            str(one.false_pages),
        )  # fmt: skip
    console.print(table)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _yes(value: object) -> str:
    return "-" if value is None else ("yes" if value else "no")


if __name__ == "__main__":
    sys.exit(app())
