"""The floor plan is checked by a tool: each contract, broken on purpose in a copy, is caught."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]


class Breach(msgspec.Struct, frozen=True):
    """Modules to write into a copy of the source, as path to text, and the contract they break."""

    contract: str
    says: str
    files: dict[str, str]


def _breach(contract: str, says: str, **files: str) -> Breach:
    return Breach(contract, says, {name.replace("__", "/"): text for name, text in files.items()})


BREACHES = [
    _breach(
        "floors",
        "tollkeeper.kernel is not allowed to import tollkeeper.payments",
        kernel__planted="import tollkeeper.payments.planted\n",
        payments__planted="",
    ),
    _breach(
        "floors",
        "tollkeeper.flows is not allowed to import tollkeeper.store",
        flows__planted="import tollkeeper.store.planted\n",
        store__planted="",
    ),
    _breach(
        "floors",
        "tollkeeper.routing is not allowed to import tollkeeper.simulator",
        routing__planted="import tollkeeper.simulator.planted\n",
        simulator__planted="",
    ),
    _breach(
        "floors",
        "tollkeeper.api is not allowed to import tollkeeper.cli",
        api__planted="import tollkeeper.cli.planted\n",
        cli__planted="",
    ),
    _breach("floors", "- tollkeeper.attic", attic__planted=""),
    _breach(
        "no-cycles",
        "planted_one",
        payments__planted_one__inner="import tollkeeper.payments.planted_two.inner\n",
        payments__planted_two__inner="import tollkeeper.payments.planted_one.inner\n",
    ),
    _breach("pure-rooms", "planted -> sqlite3", payments__planted="import sqlite3\n"),
    _breach("pure-rooms", "planted -> structlog", routing__planted="import structlog\n"),
    _breach("pure-rooms", "planted -> time", kernel__planted="import time\n"),
    _breach("flows-by-ports", "planted -> socket", flows__planted="import socket\n"),
    _breach(
        "features",
        "planted -> tollkeeper.flows.payments",
        flows__webhooks__planted="import tollkeeper.flows.payments.settle\n",
    ),
    _breach(
        "doors-by-app",
        "planted -> tollkeeper.store.planted",
        api__planted="import tollkeeper.store.planted\n",
        store__planted="",
    ),
    _breach("ports-for-time-and-chance", "planted -> time", store__planted="import time\n"),
    _breach("ports-for-time-and-chance", "planted -> random", jobs__planted="import random\n"),
    _breach(
        "simulator-a-stranger",
        "planted -> tollkeeper.integrations.planted",
        simulator__planted="import tollkeeper.integrations.planted\n",
        integrations__planted="",
    ),
    _breach(
        "simulator-core",
        "planted -> tollkeeper.simulator.stripe.versions",
        simulator__core__planted="import tollkeeper.simulator.stripe.versions\n",
    ),
    _breach("http-doors", "planted -> litestar", flows__planted="import litestar\n"),
    _breach("databases-in-store", "app.planted -> sqlalchemy", app__planted="import sqlalchemy\n"),
    _breach("http-client-in-wire", "planted -> aiohttp", api__planted="import aiohttp\n"),
]


def _contracts() -> dict[str, str]:
    """Contract id to its name, as pyproject.toml declares them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {entry["id"]: entry["name"] for entry in config["tool"]["importlinter"]["contracts"]}


def _copy(to: Path) -> Path:
    """A copy of the source and the contracts."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "src", to / "src", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def _plant(breach: Breach, source: Path) -> None:
    for name, text in breach.files.items():
        path = source / "tollkeeper" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(source).parents[:-1]:
            (source / folder / "__init__.py").touch()
        path.write_text(f'"""Planted."""\n\n{text}')


def _lint(copy: Path, *arguments: str) -> tuple[int, str]:
    """lint-imports' exit code and report on the copy, in one long line."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-logo", "--no-cache", *arguments]
    done = subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src"), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "breach", BREACHES, ids=lambda breach: f"{breach.contract}-{next(iter(breach.files))}"
)
def test_a_breach_of_the_floor_plan_is_caught_by_name(breach: Breach, tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    _plant(breach, copy / "src")
    code, report = _lint(copy, "--contract", breach.contract)
    assert code == 1, report
    assert f"{_contracts()[breach.contract]} BROKEN" in report
    assert breach.says in report


def test_the_source_as_it_stands_keeps_every_contract(tmp_path: Path) -> None:
    code, report = _lint(_copy(tmp_path))
    assert code == 0, report
    assert "0 broken" in report


def test_every_contract_has_a_breach_that_proves_it() -> None:
    assert {breach.contract for breach in BREACHES} == set(_contracts())
