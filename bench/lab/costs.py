"""CPU that evidence and routing add to a payment, in the product's own code."""

import time
from collections.abc import Callable
from typing import Any

from tollkeeper.rollouts.counting import Counted
from tollkeeper.rollouts.deciding import advance
from tollkeeper.rollouts.evidence import GUARDRAILS, add, begin
from tollkeeper.rollouts.rollout import Plan, Rollout, start
from tollkeeper.rollouts.tally import tally
from tollkeeper.rollouts.units import Seen
from tollkeeper.routing.routes import Canary, Condition, Routes, RoutingContext, Rule, choose_route

ROUNDS = 5
OLD, NEW = "stripe@2022-08-01", "stripe@2022-11-15"


def microseconds(work: Callable[[int], Any], times: int) -> float:
    """CPU of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(times):
            work(number)
        best = min(best, (time.process_time() - began) / times * 1e6)
    return best


def running() -> Rollout:
    plan = Plan(steps_percent=(1, 5, 25, 50, 100))
    return start(
        Rollout(
            id="ro_1", provider="stripe", candidate=NEW, baseline=OLD, salt="s",
            condition=Condition(), plan=plan, status="running", actor="bench", created_ms=0,
            updated_ms=0, valid_until_ms=10_000, limits_ms=(100, 200, 400),
        )
    )  # fmt: skip


def looking(payments: int) -> float:
    """One look of the controller at so many payments, by the payment."""
    units = tuple(
        Seen(
            share_ppm=50_000, canary=number % 20 == 19, failed=False, unreadable=False,
            declined=number % 10 == 0, latency_ms=50 + number * 10,
        )
        for number in range(payments)
    )  # fmt: skip
    now, counted = running(), Counted(units=units)
    return microseconds(lambda number: advance(now, counted, number), 400) / payments


def routing() -> float:
    canary = Canary(
        rollout_id="ro_1", candidate=NEW, salt="s", condition=Condition(), share_ppm=50_000,
        status="running", valid_until_ms=10_000, keep=False, most_outstanding=3, considered_ms=0,
    )  # fmt: skip
    rules = (Rule(condition=Condition(), weights={OLD: 100.0}),)
    table = Routes(rules=rules, canaries=(canary,))
    facts = [
        RoutingContext(unit=f"c{n}", payment_id=f"p{n}", currency="EUR", account="a")
        for n in range(2_000)
    ]
    return microseconds(lambda number: choose_route(table, "r", facts[number], 0), len(facts))


def costs() -> list[dict[str, Any]]:
    rail, one = GUARDRAILS[0], tally([(50_000, True, False)])
    seen, take_us = begin(rail), routing()
    alone = microseconds(lambda _: add(rail, seen, one), 5_000)
    rows: list[dict[str, Any]] = [
        {"what": "routing (`take`) with one rollout", "us": take_us},
        {"what": "one guardrail's `add` of one payment", "us": alone},
    ]
    for payments in (1, 5, 20, 100):
        us = looking(payments)
        what = f"a look at {payments} payments: all guardrails, certificates, decision"
        rows.append({"what": what, "us": us, "with routing": us + take_us})
    return rows
