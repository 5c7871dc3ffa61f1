"""Demo shoppers: a trickle of payments through Tollkeeper's public API, as strangers to it.

They know nothing but HTTP: pay, authenticate at the bank's page, capture, refund, void.
"""

import asyncio
import time
from collections import Counter
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from tollkeeper.kernel.chance import Chance

METHODS: Final = (
    ("pm_card_visa", 70),
    ("pm_card_mastercard", 14),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", 4),
    ("pm_card_visa_chargeDeclined", 3),
    ("pm_card_threeDSecure2Required", 9),
)
CURRENCIES: Final = (("EUR", 60), ("USD", 30), ("JPY", 10))
REQUEST_SECONDS: Final = 30.0
MAX_UNDERWAY: Final = 200
"""Payments at a time; further shoppers wait, so a service that hangs is not piled upon."""


class Plan(msgspec.Struct, frozen=True):
    """`rate` in payments a second; stops at `count` payments or after `seconds`, whichever comes
    first; neither means until interrupted."""

    api: str
    key: str
    rate: float = 1.0
    count: int | None = None
    seconds: float | None = None
    return_url: str = "http://127.0.0.1:1/thanks"


class Shopper:
    """One shopper's visit to the shop."""

    def __init__(self, session: aiohttp.ClientSession, plan: Plan, chance: Chance) -> None:
        self._session = session
        self._plan = plan
        self._chance = chance
        self.story: list[str] = []

    async def visit(self, number: int) -> str:
        """Pay, and perhaps change one's mind; gives the last status, or what went wrong."""
        order = self._order(number)
        payment = await self._post("/v1/payments", order)
        self.story += [order["payment_method"], f"{order['amount_minor']} {order['currency']}"]
        payment = await self._authenticate(payment)
        payment = await self._settled(payment)
        if payment.get("status") == "requires_capture":
            payment = await self._capture_or_void(payment, order)
        if payment.get("status") == "succeeded" and self._chance.uniform() < 0.15:
            payment = await self._refund(payment, order)
        return str(payment.get("status") or payment.get("code") or "no answer")

    def _order(self, number: int) -> dict[str, Any]:
        currency = _drawn(self._chance, CURRENCIES)
        return {
            "amount_minor": 500 + self._chance.bits(14),
            "currency": currency,
            "payment_method": _drawn(self._chance, METHODS),
            "capture_method": "manual" if self._chance.uniform() < 0.4 else "automatic",
            "customer": f"shopper-{self._chance.bits(20)}",
            "reference": f"order-{number}-{self._chance.bits(32):08x}",
            "return_url": self._plan.return_url,
        }

    async def _authenticate(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Follow the redirect to the bank's page, approve or fail there, come back."""
        action = payment.get("next_action") or {}
        if payment.get("status") != "requires_action" or action.get("type") != "redirect":
            return payment
        outcome = "success" if self._chance.uniform() < 0.85 else "fail"
        page = URL(str(action["url"])).update_query(outcome=outcome)
        self.story.append(f"3DS {outcome}")
        async with self._session.get(page, allow_redirects=False) as answer:
            self.story.append(f"bank {answer.status}")
        return await self._read(payment)

    async def _settled(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Ask again for a while if the outcome is not known yet."""
        for pause in (0.2, 0.5, 1.0, 2.0, 4.0):
            if payment.get("status") not in ("processing", "requires_action"):
                break
            await asyncio.sleep(pause)
            payment = await self._read(payment)
        return payment

    async def _capture_or_void(
        self, payment: dict[str, Any], order: dict[str, Any]
    ) -> dict[str, Any]:
        choice = self._chance.uniform()
        identifier = payment["id"]
        if choice < 0.2:
            self.story.append("void")
            return await self._post(f"/v1/payments/{identifier}/void", {})
        amount = order["amount_minor"] if choice < 0.7 else order["amount_minor"] // 2
        self.story.append(f"capture {amount}")
        return await self._post(f"/v1/payments/{identifier}/capture", {"amount_minor": amount})

    async def _refund(self, payment: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
        captured = payment.get("amount_captured_minor") or order["amount_minor"] // 2
        amount = max(1, captured // 2)
        self.story.append(f"refund {amount}")
        await self._post(f"/v1/payments/{payment['id']}/refunds", {"amount_minor": amount})
        return await self._read(payment)

    async def _read(self, payment: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("GET", f"/v1/payments/{payment['id']}", None)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._plan.key}"}
        if method == "POST":
            headers["Idempotency-Key"] = f"{self._chance.bits(128):032x}"
        url = self._plan.api.rstrip("/") + path
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            document = await answer.json(content_type=None)
        return document if isinstance(document, dict) else {}


async def shop(plan: Plan, chance: Chance) -> bool:
    """Send shoppers; prints a line for each payment and a summary; whether all got an answer."""
    results: Counter[str] = Counter()
    gate = asyncio.Semaphore(MAX_UNDERWAY)
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        number = 0
        while _goes_on(plan, number, time.monotonic() - started):
            await gate.acquire()
            number += 1
            shopper = Shopper(session, plan, chance)
            group.create_task(_visit(shopper, number, results, gate))
            await asyncio.sleep(1 / plan.rate)
    summary = ", ".join(f"{count} {status}" for status, count in results.most_common())
    print(f"{number} payments: {summary}", flush=True)
    return number > 0 and results["no answer"] == 0


def _goes_on(plan: Plan, number: int, elapsed: float) -> bool:
    return (plan.count is None or number < plan.count) and (
        plan.seconds is None or elapsed < plan.seconds
    )


async def _visit(
    shopper: Shopper, number: int, results: Counter[str], gate: asyncio.Semaphore
) -> None:
    try:
        status = await shopper.visit(number)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
        status = "no answer"
        shopper.story.append(type(error).__name__)
    finally:
        gate.release()
    results[status] += 1
    print(f"#{number} {' · '.join(shopper.story)} → {status}", flush=True)


def _drawn(chance: Chance, choices: tuple[tuple[str, int], ...]) -> str:
    left = chance.uniform() * sum(weight for _, weight in choices)
    for name, weight in choices:
        left -= weight
        if left < 0:
            return name
    return choices[-1][0]
