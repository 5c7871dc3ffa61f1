"""One bad row in a list: the rule chooses which, and the other rows are as they were."""

from typing import Any

import pytest
from tests.simulator.descriptions import FILES, description, is_present
from tests.simulator.stage import Merchant, merchant

from tollkeeper.simulator.core.rows import NULLABLE

LIST = {"operation": "payment_intents.list"}


async def _two(effect: str, **fields: Any) -> tuple[Merchant, list[Any], list[Any]]:
    """Two payments, and their list as it was and as it is with a fault, newest first."""
    shop = merchant()
    for number in (1, 2):
        await shop.pay(**{"metadata[tollkeeper_payment]": f"pay_{number}"})
    plain = (await shop.get("/v1/payment_intents")).json["data"]
    await shop.fault(effect, **fields, **LIST)
    return shop, plain, (await shop.get("/v1/payment_intents")).json["data"]


async def test_a_row_is_chosen_by_its_place() -> None:
    _, plain, poisoned = await _two("new_word", path="status", row=2)
    assert poisoned[0] == plain[0]
    assert poisoned[1] == plain[1] | {"status": "a_word_nobody_knows"}


async def test_a_row_is_chosen_by_the_payment_that_it_belongs_to() -> None:
    _, plain, poisoned = await _two("remove_field", path="status", only="pay_1")
    assert poisoned[0] == plain[0]
    assert "status" not in poisoned[1]


async def test_rows_are_chosen_by_the_payment_that_they_do_not_belong_to() -> None:
    _, plain, poisoned = await _two("change_type", path="amount", other_than="pay_1")
    assert poisoned[1] == plain[1]
    assert poisoned[0] == plain[0] | {"amount": str(plain[0]["amount"])}


@pytest.mark.parametrize("value", [None, "text", [], {"object": "payment_intent"}])
async def test_a_row_may_be_something_else_altogether(value: Any) -> None:
    _, plain, poisoned = await _two("replace_row", row=1, value=value)
    assert poisoned == [value, plain[1]]


async def test_a_row_may_be_of_other_software() -> None:
    _, plain, poisoned = await _two("foreign_row", row=2, value={"amount": 7})
    assert [row["id"] for row in poisoned[::2]] == [row["id"] for row in plain]
    foreign = poisoned[1]
    assert (foreign["object"], foreign["metadata"], foreign["amount"]) == ("payment_intent", {}, 7)
    assert foreign["id"] not in {row["id"] for row in plain}


async def test_an_empty_list_may_have_a_foreign_row() -> None:
    shop = merchant()
    await shop.fault("foreign_row", operation="refunds.list")
    [row] = (await shop.get("/v1/refunds")).json["data"]
    assert (row["object"], row["metadata"]) == ("refund", {})


async def test_a_refund_belongs_to_its_payment_and_its_charge() -> None:
    shop = merchant()
    paid = [(await shop.pay()).json for _ in range(2)]
    for intent in paid:
        await shop.post("/v1/refunds", {"payment_intent": intent["id"]})
    for name in (paid[0]["id"], paid[0]["latest_charge"]):
        await shop.control("DELETE", "faults")
        await shop.fault("nulls", object="refund", path="status", other_than=name)
        rows = (await shop.get("/v1/refunds")).json["data"]
        assert [row["status"] for row in rows] == [None, "succeeded"]


async def test_a_reply_that_is_no_list_is_one_row() -> None:
    shop = merchant()
    mine = (await shop.pay(**{"metadata[tollkeeper_payment]": "pay_1"})).json["id"]
    other = (await shop.pay()).json["id"]
    await shop.fault("null_field", path="status", only="pay_1")
    assert (await shop.get(f"/v1/payment_intents/{mine}")).json["status"] is None
    assert (await shop.get(f"/v1/payment_intents/{other}")).json["status"] == "succeeded"


async def test_every_nullable_member_may_be_null() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    refund = (await shop.post("/v1/refunds", {"payment_intent": paid["id"]})).json
    await shop.fault("nulls")
    got = (await shop.get(f"/v1/refunds/{refund['id']}")).json
    assert {name for name in refund if got[name] is None} >= set(NULLABLE["refund"])
    assert (got["id"], got["amount"]) == (refund["id"], refund["amount"])
    charge = (await shop.get(f"/v1/charges/{paid['latest_charge']}")).json
    assert charge["payment_intent"] is None
    intent = (await shop.get(f"/v1/payment_intents/{paid['id']}")).json
    assert (intent["client_secret"], intent["status"]) == (None, "succeeded")


async def test_a_dispute_may_name_no_intent() -> None:
    shop = merchant()
    paid = (await shop.pay()).json
    await shop.control("POST", f"charges/{paid['latest_charge']}/dispute")
    await shop.fault("nulls", object="dispute")
    [dispute] = (await shop.get("/v1/disputes")).json["data"]
    assert (dispute["payment_intent"], dispute["charge"]) == (None, paid["latest_charge"])


@pytest.mark.parametrize("version", [v for v in FILES if is_present(v)] or ["none"])
def test_the_provider_s_description_calls_them_nullable(version: str) -> None:
    if version == "none":
        pytest.skip("the provider's descriptions are not at hand")
    for kind, members in NULLABLE.items():
        nullable = description(version).nullable[kind]
        assert set(members) <= nullable, kind
