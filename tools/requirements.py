"""Pinned and hashed requirements, because a lock file would name a registry's host.

`requirements.py lock` compiles them with uv (the network is needed); `requirements.py check` says,
without the network, whether they still belong to pyproject.toml. `./dev lock` and `./dev check`
call this.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
FILES: dict[str, tuple[str, ...]] = {
    "run.txt": ("pyproject.toml",),
    "dev.txt": ("pyproject.toml", "--group", "dev", "--constraints", "requirements/run.txt"),
    "uv.txt": ("--group", "uv"),
    "localstripe.txt": ("--group", "localstripe"),
    "bench.txt": ("--group", "bench", "--constraints", "requirements/run.txt"),
    "mutants.txt": ("--group", "mutants"),
    "canary.txt": ("--group", "canary", "--constraints", "requirements/run.txt"),
}
"""File to what uv compiles into it; `run.txt` first, since `dev.txt` must agree with it."""

PLACE = re.compile(r"https?://|--index-url|--extra-index-url|--find-links|--trusted-host|file:")
"""What would tie a requirements file to one registry or one machine."""


def digest(project: Path = ROOT / "pyproject.toml") -> str:
    """SHA-256 of what the requirements are made from, so that a stale file is seen offline."""
    config = tomllib.loads(project.read_text())
    parts = [
        config["project"]["dependencies"],
        config["project"]["requires-python"],
        config["dependency-groups"],
        FILES,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def problems(folder: Path = FOLDER) -> list[str]:
    """Sentences about requirements that are missing, stale, unhashed or tied to a place."""
    found = []
    for name in FILES:
        path = folder / name
        text = path.read_text() if path.is_file() else ""
        if f"inputs {digest()}" not in text:
            found.append(
                f"requirements/{name} is not made from this pyproject.toml: run ./dev lock"
            )
        if PLACE.search(text):
            found.append(f"requirements/{name} names a registry or a path")
        pins = re.findall(r"^[a-z0-9].*==.*$", text, flags=re.MULTILINE)
        if text and (not pins or any(not pin.endswith("\\") for pin in pins)):
            found.append(f"requirements/{name} has a pin without a hash")
    return found


def lock(uv: str) -> None:
    """Compile every file with `uv`, keeping the pins that still fit."""
    header = f"# Made by ./dev lock from pyproject.toml; inputs {digest()}\n"
    options = ("--universal", "--generate-hashes", "--no-header", "--no-emit-index-url", "--quiet")
    for name, source in FILES.items():
        path = FOLDER / name
        command = [uv, "pip", "compile", *source, *options, "--python-version", "3.12"]
        subprocess.run(
            [*command, "--output-file", str(path.relative_to(ROOT))], cwd=ROOT, check=True
        )
        path.write_text(header + _without_comments_before_pins(path.read_text()))
        print(f"requirements/{name}")


def _without_comments_before_pins(text: str) -> str:
    """`text` without an older header of ours."""
    return re.sub(r"\A(#[^\n]*\n)+", "", text)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["lock"]:
            lock(os.environ.get("UV", "uv"))
            return 0
        case ["check"]:
            found = problems()
            print("\n".join(found) or "requirements: in step with pyproject.toml")
            return 1 if found else 0
        case _:
            print("usage: requirements.py lock|check")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
