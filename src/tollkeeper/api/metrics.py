"""What the door counts, for Prometheus: labels come from tables, children are made once.

Law: no label holds an id, an account or anything else that a caller can invent.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tollkeeper.api.admission import Pot
from tollkeeper.api.metrics_incidents import Incidents
from tollkeeper.api.metrics_signals import Signals
from tollkeeper.flows.live.state import Live
from tollkeeper.flows.live.tally import EDGES_SECONDS
from tollkeeper.payments.view import PaymentView, RefundView
from tollkeeper.routing.routes import PPM

MEDIA_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNMATCHED: Final = "unmatched"

OPERATIONS: Final[dict[str, str]] = {
    "/v1/payments": "authorize",
    "/v1/payments/{payment_id}/capture": "capture",
    "/v1/payments/{payment_id}/void": "void",
    "/v1/payments/{payment_id}/refunds": "refund",
}
"""Route of a POST that moves money to its operation."""


class ProviderRequests(Collector):
    """Requests to providers, as the live state counts its observations."""

    live: Live | None = None

    def collect(self) -> Iterator[Metric]:
        """Both families, made when they are asked for."""
        results = CounterMetricFamily(
            "tollkeeper_provider_requests",
            "Requests to providers. `result` is the result class of an operation that moves money "
            "(A not sent, B1 refused, B2 declined, C unknown) or approved; of a question it is "
            "answered or unanswered. `stage` is where a request without a reply broke off.",
            labels=("integration", "operation", "result", "stage"),
        )
        seconds = HistogramMetricFamily(
            "tollkeeper_provider_request_seconds",
            "Time from the start of a request to a provider until its reply was read.",
            labels=("integration", "operation"),
        )
        if self.live is not None:
            for names, count in self.live.tally.results.items():
                results.add_metric(names, count)
            for labels, taken in self.live.tally.durations.items():
                sums = accumulate(taken.buckets)
                edges = (*map(str, EDGES_SECONDS), "+Inf")
                seconds.add_metric(labels, list(zip(edges, sums, strict=True)), taken.seconds)
        yield results
        yield seconds


class Failovers(Collector):
    """What is watched for failover, as this replica acts on it, and what it has decided."""

    live: Live | None = None

    def collect(self) -> Iterator[Metric]:
        """All families, made when they are asked for."""
        decisions = CounterMetricFamily(
            "tollkeeper_failover_decisions",
            "Decisions about failover that this process made, by provider and kind.",
            labels=("provider", "kind"),
        )
        gauges = {
            "alarmed": "1 while a version fails more than its history.",
            "none_works": "1 while no installed version works in its place.",
            "share_ratio": "The part of first attempts that goes to its candidate, from 0 to 1.",
        }
        families = {
            name: GaugeMetricFamily(
                f"tollkeeper_failover_{name}", text, labels=("carrying", "candidate", "slice")
            )
            for name, text in gauges.items()
        }
        if self.live is not None:
            for made, count in self.live.decisions.items():
                decisions.add_metric(made, count)
            for names, values in _watched(self.live).items():
                for name, value in values.items():
                    families[name].add_metric(names, value)
        yield decisions
        yield from families.values()


def _watched(live: Live) -> dict[tuple[str, str, str], dict[str, float]]:
    """By version, candidate and kind of slice the worst of what the slices say."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for carrying, shares in live.routes.shares.items():
        for share in shares:
            kinds = [k for k, v in msgspec.structs.asdict(share.condition).items() if v is not None]
            values = {
                "alarmed": float(share.is_alarmed),
                "none_works": float(share.none_works),
                "share_ratio": share.share_ppm / PPM,
            }
            before = found.setdefault((carrying, share.candidate, "".join(kinds)), values)
            for name, value in values.items():
                before[name] = max(before[name], value)
    return found


class Metrics:
    """One application's counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tollkeeper_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tollkeeper_http_request_seconds",
            "Time from a request's headers to its answer, by route.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._shed = Counter(
            "tollkeeper_http_shed",
            "HTTP requests refused at once, by reason: overloaded or rate_limited.",
            ("reason",),
            registry=self.registry,
        )
        self._outcomes = Counter(
            "tollkeeper_payment_outcomes",
            "First answers to operations that move money. `outcome` is the status of the payment "
            "or refund, or unknown. A refund's answer has no integration.",
            ("integration", "operation", "outcome"),
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "tollkeeper_http_in_flight",
            "HTTP requests currently being handled, by kind of request.",
            ("pot",),
            registry=self.registry,
        )
        self._drift = Gauge(
            "tollkeeper_contract_drift",
            "Live replies that a version could not read since this process started, by the "
            "position in the reply.",
            ("integration", "operation", "kind", "pointer"),
            registry=self.registry,
        )
        self._provider = ProviderRequests()
        self.registry.register(self._provider)
        self._failovers = Failovers()
        self.registry.register(self._failovers)
        self._signals = Signals()
        self._incidents = Incidents()
        self.registry.register(self._signals)
        self.registry.register(self._incidents)
        Info("tollkeeper_build", "The release that runs.", registry=self.registry).info(
            {"version": version("tollkeeper")}
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._outcome_children: dict[tuple[str, str, str], Counter] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        found = self._children.get((method, route, status))
        if found is None:
            found = self._children[method, route, status] = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
        found[0].inc()
        found[1].observe(seconds)

    def shed(self, reason: str) -> None:
        """One request was refused at once."""
        self._shed.labels(reason).inc()

    def decided(self, operation: str, told: PaymentView | RefundView) -> None:
        """An operation was answered with a payment or refund for the first time."""
        outcome = told.status if told.outcome == "known" else told.outcome
        integration = told.integration if isinstance(told, PaymentView) else "-"
        label = (integration, operation, outcome)
        found = self._outcome_children.get(label)
        if found is None:
            found = self._outcome_children[label] = self._outcomes.labels(*label)
        found.inc()

    def page(self, in_flight: Mapping[Pot, int], live: Live) -> bytes:
        """All of it as text. `in_flight` counts by pot."""
        self._provider.live = live
        self._failovers.live = live
        self._signals.live = live
        self._incidents.live = live
        for pot, inside in in_flight.items():
            self._in_flight.labels(pot).set(inside)
        for labels, count in live.drifts.items():
            self._drift.labels(*labels).set(count)
        return generate_latest(self.registry)
