"""One state, many forms: what a document looks like at each API version."""

from typing import Any

import pytest
from tests.simulator.stage import MIDDLE, NEW, OLD, merchant

from tollkeeper.simulator.stripe.versions import CHANGES, VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
async def test_charges_gave_way_to_latest_charge_in_2022_11_15(version: str) -> None:
    shop = merchant(version)
    paid = (await shop.pay(capture_method="automatic")).json
    if version < "2022-11-15":
        assert "latest_charge" not in paid
        [charge] = paid["charges"]["data"]
        assert charge["refunds"]["data"] == []
        assert paid["charges"]["total_count"] == 1
    else:
        assert "charges" not in paid
        assert paid["latest_charge"].startswith("ch_")


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_invoice_left_in_2025(version: str) -> None:
    shop = merchant(version)
    paid = (await shop.pay(**{"expand[]": "latest_charge"} if version > OLD else {})).json
    assert ("invoice" in paid) == (version < "2025-03-31.basil")
    if version > OLD:
        assert ("invoice" in paid["latest_charge"]) == (version < "2025-03-31.basil")


async def test_the_old_form_embeds_every_attempt_newest_first() -> None:
    shop = merchant(OLD)
    refused = await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    intent = refused.error["payment_intent"]
    assert [charge["status"] for charge in intent["charges"]["data"]] == ["failed"]
    paid = await shop.post(
        f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    statuses = [charge["status"] for charge in paid.json["charges"]["data"]]
    assert statuses == ["succeeded", "failed"]


async def test_refunds_are_embedded_or_expanded() -> None:
    shop = merchant(OLD)
    paid = (await shop.pay()).json
    charge = paid["charges"]["data"][0]["id"]
    await shop.post("/v1/refunds", {"charge": charge, "amount": 100})
    old = (await shop.get(f"/v1/charges/{charge}")).json
    assert [refund["amount"] for refund in old["refunds"]["data"]] == [100]
    new = (await shop.get(f"/v1/charges/{charge}", version=NEW)).json
    assert "refunds" not in new
    asked = await shop.get(f"/v1/charges/{charge}", {"expand[]": "refunds"}, version=NEW)
    assert [refund["amount"] for refund in asked.json["refunds"]["data"]] == [100]


@pytest.mark.parametrize(
    ("version", "default"),
    [(OLD, "automatic"), ("2023-10-16", "automatic"), ("2024-04-10", "automatic_async")],
)
async def test_the_default_capture_method_became_asynchronous(version: str, default: str) -> None:
    paid = (await merchant(version).pay()).json
    assert paid["capture_method"] == default


@pytest.mark.parametrize("version", [MIDDLE, "2023-08-16", NEW])
async def test_automatic_payment_methods_need_a_way_back_since_2023_08_16(version: str) -> None:
    body: dict[str, Any] = {
        "amount": 500,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "confirm": "true",
    }
    shop = merchant(version)
    lost = await shop.post("/v1/payment_intents", body)
    assert lost.status == (200 if version == MIDDLE else 400)
    body["return_url"] = "https://shop.example/back"
    assert (await shop.post("/v1/payment_intents", body)).status == 200
    del body["return_url"]
    body["automatic_payment_methods[enabled]"] = "true"
    body["automatic_payment_methods[allow_redirects]"] = "never"
    assert (await shop.post("/v1/payment_intents", body)).status == 200


async def test_an_unknown_version_is_refused() -> None:
    answer = await merchant("2019-01-01").pay()
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert "2019-01-01" in answer.error["message"]


async def test_without_a_header_the_account_s_default_holds() -> None:
    shop = merchant()
    request = shop.request("GET", "/v1/payment_intents")
    headers = [header for header in request.headers if header[0] != "Stripe-Version"]
    shop.core.world.accounts["acct_simulator"].api_version = OLD
    reply = await shop.core.handle(type(request)("GET", request.path, "", headers))
    assert ("stripe-version", OLD) in reply.headers


@pytest.mark.parametrize(
    ("path", "version", "allowed"),
    [
        ("latest_charge", NEW, True),
        ("latest_charge.refunds", NEW, True),
        ("latest_charge.payment_intent.latest_charge", NEW, True),
        ("charges", OLD, True),
        ("charges.data.refunds", OLD, True),
        ("charges", NEW, False),
        ("metadata", NEW, False),
        ("latest_charge.nonsense", NEW, False),
        ("data", NEW, False),
        ("a.b.c.d.e.f", NEW, False),
    ],
)
async def test_a_wrong_expansion_is_refused_before_anything_happens(
    path: str, version: str, allowed: bool
) -> None:
    shop = merchant(version)
    answer = await shop.pay(**{"expand[]": path})
    assert answer.status == (200 if allowed else 400)
    assert len(shop.core.ledger().charges) == allowed


async def test_expansion_goes_through_lists() -> None:
    shop = merchant()
    await shop.pay()
    page = await shop.get("/v1/payment_intents", {"expand[]": "data.latest_charge.refunds"})
    [intent] = page.json["data"]
    assert intent["latest_charge"]["refunds"]["data"] == []


def test_every_change_says_what_it_changed() -> None:
    assert all(change.summary.endswith(".") for change in CHANGES)
    assert [c.version for c in CHANGES] == sorted((c.version for c in CHANGES), reverse=True)
