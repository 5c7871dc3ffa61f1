"""Changelog fragments are one line each, and a release can be built from them."""

import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT

LONGEST = 200
FRAGMENTS = sorted((ROOT / "changes").glob("*.md"))


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_one_line_that_begins_with_its_kind(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") == 1
    assert text.startswith(path.suffixes[-2].removeprefix(".").capitalize() + " ")
    assert len(text) <= LONGEST


def test_the_changelog_of_a_release_can_be_drafted() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    drafted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert drafted.returncode == 0, drafted.stderr
    assert drafted.stdout.startswith("## 9.9.9")
