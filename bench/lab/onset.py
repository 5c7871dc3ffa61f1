"""A fault begins: payments until traffic moves, and shoppers who were told "failed" or "wait"."""

import heapq
import random
from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any, Final, NamedTuple

from lab.failing import Fault, Policy, Shopper, V, W, counts, lucky, played, shop, stream
from lab.movers import Oracle, Rescue, Window
from lab.ruled import Ruled
from tollkeeper.failover.checks import Checks, noted, refuted

BOTH: Final = V + W
BEFORE_S: Final = 60.0
"""Seconds before the fault, which a window of the last 200 is filled in at 5 a second."""

PARTS: Final = (1.0, 0.75, 0.25, 0.05)


def own_faults() -> Iterator[Fault]:
    """Faults of V alone. A part of payments is a currency, an account or what else they have."""
    yield from (Fault(f"unreadable {part:g}", "unreadable", part=part) for part in PARTS)
    yield from (Fault(f"refused {part:g}", "refused", part=part) for part in PARTS)
    for part in PARTS[1:]:
        yield Fault(f"refused by nodes {part:g}", "refused", part=part, by_node=True)
    yield from (Fault(f"5xx {part:g}", "dead", part=part) for part in (1.0, 0.25))


def shared_faults() -> Iterator[Fault]:
    """Faults that a move does not help against."""
    yield Fault("unreadable for both", "unreadable", BOTH, readers="")
    yield Fault("refused for both", "refused", BOTH)
    yield Fault("provider down, 5xx", "dead", BOTH)
    yield Fault("brown-out 50 %", "refused", BOTH, 0.5, by_node=True)
    yield Fault("brown-out 90 %", "refused", BOTH, 0.9, by_node=True)
    yield Fault("issuer outage 90 %", "declined", BOTH, 0.9)
    yield Fault("429 for everybody", "later", BOTH)
    yield Fault("own network down", "unsent", BOTH)


def weak_faults() -> Iterator[Fault]:
    """V fails, and W has failures of its own; a fault that comes and goes."""
    for kind, said in (("refused", "refused"), ("unreadable", "unreadable"), ("dead", "5xx")):
        for part in (1.0, 0.25):
            for bad in (0.05, 0.5):
                name = f"{said} {part:g}, W fails {bad:.0%}"
                yield Fault(name, kind, part=part, w_fails=bad)  # type: ignore[arg-type]
    yield Fault("flapping 60 s, refused", "refused", flap=60)
    yield Fault("flapping 60 s, unreadable", "unreadable", flap=60)
    yield Fault("flapping 60 s, 5xx for both", "dead", BOTH, flap=60)
    yield Fault("healthy 2 %", noise=0.02)


class Run(NamedTuple):
    """Seconds from the onset, `None` where it never came."""

    began: float | None
    proposed: float | None
    shared: float | None
    moved: float | None
    stopped: float | None


def speed(fault: Fault, rate: float, streams: int) -> dict[str, Any]:
    """Payments to a start and to completion."""
    runs = [_moved(fault, rate, seed) for seed in range(streams)]
    row: dict[str, Any] = {"fault": fault.name, "a second": rate, "streams": streams}
    for name in Run._fields:
        found = sorted(at for run in runs if (at := getattr(run, name)) is not None)
        row[name] = len(found)
        row[f"payments {name}"] = round(mean(found) * rate, 1) if found else None
    found = sorted(run.moved for run in runs if run.moved is not None)
    if found:
        row["p95"] = round(found[int(0.95 * len(found))] * rate)
        row["seconds moved"] = round(mean(found), 1)
    return row


def _moved(fault: Fault, rate: float, seed: int) -> Run:
    ruled = Ruled(per_second=rate)
    chance = random.Random(seed)
    most = (12_000 if fault.part < 0.2 else 4_000) / rate
    at = 0.0
    while at < most and ruled.ended not in {"moved", "stopped"}:
        at += 1 / rate
        shop(fault, ruled, lucky(chance, at))
    began = [at for at in (ruled.started_at, ruled.explored_at) if at is not None]
    first = min(began, default=None)
    return Run(first, ruled.proposed_at, ruled.shared_at, ruled.moved_at, ruled.stopped_at)


def policies() -> list[Callable[[], Policy]]:
    """All that are compared, each made anew for a stream."""
    return [
        Policy,
        lambda: Rescue(reads=False),
        Rescue,
        lambda: Window(20, least=0.05),
        lambda: Window(20, least=0.2),
        lambda: Window(200, least=0.05),
        lambda: Window(200, least=0.2),
        lambda: Window(20, most=5),
        lambda: Window(20, most=5, reads=True),
        Ruled,
        Oracle,
    ]


def hurt(fault: Fault, streams: int, seconds: float, rate: float = 5.0) -> list[dict[str, Any]]:
    """Told "failed" + told "wait" for each policy on the same streams, and attempts beyond one."""
    cells: dict[str, Any] = {"fault": fault.name}
    more: dict[str, Any] = {"fault": fault.name}
    drawn = [stream(rate, seconds, seed, before=BEFORE_S) for seed in range(streams)]
    for make in policies():
        told = [_told(fault, make(), shoppers) for shoppers in drawn]
        failed, wait = (mean(one[name] for one in told) for name in ("failed", "wait"))
        moved = mean(one["moved"] for one in told)
        name = make().name
        cells[name] = f"{failed:.0f}+{wait:.0f}" + (f" ({moved:.1f})" if moved else "")
        more[name] = round(mean(one["more"] for one in told))
    cells["payments"] = round(mean(one["payments"] for one in told))
    return [cells, more]


def _told(fault: Fault, policy: Policy, shoppers: list[Shopper]) -> dict[str, Any]:
    return {**counts(played(fault, policy, shoppers)), "moved": policy.moved_at is not None}


def none_works(fault: Fault, streams: int, rate: float) -> dict[str, Any]:
    """Seconds until the rule concludes that no installed version works, and how often that is a
    decision of its own, of which people are told."""
    said: list[float] = []
    explored = told_of = 0
    for seed in range(streams):
        ruled = Ruled(per_second=rate)
        for shopper in stream(rate, 300, seed, before=BEFORE_S):
            shop(fault, ruled, shopper)
            if ruled.none_at is not None:
                said.append(ruled.none_at)
                break
        explored += ruled.explored_at is not None
        told_of += ruled.none_told_at is not None
    return {
        "fault": fault.name, "a second": rate, "streams": streams,
        "explored": explored, "declared": len(said), "told": told_of,
        "seconds": round(mean(said), 1) if said else None,
        "payments": round(mean(said) * rate) if said else None,
    }  # fmt: skip


def outage(fault: Fault, rate: float, streams: int, look_s: float) -> dict[str, Any]:
    """A fault of both versions: how often all traffic moved to W, which does not help. `look_s`:
    how far apart the controller's looks are; at 0 a share counts from the next payment on."""
    found: list[float] = []
    shares = stopped = 0
    for seed in range(streams):
        ruled = Ruled(per_second=rate, look_s=look_s)
        seconds = max(OUTAGE_PAYMENTS / rate, fault.hangs + OUTAGE_S)
        shoppers = stream(rate, seconds, seed, before=BEFORE_S)
        played(fault, ruled, shoppers)
        found += [ruled.moved_at] if ruled.moved_at is not None else []
        shares += ruled.shared_at is not None
        stopped += ruled.stopped_at is not None
    return {
        "fault": fault.name, "a second": rate, "look s": look_s, "streams": streams,
        "share of a ramp": shares, "moved": len(found), "W stopped": stopped,
        "after s": round(mean(found), 1) if found else None,
    }  # fmt: skip


OUTAGE_PAYMENTS: Final = 1_000
OUTAGE_S: Final = 20.0


def outages() -> Iterator[Fault]:
    """Outages of everything, whose results come at once or after the client's patience."""
    yield Fault("refused for both", "refused", BOTH)
    yield Fault("5xx for both", "dead", BOTH)
    yield Fault("both hang for 10 s", "dead", BOTH, hangs=10.0)
    yield Fault("both hang for 30 s", "dead", BOTH, hangs=30.0)
    yield Fault("5xx for both, W's after 10 s", "dead", BOTH, hangs=10.0, hung=W)
    yield Fault("5xx for both, V's after 10 s", "dead", BOTH, hangs=10.0, hung=V)
    half = Fault("half 5xx for both, W's after 10 s", "dead", BOTH, 0.5, by_node=True)
    yield half._replace(hangs=10.0, hung=W)


def misread(rate: float, lag_s: float, part: float, share: float, streams: int) -> dict[str, Any]:
    """Wrong answers of a W that misreads `part` of its replies. Its payments are looked up until
    enough agree: `CHECK_AFTER_S` after them, and up to `lag_s` later; one disagreement ends its
    share a poll of the routes later. Later results are not looked up."""
    wrong: list[int] = []
    ended = 0
    for seed in range(streams):
        told, stopped = _misread(random.Random(seed), rate * share, lag_s, part)
        wrong.append(told)
        ended += stopped
    wrong.sort()
    return {
        "a second": rate, "lag s": lag_s, "misread": part, "share": share, "streams": streams,
        "wrong": mean(wrong), "p95": wrong[int(0.95 * len(wrong))], "most": wrong[-1],
        "stopped": f"{ended / streams:.1%}",
    }  # fmt: skip


POLL_S: Final = 0.25
CHECK_AFTER_S: Final = 1.0
"""As `tollkeeper.store.failovers` has it; the laboratory does without a store."""

MISREAD_PAYMENTS: Final = 5_000


def _misread(chance: random.Random, rate: float, lag_s: float, part: float) -> tuple[int, bool]:
    """Wrong answers, and whether W was taken out, by the product's own counts of look-ups."""
    at, wrong, ends = 0.0, 0, float("inf")
    checks: dict[str, Checks] = {W: Checks()}
    asked: list[tuple[float, bool]] = []
    for _ in range(MISREAD_PAYMENTS):
        at += chance.expovariate(rate)
        while asked and asked[0][0] <= at:
            answered_at, is_wrong = heapq.heappop(asked)
            checks = noted(checks, W, "disagreed" if is_wrong else "agreed")
            if refuted(checks):
                ends = min(ends, answered_at + POLL_S)
        if at >= ends:
            return wrong, True
        is_wrong = chance.random() < part
        wrong += is_wrong
        if checks[W].goes_on:
            checks = noted(checks, W, None)
            answered_at = at + CHECK_AFTER_S + chance.random() * lag_s
            heapq.heappush(asked, (answered_at, is_wrong))
    return wrong, ends < at
