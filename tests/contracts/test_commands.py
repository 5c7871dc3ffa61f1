"""What a person may type at the contract commands: a clear word and exit code 2, no traceback."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.contracts.sample import USAGE, fresh


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tollkeeper", "contracts", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rehearse", "stripe@2022-11-15", "--endpoint", "nonsense"), "not the address"),
        (("rehearse", "stripe@2022-11-15", "--endpoint", "http://[::1"), "not the address"),
        (("replay", "stripe@2022-11-15", "--days", "nan"), "days cannot be read"),
        (("replay", "stripe@2022-11-15", "--days", "-5"), "days cannot be read"),
        (
            ("check", "--integration", "stripe@2022-11-15", "--new", "nowhere.json"),
            "cannot be read",
        ),
        (("check", "--new", "nowhere.json"), "either --integration or --usage"),
    ],
)
def test_a_wrong_word_is_named(words: tuple[str, ...], says: str) -> None:
    done = _run(*words)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_text_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    usage, huge = tmp_path / "usage.json", tmp_path / "huge.json"
    usage.write_bytes(msgspec.json.encode(USAGE))
    with huge.open("wb") as file:
        file.truncate(100_000_000)
    done = _run("check", "--usage", str(usage), "--new", str(huge))
    assert done.returncode == 2
    assert "larger than" in done.stderr


def test_a_text_that_breaks_off_is_not_compatible(tmp_path: Path) -> None:
    usage, torn = tmp_path / "usage.json", tmp_path / "torn.json"
    usage.write_bytes(msgspec.json.encode(USAGE))
    torn.write_bytes(msgspec.json.encode(fresh())[:-9])
    done = _run("check", "--usage", str(usage), "--new", str(torn), "--format", "json")
    assert done.returncode == 1
    document = msgspec.json.decode(done.stdout)
    assert [f["rule"] for f in document["findings"]] == ["unreadable-text"]
    assert document["compatible"] is False
