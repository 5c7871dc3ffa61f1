"""Disputes: inquiries, chargebacks, decisions that a bank takes back."""

from typing import Any

import pytest
from tests.simulator.stage import Merchant, merchant

CREATED, UPDATED, CLOSED, WITHDRAWN, REINSTATED = (
    f"charge.dispute.{name}"
    for name in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
)


async def _disputed(**body: Any) -> tuple[Merchant, Any, str]:
    shop = merchant()
    paid = (await shop.pay(capture_method="automatic")).json
    path = f"charges/{paid['latest_charge']}/dispute"
    dispute = (await shop.control("POST", path, body)).json
    return shop, paid, dispute["id"]


async def _decide(shop: Merchant, dispute: str, status: str) -> Any:
    return await shop.control("POST", f"disputes/{dispute}/decide", {"status": status})


def _told(shop: Merchant) -> list[str]:
    return [kind for kind in shop.events() if kind.startswith("charge.dispute.")]


async def test_a_bank_may_decide_again() -> None:
    shop, _, dispute = await _disputed()
    for won in (True, False):
        await shop.control("POST", f"disputes/{dispute}/close", {"won": won})
    assert (await shop.get(f"/v1/disputes/{dispute}")).json["status"] == "lost"
    assert _told(shop) == [CREATED, WITHDRAWN, CLOSED, REINSTATED, CLOSED, WITHDRAWN]
    assert shop.core.ledger().charges[0].disputes[0].status == "lost"


async def test_the_same_decision_again_changes_nothing() -> None:
    shop, _, dispute = await _disputed()
    for _ in range(2):
        await _decide(shop, dispute, "lost")
    assert _told(shop) == [CREATED, WITHDRAWN, CLOSED]


async def test_a_dispute_may_be_prevented() -> None:
    shop, paid, dispute = await _disputed()
    closed = await _decide(shop, dispute, "prevented")
    assert closed.json["status"] == "prevented"
    assert _told(shop) == [CREATED, WITHDRAWN, CLOSED, REINSTATED]
    assert (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).status == 200


async def test_an_inquiry_moves_no_money_and_blocks_no_refund() -> None:
    shop, paid, dispute = await _disputed(status="warning_needs_response")
    assert (await shop.get(f"/v1/disputes/{dispute}")).json["is_charge_refundable"]
    assert (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).status == 200
    await _decide(shop, dispute, "warning_closed")
    assert _told(shop) == [CREATED, CLOSED]


async def test_an_inquiry_may_become_a_chargeback() -> None:
    shop, paid, dispute = await _disputed(status="warning_needs_response")
    await _decide(shop, dispute, "warning_under_review")
    await _decide(shop, dispute, "needs_response")
    assert _told(shop) == [CREATED, UPDATED, UPDATED, WITHDRAWN]
    refused = await shop.post("/v1/refunds", {"payment_intent": paid["id"]})
    assert refused.error["code"] == "charge_disputed"


@pytest.mark.parametrize("status", ["needs_response", "warning_needs_response"])
async def test_the_charge_says_that_it_was_disputed(status: str) -> None:
    shop, paid, _ = await _disputed(status=status)
    assert (await shop.get(f"/v1/charges/{paid['latest_charge']}")).json["disputed"]
    other = (await shop.pay()).json
    assert not (await shop.get(f"/v1/charges/{other['latest_charge']}")).json["disputed"]


async def test_an_event_shows_what_the_dispute_was_before() -> None:
    shop, _, dispute = await _disputed()
    await _decide(shop, dispute, "under_review")
    events = (await shop.get("/v1/events", {"type": UPDATED})).json["data"]
    assert events[0]["data"]["previous_attributes"] == {"status": "needs_response"}
    assert events[0]["data"]["object"]["status"] == "under_review"


async def test_a_status_that_no_dispute_has_is_refused() -> None:
    shop, _, dispute = await _disputed()
    assert (await _decide(shop, dispute, "forgiven")).status == 422
