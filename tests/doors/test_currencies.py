"""Money in currencies that the provider counts in its own way: the ledger has what was asked."""

from pathlib import Path
from typing import Any

import pytest
from tests.doors.stage import PAYMENT, Stage, stage


async def ledger(at: Stage) -> Any:
    async with at.session.get(f"{at.simulator.url}/_control/ledger") as answer:
        return await answer.json()


@pytest.mark.parametrize(
    ("currency", "amount", "part"),
    [("ISK", 500, 150), ("UGX", 7_500, 1), ("MGA", 10_000, 300), ("KWD", 5_120, 10)],
)
async def test_the_charge_is_the_amount_that_was_asked_for(
    tmp_path: Path, currency: str, amount: int, part: int
) -> None:
    async with stage(tmp_path) as at:
        made = await at.pay(currency=currency, amount_minor=amount, capture_method="manual")
        assert made["status"] == "requires_capture"
        path = f"/v1/payments/{made['id']}"
        taken = await at.post(f"{path}/capture", {"amount_minor": amount - part})
        assert (taken.status, taken.body["amount_captured_minor"]) == (200, amount - part)
        back = await at.post(f"{path}/refunds", {"amount_minor": part})
        assert (back.status, back.body["status"]) == (201, "succeeded")
        [charge] = (await ledger(at))["charges"]
        assert (charge["amount_minor"], charge["currency"]) == (amount, currency)
        assert charge["amount_captured_minor"] == amount - part
        assert charge["amount_refunded_minor"] == part


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"currency": "KWD", "amount_minor": 5_124}, "/amount_minor"),
        ({"currency": "MGA", "amount_minor": 150}, "/amount_minor"),
        ({"currency": "KPW"}, "/currency"),
    ],
)
async def test_what_the_provider_would_refuse_is_refused_at_the_door(
    tmp_path: Path, fields: dict[str, Any], pointer: str
) -> None:
    async with stage(tmp_path) as at:
        reply = await at.post("/v1/payments", PAYMENT | fields)
        assert (reply.status, reply.body["code"]) == (422, "invalid_request")
        assert reply.body["errors"][0]["pointer"] == pointer
        assert (await ledger(at))["intents"] == []
        assert (await at.get("/v1/payments")).body["data"] == []


async def test_a_part_that_the_provider_would_refuse_moves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        made = await at.pay(currency="KWD", amount_minor=5_120)
        reply = await at.post(f"/v1/payments/{made['id']}/refunds", {"amount_minor": 5})
        assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/amount_minor")
        read = await at.get(f"/v1/payments/{made['id']}")
        assert read.body["amount_refunded_minor"] == 0
