"""The demo: it disturbs nobody, another demo least of all."""

import os
import socket
import stat
from pathlib import Path

import pytest

from tollkeeper.cli.serving import Demo, locked, write_secret
from tollkeeper.kernel.errors import Misconfigured


def test_a_second_demo_in_a_folder_stops_before_it_touches_anything(tmp_path: Path) -> None:
    database = tmp_path / "demo.sqlite3"
    database.write_text("of the first one")
    lock = locked(tmp_path)
    second = Demo(tmp_path, None, None)
    with pytest.raises(Misconfigured, match="a demo runs in"):
        second.start(0)
    second.stop()
    assert database.read_text() == "of the first one"
    os.close(lock)
    os.close(locked(tmp_path))


def test_a_taken_port_that_was_named_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"port {port} is taken"):
            Demo(tmp_path, port, None)


def test_the_settings_of_a_demo_are_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "tollkeeper.toml"
    path.write_text("old")
    write_secret(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
