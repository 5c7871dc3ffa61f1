"""Other tools on a sample of the same mutants, and on the whole Stripe pair: from npm, in a folder
of their own. None of them knows what is used; the one that does wants contracts written by hand.
"""

import json
import os
import re
import resource
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

type Planted = tuple[bytes, dict[str, Any], str, bool]
"""The old text, the new document, the least right severity, whether usage names the place."""

LIMIT_S = 120
WHOLE = ("stripe-2022-08-01.json", "stripe-2022-11-15.json")


def commands(folder: Path) -> dict[str, Any]:
    """Each tool's way to compare two files, and how its answer is read."""
    bins = folder / "node_modules" / ".bin"
    return {
        "openapi-diff": (lambda old, new: [bins / "openapi-diff", old, new], openapi_diff),
        "@redocly/cli diff": (lambda old, new: [bins / "redocly", "diff", old, new], redocly),
        "@useoptic/optic diff": (
            lambda old, new: [bins / "optic", "diff", old, new, "--check"],
            optic,
        ),
    }


type Done = subprocess.CompletedProcess[str]


def openapi_diff(done: Done) -> bool | None:
    """Exit 0 without and 1 with breaking differences, which it also says; 1 for trouble, too."""
    if '"breakingDifferencesFound": true' in done.stdout:
        return True
    fine = done.returncode == 0
    said = "No changes found" in done.stdout or '"breakingDifferencesFound": false' in done.stdout
    return False if fine and said else None


def redocly(done: Done) -> bool | None:
    """It ends with how many changes want a major version: `1 major, 0 minor, 2 patch.`"""
    found = re.search(r"^(\d+) major, \d+ minor, \d+ patch", done.stdout, re.MULTILINE)
    return int(found[1]) > 0 if found is not None else None


def optic(done: Done) -> bool | None:
    """It counts its checks (`x  Checks: 0/6 passed`), or says that nothing changed."""
    text = done.stdout + done.stderr
    found = re.search(r"Checks: (\d+)/(\d+) passed", text)
    if found is not None:
        return found[1] != found[2]
    return False if "No operations changed" in text else None


def compare(folder: Path, sample: list[Planted], home: Path) -> dict[str, Any]:
    """What each tool says of the sample, and what it costs on the whole Stripe pair."""
    told: dict[str, Any] = {
        "@pactflow/openapi-pact-comparator": "compares a description with pacts written by hand; "
        "it has no comparison of two descriptions and no derived usage: not comparable",
        "jsonschema-rs": "validates instances; it has no containment of schemas: not comparable",
    }
    for name, (command, breaks) in commands(folder).items():
        told[name] = _on_sample(command, breaks, sample)
        pair = [home / "full-descriptions" / text for text in WHOLE]
        told[name]["whole Stripe pair"] = _cost(command(*pair))
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


def _on_sample(command: Any, breaks: Any, sample: list[Planted]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old.json", Path(folder) / "new.json"
        for text, document, least, used in sample:
            old.write_text(whole_text(json.loads(text)))
            new.write_text(whole_text(document))
            done = _run(command(old, new))
            group = "break" if least != "neutral" else ("neutral twin" if used else "unused break")
            answer = breaks(done) if done is not None else None
            said = {True: "breaking", False: "not breaking", None: "no answer"}[answer]
            counts[f"{group}: {said}"] += 1
    return {"sample": len(sample), **dict(sorted(counts.items()))}


def _run(command: list[Any]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=False,
            timeout=LIMIT_S, env={**os.environ, "CI": "true"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None


def _cost(command: list[Any]) -> dict[str, Any]:
    """Wall and CPU seconds and peak memory of one run, and the size of what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = _run(["/usr/bin/env", *command])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb_of_any_tool_yet": round(after.ru_maxrss / 1024),
        "exit": done.returncode if done is not None else f"none within {LIMIT_S} s",
        "printed_bytes": len(done.stdout) if done is not None else 0,
    }
