"""`docs/reference/metrics.md`, drawn from the registry of the service."""

from tollkeeper.api.metrics import Metrics

INTRO = """# Metrics

`GET /metrics` answers in Prometheus' text format, without a key. Names end with their unit, and
counters with `_total`. No label holds an id, an account or anything else that a caller can invent.
So the number of series is bounded. Counters begin anew with each process. Gauges of what waits in
the store are the same on every replica.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def page() -> str:
    """The page."""
    rows = []
    for family in sorted(Metrics().registry.collect(), key=lambda one: one.name):
        names = getattr(family, "_labelnames", ()) or _labels_of(family.name)
        labels = ", ".join(f"`{name}`" for name in names if name != "le")
        kind = {"info": "gauge"}.get(family.type, family.type)
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        said = " ".join(family.documentation.split())
        rows.append(f"| `{family.name}{suffix}` | {kind} | {labels} | {said} |")
    return INTRO + "\n".join(rows) + "\n"


def _labels_of(name: str) -> tuple[str, ...]:
    """The labels of a metric that the client library keeps in its own class."""
    registry = Metrics().registry
    found = registry._names_to_collectors.get(name)  # noqa: SLF001 - shown nowhere else
    return tuple(getattr(found, "_labelnames", ())) or (
        ("version",) if name == "tollkeeper_build" else ()
    )
