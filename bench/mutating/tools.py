"""Other tools on a sample of the same mutants, and on the whole Stripe pair: from npm, in a folder
of their own. None of them knows what is used, but the one that wants a pact, which is made of the
usage here. Ours is measured as the same kind of process, on the same files.
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mutating.pacts import pact_of
from tollkeeper.contracts.description import Description
from tollkeeper.contracts.usage import Usage

LIMIT_S = 30
"""For one pair of the sample; whoever is not done by then has no answer."""

WHOLE_LIMIT_S = 60
WHOLE = ("stripe-2022-08-01.json", "stripe-2022-11-15.json")
MEASURED = Path(__file__).parent / "measured.py"
OURS = (sys.executable, "-m", "tollkeeper", "contracts", "check")


class Planted(msgspec.Struct, frozen=True):
    """One mutant as files: `least` is the least right severity, `used` whether usage names the
    place."""

    base: str
    text: bytes
    document: dict[str, Any]
    usage: Usage
    least: str
    used: bool

    def group(self) -> str:
        """Which row of the table it counts in."""
        if self.least == "neutral":
            return "neutral twin" if self.used else "break at an unused place"
        return "break at a used place"


class Done(msgspec.Struct, frozen=True):
    """How a process ended; `exit` is `None` where it was stopped at the limit."""

    exit: int | None
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float
    peak_mb: float


class Files(msgspec.Struct, frozen=True):
    """What a comparison may read."""

    old: Path
    new: Path
    usage: Path
    pact: Path


type Answer = bool | None
"""Whether the tool reports a break; `None` where it says nothing."""


class Tool(msgspec.Struct, frozen=True):
    """A tool's command for some files, and how its answer is read."""

    command: Callable[[Files], list[Any]]
    reads: Callable[[Done], Answer]
    compares: bool = True


def tools(folder: Path) -> dict[str, Tool]:
    """Every tool that installs, and ours."""
    bins = folder.resolve() / "node_modules" / ".bin"
    return {
        "tollkeeper contracts check": Tool(
            lambda f: [*OURS, "--usage", f.usage, "--old", f.old, "--new", f.new,
                       "--format", "json"], ours),
        "@redocly/cli diff": Tool(lambda f: [bins / "redocly", "diff", f.old, f.new], redocly),
        "openapi-diff": Tool(lambda f: [bins / "openapi-diff", f.old, f.new], openapi_diff),
        "@useoptic/optic diff": Tool(
            lambda f: [bins / "optic", "diff", f.old, f.new, "--check"], optic),
        "@pactflow/openapi-pact-comparator": Tool(
            lambda f: [bins / "openapi-pact-comparator", f.new, f.pact], pact, compares=False),
    }  # fmt: skip


def ours(done: Done) -> Answer:
    """Whatever is new and not harmless; exit 0 and 1 are answers."""
    if done.exit not in {0, 1}:
        return None
    found = json.loads(done.stdout)["findings"]
    return any(f["severity"] != "harmless" and not f["standing"] for f in found)


def openapi_diff(done: Done) -> Answer:
    """Exit 0 without and 1 with breaking differences, which it also says; 1 for trouble, too."""
    if '"breakingDifferencesFound": true' in done.stdout:
        return True
    fine = done.exit == 0
    said = "No changes found" in done.stdout or '"breakingDifferencesFound": false' in done.stdout
    return False if fine and said else None


def redocly(done: Done) -> Answer:
    """It ends with how many changes want a major version: `1 major, 0 minor, 2 patch.`"""
    found = re.search(r"^(\d+) major, \d+ minor, \d+ patch", done.stdout, re.MULTILINE)
    if found is None:
        return False if done.exit == 0 and "No changes" in done.stdout + done.stderr else None
    return int(found[1]) > 0


def optic(done: Done) -> Answer:
    """It counts its checks (`x  Checks: 0/6 passed`), or says that nothing changed."""
    text = done.stdout + done.stderr
    found = re.search(r"Checks: (\d+)/(\d+) passed", text)
    if found is not None:
        return found[1] != found[2]
    return False if "No operations changed" in text else None


def pact(done: Done) -> Answer:
    """One line of JSON for the pact; the exit code counts pacts with errors."""
    return bool(pact_errors(done)) if done.exit in {0, 1} and done.stdout else None


def pact_errors(done: Done) -> set[str]:
    """What the comparator calls errors: the code, the place in the pact and the sentence."""
    found: set[str] = set()
    for line in done.stdout.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found |= {
                f"{e['code']} {e['mockDetails']['location']} {e['message']}"
                for e in json.loads(line)
                if e["type"] == "error"
            }
    return found


def compare(folder: Path, sample: list[Planted], home: Path) -> dict[str, Any]:
    """What each tool says of the sample and what it costs there, and on the whole Stripe pair."""
    told: dict[str, Any] = {
        "jsonschema-rs": "validates instances; it has no containment of schemas: not comparable",
    }
    for name, tool in tools(folder).items():
        began = time.perf_counter()
        told[name] = _on_sample(tool, sample)
        told[name]["whole Stripe pair"] = _whole(tool, home)
        seconds = time.perf_counter() - began
        print(f"  {name}: {len(sample)} mutants in {seconds:.0f} s", file=sys.stderr)
    return told


def whole_text(document: Any) -> str:
    """The text as the tools want it: replies with the description that the data leaves out."""
    ahead = [document]
    while ahead:
        item = ahead.pop()
        if isinstance(item, dict):
            replies = item.get("responses")
            for reply in replies.values() if isinstance(replies, dict) else ():
                if isinstance(reply, dict) and "$ref" not in reply:
                    reply.setdefault("description", "")
            ahead += item.values()
        elif isinstance(item, list):
            ahead += item
    document.setdefault("info", {}).setdefault("title", "title")
    return json.dumps(document)


def _on_sample(tool: Tool, sample: list[Planted]) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {}
    costs: list[Done] = []
    known: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        names = ("old.json", "new.json", "usage.json", "pact.json")
        files = Files(*(Path(folder) / name for name in names))
        for planted in sample:
            _write(files, planted)
            if not tool.compares and planted.base not in known:
                files.new.write_text(files.old.read_text())
                known[planted.base] = pact_errors(run(tool.command(files), LIMIT_S))
            files.new.write_text(whole_text(planted.document))
            done = run(tool.command(files), LIMIT_S)
            costs.append(done)
            answer = tool.reads(done)
            if answer and not tool.compares:  # errors of the old text are no news
                answer = bool(pact_errors(done) - known[planted.base])
            said = {True: "flagged", False: "not flagged", None: "no answer"}[answer]
            counts.setdefault(planted.group(), Counter())[said] += 1
    return {
        **{group: dict(sorted(said.items())) for group, said in sorted(counts.items())},
        "wall_s, median and most": (
            round(statistics.median(d.wall_s for d in costs), 2),
            round(max(d.wall_s for d in costs), 2),
        ),
        "stopped at the limit": sum(d.exit is None for d in costs),
        "peak_mb": round(max(d.peak_mb for d in costs)),
    }


def _write(files: Files, planted: Planted) -> None:
    document = json.loads(planted.text)
    files.old.write_text(whole_text(document))
    files.usage.write_bytes(msgspec.json.encode(planted.usage))
    files.pact.write_text(pact_of(planted.usage, Description(document)))


def _whole(tool: Tool, home: Path) -> dict[str, Any]:
    """Wall and CPU seconds and peak memory on the whole texts, and the size of what was printed."""
    old, new = (home / "full-descriptions" / text for text in WHOLE)
    with tempfile.TemporaryDirectory() as folder:
        files = Files(old, new, *(Path(folder) / name for name in ("usage.json", "pact.json")))
        usage = run([*OURS[:-1], "usage", "stripe@2022-08-01"], LIMIT_S).stdout
        files.usage.write_text(usage)
        given = msgspec.json.decode(usage, type=Usage)
        files.pact.write_text(pact_of(given, Description(json.loads(old.read_bytes()))))
        done = run(tool.command(files), WHOLE_LIMIT_S)
        answer = tool.reads(done)
        if answer and not tool.compares:
            same = msgspec.structs.replace(files, new=old)
            known = pact_errors(run(tool.command(same), WHOLE_LIMIT_S))
            answer = bool(pact_errors(done) - known)
    return {
        "said": {True: "breaking", False: "not breaking", None: "no answer"}[answer],
        "wall_s": round(done.wall_s, 2),
        "cpu_s": round(done.cpu_s, 2),
        "peak_mb": round(done.peak_mb),
        "exit": done.exit if done.exit is not None else f"none within {WHOLE_LIMIT_S} s",
        "printed_bytes": len(done.stdout),
    }


def run(command: list[Any], limit_s: float) -> Done:
    """Runs a process with its own measure of CPU and memory; stopped at the limit."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        parts = [sys.executable, "-I", "-S", MEASURED, limit_s, out, err, *command]
        told = subprocess.run(
            [str(part) for part in parts],
            capture_output=True,
            check=True,
            env={**os.environ, "CI": "true"},
            cwd=folder,  # Optic leaves a file where it runs
        )
        return Done(
            stdout=out.read_text(errors="replace"),
            stderr=err.read_text(errors="replace"),
            **json.loads(told.stdout),
        )
