"""A hostile account beside an honest one: it floods, and reaches for what is not its own."""

import asyncio
import hashlib
from typing import Any, Final

import msgspec

from tollkeeper.flows.ports import ApiKey, Endpoint
from tollkeeper.flows.webhooks import deliver
from tollkeeper.payments.invariants import Violation
from tollkeeper.store import keys, webhooks
from tollkeeper.testing.door import Answer, Call
from tollkeeper.testing.world import Simulation

NAME: Final = "acc_2"
SECRET: Final = "tk_neighbor"  # noqa: S105 - a simulated key
URL: Final = "https://hostile.example/hook"

BURSTS: Final = 3
IN_A_BURST: Final = 8
MAY_ANSWER: Final = frozenset({404, 429, 503})
"""What a request for another account's payment may be answered."""

BEHIND: Final = 60.0
"""After the last fault its endpoint hangs on for so long."""


async def attach(simulation: Simulation) -> None:
    """Gives the hostile account its key and its endpoint, and lets it at the service."""
    now_ms = simulation.clock.now_ms()
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    key = ApiKey(
        id="key_2", digest=digest, account=NAME, role="operator", label="hostile",
        api_version="2026-11-24", created_ms=now_ms,
    )  # fmt: skip
    simulation.driver.now(keys.save_api_key(key))
    secret = deliver.seal_secret(simulation.replicas[0].runtime, "whsec_aG9zdGlsZQ==")
    endpoint = Endpoint(
        id="we_2", account=NAME, url=URL, secrets=(secret,), enabled=True, created_ms=now_ms
    )
    simulation.driver.now(webhooks.save_endpoint(endpoint))
    simulation.hook.hanging = URL
    simulation.loop.outside(_Neighbor(simulation).harass())


class _Neighbor:
    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.chance = simulation.loop.chance
        self.keys = 0

    async def harass(self) -> None:
        """Floods and reaches until a while after the last fault."""
        for _ in range(BURSTS):
            await asyncio.sleep(self.chance.random() * 20)
            for _ in range(IN_A_BURST):
                self.simulation.loop.outside(self._pay())
            await self._reach()
        while not self.simulation.calm:
            await asyncio.sleep(5.0)
        for _ in range(IN_A_BURST):
            self.simulation.loop.outside(self._pay())
        await asyncio.sleep(BEHIND)
        self.simulation.hook.hanging = ""

    async def _pay(self) -> None:
        body = {
            "amount_minor": 777, "currency": "EUR", "payment_method": "pm_card_visa",
            "customer": f"customer-{self.chance.randrange(3)}",
        }  # fmt: skip
        await self._send("POST", "/v1/payments", body)

    async def _reach(self) -> None:
        """Reads and moves payments of the other account, by ids that it has learned somewhere."""
        given = [answer.payment_id for answer in self.simulation.given]
        if not given:
            return
        theirs = self.chance.choice(given)
        path = f"/v1/payments/{theirs}"
        asks: tuple[tuple[str, str, Any], ...] = (
            ("GET", path, None),
            ("GET", f"{path}/refunds", None),
            ("GET", f"{path}/disputes", None),
            ("GET", f"{path}/audit", None),
            ("POST", f"{path}/capture", {}),
            ("POST", f"{path}/void", {}),
            ("POST", f"{path}/refunds", {"amount_minor": 1}),
        )
        for method, where, body in self.chance.sample(asks, 3):
            answer = await self._send(method, where, body)
            self._must_be_refused(answer, f"{method} {where}")
        self._must_hide(await self._send("GET", "/v1/payments", None), given)

    def _must_be_refused(self, answer: Answer | None, what: str) -> None:
        if answer is None:
            return
        if answer.status not in MAY_ANSWER:
            detail = f"another account's {what} was answered {answer.status}"
            self.simulation.fail(Violation("I10", NAME, detail))
        elif answer.status == 404:
            self.simulation.coverage.count("hostile.refused")

    def _must_hide(self, answer: Answer | None, given: list[str]) -> None:
        if answer is None or answer.status != 200:
            return
        shown = {item["id"] for item in answer.json()["data"]}
        if shown & set(given):
            detail = "its page of payments has another account's"
            self.simulation.fail(Violation("I10", NAME, detail))

    async def _send(self, method: str, path: str, body: Any) -> Answer | None:
        simulation = self.simulation
        headers = [("authorization", f"Bearer {SECRET}"), ("content-type", "application/json")]
        if method == "POST":
            self.keys += 1
            headers.append(("idempotency-key", f"hostile-{self.keys}"))
        data = b"" if body is None else msgspec.json.encode(body)
        replica = self.chance.choice(simulation.replicas)
        call = Call(method, path, headers, data)
        answer = await replica.door.request(simulation.loop, replica.process, call, 20.0)
        if answer is not None and answer.status >= 500 and answer.status != 503:
            simulation.crashed(f"{method} {path} was answered {answer.status}: {answer.body!r}")
        return answer
