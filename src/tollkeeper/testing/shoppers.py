"""Simulated callers: merchants' servers that retry, double-click, give up and follow up."""

import asyncio
import random
from typing import Any, Final

import msgspec

from tollkeeper.payments.invariants import Given
from tollkeeper.simulator.core.messages import SimRequest
from tollkeeper.testing.door import API_KEY, Answer, Call
from tollkeeper.testing.world import Simulation

CARDS: Final = (
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_threeDSecure2Required",
    "pm_card_threeDSecure2Required",
    "pm_card_createDispute",
    "pm_card_refundFail",
    "pm_card_pendingRefund",
)
CONFLICTS: Final = {
    "request_in_flight": "key.in_flight",
    "reference_in_use": "reference.refused",
}
POLLS: Final = 40
POLL_SECONDS: Final = 2.0


class Caller:
    """One merchant's server that makes one payment and what follows."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self.simulation = simulation
        self.chance = simulation.loop.chance
        self.number = number
        self.keys = 0
        self.webhooks = simulation.temper.webhooks
        self.several = False

    async def shop(self) -> None:
        """A payment from beginning to end, with the impatience that the seed gives."""
        await asyncio.sleep(self._arrives())
        amount = self.chance.choice((50, 1_000, 2_599, 100_000))
        body = {
            "amount_minor": amount,
            "currency": self.chance.choice(("EUR", "USD", "JPY")),
            "payment_method": self._card(),
            "capture_method": self._capture_method(),
            "customer": f"customer-{self.chance.randrange(self.simulation.temper.shoppers)}",
            "return_url": "https://merchant.example/return",
        }
        if body["capture_method"] == "manual" and self.chance.random() < 0.4:
            body["multicapture"] = self.several = True
        if self.simulation.temper.has("references"):
            body |= {"reference": f"order-{self.number // 3}", "unique_reference": True}
        answer = await self.post("/v1/payments", body)
        if answer is None or answer.status not in {200, 201, 202}:
            return
        payment = await self._wait(answer.json())
        if payment["status"] == "requires_action":
            payment = await self._authenticate(payment)
        await self._follow_up(payment)

    def _arrives(self) -> float:
        """Seconds until it comes; those who race for one reference come at once."""
        if not self.simulation.temper.has("references"):
            return self.chance.random() * self.chance.choice((20, 20, 50))
        return random.Random(f"{self.simulation.seed}/{self.number // 3}").random() * 20

    def _capture_method(self) -> str:
        misreads = self.simulation.temper.misreads
        # a candidate takes a hold for captured, or what is captured at once for something else
        more = ("manual" if misreads == "captured" else "automatic",) * 2 if misreads else ()
        chosen: str = self.chance.choice(("automatic", "manual", *more))
        return chosen

    def _card(self) -> str:
        card = self.chance.choice(CARDS)
        # without webhooks nobody can learn that a refund which was made has come back
        return "pm_card_visa" if card == "pm_card_refundFail" and not self.webhooks else card

    async def post(self, path: str, body: dict[str, Any]) -> Answer | None:
        """A POST under a fresh key, repeated with that key until an answer comes or patience ends;
        sometimes sent twice at once."""
        key = self._key()
        data = msgspec.json.encode(body)
        tries = self.chance.choice((1, 2, 6, 6))
        if self.chance.random() < 0.15:
            self.simulation.loop.outside(self._once(path, data, key))
        for _ in range(tries):
            answer = await self._once(path, data, key)
            if answer is not None and answer.status not in {409, 503}:
                return answer
            await asyncio.sleep(self.chance.random() * 4)
        return None

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.number}-{self.keys}"

    async def _once(self, path: str, data: bytes, key: str) -> Answer | None:
        answer = await self._send("POST", path, data, key)
        if answer is not None:
            self._note(answer, key)
        return answer

    def _note(self, answer: Answer, key: str) -> None:
        simulation = self.simulation
        simulation.loop.note("answer", key, answer.status)
        simulation.coverage.count("answer", str(answer.status))
        if answer.status >= 500 and answer.status != 503:
            simulation.crashed(f"{key} was answered {answer.status}: {answer.body[:300]!r}")
        if 200 <= answer.status < 300:
            found = answer.json()
            payment = found["payment"] if found["object"] == "refund" else found["id"]
            simulation.given.append(Given(key, answer.status, payment))
            if answer.replayed:
                simulation.coverage.count("key.replayed")
        elif answer.status == 409:
            name = CONFLICTS.get(answer.json()["code"])
            if name is not None:
                simulation.coverage.count(name)

    async def _send(self, method: str, path: str, data: bytes, key: str = "") -> Answer | None:
        simulation = self.simulation
        headers = [("authorization", f"Bearer {API_KEY}"), ("content-type", "application/json")]
        if key:
            headers.append(("idempotency-key", key))
        replica = self.chance.choice(simulation.open_doors)
        await asyncio.sleep(self.chance.random() * 0.05)
        seconds = self.chance.choice((1.0, 5.0, 40.0, 40.0))
        call = Call(method, path, headers, data)
        answer = await replica.door.request(simulation.loop, replica.process, call, seconds)
        lost = not simulation.calm and self.chance.random() < 0.05
        return None if lost else answer

    async def _wait(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Polls until the payment's outcome is known, or patience ends."""
        for _ in range(POLLS):
            if payment["outcome"] == "known" and payment["status"] != "processing":
                break
            await asyncio.sleep(POLL_SECONDS)
            answer = await self._send("GET", f"/v1/payments/{payment['id']}", b"")
            if answer is not None and answer.status == 200:
                payment = answer.json()
        return payment

    async def come_back(self, payment_id: str) -> None:
        """A merchant hours later, who reads a payment and gives back a part of it, or all."""
        answer = await self._send("GET", f"/v1/payments/{payment_id}", b"")
        if answer is None or answer.status != 200:
            return
        captured = answer.json()["amount_captured_minor"]
        if captured:  # also more than is left: it may believe that an earlier refund had failed
            asked = {"amount_minor": self.chance.choice((captured, max(1, captured // 2)))}
            await self.post(f"/v1/payments/{payment_id}/refunds", asked)

    async def _authenticate(self, payment: dict[str, Any]) -> dict[str, Any]:
        """The shopper at the bank: authenticates, fails, or walks away; then comes back."""
        await asyncio.sleep(self.chance.random() * 10)
        mood = self.chance.choice(("well", "well", "fails", "leaves"))
        if mood == "leaves":
            return payment
        self.simulation.core.complete_challenge(
            payment["provider_id"], authenticated=mood == "well"
        )
        if self.chance.random() < 0.7:
            await self._send("GET", f"/v1/return/{payment['id']}", b"")
        await asyncio.sleep(POLL_SECONDS)
        answer = await self._send("GET", f"/v1/payments/{payment['id']}", b"")
        found: dict[str, Any] = answer.json() if answer and answer.status == 200 else payment
        return found

    async def _follow_up(self, payment: dict[str, Any]) -> None:
        path = f"/v1/payments/{payment['id']}"
        if payment["status"] == "requires_action" and self.chance.random() < 0.3:
            await self.post(f"{path}/void", {})
        if payment["status"] == "requires_capture":
            payment = await self._capture_or_void(path, payment)
        if payment["status"] == "succeeded":
            await self._refund(path, payment)

    async def _capture_or_void(self, path: str, payment: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self.chance.random() * 10)
        choices = ["capture", "capture", "part", "void", "expire", "nothing"]
        if self.simulation.temper.has("hours"):
            choices += ["capture", "void"]  # of what is late, cancellations are the rarest
        choice = self.chance.choice(["several"] * 6 if self.several else choices)
        if choice == "expire" and not self.webhooks:
            return payment  # nobody could learn of it before the authorization ends
        if choice == "expire":
            await self._control(f"/_control/intents/{payment['provider_id']}/expire", {})
            self.simulation.coverage.count("authorization.expired")
        if choice == "nothing":
            return payment
        if choice == "void":
            await self.post(f"{path}/void", {})
        elif choice == "several":
            await self._capture_twice(path, payment)
        elif choice != "expire" or self.chance.random() < 0.5:
            part = {"amount_minor": payment["amount_minor"] // 2} if choice == "part" else {}
            await self.post(f"{path}/capture", part)
        answer = await self._send("GET", path, b"")
        if answer is None or answer.status != 200:
            return payment
        return await self._wait(answer.json())

    async def _capture_twice(self, path: str, payment: dict[str, Any]) -> None:
        """A part, and then another part, all that is left, or nothing: the rest is released."""
        part = {"amount_minor": payment["amount_minor"] // 3, "final": False}
        await self.post(f"{path}/capture", part)
        await asyncio.sleep(self.chance.random() * 8)
        rest = self.chance.choice(({}, {"amount_minor": 0}, {"amount_minor": 0}, part))
        answer = await self.post(f"{path}/capture", rest)
        if rest == {"amount_minor": 0} and answer is not None and answer.status == 200:
            self.simulation.coverage.count("capture.of_nothing")

    async def _refund(self, path: str, payment: dict[str, Any]) -> None:
        await asyncio.sleep(self.chance.random() * 10)
        left = payment["amount_captured_minor"]
        if self.chance.random() < 0.15 and self.webhooks:
            await self._dashboard_refund(payment, left // 3)
        for share in self.chance.choice(((), (1,), (2,), (2, 2), (2, 1), (3, 3, 3))):
            asked = {"amount_minor": max(1, left // share), "reason": "requested_by_customer"}
            if self.chance.random() < 0.3:
                self.simulation.loop.outside(self.post(f"{path}/refunds", asked))
            else:
                await self.post(f"{path}/refunds", asked)

    async def _dashboard_refund(self, payment: dict[str, Any], amount: int) -> None:
        self.simulation.coverage.count("dashboard.refund")
        charges = self.simulation.ledger_of.get(payment["id"], {})
        for charge_id in [c.charge_id for c in charges.values() if c.live]:
            path = f"/_control/charges/{charge_id}/refund"
            await self._control(path, {"amount": max(1, amount)})

    async def _control(self, path: str, body: dict[str, Any]) -> None:
        await self.simulation.core.handle(
            SimRequest(method="POST", path=path, body=msgspec.json.encode(body))
        )
