"""3-D Secure: the redirect, the bank's page, and the way back."""

from urllib.parse import parse_qs, urlsplit

import pytest
from tests.simulator.stage import Answer, Merchant, merchant

from tollkeeper.simulator.core.messages import SimRequest

BACK = "https://shop.example/back?order=7"


async def _challenged(**params: str) -> tuple[Merchant, Answer]:
    shop = merchant()
    body = {"payment_method": "pm_card_threeDSecure2Required", "return_url": BACK, **params}
    return shop, await shop.pay(**body)


async def _bank(shop: Merchant, url: str, outcome: str = "", *, post: bool = False) -> Answer:
    query = f"outcome={outcome}" if outcome and not post else ""
    body = f"outcome={outcome}".encode() if post else b""
    request = SimRequest("POST" if post else "GET", urlsplit(url).path, query, [], body)
    return Answer(await shop.core.handle(request))


async def test_a_challenged_payment_redirects_and_charges_nobody_yet() -> None:
    shop, answer = await _challenged()
    assert (answer.status, answer.json["status"]) == (200, "requires_action")
    assert answer.json["next_action"]["type"] == "redirect_to_url"
    assert answer.json["next_action"]["redirect_to_url"]["return_url"] == BACK
    assert shop.core.ledger().charges == []
    assert shop.core.ledger().intents[0].open
    page = await _bank(shop, answer.json["next_action"]["redirect_to_url"]["url"])
    assert page.status == 200
    assert b"Approve" in page.reply.body


@pytest.mark.parametrize("post", [False, True])
async def test_an_approved_challenge_pays_and_leads_back(post: bool) -> None:
    shop, answer = await _challenged()
    url = answer.json["next_action"]["redirect_to_url"]["url"]
    back = await _bank(shop, url, "success", post=post)
    assert back.status == 303
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["order"] == ["7"]
    assert query["payment_intent"] == [answer.json["id"]]
    assert query["payment_intent_client_secret"] == [answer.json["client_secret"]]
    intent = await shop.get(
        f"/v1/payment_intents/{answer.json['id']}", {"expand[]": "latest_charge"}
    )
    assert intent.json["status"] == "succeeded"
    card = intent.json["latest_charge"]["payment_method_details"]["card"]
    assert card["three_d_secure"]["result"] == "authenticated"


async def test_a_failed_challenge_charges_nobody() -> None:
    shop, answer = await _challenged()
    await _bank(shop, answer.json["next_action"]["redirect_to_url"]["url"], "fail")
    intent = (await shop.get(f"/v1/payment_intents/{answer.json['id']}")).json
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert shop.core.ledger().charges == []
    assert shop.events()[-2:] == ["payment_intent.requires_action", "payment_intent.payment_failed"]


async def test_a_second_approval_pays_no_second_time() -> None:
    shop, answer = await _challenged()
    url = answer.json["next_action"]["redirect_to_url"]["url"]
    for _ in range(2):
        assert (await _bank(shop, url, "success")).status == 303
    assert len(shop.core.ledger().charges) == 1


async def test_a_manual_payment_is_authorized_by_the_challenge() -> None:
    shop, answer = await _challenged(capture_method="manual", idempotency_key="k")
    assert shop.core.complete_challenge(answer.json["id"], authenticated=True)
    intent = (await shop.get(f"/v1/payment_intents/{answer.json['id']}")).json
    assert intent["status"] == "requires_capture"
    assert shop.core.ledger().charges[0].idempotency_key == "k"
    events = list(shop.core.world.shelves["acct_simulator"].events.values())
    assert [event.origin.idempotency_key for event in events] == ["k", "k", "", ""]


async def test_a_canceled_intent_cannot_be_approved() -> None:
    shop, answer = await _challenged()
    await shop.post(f"/v1/payment_intents/{answer.json['id']}/cancel")
    assert not shop.core.complete_challenge(answer.json["id"], authenticated=True)
    url = answer.json["next_action"]["redirect_to_url"]["url"]
    assert (await _bank(shop, url, "success")).status == 303
    assert shop.core.ledger().charges == []


@pytest.mark.parametrize("flag", ["off_session", "error_on_requires_action"])
async def test_without_a_shopper_authentication_is_a_decline(flag: str) -> None:
    shop, answer = await _challenged(**{flag: "true"})
    assert answer.status == 402
    assert answer.error["code"] == "authentication_required"
    assert shop.core.ledger().charges == []


async def test_the_bank_knows_no_stranger() -> None:
    shop = merchant()
    assert (await _bank(shop, "/3ds/pi_nobody", "success")).status == 404
    assert not shop.core.complete_challenge("pi_nobody", authenticated=True)
