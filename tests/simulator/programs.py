"""The simulator as the program that people run: started, asked over HTTP, stopped."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tollkeeper.simulator.program import read_ledger_file


class Program:
    def __init__(self, url: str, ledger_file: Path) -> None:
        self.url = url
        self.ledger_file = ledger_file
        self.port = int(url.rpartition(":")[2])

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, f"/_control/{path}", data)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def ledger(self) -> Any:
        return self.control("GET", "ledger")

    def written(self) -> list[Any]:
        return read_ledger_file(self.ledger_file)


@contextmanager
def program(folder: Path, *options: str) -> Iterator[Program]:
    ledger_file = folder / "ledger.jsonl"
    command = [sys.executable, "-m", "tollkeeper.simulator", "serve", "--ledger", str(ledger_file)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Program(json.loads(process.stdout.readline())["url"], ledger_file)
        finally:
            process.terminate()
            assert process.wait(10) == 0
