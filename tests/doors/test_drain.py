"""The service as a program: it starts, answers, and leaves without leaving anybody behind."""

import json
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.doors.programs import SECRET, Program, service, simulator
from tests.doors.stage import PAYMENT

from tollkeeper.settings import Timeouts

HEADERS = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
SLOW = ("--latency", "1.0")
PATIENT = Timeouts(wait_seconds=5.0, total_seconds=6.0)


def _connect(program: Program) -> HTTPConnection:
    where = urlsplit(program.url)
    return HTTPConnection(str(where.hostname), where.port, timeout=10)


def _ask(connection: HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = json.dumps(body) if body is not None else None
    connection.request(method, path, data, {**HEADERS, "Idempotency-Key": "a"})
    answer = connection.getresponse()
    raw = answer.read()
    return answer.status, json.loads(raw) if raw else None


class Shopper(threading.Thread):
    """Pays once, on a connection of its own."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._connection = _connect(program)
        self.reply: tuple[int, Any] | None = None

    def run(self) -> None:
        with suppress(OSError, HTTPException):
            self.reply = _ask(self._connection, "POST", "/v1/payments", PAYMENT)
        self._connection.close()


def test_a_payment_in_flight_at_sigterm_is_finished(tmp_path: Path) -> None:
    with simulator(*SLOW) as provider, service(tmp_path, provider.url, timeouts=PATIENT) as it:
        waiting = _connect(it)
        assert _ask(waiting, "GET", "/ready") == (200, {"status": "ok"})
        shopper = Shopper(it)
        shopper.start()
        time.sleep(0.4)
        it.terminate()
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            _ask(_connect(it), "GET", "/health")
        assert it.process.wait(10) == 0
        shopper.join(5)
        assert shopper.reply is not None
        status, body = shopper.reply
        assert (status, body["status"]) == (201, "succeeded")
        waiting.close()


def test_what_does_not_finish_in_time_is_settled_by_the_next_process(tmp_path: Path) -> None:
    with simulator(*SLOW) as provider:
        with service(tmp_path, provider.url, timeouts=PATIENT) as it:
            shopper = Shopper(it)
            shopper.start()
            time.sleep(0.4)
            it.process.kill()
            shopper.join(5)
        with service(tmp_path, provider.url, timeouts=PATIENT) as it:
            connection = _connect(it)
            for _ in range(100):
                status, body = _ask(connection, "POST", "/v1/payments", PAYMENT)
                if status == 200 and body["outcome"] == "known":
                    break
                time.sleep(0.1)
            assert (status, body["status"]) == (200, "succeeded")
            connection.close()
        books = _connect(provider)
        status, ledger = _ask(books, "GET", "/_control/ledger")
        assert [charge["reference"] for charge in ledger["charges"]] == [body["id"]]
        books.close()
