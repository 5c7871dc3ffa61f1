"""Draws `docs/pictures/rooms.svg`: the rooms of the house, top to bottom, and who imports whom.

An import of a part in the next row is one line from box to box. All other imports of a layer share
one track at the left, which leads into every part that the layer imports. The counts come from the
code. They are rounded, so that the picture changes when the house does and not with every commit.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

import grimp

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "tollkeeper"

BANDS: Final = (
    ("doors", ("api", "cli", "dashboard")),
    ("root", ("app",)),
    ("flows", ("flows",)),
    ("plumbing", ("store", "wire", "notify", "jobs")),
    ("rooms", ("reviews", "providers", "incidents")),
    ("rooms", ("rollouts", "failover")),
    ("rooms", ("signals", "contracts")),
    ("rooms", ("routing", "integrations")),
    ("rooms", ("payments",)),
    ("ground", ("settings", "kernel")),
)
"""Layers of the service from top to bottom, each with its parts from left to right. Neighbors of
one name are one band."""

BESIDE: Final = ("testing", "proving", "simulator")
"""Programs beside the service."""

PURPOSE: Final = {
    "api": "HTTP",
    "cli": "the command line",
    "dashboard": "pages for operators",
    "app": "joins everything",
    "flows": "gather, decide, record",
    "store": "SQLite, PostgreSQL",
    "wire": "HTTP to providers",
    "notify": "messages to people",
    "jobs": "durable work",
    "reviews": "what an incident teaches",
    "incidents": "who must act, by when",
    "signals": "whose side broke",
    "rollouts": "advance or roll back",
    "failover": "move by proof",
    "contracts": "will this update break us?",
    "routing": "which version takes it",
    "integrations": "provider versions",
    "providers": "contacts and notices",
    "payments": "statuses, outcomes, settlement",
    "settings": "every default",
    "kernel": "money, ids, clock, errors",
    "testing": "for tests: harnesses, plugin",
    "proving": "simulation, kill, drills",
    "simulator": "a provider to break",
}
"""One line about each part."""

SHARED: Final = {"live", "ports"}
"""Folders of the flows that are no features."""

WIDTH: Final = 1080
TOP: Final = 34
LEFT: Final = 186
RIGHT: Final = 832
"""Between these two stand the service's boxes; tracks run left of them, programs right of them."""
TRACKS: Final = {"doors": 108, "root": 122, "flows": 136, "plumbing": 150, "rooms": 164}
"""Layer to the place of its track. The one that reaches farthest is outermost."""
LANES: Final = {"doors": 32, "root": 26, "flows": 20, "plumbing": 14, "rooms": 8}
"""Layer to the height above a row at which its track turns into that row."""
BOX: Final = 62
GAP: Final = 20
ROW_GAP: Final = 58
PAD: Final = 12
TIP: Final = 5
SIDE: Final = RIGHT + 28
THIN: Final = (5, 20)
"""Below the first number of imports a line is thin, from the second on it is thick."""

STYLE: Final = """
svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.page { fill: #ffffff; } .band { fill: #f3f4f7; } .name { fill: #1b2430; font-weight: 600; }
.box { fill: #ffffff; stroke: #c3cad6; } .note, .title { fill: #5b6675; } .lines { fill: #8a94a3; }
.edge { fill: none; }
.doors { stroke: #2f6fde; } .root { stroke: #b0700a; } .flows { stroke: #11806a; }
.plumbing { stroke: #8446c6; } .rooms { stroke: #c23a5e; } .beside { stroke: #77818f; }
.tip { stroke: none; }
.doors.tip { fill: #2f6fde; } .root.tip { fill: #b0700a; } .flows.tip { fill: #11806a; }
.plumbing.tip { fill: #8446c6; } .rooms.tip { fill: #c23a5e; } .beside.tip { fill: #77818f; }
.ground { stroke: #77818f; } .mark { stroke-width: 4; }
@media (prefers-color-scheme: dark) {
.page { fill: #0f141b; } .band { fill: #171e28; } .name { fill: #e8edf4; }
.box { fill: #0f141b; stroke: #3a4656; } .note, .title { fill: #a3afbf; } .lines { fill: #7d899a; }

.doors { stroke: #6fa3ff; } .root { stroke: #e0a341; } .flows { stroke: #3fc3a4; }
.plumbing { stroke: #b98af0; } .rooms { stroke: #f07c99; } .beside { stroke: #8b96a6; }
.doors.tip { fill: #6fa3ff; } .root.tip { fill: #e0a341; } .flows.tip { fill: #3fc3a4; }
.plumbing.tip { fill: #b98af0; } .rooms.tip { fill: #f07c99; } .beside.tip { fill: #8b96a6; }

}
"""


class Box(NamedTuple):
    name: str
    layer: str
    row: int
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class Edge(NamedTuple):
    source: str
    target: str
    statements: int


class Port(NamedTuple):
    """Where a line meets a box. `other` is the box at the other end, or the layer of a track."""

    box: str
    other: str


def svg() -> str:
    """The whole picture."""
    sizes = lines_of(ROOT / "src" / PACKAGE)
    boxes = _boxes(set(sizes))
    bottom = max(box.y for box in boxes.values()) + BOX + PAD
    height = bottom + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" '
        'aria-label="The rooms of Tollkeeper and their imports">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="12"/>',
        *_bands(boxes),
        *_lines(boxes, imports()),
        *(_box(box, sizes[box.name]) for box in boxes.values()),
        *_beside(sizes, bottom),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def imports() -> list[Edge]:
    """Every pair of parts of which one imports the other, with the number of import statements."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    found = Counter[tuple[str, str]]()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = _part(module), _part(imported)
            if "" not in pair and pair[0] != pair[1]:
                found[pair] += 1
    return [Edge(*pair, count) for pair, count in sorted(found.items())]


def _part(module: str) -> str:
    """The top-level part of a module; empty for the package itself and its `__main__`."""
    names = module.split(".")
    return names[1] if len(names) > 1 and not names[1].startswith("__") else ""


def lines_of(package: Path) -> dict[str, int]:
    """Part to its lines of Python."""
    found = Counter[str]()
    for path in package.rglob("*.py"):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if not part.startswith("__"):
            found[part] += len(path.read_text("utf-8").splitlines())
    return found


def undrawn() -> set[str]:
    """Parts of the house, in the code or in the floor plan, that have no place in the picture."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["id"] == "floors")
    planned = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    drawn = {name for _, names in BANDS for name in names} | {*BESIDE}
    return (planned | set(lines_of(ROOT / "src" / PACKAGE))) - drawn - {"__main__"}


def _boxes(present: set[str]) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    rows = [(layer, [n for n in names if n in present]) for layer, names in BANDS]
    for row, (layer, names) in enumerate(item for item in rows if item[1]):
        width = min(250.0, (RIGHT - LEFT - GAP * (len(names) - 1)) / len(names))
        if len(names) == 1:
            width = float(RIGHT - LEFT) if names == ["flows"] else 400.0
        x = LEFT + (RIGHT - LEFT - width * len(names) - GAP * (len(names) - 1)) / 2
        for name in names:
            boxes[name] = Box(name, layer, row, x, TOP + row * (BOX + ROW_GAP), width)
            x += width + GAP
    return boxes


def _bands(boxes: dict[str, Box]) -> Iterator[str]:
    for layer in dict.fromkeys(box.layer for box in boxes.values()):
        mine = [box.y for box in boxes.values() if box.layer == layer]
        top, bottom = min(mine) - PAD, max(mine) + BOX + PAD
        yield (
            f'<rect class="band" x="12" y="{top}" width="{RIGHT}" height="{bottom - top}" rx="10"/>'
            f'<line class="{layer} mark" x1="14" x2="14" y1="{top + 10}" y2="{bottom - 10}"/>'
            f'<text class="title" x="26" y="{(top + bottom) / 2 + 4:.0f}" font-size="13">'
            f"{layer}</text>"
        )


def _box(box: Box, lines: int) -> str:
    right, name, note = box.x + box.width - 12, box.y + 25, box.y + 46
    return (
        f'<rect class="box" x="{box.x:.0f}" y="{box.y}" width="{box.width:.0f}" height="{BOX}" '
        f'rx="8"/><text class="name" x="{box.x + 12:.0f}" y="{name}" font-size="15">{box.name}'
        f'</text><text class="lines" x="{right:.0f}" y="{name}" font-size="11" '
        f'text-anchor="end">{rounded(lines)}</text><text class="note" x="{box.x + 12:.0f}" '
        f'y="{note}" font-size="11.5">{escape(_note(box.name))}</text>'
    )


def _note(name: str) -> str:
    """A part's purpose; of the flows also their features, which are folders."""
    folders = (ROOT / "src" / PACKAGE / name).glob("*/__init__.py")
    names = {path.parent.name for path in folders} - SHARED
    features = sorted(names) if name == "flows" else []
    return ": ".join(filter(None, (PURPOSE[name], " · ".join(features))))


def rounded(lines: int) -> str:
    """A number of lines, to half a thousand, or to a hundred where it is small."""
    if lines < 950:
        return f"{max(100, round(lines, -2))} lines"
    return f"{round(lines / 500) / 2:g}k lines"


def _lines(boxes: dict[str, Box], edges: list[Edge]) -> Iterator[str]:
    """Every import but those of the ground, which every part imports, and of the programs."""
    drawn = [e for e in edges if e.source in boxes and boxes[e.target].layer != "ground"]
    near = [e for e in drawn if abs(boxes[e.target].row - boxes[e.source].row) == 1]
    far = [e for e in drawn if e not in near]
    ports = _ports(boxes, near, far)
    for layer in TRACKS:
        mine = [edge for edge in far if boxes[edge.source].layer == layer]
        if mine:
            yield from _track(layer, mine, boxes, ports)
    for edge in near:
        yield _curve(edge, boxes, ports)


def _ports(boxes: dict[str, Box], near: list[Edge], far: list[Edge]) -> dict[Port, float]:
    """Places along a box: first tracks, then boxes from left to right, so that few lines cross."""
    top: dict[str, list[tuple[float, Port]]] = {}
    low: dict[str, list[tuple[float, Port]]] = {}
    for source, target in sorted({(boxes[e.source].layer, e.target) for e in far}):
        top.setdefault(target, []).append((-LANES[source], Port(target, source)))
    for name in sorted({edge.source for edge in far}):
        low.setdefault(name, []).append((0, Port(name, boxes[name].layer)))
    for edge in near:
        down = boxes[edge.source].row < boxes[edge.target].row
        for mine, other, sides in (
            (edge.source, edge.target, low if down else top),
            (edge.target, edge.source, top if down else low),
        ):
            sides.setdefault(mine, []).append((boxes[other].middle, Port(mine, other)))
    return {
        port: boxes[name].x + boxes[name].width * (number + 1) / (len(found) + 1)
        for sides in (top, low)
        for name, found in sides.items()
        for number, (_, port) in enumerate(sorted(found))
    }


def _track(
    layer: str, edges: list[Edge], boxes: dict[str, Box], ports: dict[Port, float]
) -> Iterator[str]:
    """The shared line of a layer: out of its boxes, down at the left, into what they import."""
    x = TRACKS[layer]
    lanes = []
    for name in sorted({edge.source for edge in edges}):
        out, y = ports[Port(name, layer)], boxes[name].y + BOX
        lanes.append(y + 10)
        yield _path(layer, 1.6, f"M{out:.0f} {y}v4q0 6 -6 6H{x + 8}q-8 0 -8 8")
    for name in sorted({edge.target for edge in edges}):
        into, y = ports[Port(name, layer)], boxes[name].y - LANES[layer]
        count = sum(edge.statements for edge in edges if edge.target == name)
        lanes.append(y - 8)
        yield _path(
            layer,
            _width(count),
            f"M{x} {y - 8}q0 8 8 8H{into - 6:.0f}q6 0 6 6V{boxes[name].y - TIP}",
        )
        yield _tip(layer, into, boxes[name].y)
    yield _path(layer, 2.4, f"M{x} {min(lanes) + 8}V{max(lanes)}")


def _curve(edge: Edge, boxes: dict[str, Box], ports: dict[Port, float]) -> str:
    source, target = boxes[edge.source], boxes[edge.target]
    down = source.row < target.row
    x1, x2 = ports[Port(edge.source, edge.target)], ports[Port(edge.target, edge.source)]
    y1 = source.y + (BOX if down else 0)
    y2 = target.y - TIP if down else target.y + BOX + TIP
    bend = 26 if down else -26
    path = f"M{x1:.0f} {y1}C{x1:.0f} {y1 + bend} {x2:.0f} {y2 - bend} {x2:.0f} {y2}"
    drawn = _path(source.layer, _width(edge.statements), path, dashed=not down)
    return drawn + _tip(source.layer, x2, target.y if down else target.y + BOX, down=down)


def _path(layer: str, width: float, path: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path class="edge {layer}" stroke-width="{width}"{dash} d="{path}"/>'


def _tip(layer: str, x: float, y: float, *, down: bool = True) -> str:
    sign = -1 if down else 1
    return f'<path class="{layer} tip" d="M{x:.0f} {y}l-4 {sign * 7}h8z"/>'


def _width(count: int) -> float:
    return 1.2 if count < THIN[0] else 2.0 if count < THIN[1] else 3.0


def _beside(sizes: dict[str, int], bottom: float) -> Iterator[str]:
    """The programs beside the service, and how to read the picture."""
    width = WIDTH - SIDE - 12
    yield (
        f'<rect class="band" x="{SIDE}" y="{TOP - PAD}" width="{width}" '
        f'height="{bottom - TOP + PAD}" rx="10"/>'
    )
    y = TOP + 10
    yield _words(y, "programs beside the service")
    for name in BESIDE:
        if name in sizes:
            yield _box(Box(name, "beside", 0, SIDE + 12, y + 14, width - 24), sizes[name])
            y += BOX + 16
    y += 44
    for line in LEGEND:
        yield _words(y, line)
        y += 18 if line else 8
    for layer in TRACKS:
        yield (
            f'<line class="{layer}" stroke-width="3" x1="{SIDE + 12}" x2="{SIDE + 34}" '
            f'y1="{y + 6}" y2="{y + 6}"/>'
            f'<text class="note" x="{SIDE + 42}" y="{y + 10}" font-size="12">{layer}</text>'
        )
        y += 20


def _words(y: float, text: str) -> str:
    return f'<text class="note" x="{SIDE + 12}" y="{y}" font-size="11.5">{escape(text)}</text>'


LEGEND: Final = (
    "A line is an import. It has the",
    "color of the layer that imports;",
    "a thick line is many imports.",
    "",
    "Dashed: plumbing imports only",
    "the ports that flows declare.",
    "",
    "Left out: every part imports the",
    "ground; testing imports what it",
    "drives; the simulator imports",
    "nothing but the kernel.",
    "",
)


if __name__ == "__main__":
    print(svg(), end="")
