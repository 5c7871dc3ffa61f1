"""Changes of providers that broke real integrations, from public issue trackers: what a shopper
sees here, what the service says, and that the books agree in the end. The reference page of real
faults has a row for each."""

from pathlib import Path
from typing import Any

import pytest
from tests.flows.stage import MIDDLE, NEW, OLD, Stage, key_of, stage
from tests.flows.test_following import VERSION, told

from tollkeeper.flows.payments import webhook
from tollkeeper.kernel.errors import TollkeeperError

CREATE, LOOKUP = "payment_intents.create", "payment_intents.retrieve"
EVERY = (OLD, MIDDLE, NEW)


def fault(effect: str, **fields: Any) -> dict[str, Any]:
    return {"effect": effect} | fields


SOLD_AT_ONCE: dict[str, dict[str, Any]] = {
    "an expandable object is gone (charges)": fault(
        "remove_field", object="payment_intent", path="charges", api_version=OLD[7:]
    ),
    "a field is null that was an object": fault(
        "null_field", object="payment_intent", path="latest_charge"
    ),
    "a field is an object or a text": fault(
        "change_type", object="payment_intent", path="latest_charge"
    ),
    "a status that no one knows, on the write alone": fault(
        "new_word", object="payment_intent", path="status", value="subscription", operation=CREATE
    ),
    "a sum arrives later than the charge": fault(
        "null_field", object="charge", path="balance_transaction"
    ),
    "a word is longer than any column": fault(
        "new_word", object="payment_intent", path="capture_method", value="automatic_" + "x" * 500
    ),
    "an id is longer than any column": fault(
        "new_word", object="charge", path="id", value="ch_" + "x" * 500
    ),
    "a list of refunds is no longer in the charge": fault(
        "remove_field", object="charge", path="refunds"
    ),
    "a field that is not read is gone, unannounced": fault(
        "remove_field", object="payment_intent", path="livemode"
    ),
    "a lookup says maintenance with status 200": fault("error_in_200", operation=LOOKUP),
    "one version needs a parameter that it does not send": fault(
        "require_parameter", parameter="mandate_data", api_version=OLD[7:]
    ),
    "one account's requests are refused for a parameter, in one version": fault(
        "refuse", operation=CREATE, code="parameter_unknown", param="confirm", api_version=OLD[7:]
    ),
}
"""What costs no sale, whichever version carries the payment."""


@pytest.mark.parametrize("carrying", EVERY)
@pytest.mark.parametrize("name", SOLD_AT_ONCE)
async def test_it_costs_no_sale(tmp_path: Path, name: str, carrying: str) -> None:
    weights = dict.fromkeys(EVERY, 0.0) | {carrying: 100.0}
    async with stage(tmp_path, weights=weights) as s:
        s.fault(**SOLD_AT_ONCE[name])
        for _ in range(3):
            paid = await s.create()
            assert (paid["status"], paid["outcome"]) == ("succeeded", "known")
            refund = await s.refund(paid["id"], 100)
            assert refund["status"] in {"succeeded", "pending"}
        assert len(s.ledger().charges) == 3  # no shopper paid twice
        s.core.faults.clear()
        await s.work(900)
        await s.agreed()


async def test_a_refusal_of_every_version_is_told_with_the_provider_s_words(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.fault("refuse", operation=CREATE, code="parameter_unknown", param="statement_descriptor")
        paid = await s.create()
        assert (paid["status"], paid["failure_code"]) == ("failed", "refused")
        error = (await s.books(paid["id"])).payment.provider_error
        assert error is not None
        assert (error.code, error.parameter) == ("parameter_unknown", "statement_descriptor")
        assert s.ledger().charges == []


async def test_a_decline_with_an_unknown_word_is_a_decline(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        s.fault("new_word", object="payment_intent", path="last_payment_error.decline_code",
                value="brand_new_word")  # fmt: skip
        paid = await s.create(payment_method="pm_card_visa_chargeDeclined")
        assert (paid["status"], paid["failure_code"]) == ("failed", "declined")
        assert len((await s.books(paid["id"])).attempts) == 1


@pytest.mark.parametrize(
    "change",
    [
        fault("new_word", object="payment_intent", path="status", value="subscription"),
        fault("remove_field", object="payment_intent", path="status"),
        fault("html", status=200),
        fault("error_in_200", status=200),
    ],
    ids=["new word", "field gone", "a page of HTML", "an error in 200"],
)
async def test_what_no_version_can_read_is_waited_for_and_never_guessed(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    async with stage(tmp_path) as s:
        s.fault(**change, operation="payment_intents.*")
        paid = await s.create()
        assert paid["outcome"] == "unknown"
        assert paid["status"] == "processing"
        s.core.faults.clear()
        await s.work(900)
        assert (await s.books(paid["id"])).payment.status == "succeeded"
        assert len(s.ledger().charges) == 1
        await s.agreed()


async def test_a_captured_payment_is_not_overwritten_by_a_maintenance_answer(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        s.fault("error_in_200", operation="*")
        item = {"id": s.charge_id(), "payment_intent": paid["provider_id"]}
        await told(s, "charge.updated", item)
        await s.work(300)
        assert (await s.books(paid["id"])).payment.status == "succeeded"


async def test_every_request_is_pinned_and_has_a_key_of_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        for _ in range(10):
            paid = await s.create()
            await s.refund(paid["id"], 100)
        assert all("stripe-version" in dict(request.headers) for request in s.wire.sent)
        keys = [key_of(request) for request in s.wire.posts()]
        assert len(set(keys)) == len(keys) == 20


async def test_an_unknown_event_is_taken_and_a_wrong_signature_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        assert await told(s, "invoice.something_new", {"id": "in_1"}) == "unknown_type"
        before = await s.books(paid["id"])
        with pytest.raises(TollkeeperError):
            await webhook.webhook(
                s.runtime, "stripe", VERSION, b"{}", {"stripe-signature": "t=1,v1=0"}
            )
        assert await s.books(paid["id"]) == before


async def test_an_event_in_another_shape_is_a_reason_to_look_alone(tmp_path: Path) -> None:
    async with stage(tmp_path) as s:
        paid = await s.create()
        await told(s, "charge.refunded", {"payment_intent": paid["provider_id"]})  # no more fields
        await s.work(60)
        books = await s.books(paid["id"])
        assert (books.payment.status, books.payment.refunded_minor) == ("succeeded", 0)
        await s.agreed()


async def test_a_charge_of_other_software_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with stage(tmp_path, rescue_seconds=0) as s:
        s.fault("drop", when="after", operation=CREATE, count=1)
        s.fault("foreign_row", operation="payment_intents.list", value={"id": "pi_foreign"})
        s.fault("foreign_row", operation="charges.list", value={"id": "ch_foreign"})
        paid = await s.create()
        await _settled(s)
        books = await s.books(paid["id"])
        assert books.payment.status == "succeeded"
        assert books.payment.provider_id not in {"pi_foreign", "ch_foreign"}


async def _settled(s: Stage) -> None:
    await s.work(900)
    await s.agreed()
