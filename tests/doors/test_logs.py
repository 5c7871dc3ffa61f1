"""What is logged on the way in, and that no secret and no card number is ever among it."""

from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from tests.doors.stage import PAYMENT, stage

CARD = "4242424242424242"
CANARY = "canary-3f9a"


@pytest.fixture(autouse=True)
def fresh_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollkeeper.api.endpoint.log", structlog.get_logger("test"))
    monkeypatch.setattr("tollkeeper.app.logging.log", structlog.get_logger("test"))


async def test_requests_are_logged_where_it_is_asked_for(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with stage(tmp_path, access_log=True) as it:
            await it.post("/v1/payments", PAYMENT)
            await it.get("/v1/payments?reference=secret-order")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(r["method"], r["route"], r["status"]) for r in requests] == [
        ("POST", "/v1/payments", 201), ("GET", "/v1/payments", 200),
    ]  # fmt: skip
    assert all(r["request_id"].startswith("req_") and r["account"] for r in requests)
    assert "secret-order" not in str(lines)


async def test_without_it_no_request_is_logged(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with stage(tmp_path) as it:
            await it.post("/v1/payments", PAYMENT)
    assert [line for line in lines if line["event"] == "request"] == []


async def test_unknown_keys_are_logged_and_not_one_by_one(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with stage(tmp_path) as it:
            for number in range(20):
                headers = {"authorization": f"Bearer tk_{CANARY}{number}"}
                reply = await it.get("/v1/payments", role=None, headers=headers)
                assert reply.status in {401, 429}
    told = [line for line in lines if line["event"] == "key_refused"]
    assert len(told) == 1
    assert CANARY not in str(lines)


async def test_no_secret_and_no_card_number_is_in_any_sink(tmp_path: Path) -> None:
    """Canaries go in by every way that a caller has; logs, metrics and what is stored as counts are
    searched for them."""
    tries: tuple[dict[str, Any], ...] = (
        {"payment_method": CARD},
        {"description": f"card {CARD}"},
        {"metadata": {CANARY: CARD}},
        {"customer": CARD},
        {"reference": f"{CANARY}{CARD}"},
        {"country": CANARY},
        {CANARY: 1},
    )
    with capture_logs() as lines:
        async with stage(tmp_path, access_log=True) as it:
            for more in tries:
                await it.post("/v1/payments", PAYMENT | more)
            await it.post("/v1/payments", PAYMENT | {"payment_method": f"pm_{CANARY}"})
            second = it.service.store.now_ms() // 1000
            page = (await it.get("/metrics", role=None)).raw.decode()
            counting = it.service.runtime.live.counting
            kept = [*await it.service.store.list_batches(second - 60, second + 60)]
            sinks = f"{lines} {page} {counting.lines} {kept}"
    assert CARD not in sinks
    assert CANARY not in sinks
