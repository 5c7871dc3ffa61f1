"""What a person may type at `tollkeeper signals slo`: a table, or a clear word and exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

from tests.flows.test_budgets import FILE


def _run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tollkeeper", "signals", "slo", *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=folder
    )


def test_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(FILE)
    done = _run("check", "slo.yaml", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (view,) = json.loads(done.stdout)
    assert view["name"] == "checkout"
    assert view["good"] == "declined or ok"
    assert view["rules"] == ["page: 8 times over 60 and 5 minutes"]
    assert "checkout" in _run("check", "slo.yaml", folder=tmp_path).stdout


def test_what_cannot_be_watched_is_said_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(FILE.replace("Occurrences", "Timeslices"))
    for name, says in (("slo.yaml", "only Occurrences"), ("no.yaml", "No such file")):
        done = _run("check", name, folder=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
