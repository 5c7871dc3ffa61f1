"""The ramp's wealths where V and W fail alike, and what the rule costs a payment."""

import random
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from lab.costs import microseconds
from lab.failing import V, W, trial
from lab.tables import lower_bound
from tollkeeper.failover.rule import (
    A_BACK,
    A_FULL,
    A_HALF,
    ALARM,
    LEAST_RATE,
    MOST_R,
    State,
    Trial,
    begin,
    counted,
    healthy,
)

CALLS: Final = 2_000


def ramping(share: float) -> State:
    """A ramp that begins, with V alarmed at the cap of R."""
    state = begin(LEAST_RATE, per_second=5)
    high = (MOST_R,) * len(state.r)
    return replace(state, phase="ramp", share=share, alarmed=True, r=high)


def alike(fails: float, share: float, streams: int, payments: int) -> dict[str, Any]:
    """How often T and U come to their thresholds though V and W fail alike. The rule itself is
    played: at T >= 100 it raises the share, and ends at the other two."""
    hits = {"half": 0, "moved": 0, "stopped": 0}
    ended = 0
    chance = random.Random(round(fails * 1000) + round(share * 100))
    for _ in range(streams):
        state, half = _ramp(ramping(share), fails, payments, chance)
        hits["half"] += half
        hits["moved"] += state.phase == "moved"
        hits["stopped"] += state.phase == "stopped"
        ended += state.phase == "watch"
    row: dict[str, Any] = {"both fail": fails, "share": share, "streams": streams}
    row["T >= 100"] = _judged(hits["half"], streams, 1 / A_HALF)
    row["T >= 1e4"] = _judged(hits["moved"], streams, 1 / A_FULL)
    row["U >= 1e3"] = _judged(hits["stopped"], streams, 1 / A_BACK)
    return row | {"V well again, or none works": ended}


def _judged(hits: int, runs: int, allowed: float) -> str:
    """A rate, and whether its 99 % lower bound is above what is allowed."""
    too_often = lower_bound(hits, runs) > allowed
    return f"{hits / runs:.5f}{' ABOVE' if too_often else ''}"


def _ramp(state: State, fails: float, payments: int, chance: random.Random) -> tuple[State, bool]:
    half = False
    for _ in range(payments):
        version = W if chance.random() < state.share else V
        bad = chance.random() < fails
        state = counted(state, _first(version, bad=bad))
        half = half or state.wealth_t >= A_HALF
        if state.phase not in {"ramp", "explore"}:
            break
    return state, half


def _first(version: str, *, bad: bool) -> Trial:
    kind = "dead" if bad else "ok"
    return trial((version,), (kind,), told_bad=bad, share=None)


def costs() -> list[dict[str, Any]]:
    """CPU of the rule's functions in microseconds, and beside an empty call of this run."""
    calm = healthy(begin(0.005, per_second=5), 5_000)
    failing = counted(calm, _first(V, bad=True))
    ramp = ramping(0.25)
    refused = trial((V, V, W), ("refused", "refused", "ok"), tossed=True, told_bad=False)
    ok, bad = _first(V, bad=False), _first(W, bad=True)
    alarmed = replace(failing, r=(ALARM,) * 3)
    work: dict[str, Callable[[int], Any]] = {
        "an empty call": lambda _: None,
        "`healthy` of 1, at rest": lambda _: healthy(calm, 1),
        "`healthy` of 200 after a failure": lambda _: healthy(failing, 200),
        "`healthy` of 20,000 after a failure": lambda _: healthy(failing, 20_000),
        "`counted`, watching, a good payment": lambda _: counted(failing, ok),
        "`counted`, watching, refused three times": lambda _: counted(alarmed, refused),
        "`counted`, ramp, a good payment of V": lambda _: counted(ramp, ok),
        "`counted`, ramp, a failing payment of W": lambda _: counted(ramp, bad),
    }
    rows: list[dict[str, Any]] = []
    for what, call in work.items():
        us = microseconds(call, CALLS // 20 if "after" in what else CALLS)
        empty = rows[0]["us"] if rows else us
        rows.append({"what": what, "us": us, "empty calls": round(us / empty)})
    return rows
