"""Rivals: what simpler rules would have said of the same run, from the same counts.

Law: a rival sees what we see, second by second, and nothing later. Each is as simple as its source;
what it names is mapped to our domains once, here, in its favor where two readings are possible.
"""

import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from tollkeeper.signals.counts import Batch, Cell, Counted

ELIMINATION_RULE: Final = "elimination"
STATUS_RULE: Final = "status codes"
BARO: Final = "BARO, told the onset"

ELIMINATION: Final = ((20, 0.05), (200, 0.2))
"""Juspay's rule: a gateway is taken out if of its last 20 payments fewer than 5 % succeeded, or of
its last 200 fewer than 20 %. A decline is no success there."""

STATUS_WINDOW_S: Final = 60
STATUS_SHARE: Final = 0.10
STATUS_LEAST: Final = 5

BARO_SECONDS: Final = 30
"""BARO is given the true onset, and so many seconds after it to look at."""

CONNECTING: Final = frozenset({"dns", "connect", "tls"})


class RivalSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What a rival said first, so many seconds after the fault began; negative before it. `domain`
    is `none` for one that pages and names no cause."""

    rival: str
    after_seconds: float
    domain: str
    because: str


def judged(batches: Sequence[Batch], began_ms: int) -> list[RivalSaid]:
    """What each rival says of a run; nothing of those that stay silent."""
    found = (eliminated(batches, began_ms), by_status(batches, began_ms), baro(batches, began_ms))
    return [one for one in found if one is not None]


def _authorizations(batch: Batch) -> Iterator[Counted]:
    return (
        line for line in batch.counted
        if line.cell.kind == "attempt" and line.cell.operation == "authorize"
    )  # fmt: skip


def eliminated(batches: Iterable[Batch], began_ms: int) -> RivalSaid | None:
    """Elimination by success rate, a version being a gateway: one version that is out may have
    changed; with all of them out the provider is down."""
    last: dict[str, deque[bool]] = {}
    for batch in batches:
        for line in sorted(_authorizations(batch), key=lambda one: one.cell.result):
            results = last.setdefault(line.cell.integration, deque(maxlen=ELIMINATION[-1][0]))
            results.extend([line.cell.result == "ok"] * line.tally.n)
        out = {name for name, results in last.items() if _is_out(results)}
        if out:
            carrying = [name for name, kept in last.items() if len(kept) >= ELIMINATION[0][0]]
            return RivalSaid(
                rival=ELIMINATION_RULE,
                after_seconds=_after(batch, began_ms),
                domain="provider_down" if len(out) == len(carrying) else "provider_changed",
                because=f"too few successes through {', '.join(sorted(out))}",
            )
    return None


def _after(batch: Batch, began_ms: int) -> float:
    """When a rule can have read a batch, in seconds from the beginning of the fault."""
    return round(batch.second + 1 - began_ms / 1000, 1)


def _is_out(results: deque[bool]) -> bool:
    for size, least in ELIMINATION:
        newest = list(results)[-size:]
        if len(newest) == size and sum(newest) < least * size:
            return True
    return False


def status_domain(cell: Cell) -> str:
    """The domain that a runbook gives to a failure by its status; empty for what has no failing
    status: a reply that arrived with 200 is no failure to it."""
    if cell.kind != "attempt" or cell.result != "failed":
        return ""
    if cell.status == 0:
        return "our_infrastructure" if cell.stage in CONNECTING else "provider_slow"
    exact = {429: "provider_limited", 401: "our_configuration", 403: "our_configuration"}
    by_hundreds = {5: "provider_down", 4: "our_code"}
    return exact.get(cell.status, by_hundreds.get(cell.status // 100, ""))


def by_status(batches: Iterable[Batch], began_ms: int) -> RivalSaid | None:
    """A rule by status: a tenth of the attempts of the last minute failed, five at least; the kind
    with most failures is to blame."""
    window: deque[tuple[int, Counter[str]]] = deque()
    for batch in batches:
        counts: Counter[str] = Counter()
        for line in batch.counted:
            if line.cell.kind == "attempt":
                counts[status_domain(line.cell)] += line.tally.n
        window.append((batch.second, counts))
        while window[0][0] <= batch.second - STATUS_WINDOW_S:
            window.popleft()
        whole: Counter[str] = sum((one for _, one in window), Counter())
        failed = whole.total() - whole[""]
        if failed >= STATUS_LEAST and failed >= STATUS_SHARE * whole.total():
            del whole[""]
            domain, count = whole.most_common(1)[0]
            return RivalSaid(
                rival=STATUS_RULE,
                after_seconds=_after(batch, began_ms),
                domain=domain,
                because=f"{count} of {failed} failures of a minute",
            )
    return None


def _failures(domain: str) -> Callable[[Batch], float]:
    return lambda batch: _sum(batch, lambda cell: status_domain(cell) == domain)


def _sum(batch: Batch, counts: Callable[[Cell], bool]) -> float:
    return float(sum(line.tally.n for line in batch.counted if counts(line.cell)))


def _mean(phase: str) -> Callable[[Batch], float]:
    def mean(batch: Batch) -> float:
        lines = [line.tally for line in batch.counted if line.cell.kind == "attempt"]
        n = sum(getattr(tally, f"{phase}_n") for tally in lines)
        return sum(getattr(tally, f"{phase}_ms") for tally in lines) / n if n else 0.0

    return mean


def _gauge(name: str) -> Callable[[Batch], float]:
    return lambda batch: float(getattr(batch.gauges, name) or 0.0)


METRICS: Final[dict[str, tuple[str, Callable[[Batch], float]]]] = {
    "5xx of the provider": ("provider_down", _failures("provider_down")),
    "4xx of the provider": ("our_code", _failures("our_code")),
    "429 of the provider": ("provider_limited", _failures("provider_limited")),
    "401 and 403 of the provider": ("our_configuration", _failures("our_configuration")),
    "no connection": ("our_infrastructure", _failures("our_infrastructure")),
    "no reply in time": ("provider_slow", _failures("provider_slow")),
    "replies that no version read": (
        "provider_changed", lambda batch: _sum(batch, lambda cell: cell.unreadable),
    ),
    "declines": (
        "issuer",
        lambda batch: _sum(
            batch, lambda cell: cell.kind == "attempt" and cell.result == "declined"
        ),
    ),
    "payments": ("bad_traffic", lambda batch: _sum(batch, lambda cell: cell.kind == "api")),
    "errors of our API": (
        "our_code",
        lambda batch: _sum(batch, lambda cell: cell.kind == "api" and cell.result == "failed"),
    ),
    "webhooks that we refused": (
        "our_configuration",
        lambda batch: _sum(
            batch, lambda cell: cell.kind == "webhook_in" and cell.result == "failed"
        ),
    ),
    "time to connect": ("our_infrastructure", _mean("connect")),
    "time to the first byte": ("provider_slow", _mean("wait")),
    "time of the store": ("our_database", _gauge("store_ms")),
    "lag of the event loop": ("our_infrastructure", _gauge("lag_ms")),
    "descriptors": ("our_infrastructure", _gauge("descriptors")),
    "disk": ("our_database", _gauge("disk")),
}  # fmt: skip
"""What BARO ranks, and the domain of each. Its metrics are those of a service's dashboard."""


def robust_score(before: Sequence[float], after: Sequence[float]) -> float:
    """BARO's score of one metric (Pham et al., FSE 2024): the largest distance after the onset from
    the median before it, in interquartile ranges; 1 stands for a range of zero."""
    middle = statistics.median(before)
    low, _, high = statistics.quantiles(before, n=4, method="inclusive")
    return max(abs(value - middle) for value in after) / ((high - low) or 1.0)


def baro(batches: Sequence[Batch], began_ms: int) -> RivalSaid | None:
    """BARO's robust scorer, told when the fault began; the metric with the highest score."""
    onset = began_ms // 1000
    before = [one for one in batches if one.second < onset]
    after = [one for one in batches if onset <= one.second < onset + BARO_SECONDS]
    if len(before) < 4 or not after:
        return None
    scores = {
        name: robust_score([read(one) for one in before], [read(one) for one in after])
        for name, (_, read) in METRICS.items()
    }
    top = max(scores, key=lambda name: scores[name])
    return RivalSaid(
        rival=BARO,
        after_seconds=float(BARO_SECONDS),
        domain=METRICS[top][0],
        because=f"{top}: {scores[top]:.1f} interquartile ranges",
    )
