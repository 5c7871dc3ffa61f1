"""The simulator's replies against the provider's own descriptions: nothing missing or invented."""

from typing import Any

import pytest
from tests.simulator.descriptions import FILES, description, is_present
from tests.simulator.stage import NEW, Answer, Merchant, merchant, settle

from tollkeeper.simulator.stripe.presenting import event_document

pytestmark = [
    pytest.mark.parametrize(
        "version",
        [
            pytest.param(
                version,
                marks=pytest.mark.skipif(
                    not is_present(version),
                    reason=f"the provider's description {FILES[version]} is not at hand",
                ),
            )
            for version in FILES
        ],
    )
]


class Witness(Merchant):
    """A merchant who checks every reply against the description of its version."""

    def __init__(self, shop: Merchant) -> None:
        super().__init__(shop.core, shop.clock, shop.version, shop.key)
        self.checked = 0

    async def post(self, path: str, params: Any = None, **options: Any) -> Answer:
        return self._check("POST", path, await super().post(path, params, **options))

    async def get(self, path: str, params: Any = None, **options: Any) -> Answer:
        return self._check("GET", path, await super().get(path, params, **options))

    def _check(self, method: str, path: str, answer: Answer) -> Answer:
        told = description(self.version)
        document = answer.json
        template = _template(path, told.paths)
        complaints = told.reply_complaints(method, template, answer.status, document)
        complaints += _object_complaints(self.version, document)
        assert complaints == [], f"{method} {path} {answer.status}"
        self.checked += 1
        return answer


def _object_complaints(version: str, document: dict[str, Any]) -> list[str]:
    """What is wrong with an object: the newest description is closed; an older one may miss what
    was added since, and only that."""
    kind = str(document.get("object"))
    if kind == "list":
        return [c for item in document["data"] for c in _object_complaints(version, item)]
    told = description(version, closed=version == NEW)
    if kind not in told.fields:
        return []
    complaints = told.complaints(kind, document)
    known = told.fields[kind] | description(NEW).fields.get(kind, set(document))
    return complaints + [f"{kind} has no {name}" for name in document if name not in known]


def _template(path: str, paths: dict[str, Any]) -> str:
    parts = path.split("/")
    for candidate in paths:
        names = candidate.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            return str(candidate)
    return path


async def test_a_whole_life_of_payments_is_described(version: str) -> None:
    shop = Witness(merchant(version))
    held = (await shop.pay(capture_method="manual", **{"metadata[a]": "b"})).json
    await shop.get(f"/v1/payment_intents/{held['id']}")
    await shop.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 400})
    await shop.post("/v1/refunds", {"payment_intent": held["id"], "amount": 100})
    refund = (await shop.post("/v1/refunds", {"payment_intent": held["id"]})).json
    await shop.get(f"/v1/refunds/{refund['id']}")
    charges = (await shop.get("/v1/charges", {"payment_intent": held["id"]})).json
    await shop.get(f"/v1/charges/{charges['data'][0]['id']}", {"expand[]": "refunds"})
    await shop.get("/v1/payment_intents", {"limit": 3})
    await shop.get("/v1/refunds", {"payment_intent": held["id"]})
    assert shop.checked == 10


async def test_intents_in_every_status_are_described(version: str) -> None:
    shop = Witness(merchant(version))
    made = (await shop.post("/v1/payment_intents", {"amount": 500, "currency": "usd"})).json
    await shop.post(f"/v1/payment_intents/{made['id']}", {"payment_method": "pm_card_visa"})
    await shop.post(
        f"/v1/payment_intents/{made['id']}/confirm", {"return_url": "https://a.example"}
    )
    sent = await shop.pay(
        payment_method="pm_card_threeDSecure2Required", return_url="https://a.example/back"
    )
    assert sent.json["status"] == "requires_action"
    silent = await shop.pay(payment_method="pm_card_threeDSecure2Required")
    shop.core.complete_challenge(silent.json["id"], authenticated=False)
    failed = await shop.get(f"/v1/payment_intents/{silent.json['id']}")
    assert failed.json["last_payment_error"]
    await shop.post(f"/v1/payment_intents/{sent.json['id']}/cancel")
    held = (await shop.pay(capture_method="manual")).json
    await shop.control("POST", f"intents/{held['id']}/expire")
    gone = await shop.get(f"/v1/payment_intents/{held['id']}")
    assert gone.json["status"] == "canceled"
    await shop.control("POST", "issuer", {"late_rate": 1.0})
    waiting = await shop.pay()
    assert waiting.json["status"] == "processing"
    await shop.get("/v1/charges", {"payment_intent": waiting.json["id"]})


async def test_refusals_are_described(version: str) -> None:
    shop = Witness(merchant(version))
    declined = await shop.pay(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert declined.status == 402
    await shop.get(f"/v1/payment_intents/{declined.error['payment_intent']['id']}")
    assert (await shop.get("/v1/payment_intents/pi_nobody")).status == 404
    assert (await shop.post("/v1/payment_intents", {"amount": 5})).status == 400
    paid = (await shop.pay(idempotency_key="k")).json
    assert (await shop.pay(7000, idempotency_key="k")).error["type"] == "idempotency_error"
    assert (await shop.post(f"/v1/payment_intents/{paid['id']}/capture")).status == 400
    assert (await shop.post("/v1/refunds", {"payment_intent": paid["id"], "amount": 9999})).status


async def test_events_and_small_resources_are_described(version: str) -> None:
    shop = Witness(merchant(version))
    shop.core.world.accounts["acct_simulator"].api_version = version
    body = {"url": "https://a.example", "enabled_events[]": "*", "api_version": version}
    await shop.post("/v1/webhook_endpoints", body)
    paid = await shop.pay(payment_method="pm_card_createDispute", capture_method="automatic")
    await shop.clock.advance(5)
    await settle()
    await shop.get("/v1/balance")
    await shop.get("/v1/account")
    await shop.post("/v1/customers", {"email": "a@shop.example", "name": "A"})
    page = (await shop.get("/v1/events")).json
    kinds = {event["type"] for event in page["data"]}
    assert "charge.dispute.created" in kinds
    dispute = next(e for e in page["data"] if e["type"] == "charge.dispute.created")
    await shop.get(f"/v1/disputes/{dispute['data']['object']['id']}")
    assert paid.json["status"] == "succeeded"


async def test_what_stands_inside_an_event_is_described(version: str) -> None:
    shop = merchant(version)
    shop.core.world.accounts["acct_simulator"].api_version = version
    held = (await shop.pay(capture_method="manual")).json
    await shop.post(f"/v1/payment_intents/{held['id']}/cancel")
    await shop.pay(payment_method="pm_card_visa_chargeDeclined")
    for event in shop.core.world.shelves["acct_simulator"].events.values():
        document = Answer.decoded(event_document(event, version))
        inside = document["data"]["object"]
        assert _object_complaints(version, inside) == [], event.type
        assert _object_complaints(version, document) == [], event.type
