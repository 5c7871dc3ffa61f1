"""The real programs, each in a process of its own: the service, and the simulator beside it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.doors.stage import settings_for

from tollkeeper.app import open_store
from tollkeeper.flows.operations.keys import digest_of
from tollkeeper.flows.ports import ApiKey
from tollkeeper.settings import Settings
from tollkeeper.store import migrate

SECRET = "tk_" + "stage" * 6
SERVE = """
import sys
import msgspec
from tollkeeper.api.server import run
from tollkeeper.settings import Settings
settings = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
started = run(settings, on_ready=lambda url: print(url, flush=True))
sys.exit(0 if started else 1)
"""


class Program:
    """A process that said where it listens."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Killed if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def _start(arguments: list[str], given: bytes = b"") -> tuple[subprocess.Popen[bytes], bytes]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    process.stdin.close()
    return process, process.stdout.readline()


@contextmanager
def simulator(*arguments: str) -> Iterator[Program]:
    """The simulator's program."""
    process, line = _start(["-m", "tollkeeper.simulator", "serve", "--port", "0", *arguments])
    program = Program(process, json.loads(line)["url"])
    try:
        yield program
    finally:
        program.end()


@contextmanager
def service(folder: Path, provider_url: str, **changes: Any) -> Iterator[Program]:
    """The service's program on a fresh database with one admin key, `SECRET`."""
    settings = settings_for(folder, provider_url, **changes)
    migrate.upgrade(settings.database)
    asyncio.run(keep_key(settings))
    process, line = _start(["-c", SERVE], msgspec.json.encode(settings))
    program = Program(process, line.decode().strip())
    try:
        yield program
    finally:
        program.end()


async def keep_key(settings: Settings) -> None:
    """Puts `SECRET` into the store before the service starts."""
    store = await open_store(settings)
    await store.save_api_key(
        ApiKey(
            id="key_stage",
            digest=digest_of(SECRET),
            account="acme",
            role="admin",
            label="stage",
            api_version="2026-11-24",
            created_ms=0,
        )
    )
    await store.close()
