"""The report of `./dev prove --report FOLDER`: one HTML file that needs nothing else.

Law: no script, no resource from elsewhere; each picture has its numbers in a table beside it, and
whatever a scenario file says is escaped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from tollkeeper.proving.scoring import Mark, Run, Score

FILE: Final = "report.html"
WIDTH: Final = 760
HEIGHT: Final = 150
LEFT: Final = 40
BELOW: Final = 22
BUCKET_S: Final = 5
"""Seconds that a point of the series stands for: at two shoppers a second it has ten of them."""

STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; font-size: .86rem; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #e3e6ea;
  vertical-align: top; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } details { margin: .3rem 0; }
summary { cursor: pointer; color: #57606a; font-size: .86rem; }
.right { color: #116329; } .wrong { color: #a40e26; } .mute { color: #57606a; }
svg text { font: 11px system-ui, sans-serif; fill: #57606a; }
"""

MARKS: Final = (("fault", "#a40e26"), ("alarm", "#9a6700"), ("verdict", "#0550ae"),
                ("move", "#116329"))  # fmt: skip
"""What is marked on a series, and its color; each has its word beside it as well."""


def write(folder: Path, runs: Sequence[Run], ours: Score, others: Mapping[str, Score]) -> Path:
    """Writes the report into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(page(runs, ours, others), encoding="utf-8")
    return path


def page(runs: Sequence[Run], ours: Score, others: Mapping[str, Score]) -> str:
    """The whole page."""
    body = [
        f"<h1>{len(runs)} scenarios, played for real</h1>",
        _scores(ours, others),
        _summary(runs),
        *(_section(run) for run in runs),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Tollkeeper: proving report</title><style>{STYLE}</style></head><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


class Markup(str):
    """Text that is markup of ours; all other text is escaped."""

    __slots__ = ()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = [f"<tr>{''.join(f'<td>{_cell(text)}</td>' for text in row)}</tr>" for row in rows]
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:g} s"


def _verdict(one: Mark) -> Markup:
    if one.truth == "none":
        kind, word = ("wrong", "false page") if one.false_page else ("right", "silent")
    elif not one.valid:
        kind, word = "mute", "not valid: shoppers noticed nothing"
    elif one.said == "nothing":
        kind, word = "wrong", "missed"
    else:
        kind, word = ("right", "right") if one.right else ("wrong", "wrong")
    return Markup(f'<span class="{kind}">{word}</span>')


def _scores(ours: Score, others: Mapping[str, Score]) -> str:
    rows = [
        (
            name, f"{one.detected:.0%}", _seconds(one.detected_p50), _seconds(one.attributed_p50),
            f"{one.top_1 * one.detected:.0%}", str(one.false_pages),
        )
        for name, one in {"Tollkeeper": ours, **others}.items()
    ]  # fmt: skip
    head = ("who", "detected", "after (p50)", "named a cause after (p50)", "right", "false pages")
    return "<h2>Score</h2>" + _table(head, rows)


def _summary(runs: Iterable[Run]) -> str:
    rows = [
        (
            Markup(f'<a href="#{_anchor(run)}">{escape(run.mark.scenario)}</a>'),
            str(run.mark.seed), run.mark.truth, run.mark.said, _seconds(run.mark.detected_seconds),
            _seconds(run.mark.attributed_seconds), _verdict(run.mark),
            "WRONG" if run.mark.wrong_move else ("yes" if run.played.moves else "-"),
        )
        for run in runs
    ]  # fmt: skip
    head = ("scenario", "seed", "truth", "said first", "detected", "said", "verdict", "moved")
    return "<h2>Scenarios</h2>" + _table(head, rows)


def _anchor(run: Run) -> str:
    return f"{run.mark.scenario}-{run.mark.seed}"


def _section(run: Run) -> str:
    one = run.mark
    lines = [
        f'<h2 id="{_anchor(run)}">{escape(one.scenario)}: {escape(run.scenario.title)}</h2>',
        f"<p>{_verdict(one)} {escape(one.says or 'Nothing was said.')}</p>",
        series_picture(run),
        _series_table(run),
    ]
    if run.rivals:
        lines.append(_rivals(run))
    return "\n".join(lines)


def _rivals(run: Run) -> str:
    rows = [
        (name, _seconds(one.detected_seconds), one.said, _verdict(one), one.says)
        for name, one in {"Tollkeeper": run.mark, **run.rivals}.items()
    ]
    return _table(("who", "detected", "said", "verdict", "because"), rows)


def points(run: Run) -> list[tuple[int, int, int]]:
    """The series: from which second, how many shoppers, how many of them were served well."""
    sums: dict[int, list[int]] = {}
    for second, shoppers, bad in run.played.seen:
        found = sums.setdefault(second // BUCKET_S * BUCKET_S, [0, 0])
        found[0] += shoppers
        found[1] += shoppers - bad
    return [(second, sums[second][0], sums[second][1]) for second in sorted(sums)]


def events(run: Run) -> list[tuple[str, float]]:
    """What is marked: when the fault began, the first alarm, the first verdict, the first move."""
    one = run.mark
    moves = run.played.moved_seconds
    found = (
        ("fault", 0.0 if run.scenario.fault else None), ("alarm", one.detected_seconds),
        ("verdict", one.attributed_seconds), ("move", moves[0] if moves else None),
    )  # fmt: skip
    return [(name, at) for name, at in found if at is not None]


def series_picture(run: Run) -> str:
    """The share of shoppers that were served well, as SVG with what happened when."""
    found = points(run)
    if not found:
        return '<p class="mute">No shopper came.</p>'
    first, last = found[0][0], found[-1][0] + BUCKET_S

    def x(second: float) -> float:
        return LEFT + (second - first) / (last - first) * (WIDTH - LEFT - 10)

    def y(share: float) -> float:
        return 14 + (1 - share) * (HEIGHT - BELOW - 14)

    path = " ".join(f"{x(s + BUCKET_S / 2):.1f},{y(good / n):.1f}" for s, n, good in found)
    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(share):.1f}" y2="{y(share):.1f}" '
        f'stroke="#e3e6ea"/><text x="4" y="{y(share) + 4:.1f}">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    parts.append(f'<polyline points="{path}" fill="none" stroke="#24292f" stroke-width="1.6"/>')
    parts += _marked(run, x)
    parts += [
        f'<text x="{x(second):.1f}" y="{HEIGHT - 6}">{second} s</text>'
        for second in range(-(-first // 30) * 30, last, 30)
    ]
    name = escape(f"{run.mark.scenario}: share of shoppers served well, by second of the fault")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{name}">{"".join(parts)}</svg>'
    )


def _marked(run: Run, x: Callable[[float], float]) -> list[str]:
    colors = dict(MARKS)
    parts = []
    for number, (name, at) in enumerate(events(run)):
        place, height = x(at), 12 + 13 * number
        parts.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="4" y2="{HEIGHT - BELOW}" '
            f'stroke="{colors[name]}" stroke-dasharray="4 3"/>'
            f'<text x="{place + 4:.1f}" y="{height}" style="fill: {colors[name]}">'
            f"{name} {at:g} s</text>"
        )
    return parts


def _series_table(run: Run) -> str:
    rows = [
        (f"{second} s", str(shoppers), str(good), f"{good / shoppers:.0%}")
        for second, shoppers, good in points(run)
    ]
    events_ = ", ".join(f"{name} at {at:g} s" for name, at in events(run)) or "nothing"
    table = _table(("from second", "shoppers", "served well", "share"), rows)
    return f"<details><summary>Numbers; {escape(events_)}</summary>{table}</details>"
