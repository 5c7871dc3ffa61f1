"""Payments over HTTP: what a caller sends and sees."""

from pathlib import Path

from tests.doors.stage import PAYMENT, stage


async def test_a_payment_is_made_captured_and_refunded(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        made = await it.post("/v1/payments", PAYMENT | {"capture_method": "manual"})
        assert (made.status, made.body["status"]) == (201, "requires_capture")
        assert made.headers["location"] == f"/v1/payments/{made.body['id']}"
        path = made.headers["location"]
        captured = await it.post(f"{path}/capture", {"amount_minor": 1000})
        assert (captured.status, captured.body["status"]) == (200, "succeeded")
        refund = await it.post(f"{path}/refunds", {"amount_minor": 400, "reason": "torn"})
        assert (refund.status, refund.body["amount_minor"]) == (201, 400)
        again = await it.get(refund.headers["location"])
        assert again.body == refund.body
        read = await it.get(path)
        assert read.status == 200
        assert (read.body["amount_captured_minor"], read.body["amount_refunded_minor"]) == (
            1000,
            400,
        )
        charges = it.simulator.core.ledger().charges
        assert [(c.amount_minor, c.amount_captured_minor) for c in charges] == [(1234, 1000)]
