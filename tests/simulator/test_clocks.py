"""The provider's clock: every reply tells it, and it may be minutes off."""

from email.utils import parsedate_to_datetime
from typing import Any

from tests.simulator.stage import Answer, merchant

from tollkeeper.simulator.stripe.config import SimulatorConfig


def _date(answer: Answer) -> float:
    return parsedate_to_datetime(answer.headers["date"]).timestamp()


async def test_every_reply_carries_the_provider_s_date() -> None:
    shop = merchant(config=SimulatorConfig(clock_offset_seconds=-420))
    held = (await shop.pay(capture_method="manual")).json
    await shop.fault("sunset", operation="account.retrieve")
    answers = [
        await shop.pay(),
        await shop.pay(payment_method="pm_card_visa_chargeDeclined"),
        await shop.get("/v1/payment_intents"),
        await shop.get("/v1/nowhere"),
        await shop.get("/v1/account"),
        await shop.post(f"/v1/payment_intents/{held['id']}/cancel", idempotency_key="k"),
        await shop.post(f"/v1/payment_intents/{held['id']}/cancel", idempotency_key="k"),
    ]
    assert {_date(answer) for answer in answers} == {shop.clock.now - 420}
    assert all(len([h for h in a.reply.headers if h[0] == "date"]) == 1 for a in answers)


async def test_objects_are_made_at_the_provider_s_time_and_booked_at_the_true_one() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"clock_offset_seconds": 300})
    paid = (await shop.pay()).json
    assert paid["created"] == shop.clock.now + 300
    charge = (await shop.get(f"/v1/charges/{paid['latest_charge']}")).json
    assert charge["created"] == shop.clock.now + 300
    assert shop.core.ledger().charges[0].created_ms == shop.clock.now_ms()


async def test_spans_are_the_provider_s_own() -> None:
    shop = merchant()
    await shop.control("POST", "settings", {"clock_offset_seconds": 300})
    await shop.pay()
    true = int(shop.clock.now)
    since = {"created[gte]": true + 1, "created[lte]": true + 300}
    assert len((await shop.get("/v1/payment_intents", since)).json["data"]) == 1
    assert (await shop.get("/v1/payment_intents", {"created": true})).json["data"] == []


async def test_spans_hold_after_the_clock_was_put_back() -> None:
    shop = merchant()
    made: list[Any] = []
    for offset in (0, 600, -600):
        await shop.control("POST", "settings", {"clock_offset_seconds": offset})
        made.append((await shop.pay()).json["id"])
    true = int(shop.clock.now)

    async def found(**span: int) -> list[str]:
        query = {f"created[{name}]": value for name, value in span.items()}
        page = (await shop.get("/v1/payment_intents", query)).json
        return [intent["id"] for intent in page["data"]]

    assert await found(gte=true, lte=true) == [made[0]]
    assert await found(gte=true + 1) == [made[1]]
    assert await found(lt=true) == [made[2]]
    assert await found() == made[::-1]


async def test_a_webhook_is_signed_at_the_time_of_its_own_machines() -> None:
    sent: list[str] = []

    async def deliver(url: str, headers: list[tuple[str, str]], body: bytes) -> int:
        sent.append(dict(headers)["Stripe-Signature"].split(",")[0])
        return 200

    config = SimulatorConfig(clock_offset_seconds=900, webhook_clock_offset_seconds=-301)
    shop = merchant(config=config, deliver=deliver)
    await shop.post(
        "/v1/webhook_endpoints",
        {"url": "https://shop.example/hooks", "enabled_events[]": "payment_intent.created"},
    )
    await shop.pay()
    await shop.clock.advance(1)
    await shop.get("/v1/account")
    await shop.clock.advance(0)
    assert sent == [f"t={int(shop.clock.now) - 301}"]
