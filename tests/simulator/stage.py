"""A stage for the simulator's core: a clock with a lever, seeded chance, a merchant who posts."""

import asyncio
import heapq
import json
import random
from typing import Any
from urllib.parse import urlencode

import msgspec

from tollkeeper.simulator.core.messages import SimReply, SimRequest
from tollkeeper.simulator.stripe.config import SimulatorConfig
from tollkeeper.simulator.stripe.provider import SimulatorCore

KEY = "sk_test_tollkeeper"
OLD, MIDDLE, NEW = "2022-08-01", "2022-11-15", "2026-03-25.dahlia"
CARD = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true"}


class LeverClock:
    """Time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, id(future), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, and whoever wakes up do what it does."""
        await settle()
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not future.done():
                future.set_result(None)
            await settle()
        self.now = until


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class SeededChance:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 - seeded on purpose

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)

    def uniform(self) -> float:
        return self._random.random()


class Answer:
    """A reply that a test can ask about."""

    def __init__(self, reply: SimReply) -> None:
        self.reply = reply
        self.status = reply.status
        self.headers = dict(reply.headers)

    @property
    def json(self) -> Any:
        return json.loads(self.reply.body)

    @staticmethod
    def decoded(document: Any) -> Any:
        """A document as its reader sees it."""
        return json.loads(msgspec.json.encode(document))

    @property
    def error(self) -> Any:
        return self.json["error"]


class Merchant:
    """Asks the core as a client would."""

    def __init__(
        self,
        core: SimulatorCore,
        clock: LeverClock,
        version: str = NEW,
        key: str = KEY,
    ) -> None:
        self.core, self.clock, self.version, self.key = core, clock, version, key

    def request(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | str | None = None,
        *,
        idempotency_key: str = "",
        version: str | None = None,
    ) -> SimRequest:
        text = params if isinstance(params, str) else urlencode(params or {}, doseq=True)
        headers = [("Authorization", f"Bearer {self.key}")]
        headers.append(("Stripe-Version", version or self.version))
        if idempotency_key:
            headers.append(("Idempotency-Key", idempotency_key))
        if method == "GET":
            return SimRequest(method, path, text, headers, b"")
        return SimRequest(method, path, "", headers, text.encode())

    async def post(self, path: str, params: Any = None, **options: Any) -> Answer:
        return Answer(await self.core.handle(self.request("POST", path, params, **options)))

    async def get(self, path: str, params: Any = None, **options: Any) -> Answer:
        return Answer(await self.core.handle(self.request("GET", path, params, **options)))

    async def delete(self, path: str) -> Answer:
        return Answer(await self.core.handle(self.request("DELETE", path)))

    async def pay(self, amount: Any = 1000, currency: str = "eur", **params: Any) -> Answer:
        """Create and confirm an intent with a card."""
        options = {name: params.pop(name) for name in ("idempotency_key",) if name in params}
        body = {"amount": amount, "currency": currency, **CARD, **params}
        return await self.post("/v1/payment_intents", body, **options)

    async def control(self, method: str, path: str, body: Any = None) -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        request = SimRequest(method, f"/_control/{path}", "", [], data)
        return Answer(await self.core.handle(request))

    async def fault(self, effect: str, **fields: Any) -> str:
        answer = await self.control("POST", "faults", {"effect": effect, **fields})
        assert answer.status == 200, answer.json
        return str(answer.json["id"])

    def events(self) -> list[str]:
        return [event.type for event in self.core.world.shelves["acct_simulator"].events.values()]


def merchant(version: str = NEW, config: SimulatorConfig | None = None, **ports: Any) -> Merchant:
    clock = LeverClock()
    core = SimulatorCore(clock, SeededChance(), config, **ports)
    return Merchant(core, clock, version)
