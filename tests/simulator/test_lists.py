"""Lists: newest first, paged without gap or repetition, filtered."""

import pytest
from tests.simulator.stage import Merchant, merchant


async def _shop_with(count: int) -> tuple[Merchant, list[str]]:
    shop = merchant()
    made = []
    for _ in range(count):
        made.append((await shop.pay()).json["id"])
        await shop.clock.advance(10)
    return shop, made


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_cover_everything_once_in_both_directions(limit: int) -> None:
    shop, made = await _shop_with(7)
    seen: list[str] = []
    params: dict[str, object] = {"limit": limit}
    for _ in range(10):
        page = (await shop.get("/v1/payment_intents", params)).json
        seen += [item["id"] for item in page["data"]]
        if not page["has_more"]:
            break
        params = {"limit": limit, "starting_after": seen[-1]}
    assert seen == made[::-1]
    back = await shop.get("/v1/payment_intents", {"limit": 2, "ending_before": made[0]})
    assert [item["id"] for item in back.json["data"]] == [made[2], made[1]]
    assert back.json["has_more"]


async def test_creation_times_bound_a_list() -> None:
    shop, made = await _shop_with(5)
    born = [(await shop.get(f"/v1/payment_intents/{name}")).json["created"] for name in made]
    inside = await shop.get(
        "/v1/payment_intents", {"created[gte]": born[1], "created[lt]": born[4]}
    )
    assert [item["id"] for item in inside.json["data"]] == made[3:0:-1]
    exact = await shop.get("/v1/payment_intents", {"created": born[2]})
    assert [item["id"] for item in exact.json["data"]] == [made[2]]
    none = await shop.get("/v1/payment_intents", {"created[gt]": born[4]})
    assert none.json["data"] == []


async def test_refunds_and_charges_are_found_by_their_intent() -> None:
    shop, made = await _shop_with(3)
    for amount in (100, 200):
        await shop.post("/v1/refunds", {"payment_intent": made[1], "amount": amount})
    await shop.post("/v1/refunds", {"payment_intent": made[2]})
    refunds = await shop.get("/v1/refunds", {"payment_intent": made[1]})
    assert [refund["amount"] for refund in refunds.json["data"]] == [200, 100]
    charges = await shop.get("/v1/charges", {"payment_intent": made[0]})
    assert [charge["payment_intent"] for charge in charges.json["data"]] == [made[0]]
    assert len((await shop.get("/v1/refunds")).json["data"]) == 3


async def test_intents_are_found_by_their_customer() -> None:
    shop = merchant()
    customer = (await shop.post("/v1/customers", {"email": "a@shop.example"})).json["id"]
    mine = (await shop.pay(customer=customer)).json["id"]
    await shop.pay()
    page = await shop.get("/v1/payment_intents", {"customer": customer})
    assert [item["id"] for item in page.json["data"]] == [mine]
    assert (await shop.pay(customer="cus_nobody")).error["code"] == "resource_missing"


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "many"},
        {"starting_after": "pi_nobody"},
        {"created[near]": 1},
        {"created[gte]": "yesterday"},
        {"color": "red"},
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(params: dict[str, object]) -> None:
    shop, _ = await _shop_with(1)
    assert (await shop.get("/v1/payment_intents", params)).status == 400


async def test_events_are_listed_by_type() -> None:
    shop, made = await _shop_with(2)
    page = await shop.get("/v1/events", {"type": "payment_intent.succeeded"})
    assert [event["data"]["object"]["id"] for event in page.json["data"]] == made[::-1]
    one = await shop.get(f"/v1/events/{page.json['data'][0]['id']}")
    assert one.json["type"] == "payment_intent.succeeded"
