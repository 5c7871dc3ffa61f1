"""The scene of a drill: shoppers at a steady rate in front of the running service, over sockets."""

import asyncio
import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from tollkeeper.flows.operations.doctor import Report
from tollkeeper.payments.invariants import Given
from tollkeeper.testing.kill import MEANINGS, Yard

AFFECTED_SECONDS: Final = 5.0
"""A shopper who has no final answer within this time was affected, whatever was said at first."""

LOOK_SECONDS: Final = 0.3
"""How long a shopper waits before looking again."""

LONGER: Final = 1.3
"""Each pause is so many times the one before it: later looks may be coarser."""


class Visit(msgspec.Struct):
    """One shopper's payment. Seconds count from the fault; `told` is the first HTTP status,
    `said` what the first answer said (succeeded, declined, failed, wait), `taken_by` the version
    that took it (a failover or a rollback may move it later), `final_seconds` how long until the
    payment was final, `None` where it never was; `asked_seconds` how long the answer took, after
    so many `attempts`."""

    at: float
    has_money: bool = True
    told: int = 0
    said: str = ""
    payment_id: str = ""
    taken_by: str = ""
    status: str = ""
    final_seconds: float | None = None
    asked_seconds: float = 0.0
    attempts: int = 0

    @property
    def affected(self) -> bool:
        """Whether this shopper was told anything but what is so, paid or declined, or only late."""
        late = self.final_seconds is None or self.final_seconds > AFFECTED_SECONDS
        right = "succeeded" if self.has_money else "failed"
        return late or self.told != 201 or self.status != right


WITHOUT_MONEY: Final = 0.1
"""Of the shoppers' cards, how many are declined."""

REGULARS: Final = 200
"""Customers who come back."""


def said(status: int, payment: dict[str, Any]) -> str:
    """What an answer to a payment said: succeeded, declined, failed, wait, or no answer."""
    if status not in {201, 202}:
        return "no answer"
    if status == 202 or payment["status"] not in {"succeeded", "failed", "canceled"}:
        return "wait"
    if payment["status"] == "succeeded":
        return "succeeded"
    return "declined" if payment.get("decline_reason") else "failed"


def median_ms(seconds: Iterable[float]) -> float | None:
    """Milliseconds, or None of nothing."""
    found = list(seconds)
    return round(statistics.median(found) * 1000, 1) if found else None


class Harm(msgspec.Struct, frozen=True):
    """Payments that were harmed, by the ledger: charged twice, lost, booked otherwise than the
    ledger says, not settled in the end; `other` counts what belongs to none of these."""

    double: int = 0
    lost: int = 0
    misread: int = 0
    unresolved: int = 0
    other: int = 0


def harm_of(report: Report) -> Harm:
    """The violations of a report by what they mean for a shopper."""
    found = Counter(MEANINGS.get(v.invariant, "other") for v in report.violations)
    misread = sum(v.invariant in {"I4", "I13"} for v in report.violations)
    return Harm(
        double=found["double"],
        lost=found["lost"] - misread,
        misread=misread,
        unresolved=found["unresolved"],
        other=found["other"] + found["forgotten"],
    )


class Scene(Yard):
    """A yard with shoppers who come at a steady rate: new customers, and as many regular ones.

    A shopper looks again after `look_seconds`, then after ever longer pauses up to
    `most_look_seconds`, and gives up after `final_seconds`. `listen` hears of what happens.
    """

    faults = ()
    began: float | None = None
    final_seconds = 90.0
    most_look_seconds = LOOK_SECONDS

    def __init__(
        self, folder: Path, database: str, replicas: int, weights: dict[str, float], seed: int = 7
    ):
        super().__init__(folder, database, replicas, seed=seed)
        self.weights = weights
        self.visits: list[Visit] = []
        self._told: list[tuple[float, str]] = []

    @property
    def timeline(self) -> list[tuple[float, str]]:
        """Seconds since the fault, and what happened."""
        began = self.began if self.began is not None else time.monotonic()
        return [(round(at - began, 2), text) for at, text in self._told]

    def since(self) -> float:
        """Seconds since the fault, negative before it."""
        return time.monotonic() - self.began if self.began is not None else -1.0

    def tell(self, text: str) -> None:
        self._told.append((time.monotonic(), text))
        self.listen(text)

    def listen(self, text: str) -> None:
        """What `tell` tells, as it happens; a drill that shows its progress overrides this."""

    async def shop(self, rate: float) -> None:
        """Shoppers at `rate` a second until `paying` ends; then waits for the last."""
        under_way: set[asyncio.Task[None]] = set()
        due, number = time.monotonic(), 0
        while self.paying:
            number += 1
            task = asyncio.create_task(self._visit(number))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += self.chance.expovariate(rate)
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await asyncio.gather(*list(under_way))

    async def _visit(self, number: int) -> None:
        visit = Visit(at=self.since(), has_money=self.chance.random() > WITHOUT_MONEY)
        began = time.monotonic()
        self.visits.append(visit)
        body = {
            "amount_minor": self.chance.randrange(100, 10_000),
            "currency": "EUR",
            "payment_method": "pm_card_visa" if visit.has_money else "pm_card_visa_chargeDeclined",
            "customer": self._customer(number),
        }
        payment: dict[str, Any] | None = None
        pause = LOOK_SECONDS
        while payment is None or payment["status"] in {"processing", "requires_action"}:
            if time.monotonic() - began > self.final_seconds:
                return
            port = self.ports[number % len(self.ports)]
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                if payment is None:
                    payment = await self._ask(visit, port, body, f"shop-{number}")
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * LONGER, self.most_look_seconds)
                    payment = await self._look(port, payment)
            await asyncio.sleep(0 if payment is not None else LOOK_SECONDS)
        visit.status = payment["status"]
        visit.final_seconds = time.monotonic() - began

    def _customer(self, number: int) -> str:
        if self.chance.random() < 0.5:
            return f"regular-{self.chance.randrange(REGULARS)}"
        return f"shopper-{number}"

    async def _ask(
        self, visit: Visit, port: int, body: dict[str, Any], key: str
    ) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": key}
        url = f"http://127.0.0.1:{port}/v1/payments"
        began = time.monotonic()
        async with self.session.post(url, json=body, headers=headers) as reply:
            visit.told = visit.told or reply.status
            answer = dict(await reply.json())
        visit.asked_seconds = time.monotonic() - began
        visit.said = visit.said or said(visit.told, answer)
        if reply.status >= 300:
            return None
        visit.payment_id = str(answer["id"])
        self.given.append(Given(key, reply.status, visit.payment_id))
        attempts = await self._look(port, {"id": f"{answer['id']}/attempts"})
        visit.taken_by = str(attempts["data"][0]["integration"])
        visit.attempts = len(attempts["data"])
        return answer

    async def strike(self, rule: dict[str, Any], text: str) -> None:
        """The provider changes under us, from now on."""
        url = f"{self.provider}/_control/faults"
        async with self.session.post(url, data=msgspec.json.encode(rule)) as reply:
            assert reply.status == 200, await reply.text()
        self.began = time.monotonic()
        self.tell(text)

    async def heal(self) -> None:
        """The provider is well again."""
        async with self.session.delete(f"{self.provider}/_control/faults") as reply:
            assert reply.status == 200, await reply.text()
        self.tell("the provider works again")

    async def _look(self, port: int, payment: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.secret}"}
        url = f"http://127.0.0.1:{port}/v1/payments/{payment['id']}"
        async with self.session.get(url, headers=headers) as reply:
            return dict(await reply.json()) if reply.status == 200 else payment
