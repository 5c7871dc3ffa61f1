"""Shoppers of the proving ground: they pay, capture, refund and mistype, and note what they saw."""

import asyncio
import contextlib
import math
import time
from typing import Any, Final

import aiohttp
import msgspec

CARDS: Final = (
    ("pm_card_visa", 50), ("pm_card_mastercard", 25), ("pm_card_amex", 10),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", 5), ("pm_card_visa_chargeDeclined", 4),
    ("pm_card_discover", 5), ("pm_card_chargeDeclinedIncorrectCvc", 1),
)  # fmt: skip
CURRENCIES: Final = (("EUR", 60), ("USD", 30), ("JPY", 10))
COUNTRIES: Final = (("DE", 50), ("FR", 30), ("US", 20))
MANUAL: Final = 0.25
REFUNDED: Final = 0.05
GIVE_UP_SECONDS: Final = 20.0
SLOW_SECONDS: Final = 3.0


class Visit(msgspec.Struct):
    """What one shopper saw: after how many seconds of the fault it began (negative before it), the
    first answer's status and how long it took. `moment`: when it began, on the monotonic clock."""

    at: float
    moment: float = 0.0
    status: int = 0
    said: str = ""
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether the shopper was told failed without a decline, wait, or nothing; or much too
        late."""
        return self.said not in {"succeeded", "declined"} or self.seconds > SLOW_SECONDS


class Shop:
    """Shoppers at a steady rate, and what a traffic primitive adds to them."""

    def __init__(self, ground: Any) -> None:
        self.ground = ground
        self.visits: list[Visit] = []
        self.began: float | None = None
        self.factor = 1.0
        self.mistyping = 0.0
        self.tested_rate = 0.0
        self.garbage_rate = 0.0
        self._open = True
        self._name = f"proving-{time.time_ns()}"
        self._under_way: set[asyncio.Task[None]] = set()
        self._number = 0
        self.said = False

    def close(self) -> None:
        """No more shoppers come."""
        self._open = False

    async def open(self, rate: float) -> None:
        """Shoppers at `rate` a second until `close`; then waits for the last."""
        due = time.monotonic()
        while self._open:
            self._start(self._visit())
            wished = max(rate * self.factor, 0.001)
            due += self.ground.chance.expovariate(wished)
            await self._until(due)
            due = max(due, time.monotonic() - 1.0)
        await asyncio.gather(*list(self._under_way), return_exceptions=True)

    async def open_extra(self) -> None:
        """Only what a primitive adds, until `close`: another program sends the usual ones."""
        while self._open:
            await self._until(time.monotonic() + 1.0)
        await asyncio.gather(*list(self._under_way), return_exceptions=True)

    async def _until(self, due: float) -> None:
        """Waits, and sends what attackers and broken accounts send meanwhile."""
        while self._open and time.monotonic() < due:
            extra = self.tested_rate + self.garbage_rate
            pause = min(due - time.monotonic(), 1 / extra if extra else 0.5)
            await asyncio.sleep(max(pause, 0))
            if self.tested_rate and self.ground.chance.random() * extra < self.tested_rate:
                self._start(self._test_card())
            elif self.garbage_rate:
                self._start(self._garbage())

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _visit(self) -> None:
        chance = self.ground.chance
        began = time.monotonic()
        at = began - self.began if self.began is not None else -1.0
        visit = Visit(at=at, moment=began)
        self.visits.append(visit)
        mistypes = self.mistyping and chance.random() < self.mistyping
        manual = chance.random() < MANUAL
        customer = f"shopper-{chance.randrange(100_000)}"
        body = {
            "amount_minor": chance.randrange(1_000, 20_000),
            "currency": _drawn(chance, CURRENCIES),
            "country": _drawn(chance, COUNTRIES),
            "payment_method": "pm_card_chargeDeclinedIncorrectCvc"
            if mistypes
            else _drawn(chance, CARDS),
            "capture_method": "manual" if manual else "automatic",
            "customer": customer,
        }
        payment = await self._post("/v1/payments", body, visit)
        visit.seconds = time.monotonic() - began
        if payment is not None:
            await self._follow(payment)

    async def _follow(self, payment: dict[str, Any]) -> None:
        chance = self.ground.chance
        path = f"/v1/payments/{payment.get('id')}"
        if payment.get("status") == "requires_capture":
            await asyncio.sleep(chance.uniform(0.5, 3))
            payment = await self._post(f"{path}/capture", {}) or {}
        if payment.get("status") == "succeeded" and chance.random() < REFUNDED:
            await asyncio.sleep(chance.uniform(0.5, 3))
            await self._post(f"{path}/refunds", {"amount_minor": 100})

    async def _test_card(self) -> None:
        """Someone tries numbers: small amounts, a few customers, wrong details."""
        chance = self.ground.chance
        body = {
            "amount_minor": chance.randrange(50, 150),
            "currency": "EUR",
            "payment_method": chance.choice(
                ("pm_card_chargeDeclinedIncorrectCvc", "pm_card_visa_chargeDeclined",
                 "pm_card_chargeDeclinedExpiredCard")
            ),
            "customer": f"tester-{chance.randrange(4)}",
        }  # fmt: skip
        await self._post("/v1/payments", body)

    async def _garbage(self) -> None:
        """A request of one merchant's that the provider refuses."""
        body = {
            "amount_minor": 1_000,
            "currency": "EUR",
            "payment_method": "pm_card_of_nobody",
            "customer": f"bad-{self.ground.chance.randrange(10_000)}",
        }
        await self._post("/v1/payments", body, secret=self.ground.bad_secret)

    async def _post(
        self, path: str, body: dict[str, Any], visit: Visit | None = None, secret: str = ""
    ) -> dict[str, Any] | None:
        self._number += 1
        ground = self.ground
        headers = {
            "Authorization": f"Bearer {secret or ground.secret}",
            "Idempotency-Key": f"{self._name}-{self._number}",
        }
        url = f"http://127.0.0.1:{ground.chance.choice(ground.ports)}{path}"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                async with ground.session.post(url, json=body, headers=headers) as reply:
                    answer = dict(await reply.json())
            if visit is not None:
                visit.status, visit.said = reply.status, _said(reply.status, answer)
            return answer if reply.status < 300 else None
        return None

    def seen(self) -> list[tuple[int, int, int]]:
        """By second of the fault, negative before it: shoppers, and those who had a bad time."""
        if self.began is None:
            return []
        found: dict[int, list[int]] = {}
        for visit in self.visits:
            counts = found.setdefault(math.floor(visit.moment - self.began), [0, 0])
            counts[0] += 1
            counts[1] += visit.is_bad
        return [(second, found[second][0], found[second][1]) for second in sorted(found)]

    def bad(self, *, during: bool) -> float:
        """The share of shoppers who had a bad time before the fault, or during it."""
        found = [visit.is_bad for visit in self.visits if (visit.at >= 0) == during]
        return round(sum(found) / len(found), 3) if found else 0.0

    def declined(self, *, during: bool) -> float:
        """The share of shoppers who were declined before the fault, or during it."""
        found = [visit.said == "declined" for visit in self.visits if (visit.at >= 0) == during]
        return round(sum(found) / len(found), 3) if found else 0.0

    def quantile_seconds(self, share: float, *, during: bool) -> float:
        """The time to the first answer that this share of shoppers stays below, before the fault or
        during it."""
        found = sorted(visit.seconds for visit in self.visits if (visit.at >= 0) == during)
        return round(found[min(int(share * len(found)), len(found) - 1)], 3) if found else 0.0


def _said(status: int, answer: dict[str, Any]) -> str:
    if status not in {200, 201}:
        return "wait" if status == 202 else "refused"
    if answer["status"] in {"succeeded", "requires_capture"}:
        return "succeeded"
    return "declined" if answer.get("decline_reason") else str(answer["status"])


def _drawn(chance: Any, weighted: tuple[tuple[str, int], ...]) -> str:
    values, weights = zip(*weighted, strict=True)
    return str(chance.choices(values, weights)[0])
