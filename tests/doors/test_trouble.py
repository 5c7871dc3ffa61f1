"""Trouble of our own: a store that is away, a bug. The caller is told, the log says where, and
neither says what was sent."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.altering import alter
from tests.doors.stage import PAYMENT, stage

from tollkeeper.kernel.errors import Unavailable


class Failing:
    """A store that raises at whatever is asked of it, but for its clock."""

    def __init__(self, error: Exception, now_ms: Callable[[], int]) -> None:
        self._error = error
        self.now_ms = now_ms

    def __getattr__(self, name: str) -> Any:
        async def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail


async def test_while_the_store_is_away_callers_may_come_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/v1/payments")).status == 200  # so that the key is known
        runtime = it.service.runtime
        store = runtime.store
        alter(runtime, store=Failing(Unavailable("away"), runtime.store.now_ms))
        reply = await it.get("/v1/payments")
        assert (reply.status, reply.body["code"]) == (503, "store_unavailable")
        assert (reply.body["retryable"], reply.headers["retry-after"]) == (True, "1")
        assert (await it.get("/ready", role=None)).status == 503
        assert (await it.get("/health", role=None)).status == 200
        alter(runtime, store=store)
        assert (await it.get("/ready", role=None)).status == 200


async def test_a_bug_is_a_500_with_a_request_id_and_a_log_without_the_body(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with stage(tmp_path) as it:
        assert (await it.get("/v1/payments")).status == 200
        runtime = it.service.runtime
        bug = KeyError("4242 4242 4242 4242")
        store = runtime.store
        alter(runtime, store=Failing(bug, runtime.store.now_ms))
        reply = await it.post("/v1/payments", PAYMENT | {"description": "private words"})
        alter(runtime, store=store)
        assert (reply.status, reply.body["code"]) == (500, "internal_error")
        assert "4242" not in reply.raw.decode()
    told = "".join(capfd.readouterr())
    assert reply.headers["request-id"] in told
    assert "test_trouble.py" in told  # where it happened
    assert "private words" not in told
    assert "4242" not in told


async def test_a_log_that_cannot_be_written_breaks_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as it:
        gone = (tmp_path / "log").open("w")
        gone.close()
        monkeypatch.setattr(sys, "stderr", gone)
        runtime = it.service.runtime
        store = runtime.store
        alter(runtime, store=Failing(KeyError("x"), runtime.store.now_ms))
        reply = await it.post("/v1/payments", PAYMENT)
        alter(runtime, store=store)
        assert (reply.status, reply.body["code"]) == (500, "internal_error")
