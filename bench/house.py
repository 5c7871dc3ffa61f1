"""The house in figures: sizes, what a new feature must touch, and the walk of a payment.

`./dev bench house` counts lines, long files and long functions, and follows a payment, a webhook
and a settlement through the code with `sys.setprofile`. With `--beside TREE` it does the same in
another checkout, in that checkout's own environment, and prints both with their ratio.
Example: `./dev bench house --beside ../before --json`
"""

import argparse
import ast
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

LONG_FILE, LONG_FUNCTION = 400, 60
OURS: Final = ("simulator", "testing")
"""Programs of their own, which no payment passes."""

CONSTRUCTS: Final = frozenset(
    {"<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<module>"}
)


def main() -> int:
    """Measures this tree, and another one beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", action="store_true", help="print this tree's figures alone")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(figures(Path.cwd())))
        return 0
    here = measured(Path.cwd())
    there = measured(asked.beside.resolve()) if asked.beside else None
    if asked.json:
        print(json.dumps({"here": here, "beside": there}, indent=1))
        return 0
    for name, value in here.items():
        before = there.get(name) if there else None
        ratio = f"  {value / before:.2f}x" if before else ""
        print(f"{name:52} {before if there else '':>8} {value:>8}{ratio}")
    return 0


def measured(tree: Path) -> dict[str, int]:
    """The figures of `tree`, taken by its own interpreter."""
    command = [str(tree / "dev"), "run", "python", str(Path(__file__).resolve()), "--measure"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tree} cannot be measured:\n{done.stderr}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(tree: Path) -> dict[str, int]:
    """Every figure of the tree in the current folder."""
    source = tree / "src" / "tollkeeper"
    found = sizes(source)
    found |= asyncio.run(walks(source))
    return found


# Sizes


def sizes(source: Path) -> dict[str, int]:
    """Lines, and what is long. The simulator and our own harnesses are left out."""
    files = [
        path
        for path in sorted(source.rglob("*.py"))
        if path.relative_to(source).parts[0] not in OURS and "migrations" not in path.parts
    ]
    lines = {path: len(path.read_text().splitlines()) for path in files}
    stripe = [p for p in files if p.parent.name == "stripe" and p.stem != "golden"]
    store = [p for p in files if "store" in p.relative_to(source).parts and _is_topic(p)]
    return {
        "lines in integrations/stripe": sum(lines[p] for p in stripe),
        "lines of store statements and forwarding": sum(lines[p] - _operating(p) for p in store),
        f"files over {LONG_FILE} lines": sum(count > LONG_FILE for count in lines.values()),
        f"functions over {LONG_FUNCTION} lines": sum(
            length > LONG_FUNCTION for path in files for length in _functions(path)
        ),
        "shared files that a new feature must touch": len(_shared(source)),
        "lines in all": sum(lines.values()),
    }


def _is_topic(path: Path) -> bool:
    plumbing = {"sqlite", "postgres", "migrate", "tables", "composing"}
    return path.stem not in plumbing


def _operating(path: Path) -> int:
    """Lines of operations: functions that yield statements."""
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
    )


def _functions(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def _shared(source: Path) -> list[str]:
    """Files that name every feature: its operations, its store, its jobs, its live state."""
    before = ("flows/ports.py", "store/facade.py", "flows/world.py", "app.py", "store/operations")
    now = ("flows/ports/__init__.py", "store/store.py", "app/service.py")
    common = ("store/tables.py",)
    return [name for name in (*before, *now, *common) if (source / name).exists()]


# Walks


class Trace:
    """Calls within the source, in their order: file and function."""

    def __init__(self, source: Path) -> None:
        self.source = str(source) + "/"
        self.calls: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(self.source):
            return
        name = path.removeprefix(self.source)
        if not name.startswith(OURS) and frame.f_code.co_name not in CONSTRUCTS:
            self.calls.append((name, frame.f_code.co_name))

    def summary(self, walk: str) -> dict[str, int]:
        """Functions, files, and moves from file to file and from room to room."""
        files = _runs(name for name, _ in self.calls)
        rooms = _runs(name.partition("/")[0] for name in files)
        return {
            f"{walk}: functions": len(set(self.calls)),
            f"{walk}: files": len(set(files)),
            f"{walk}: moves from file to file": len(files) - 1,
            f"{walk}: moves from room to room": len(rooms) - 1,
        }


def _runs(names: Iterator[str] | list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if not found or found[-1] != name:
            found.append(name)
    return found


async def walks(source: Path) -> dict[str, int]:
    """The walks of a payment, of the webhook about it, and of settling a lost reply."""
    sys.path.insert(0, str(source.parents[1]))
    from tests.flows.stage import stage  # noqa: PLC0415 - the tree that is measured has it

    found: dict[str, int] = {}

    async def walk(name: str, act: Callable[[], Awaitable[Any]]) -> None:
        trace = Trace(source)
        sys.setprofile(trace)
        try:
            await act()
        finally:
            sys.setprofile(None)
        found.update(trace.summary(name))

    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder)) as s:
            await s.create()  # what is made at first use is no part of a walk
            await walk("a payment", s.create)
    with tempfile.TemporaryDirectory() as folder:
        async with _without_rescue(stage, Path(folder)) as s:
            await s.create()
            s.wire.pull("POST /v1/payment_intents", "deaf")
            await s.create()
            await walk("settling a lost reply", lambda: s.work(60))
    return found


def _without_rescue(stage: Any, folder: Path) -> Any:
    """A stage whose payments are settled by the job; an older tree knows no other way."""
    from tollkeeper.settings import Settings  # noqa: PLC0415 - the tree's own

    known = "rescue_seconds" in Settings.__struct_fields__
    return stage(folder, rescue_seconds=0) if known else stage(folder)


if __name__ == "__main__":
    raise SystemExit(main())
