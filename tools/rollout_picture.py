"""Draws a rollout from its records: the share that it had, and the evidence for and against it.

The records are those of `tollkeeper rollout explain --json`; `./dev bench picture` makes a run and
calls this.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

WIDTH: Final = 1000
HEIGHT: Final = 500
LEFT: Final = 84
RIGHT: Final = 968
SHARES: Final = (92, 236)
WEALTH: Final = (300, 444)
"""Top and bottom of the two panels."""
LOWEST: Final = 0.01
"""Evidence below this is drawn at the bottom: it says the same."""
FAULT: Final = "the provider renames a field"

STYLE: Final = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.page { fill: #ffffff; } .panel { fill: #f3f4f7; } .grid { stroke: #dde1e8; }
.head { fill: #1b2430; font-weight: 600; } .note { fill: #5b6675; }
.share { fill: #2f6fde; fill-opacity: .18; stroke: #2f6fde; stroke-width: 2; }
.wealth { fill: none; stroke: #11806a; stroke-width: 2; stroke-linejoin: round; }
.limit { stroke: #c23a5e; stroke-width: 1.5; stroke-dasharray: 6 4; }
.bad { fill: #c23a5e; } .fault { stroke: #b0700a; stroke-width: 1.5; } .late { fill: #b0700a; }
@media (prefers-color-scheme: dark) {
.page { fill: #0f141b; } .panel { fill: #171e28; } .grid { stroke: #2b3543; }
.head { fill: #e8edf4; } .note { fill: #a3afbf; }
.share { fill: #6fa3ff; stroke: #6fa3ff; } .wealth { stroke: #3fc3a4; }
.limit { stroke: #f07c99; } .bad { fill: #f07c99; }
.fault { stroke: #e0a341; } .late { fill: #e0a341; }
}
"""


class Moment(NamedTuple):
    """One record: seconds since the start, the share in percent, the wealth, failing payments."""

    seconds: float
    share: float
    wealth: float
    failing: int


class Scale(NamedTuple):
    """From seconds to a place on the picture."""

    longest: float

    def __call__(self, seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(max(seconds, 0.0), self.longest) / self.longest


def svg(story: dict[str, Any]) -> str:
    """The picture of one rollout. `story` has `rollout`, `records`, `broken_ms` and `rate`."""
    rollout = story["rollout"]
    moments = list(moments_of(story["records"], rollout["created_ms"]))
    broken = (story["broken_ms"] - rollout["created_ms"]) / 1000
    ended = next((m.seconds for m in moments if m.seconds > broken and m.share == 0), None)
    x = Scale(max(broken, ended or 0.0) * 1.1)
    boundary = 1 / rollout["plan"]["alpha"]
    failing = sum(m.failing for m in moments if m.seconds >= broken)
    title = (
        f"{rollout['candidate']} against {rollout['baseline']}, {story['rate']:g} payments a second"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
        _text(24, 34, title, "head", size=16),
        *_shares(moments, x, broken),
        *_wealth(moments, x, boundary),
        *_time(x),
        *_fault(x, broken, ended, failing),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def moments_of(records: Iterable[dict[str, Any]], start_ms: int) -> Iterator[Moment]:
    """The records that a picture shows."""
    for record in records:
        tallies = record.get("tallies") or {}
        failing = [tally.get("canary_bad", 0) for tally in tallies.get("failure", ())]
        yield Moment(
            seconds=(record["at_ms"] - start_ms) / 1000,
            share=record["share_ppm"] / 10_000,
            wealth=record.get("wealth") or 1.0,
            failing=sum(failing),
        )


def _shares(moments: list[Moment], x: Scale, broken: float) -> Iterator[str]:
    top, bottom = SHARES
    highest = max(m.share for m in moments) * 1.15

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / highest

    yield _panel(SHARES, "share of new payments that may go to the new version")
    for share in sorted({m.share for m in moments if m.share >= highest / 8}):
        yield _grid(y(share), f"{share:g} %")
    path = f"M{x(0):.1f} {bottom}"
    for moment in moments:
        path += f"H{x(moment.seconds):.1f}V{y(moment.share):.1f}"
    yield f'<path class="share" d="{path}H{RIGHT}V{bottom}"/>'
    first = next((m for m in moments if m.share > 0), None)
    if first is not None:
        said = f"begins at {first.share:g} %"
        yield _text(x(first.seconds) + 8, y(first.share) - 8, said, "note")
    later = [m for m in moments if m.seconds > broken]
    before = max((m.share for m in moments if m.seconds <= broken), default=0.0)
    held = next((m for m in later if 0 < m.share < before), None)
    if held is not None:
        said = f"suspected: {held.share:g} %"
        yield _text(x(held.seconds) + 8, y(held.share) - 8, said, "note")


def _wealth(moments: list[Moment], x: Scale, boundary: float) -> Iterator[str]:
    top, bottom = WEALTH
    high = math.log10(boundary * 4)
    low = math.log10(LOWEST)

    def y(wealth: float) -> float:
        level = (math.log10(max(wealth, LOWEST)) - low) / (high - low)
        return bottom - (bottom - top) * min(level, 1.0)

    yield _panel(WEALTH, "evidence that the new version is worse (logarithmic)")
    for value in (0.1, 1.0, 10.0):
        yield _grid(y(value), f"{value:g}")
    yield (
        f'<line class="limit" x1="{LEFT}" x2="{RIGHT}" y1="{y(boundary):.1f}" '
        f'y2="{y(boundary):.1f}"/>'
    )
    yield _text(LEFT - 10, y(boundary) + 4, f"{boundary:g}", "bad", anchor="end")
    yield _text(LEFT + 8, y(boundary) - 6, "boundary: roll back", "bad")
    seen = [m for m in moments if m.wealth]
    points = " ".join(f"{x(m.seconds):.1f},{y(m.wealth):.1f}" for m in seen)
    yield f'<polyline class="wealth" points="{points}"/>'
    for moment in seen:
        if moment.failing:
            yield (
                f'<circle class="bad" cx="{x(moment.seconds):.1f}" cy="{y(moment.wealth):.1f}" '
                f'r="{2.5 + 1.5 * math.sqrt(moment.failing):.1f}"/>'
            )


def _time(x: Scale) -> Iterator[str]:
    step = next(s for s in (10, 30, 60, 120, 300, 600, 1800) if x.longest / s <= 10)
    for number in range(int(x.longest // step) + 1):
        at = number * step
        yield _text(x(at), WEALTH[1] + 20, f"{at // 60}:{at % 60:02d}", "note", anchor="middle")
    yield _text(LEFT, WEALTH[1] + 40, "minutes since the start; red: failing payments", "note")


def _fault(x: Scale, broken: float, ended: float | None, failing: int) -> Iterator[str]:
    at = x(broken)
    yield (
        f'<line class="fault" x1="{at:.1f}" x2="{at:.1f}" y1="{SHARES[0] - 22}" y2="{WEALTH[1]}"/>'
    )
    yield _text(at - 8, SHARES[0] - 12, FAULT, "late", anchor="end")
    if ended is not None:
        said = f"rolled back {ended - broken:.1f} s later, after {failing} failing payments"
        yield _text(RIGHT, WEALTH[1] + 40, said, "head", anchor="end")


def _panel(place: tuple[int, int], title: str) -> str:
    top, bottom = place
    return (
        f'<rect class="panel" x="{LEFT}" y="{top}" width="{RIGHT - LEFT}" '
        f'height="{bottom - top}"/>' + _text(LEFT, top - 12, title, "note")
    )


def _grid(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(LEFT - 10, y + 4, label, "note", anchor="end")


def _text(
    x: float, y: float, text: str, kind: str, *, size: float = 12.5, anchor: str = "start"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
