"""`tollkeeper drill fault` against a demo: it breaks what the file says, says so, and heals it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proving.test_scenarios import SOUND

from tollkeeper import app
from tollkeeper.cli.serving import Demo
from tollkeeper.kernel.errors import Invalid
from tollkeeper.proving import demo as drilled
from tollkeeper.proving.network import Lever
from tollkeeper.proving.scenario import Scenario, parse
from tollkeeper.testing.kill import free_port

HEAD = """
id = "mine"
title = "a fault for the demo"
[truth]
domain = "our_configuration"
[world]
tls = true
store = "postgresql"
[[fault]]
"""
ASTRAY = """
kind = "service"
settings = { "providers.stripe.base_url" = "http://127.0.0.1:1" }
announced = false
"""
REFUSED = """
kind = "tcp"
effect = "refuse"
"""


def scenario(fault: str) -> Scenario:
    return parse((HEAD + fault).encode())


@pytest.mark.parametrize(
    "fault",
    [
        'kind = "dns"\neffect = "timeout"', 'kind = "tls"\neffect = "expired"',
        'kind = "store"\neffect = "stopped"', 'kind = "store"\neffect = "disk"',
    ],
)  # fmt: skip
def test_what_a_demo_does_not_have_is_refused_before_anything_is_broken(fault: str) -> None:
    with pytest.raises(Invalid, match=r"play it with `.+dev prove`"):
        drilled._check(scenario(fault))


@pytest.mark.parametrize("fault", [ASTRAY, REFUSED, 'kind = "store"\neffect = "locked"'])
def test_what_a_demo_has_is_let_through(fault: str) -> None:
    drilled._check(scenario(fault))


def test_a_folder_without_a_demo_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / drilled.PORTS).write_text('{"service": "no port"}')
    with pytest.raises(Invalid, match="no demo runs in"):
        drilled.DemoGround(tmp_path, parse(SOUND))
    assert drilled.fault("F20", folder=tmp_path) == 2
    assert "tollkeeper up" in capsys.readouterr().out
    assert drilled.fault("F20b2", folder=tmp_path) == 2
    assert "did you mean F20b?" in capsys.readouterr().out


NAMES = st.text("abcdefghij_@.-1", min_size=1, max_size=12)
TREES = st.recursive(
    st.one_of(st.integers(-(2**40), 2**40), st.booleans(), st.text("ab\"'\\é ", max_size=9)),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, max_size=5))
def test_settings_that_are_written_flat_read_as_they_were(table: dict[str, Any]) -> None:
    lines = [f"{name} = {msgspec.json.encode(v).decode()}" for name, v in drilled._flat(table)]
    assert tomllib.loads("\n".join(lines)) == table


async def test_levers_of_a_demo_reach_its_relay_and_leave_it(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    upstream = await asyncio.start_server(echo, "127.0.0.1", 0)
    port, control = free_port(), free_port()
    behind = upstream.sockets[0].getsockname()[1]
    arguments = ["-m", "tollkeeper.proving.relaying", *map(str, (port, behind, control))]
    with (tmp_path / "relay.log").open("wb") as log:
        program = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log)
    try:
        await _until_open(control)
        relay = drilled.RemoteRelay(control)
        assert await _echoed(port)
        lever = Lever(effect="refuse")
        relay.levers.append(lever)
        await relay.levers.sent()
        assert not await _echoed(port)
        relay.levers.remove(lever)
        await relay.levers.sent()
        assert await _echoed(port)
    finally:
        program.kill()
        program.wait(10)
        upstream.close()


async def _until_open(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.1)
    raise AssertionError(port)


async def _echoed(port: int) -> bool:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        async with asyncio.timeout(5):
            got = await reader.read(1)
        writer.close()
        return got == b"x"
    return False


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A demo as a person starts it, with shoppers."""
    folder = tmp_path / "demo"
    words = ["up", "--folder", str(folder), "--rate", "5"]
    with (tmp_path / "up.log").open("wb") as log:
        program = subprocess.Popen(
            [sys.executable, "-m", "tollkeeper", *words], stdout=log, stderr=log
        )
    try:
        for _ in range(400):
            if (folder / drilled.PORTS).exists():
                break
            assert program.poll() is None, (tmp_path / "up.log").read_text()
            time.sleep(0.1)
        yield folder
        assert program.poll() is None, (tmp_path / "up.log").read_text()
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(50)


def _drill(folder: Path, file: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    words = ["drill", "fault", str(file), "--folder", str(folder), "--seconds", str(seconds)]
    return subprocess.run(
        [sys.executable, "-m", "tollkeeper", *words], capture_output=True, text=True,
        check=False, timeout=120, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_drill_breaks_a_running_demo_is_noticed_and_heals_it(
    tmp_path: Path, running: Path
) -> None:
    config = running / "tollkeeper.toml"
    before = app.read_settings(config)
    service = json.loads((running / drilled.PORTS).read_text())["service"]
    time.sleep(45)  # what is usual must be known
    file = tmp_path / "mine.toml"
    file.write_text(HEAD.replace("tls = true", "").replace('store = "postgresql"', "") + ASTRAY)
    done = _drill(running, file, 25)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a fault for the demo" in done.stdout
    assert "since" in done.stdout.splitlines()[1]  # a verdict, in words
    assert "the fault is over" in done.stdout
    assert app.read_settings(config) == before
    assert not (running / drilled.RESTART).exists()
    with socket.create_connection(("127.0.0.1", service), timeout=5):
        pass


def test_a_demo_starts_its_service_again_with_the_settings_of_now(tmp_path: Path) -> None:
    demo = Demo(tmp_path, None, None)
    try:
        demo.start(0)
        (first,) = [program.pid for name, program in demo.programs if name == "service"]
        text = demo.config.read_text()
        demo.config.write_text('log_level = "debug"\n' + text)
        (tmp_path / drilled.RESTART).touch()
        demo._restart()
        (second,) = [program.pid for name, program in demo.programs if name == "service"]
        assert first != second
        assert not (tmp_path / drilled.RESTART).exists()
        started = [
            json.loads(line)
            for line in (tmp_path / "service.log").read_text().splitlines()
            if "service_started" in line
        ]
        assert [entry["settings"]["log_level"] for entry in started] == ["debug"]
        assert [name for name, _ in demo.programs].count("service") == 1
    finally:
        demo.stop()
    assert all(program.poll() is not None for _, program in demo.programs)
