"""Metrics of incidents: how many are open, and what came of messages to people."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tollkeeper.flows.live.state import Live


class Incidents(Collector):
    """What is open, as this process last counted it, and what it sent itself."""

    live: Live | None = None

    def collect(self) -> Iterator[Metric]:
        """All families, made when they are asked for."""
        is_open = GaugeMetricFamily(
            "tollkeeper_incidents_open",
            "Incidents that go on, by severity and status; triggered ones page people.",
            labels=("severity", "status"),
        )
        messages = CounterMetricFamily(
            "tollkeeper_notification_tries",
            "Tries of this process to send a message to a person, by kind and result.",
            labels=("kind", "status"),
        )
        if self.live is not None:
            if self.live.census is not None:
                for names, count in sorted(self.live.census.incidents.items()):
                    is_open.add_metric(names, count)
            for names, count in self.live.notified.items():
                messages.add_metric(names, count)
        yield from (is_open, messages)
