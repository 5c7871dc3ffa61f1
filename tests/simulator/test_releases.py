"""What becomes of an authorization that is not captured in full: Stripe's 2025-03-31.basil."""

from typing import Any

import pytest
from tests.simulator.stage import MIDDLE, NEW, OLD, Merchant, merchant

from tollkeeper.simulator.stripe.versions import VERSIONS

BASIL = "2025-03-31.basil"
BEFORE = VERSIONS[VERSIONS.index(BASIL) - 1]
MULTICAPTURE = {"payment_method_options[card][request_multicapture]": "if_available"}


async def _held(shop: Merchant, **params: Any) -> Any:
    return (await shop.pay(1000, capture_method="manual", **params)).json


async def _charge(shop: Merchant, version: str = NEW) -> Any:
    identifier = shop.core.ledger().charges[0].charge_id
    return (await shop.get(f"/v1/charges/{identifier}", version=version)).json


@pytest.mark.parametrize("version", [OLD, MIDDLE, BEFORE, BASIL, NEW])
async def test_a_partial_capture_lists_a_refund_only_before_basil(version: str) -> None:
    shop = merchant(version)
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 600})
    older = VERSIONS.index(version) < VERSIONS.index(BASIL)
    listed = (await shop.get("/v1/refunds", {"payment_intent": held["id"]})).json["data"]
    charge = await _charge(shop)
    assert [refund["amount"] for refund in listed] == ([400] if older else [])
    assert charge["amount_refunded"] == (400 if older else 0)
    assert (charge["amount_captured"], charge["refunded"]) == (600, False)
    assert ("charge.refunded" in shop.events()) == older
    assert shop.events()[-2:] == ["charge.captured", "payment_intent.succeeded"]


@pytest.mark.parametrize("version", [BEFORE, BASIL])
async def test_the_books_say_the_same_of_both_forms(version: str) -> None:
    shop = merchant(version)
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 600})
    await shop.post("/v1/refunds", {"payment_intent": held["id"], "amount": 100})
    [entry] = shop.core.ledger().charges
    assert (entry.amount_captured_minor, entry.amount_refunded_minor) == (600, 100)
    assert entry.amount_released_minor == 400
    over = await shop.post("/v1/refunds", {"payment_intent": held["id"], "amount": 501})
    assert over.status == 400


@pytest.mark.parametrize("version", [BEFORE, BASIL])
async def test_a_charge_is_refunded_when_all_that_was_captured_came_back(version: str) -> None:
    shop = merchant(version)
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 600})
    await shop.post("/v1/refunds", {"payment_intent": held["id"]})
    assert (await _charge(shop))["refunded"]


@pytest.mark.parametrize(("version", "refunded"), [(BEFORE, 1000), (BASIL, 0)])
async def test_a_canceled_charge_is_refunded_only_before_basil(version: str, refunded: int) -> None:
    shop = merchant(version)
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/cancel")
    charge = await _charge(shop)
    assert charge["amount_refunded"] == refunded
    assert charge["refunded"] == (refunded > 0)
    assert charge["amount_captured"] == 0
    assert shop.core.ledger().charges[0].amount_released_minor == 1000
    assert shop.events()[-1] == "payment_intent.canceled"


@pytest.mark.parametrize(("version", "told"), [(BEFORE, None), (BASIL, 0)])
async def test_what_was_captured_of_a_canceled_charge_may_be_null_before_basil(
    version: str, told: int | None
) -> None:
    shop = merchant(version)
    await shop.control("POST", "settings", {"untold_captures": True})
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/cancel")
    assert (await _charge(shop))["amount_captured"] is told


@pytest.mark.parametrize(("version", "refunds"), [(BEFORE, 1), (BASIL, 0)])
async def test_an_expiry_follows_the_version_of_the_account(version: str, refunds: int) -> None:
    shop = merchant(NEW if version == BEFORE else OLD)
    shop.core.world.accounts["acct_simulator"].api_version = version
    held = await _held(shop)
    await shop.control("POST", f"intents/{held['id']}/expire")
    [entry] = shop.core.ledger().charges
    assert (len(entry.refunds), entry.status) == (refunds, "expired")
    assert shop.events()[-2:] == ["charge.expired", "payment_intent.canceled"]


async def test_the_version_of_the_request_that_releases_decides() -> None:
    shop = merchant(OLD)
    held = await _held(shop)
    await shop.post(f"/v1/payment_intents/{held['id']}/cancel", version=NEW)
    assert shop.core.ledger().charges[0].refunds == []


async def test_a_capture_of_nothing_releases_the_rest_of_a_multicapture() -> None:
    shop = merchant()
    held = await _held(shop, **MULTICAPTURE)
    path = f"/v1/payment_intents/{held['id']}/capture"
    await shop.post(path, {"amount_to_capture": 300, "final_capture": "false"})
    early = await shop.post(path, {"amount_to_capture": 0, "final_capture": "false"})
    assert early.status == 400
    ended = (await shop.post(path, {"amount_to_capture": 0, "final_capture": "true"})).json
    assert (ended["status"], ended["amount_received"]) == ("succeeded", 300)
    [entry] = shop.core.ledger().charges
    assert [capture.amount_minor for capture in entry.captures] == [300]
    assert (entry.amount_captured_minor, entry.amount_released_minor) == (300, 700)


async def test_nothing_cannot_be_captured_of_what_was_not_captured_at_all() -> None:
    shop = merchant()
    held = await _held(shop, **MULTICAPTURE)
    path = f"/v1/payment_intents/{held['id']}/capture"
    refused = await shop.post(path, {"amount_to_capture": 0})
    assert (refused.status, refused.error["param"]) == (400, "amount_to_capture")
    assert shop.core.ledger().charges[0].status == "authorized"


async def test_metadata_of_the_merchant_is_kept_through_a_payment_s_life() -> None:
    shop = merchant()
    own = {"metadata[tollkeeper_payment]": "pay_1", "metadata[order]": "A-1", "metadata[user]": "x"}
    held = await _held(shop, **own)
    taken = await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"metadata[parcel]": "7"})
    kept = {"tollkeeper_payment": "pay_1", "order": "A-1", "user": "x"}
    assert taken.json["metadata"] == kept | {"parcel": "7"}
    assert (await _charge(shop))["metadata"] == kept
    refund = await shop.post(
        "/v1/refunds", {"payment_intent": held["id"], "metadata[order]": "A-1", "amount": 1}
    )
    assert refund.json["metadata"] == {"order": "A-1"}
    [listed] = (await shop.get("/v1/payment_intents")).json["data"]
    assert listed["metadata"] == kept | {"parcel": "7"}
