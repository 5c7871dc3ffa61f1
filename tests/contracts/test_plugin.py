"""The pytest plugin in a pytest of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.contracts.sample import USAGE, fresh, schema

from tollkeeper.simulator.program import RunningSimulator
from tollkeeper.simulator.stripe.config import DEFAULT_KEY


def _run(folder: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-rA", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _write(folder: Path, name: str, document: Any) -> str:
    (folder / name).write_bytes(msgspec.json.encode(document))
    return name


def test_a_breaking_finding_fails_with_its_witness(tmp_path: Path) -> None:
    changed = fresh()
    payment = schema(changed, "Payment")
    del payment["properties"]["charges"]
    payment["required"].remove("charges")
    code, out = _run(
        tmp_path,
        "--tollkeeper-usage", _write(tmp_path, "usage.json", USAGE),
        "--tollkeeper-new", _write(tmp_path, "new.json", changed),
        "--tollkeeper-old", _write(tmp_path, "old.json", fresh()),
    )  # fmt: skip
    assert code == 1
    assert "1 failed, 1 passed" in out
    assert "`charges` is not described any more" in out
    assert '"reply"' in out


def test_a_compatible_description_passes(tmp_path: Path) -> None:
    code, out = _run(
        tmp_path,
        "--tollkeeper-usage", _write(tmp_path, "usage.json", USAGE),
        "--tollkeeper-new", _write(tmp_path, "new.json", fresh()),
    )  # fmt: skip
    assert code == 0
    assert "1 passed" in out


def test_a_file_that_is_not_there_is_said_and_is_misuse(tmp_path: Path) -> None:
    code, out = _run(tmp_path, "--tollkeeper-usage", "none.json", "--tollkeeper-new", "none.json")
    assert code == 4
    assert "none.json cannot be read" in out


def test_without_the_options_nothing_is_added(tmp_path: Path) -> None:
    code, _ = _run(tmp_path)
    assert code == 5


async def test_the_plays_are_tests_of_the_endpoint(tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415 - only to run the other pytest beside the simulator

    async with RunningSimulator() as simulator:
        code, out = await asyncio.to_thread(
            _run,
            tmp_path,
            "--tollkeeper-integration", "stripe@2022-11-15",
            "--tollkeeper-endpoint", simulator.url,
            "--tollkeeper-key", DEFAULT_KEY,
        )  # fmt: skip
    assert code == 0, out
    assert "15 passed" in out
