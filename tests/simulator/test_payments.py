"""What happens to money: authorize, capture, cancel, refund, and the books about it."""

from typing import Any

import pytest
from tests.simulator.stage import MIDDLE, NEW, OLD, merchant

from tollkeeper.simulator.stripe.cards import CARDS, DECLINES

VERSIONS = (OLD, MIDDLE, NEW)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_automatic_payment_is_captured_at_once(version: str) -> None:
    shop = merchant(version)
    paid = (await shop.pay(1234, capture_method="automatic")).json
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 1234)
    [charge] = shop.core.ledger().charges
    assert (charge.status, charge.amount_captured_minor, charge.currency) == (
        "captured",
        1234,
        "EUR",
    )
    assert shop.events() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


async def test_a_manual_payment_is_authorized_and_then_captured_in_part() -> None:
    shop = merchant(MIDDLE)
    held = (await shop.pay(1000, capture_method="manual")).json
    assert (held["status"], held["amount_capturable"]) == ("requires_capture", 1000)
    assert shop.core.ledger().charges[0].status == "authorized"
    taken = await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 400})
    assert taken.json["status"] == "succeeded"
    assert (taken.json["amount_received"], taken.json["amount_capturable"]) == (400, 0)
    [charge] = shop.core.ledger().charges
    assert (charge.amount_captured_minor, charge.amount_refunded_minor) == (400, 0)
    [release] = charge.refunds
    assert (release.kind, release.amount_minor, release.source) == ("release", 600, "capture")


async def test_the_rest_of_a_multicapture_stays_capturable() -> None:
    shop = merchant()
    held = await shop.pay(
        1000,
        capture_method="manual",
        **{"payment_method_options[card][request_multicapture]": "if_available"},
    )
    path = f"/v1/payment_intents/{held.json['id']}/capture"
    first = await shop.post(path, {"amount_to_capture": 300, "final_capture": "false"})
    assert (first.json["status"], first.json["amount_capturable"]) == ("requires_capture", 700)
    second = await shop.post(path, {"amount_to_capture": 700})
    assert (second.json["status"], second.json["amount_received"]) == ("succeeded", 1000)
    assert [c.amount_minor for c in shop.core.ledger().charges[0].captures] == [300, 700]


async def test_a_canceled_authorization_is_voided() -> None:
    shop = merchant()
    held = (await shop.pay(capture_method="manual")).json
    gone = (await shop.post(f"/v1/payment_intents/{held['id']}/cancel")).json
    assert (gone["status"], gone["amount_capturable"]) == ("canceled", 0)
    [charge] = shop.core.ledger().charges
    assert (charge.status, charge.live) == ("voided", False)


async def test_a_final_intent_can_be_neither_captured_nor_canceled() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    for action in ("capture", "cancel"):
        answer = await shop.post(f"/v1/payment_intents/{paid['id']}/{action}")
        assert answer.status == 400
        assert answer.error["code"] == "payment_intent_unexpected_state"
        assert answer.error["payment_intent"]["id"] == paid["id"]


async def test_refunds_add_up_to_what_was_captured_and_no_further() -> None:
    shop = merchant()
    paid = (await shop.pay(1000)).json
    for amount in (300, 500):
        answer = await shop.post("/v1/refunds", {"payment_intent": paid["id"], "amount": amount})
        assert answer.json["status"] == "succeeded"
    over = await shop.post("/v1/refunds", {"payment_intent": paid["id"], "amount": 201})
    assert (over.status, over.error["param"]) == (400, "amount")
    rest = await shop.post("/v1/refunds", {"charge": paid["latest_charge"]})
    assert rest.json["amount"] == 200
    again = await shop.post("/v1/refunds", {"payment_intent": paid["id"]})
    assert again.error["code"] == "charge_already_refunded"
    assert shop.core.ledger().charges[0].amount_refunded_minor == 1000


@pytest.mark.parametrize("method", [name for name, card in CARDS.items() if card.decline])
async def test_a_declining_card_is_told_as_a_card_error(method: str) -> None:
    shop = merchant()
    card = CARDS[method]
    answer = await shop.pay(payment_method=method)
    if card.challenge == "required":
        assert shop.core.complete_challenge(answer.json["id"], authenticated=True)
        answer = await shop.get(f"/v1/payment_intents/{answer.json['id']}")
        assert answer.json["status"] == "requires_payment_method"
        error: Any = answer.json["last_payment_error"]
    else:
        assert answer.status == 402
        error = answer.error
        assert error["payment_intent"]["status"] == "requires_payment_method"
    assert error["type"] == "card_error"
    assert error["decline_code"] == card.decline
    assert error["code"] == DECLINES[card.decline].code
    [charge] = shop.core.ledger().charges
    assert (charge.status, charge.decline_code, charge.live) == ("declined", card.decline, False)


async def test_after_a_decline_the_intent_takes_another_card() -> None:
    shop = merchant()
    refused = await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    identifier = refused.error["payment_intent"]["id"]
    paid = await shop.post(
        f"/v1/payment_intents/{identifier}/confirm", {"payment_method": "pm_card_mastercard"}
    )
    assert paid.json["status"] == "succeeded"
    assert [charge.status for charge in shop.core.ledger().charges] == ["declined", "captured"]


async def test_an_intent_can_be_created_first_and_confirmed_later() -> None:
    shop = merchant()
    created = (await shop.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})).json
    assert created["status"] == "requires_payment_method"
    assert shop.core.ledger().intents[0].open
    early = await shop.post(f"/v1/payment_intents/{created['id']}/confirm")
    assert early.error["code"] == "payment_intent_unexpected_state"
    paid = await shop.post(
        f"/v1/payment_intents/{created['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    assert paid.json["status"] == "succeeded"
    assert not shop.core.ledger().intents[0].open


async def test_an_authorization_expires_after_seven_days() -> None:
    shop = merchant()
    held = (await shop.pay(capture_method="manual")).json
    await shop.clock.advance(7 * 24 * 3600 + 1)
    gone = (await shop.get(f"/v1/payment_intents/{held['id']}")).json
    assert (gone["status"], gone["cancellation_reason"]) == ("canceled", "expired")
    assert shop.core.ledger().charges[0].status == "expired"
    assert shop.events()[-2:] == ["charge.expired", "payment_intent.canceled"]
    assert "charge.refunded" not in shop.events()


async def test_an_older_version_calls_an_expiry_automatic() -> None:
    shop = merchant(MIDDLE)
    held = (await shop.pay(capture_method="manual")).json
    await shop.control("POST", f"intents/{held['id']}/expire")
    gone = (await shop.get(f"/v1/payment_intents/{held['id']}")).json
    assert gone["cancellation_reason"] == "automatic"


async def test_a_refund_may_fail_after_it_succeeded() -> None:
    shop = merchant()
    paid = (await shop.pay(payment_method="pm_card_refundFail")).json
    refund = (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).json
    assert refund["status"] == "succeeded"
    await shop.clock.advance(10)
    later = (await shop.get(f"/v1/refunds/{refund['id']}")).json
    assert later["status"] == "failed"
    assert later["failure_reason"] == "expired_or_canceled_card"
    [charge] = shop.core.ledger().charges
    assert charge.amount_refunded_minor == 0
    assert shop.events()[-3:] == ["charge.refund.updated", "refund.updated", "refund.failed"]


async def test_a_pending_refund_arrives_later() -> None:
    shop = merchant()
    paid = (await shop.pay(payment_method="pm_card_pendingRefund")).json
    refund = (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).json
    assert refund["status"] == "pending"
    await shop.clock.advance(10)
    assert (await shop.get(f"/v1/refunds/{refund['id']}")).json["status"] == "succeeded"


async def test_an_asynchronous_capture_books_its_balance_later() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    assert paid["capture_method"] == "automatic_async"
    charge = (await shop.get(f"/v1/charges/{paid['latest_charge']}")).json
    assert charge["balance_transaction"] is None
    await shop.clock.advance(3)
    charge = (await shop.get(f"/v1/charges/{paid['latest_charge']}")).json
    assert charge["balance_transaction"].startswith("txn_")
    assert shop.events()[-1] == "charge.updated"


async def test_a_disputed_charge_cannot_be_refunded() -> None:
    shop = merchant()
    paid = (await shop.pay(payment_method="pm_card_createDispute", capture_method="automatic")).json
    await shop.clock.advance(2)
    refused = await shop.post("/v1/refunds", {"payment_intent": paid["id"]})
    assert refused.error["code"] == "charge_disputed"
    [dispute] = shop.core.ledger().charges[0].disputes
    await shop.control("POST", f"disputes/{dispute.dispute_id}/close", {"won": False})
    assert shop.core.ledger().charges[0].disputes[0].status == "lost"
    assert shop.events()[-3:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ]


@pytest.mark.parametrize("capture_method", ["automatic", "manual"])
async def test_a_late_issuer_keeps_the_intent_processing(capture_method: str) -> None:
    shop = merchant()
    await shop.control("POST", "issuer", {"late_rate": 1.0, "late_seconds": 30})
    waiting = (await shop.pay(700, capture_method=capture_method)).json
    assert (waiting["status"], waiting["amount_received"]) == ("processing", 0)
    [charge] = shop.core.ledger().charges
    assert (charge.status, charge.live) == ("pending", False)
    assert shop.core.ledger().intents[0].open
    refused = await shop.post(f"/v1/payment_intents/{waiting['id']}/cancel")
    assert refused.error["code"] == "payment_intent_unexpected_state"
    await shop.clock.advance(31)
    later = (await shop.get(f"/v1/payment_intents/{waiting['id']}")).json
    assert later["status"] == ("succeeded" if capture_method == "automatic" else "requires_capture")
    assert shop.core.ledger().charges[0].live
    assert shop.events()[1:3] == ["charge.pending", "payment_intent.processing"]


async def test_a_late_issuer_may_decline_in_the_end() -> None:
    shop = merchant()
    await shop.control("POST", "issuer", {"late_rate": 1.0, "late_seconds": 30})
    waiting = await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    assert waiting.status == 200
    assert (await shop.post("/v1/refunds", {"payment_intent": waiting.json["id"]})).status == 400
    await shop.clock.advance(31)
    later = (await shop.get(f"/v1/payment_intents/{waiting.json['id']}")).json
    assert later["status"] == "requires_payment_method"
    assert later["last_payment_error"]["decline_code"] == "generic_decline"
    assert shop.core.ledger().charges[0].status == "declined"
