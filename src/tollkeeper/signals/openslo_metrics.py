"""What a metric source of an OpenSLO file counts here, if it can be counted.

Two types are read: `tollkeeper`, which names what is counted, and `Prometheus` with a plain query
for one of our own metrics.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals.cells import RESULTS
from tollkeeper.signals.counts import Kind, Result
from tollkeeper.signals.slos import edge_of

KINDS: Final[dict[str, Kind]] = {
    "attempts": "attempt", "webhooks": "webhook_in", "requests": "api", "jobs": "job",
}  # fmt: skip
"""What `count` of a metric source of type `tollkeeper` may be."""

WHERE: Final = ("provider", "integration", "operation", "account", "currency")
EVERY_RESULT: Final[frozenset[Result]] = frozenset({"ok", "declined", "failed"})
QUERY: Final = re.compile(
    r"\s*sum\s*\(\s*(?:(?:rate|increase)\s*\(\s*)?(?P<metric>tollkeeper_\w+)\s*"
    r"(?:\{(?P<labels>[^{}]*)\})?\s*(?:\[[^\]]*\]\s*\)\s*)?\)\s*"
)
LABEL: Final = re.compile(r'\s*(\w+)\s*(=~|=)\s*"([\w.@ |-]*)"\s*')
REQUESTS: Final = "tollkeeper_provider_requests_total"
BUCKETS: Final = "tollkeeper_provider_request_seconds_bucket"
COUNTS: Final = "tollkeeper_provider_request_seconds_count"


class Source(msgspec.Struct, frozen=True, rename="camel"):
    """Where a metric comes from."""

    spec: dict[str, Any] = {}
    type: str = ""
    metric_source_ref: str = ""


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a ratio."""

    metric_source: Source


class Ratio(msgspec.Struct, frozen=True):
    """Good or bad ones of all."""

    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw: Metric | None = None


class Indicator(msgspec.Struct, frozen=True, rename="camel"):
    """What is measured."""

    ratio_metric: Ratio | None = None
    threshold_metric: dict[str, Any] | None = None


class Meant(msgspec.Struct, frozen=True):
    """What a metric source counts: of which kind, where, with which results, how quick."""

    kind: Kind
    where: dict[str, frozenset[str]]
    results: frozenset[Result] = EVERY_RESULT
    within_ms: int | None = None


def meant_by(indicator: Indicator, place: str) -> Meant:
    """What a ratio counts, as one value: good ones of all."""
    ratio = indicator.ratio_metric
    if ratio is None:
        raise Invalid(f"{place}: only ratioMetric can be counted; write a threshold as a ratio")
    if ratio.raw is not None or ratio.total is None or (ratio.good is None) == (ratio.bad is None):
        raise Invalid(f"{place}: a ratioMetric has total, and good or bad, one of them")
    total = _counted(ratio.total.metric_source, place)
    part = ratio.good or ratio.bad
    assert part is not None, "one of them is there"
    chosen = _counted(part.metric_source, place)
    if (chosen.kind, chosen.where) != (total.kind, total.where):
        raise Invalid(f"{place}: both parts must count the same, but for results and durations")
    if total.results != EVERY_RESULT or total.within_ms is not None:
        raise Invalid(f"{place}: total must count every result and duration")
    if ratio.good is not None:
        return chosen
    if chosen.within_ms is not None:
        raise Invalid(f"{place}: a ratio of quick ones is written with good")
    return Meant(chosen.kind, chosen.where, EVERY_RESULT - chosen.results)


def _counted(source: Source, place: str) -> Meant:
    kind = source.type or source.metric_source_ref
    if kind.lower() == "tollkeeper":
        return _plain(source.spec, place)
    if kind.lower() == "prometheus":
        return _queried(source.spec, place)
    raise Invalid(f"{place}: metricSource type {kind[:40]!r}: tollkeeper or Prometheus")


def _plain(spec: Mapping[str, Any], place: str) -> Meant:
    """A source of type `tollkeeper`."""
    known = {"count", "result", "within_seconds", *WHERE}
    if unknown := sorted(str(name) for name in spec if name not in known):
        raise Invalid(
            f"{place}: no field {unknown[0][:40]!r}; there are {', '.join(sorted(known))}"
        )
    count = spec.get("count", "attempts")
    if not isinstance(count, str) or count not in KINDS:
        raise Invalid(f"{place}: count is one of {', '.join(KINDS)}")
    where = {name: _texts(spec[name], name, place) for name in WHERE if name in spec}
    results = _texts(spec.get("result", sorted(EVERY_RESULT)), "result", place)
    if not results <= EVERY_RESULT:
        raise Invalid(f"{place}: result is one or several of {', '.join(sorted(EVERY_RESULT))}")
    return Meant(
        KINDS[count],
        where,
        frozenset(one for one in EVERY_RESULT if one in results),
        _edge(spec.get("within_seconds"), place),
    )


def _texts(given: Any, name: str, place: str) -> frozenset[str]:
    values = given if isinstance(given, list) else [given]
    if not values or not all(isinstance(one, str) and 0 < len(one) <= 100 for one in values):
        raise Invalid(f"{place}: {name} is a text or a list of texts")
    return frozenset(values)


def _edge(seconds: Any, place: str) -> int | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e6:
        raise Invalid(f"{place}: within_seconds is a number above 0")
    edge = edge_of(seconds * 1000)
    if edge is None:
        raise Invalid(f"{place}: durations above 30 seconds are not told apart")
    return edge


def _queried(spec: Mapping[str, Any], place: str) -> Meant:
    """A PromQL query for one of our own metrics, in its plainest form."""
    query = str(spec.get("query", ""))
    found = QUERY.fullmatch(query)
    metric = found["metric"] if found else ""
    if found is None or metric not in {REQUESTS, BUCKETS, COUNTS}:
        raise Invalid(
            f"{place}: the query {query[:80]!r} cannot be counted; write "
            f'sum({REQUESTS}{{operation="authorize"}}), {COUNTS} or {BUCKETS}'
        )
    labels = _labels(found["labels"] or "", place)
    results = _results(labels.pop("result", frozenset(RESULTS)), place)
    limit = labels.pop("le", None) if metric == BUCKETS else None
    if metric == BUCKETS and (limit is None or len(limit) != 1):
        raise Invalid(f"{place}: {BUCKETS} needs one le")
    if unknown := sorted(labels.keys() - {"integration", "operation"}):
        raise Invalid(f"{place}: no label {unknown[0]!r} can be counted: integration, operation")
    within = _edge(_number(next(iter(limit)), place), place) if limit is not None else None
    return Meant("attempt", labels, results, within)


def _number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"{place}: le is a number of seconds, not {text[:20]!r}") from None


def _labels(text: str, place: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for part in text.split(",") if text.strip() else ():
        label = LABEL.fullmatch(part)
        if label is None or not label[3]:
            raise Invalid(f'{place}: the label {part[:60]!r}: name="value" or name=~"one|two"')
        values = label[3].split("|") if label[2] == "=~" else [label[3]]
        found[label[1]] = frozenset(value for value in values if value)
    return found


def _results(words: Iterable[str], place: str) -> frozenset[Result]:
    """Values of the label `result` as what is counted. Classes of failures are not told apart."""
    given = set(words)
    if unknown := sorted(given - RESULTS.keys()):
        raise Invalid(f"{place}: no result {unknown[0]!r}; there are {', '.join(RESULTS)}")
    found = frozenset(RESULTS[word] for word in given)
    failures = {word for word, result in RESULTS.items() if result == "failed"}
    if given & failures and not failures - {"unanswered"} <= given:
        raise Invalid(f"{place}: the results A, B1 and C are counted together only")
    return found
