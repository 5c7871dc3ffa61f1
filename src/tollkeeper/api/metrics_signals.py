"""Metrics of signals and of what waits: alerts and verdicts, webhooks, jobs, the process itself."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tollkeeper.flows.live.counting import Counting
from tollkeeper.flows.live.state import Live

WEBHOOK_IN: Final = "webhook_in"
WEBHOOK_OUT: Final = "webhook_out"
JOB: Final = "job"


class Signals(Collector):
    """What this process sees and says."""

    live: Live | None = None

    def collect(self) -> Iterator[Metric]:
        """All families, made when they are asked for."""
        yield from self._alerts()
        yield from self._counted()
        yield from self._waiting()
        yield from self._process()

    def _alerts(self) -> Iterator[Metric]:
        is_open = GaugeMetricFamily(
            "tollkeeper_alerts_open",
            "1 while an alert is open; `about` is a provider or service.",
            labels=("about",),
        )
        verdict = GaugeMetricFamily(
            "tollkeeper_verdict_confidence_ratio",
            "How sure the verdict of an open alert is, from 0 to 1. Nothing may act on it.",
            labels=("about", "domain"),
        )
        news = CounterMetricFamily(
            "tollkeeper_alert_news",
            "What this process wrote about alerts: opened, verdict, resolved, or seen again.",
            labels=("about", "news"),
        )
        failed = CounterMetricFamily(
            "tollkeeper_looks_failed", "Looks at the counts that a bug of ours ended."
        )
        if self.live is not None:
            for alert in self.live.open_alerts:
                is_open.add_metric((alert.fingerprint,), 1)
                if alert.last is not None:
                    said = alert.last.verdict
                    verdict.add_metric((alert.fingerprint, said.domain), said.confidence)
            for names, count in self.live.alert_news.items():
                news.add_metric(names, count)
            failed.add_metric((), self.live.failed_looks)
        yield from (is_open, verdict, news, failed)

    def _counted(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "tollkeeper_webhooks_received",
            "Webhooks of providers, by what became of them; refused ones had a wrong signature.",
            labels=("provider", "fate"),
        )
        delivered = CounterMetricFamily(
            "tollkeeper_webhooks_delivered",
            "Tries to deliver events to the endpoints of shops, by result: ok or failed.",
            labels=("result",),
        )
        jobs = CounterMetricFamily(
            "tollkeeper_job_runs", "Runs of jobs, by kind and result.", labels=("kind", "result")
        )
        if self.live is not None:
            _add_totals(self.live.counting, received, delivered, jobs)
        yield from (received, delivered, jobs)

    def _waiting(self) -> Iterator[Metric]:
        attention = GaugeMetricFamily(
            "tollkeeper_payments_attention", "Payments that need a person."
        )
        doubt = GaugeMetricFamily(
            "tollkeeper_payments_settling", "Payments whose outcome is being found out."
        )
        waiting = GaugeMetricFamily(
            "tollkeeper_jobs_waiting",
            "Jobs in the store, running ones among them.",
            labels=("kind",),
        )
        overdue = GaugeMetricFamily(
            "tollkeeper_jobs_overdue_seconds",
            "How long the first job of a kind has been due.",
            labels=("kind",),
        )
        census = self.live.census if self.live is not None else None
        if census is not None:
            attention.add_metric((), census.attention)
            doubt.add_metric((), census.jobs.get("settle", (0, 0))[0])
            for kind, (count, _) in census.jobs.items():
                waiting.add_metric((kind,), count)
                overdue.add_metric((kind,), census.overdue_seconds(kind))
        yield from (attention, doubt, waiting, overdue)

    def _process(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "tollkeeper_event_loop_lag_seconds",
            "The longest delay of the event loop in the last second.",
        )
        written = GaugeMetricFamily(
            "tollkeeper_store_write_seconds", "How long the last small write to the store took."
        )
        descriptors = GaugeMetricFamily(
            "tollkeeper_file_descriptors_ratio", "The share of file descriptors in use, 0 to 1."
        )
        disk = GaugeMetricFamily(
            "tollkeeper_disk_used_ratio", "The share of the disk in use, from 0 to 1."
        )
        pending = GaugeMetricFamily(
            "tollkeeper_signal_batches_pending", "Batches of counts that wait for the store."
        )
        certificates = GaugeMetricFamily(
            "tollkeeper_certificate_expiry_timestamp_seconds",
            "When the certificate that a provider showed this process ends, in Unix seconds.",
            labels=("provider",),
        )
        dropped = CounterMetricFamily(
            "tollkeeper_signal_lines_folded",
            "Lines of counts that were folded into coarser ones, as a batch had too many.",
        )
        if self.live is not None:
            gauges = self.live.counting.gauges
            values = (
                (lag, gauges.lag_ms, 1000), (written, gauges.store_ms, 1000),
                (descriptors, gauges.descriptors, 1), (disk, gauges.disk, 1),
            )  # fmt: skip
            for family, value, unit in values:
                if value is not None:
                    family.add_metric((), value / unit)
            for provider, until_ms in self.live.certificates.items():
                certificates.add_metric((provider,), until_ms / 1000)
            pending.add_metric((), self.live.pending_batches)
            dropped.add_metric((), self.live.counting.dropped_ever)
        yield from (lag, written, descriptors, disk, certificates, pending, dropped)


def _add_totals(
    counting: Counting,
    received: CounterMetricFamily,
    delivered: CounterMetricFamily,
    jobs: CounterMetricFamily,
) -> None:
    for (kind, provider, operation, result), count in counting.totals.items():
        if kind == WEBHOOK_IN:
            received.add_metric((provider, operation), count)
        elif kind == WEBHOOK_OUT:
            delivered.add_metric((result,), count)
        elif kind == JOB:
            jobs.add_metric((operation, result), count)
