"""OpenSLO files become objectives that can be counted, or one error; budgets burn as they say."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.kernel.errors import Invalid
from tollkeeper.signals import openslo
from tollkeeper.signals.counts import Cell, Counted, Tally
from tollkeeper.signals.slos import Objective, Share, burning, share_of, usual_rules

WHERE = {"count": "attempts", "provider": "stripe", "operation": "authorize"}


def metric(**spec: Any) -> dict[str, Any]:
    return {"metricSource": {"type": "tollkeeper", "spec": spec}}


def slo(name: str = "checkout", **spec: Any) -> dict[str, Any]:
    ratio = {"good": metric(**WHERE, result=["ok", "declined"]), "total": metric(**WHERE)}
    usual: dict[str, Any] = {
        "service": "payments",
        "indicator": {"metadata": {"name": "answered"}, "spec": {"ratioMetric": ratio}},
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
    }
    return {
        "apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": name},
        "spec": usual | spec,
    }  # fmt: skip


def read(*objects: Any) -> list[Objective]:
    return openslo.read({"file.yaml": yaml.safe_dump_all(list(objects)).encode()})


def queried(good: str, total: str) -> Any:
    def part(query: str) -> dict[str, Any]:
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {"good": part(good), "total": part(total)}
    return slo(indicator={"metadata": {"name": "x"}, "spec": {"ratioMetric": ratio}})


def test_a_ratio_is_read_with_the_rules_of_the_workbook() -> None:
    (found,) = read(slo())
    assert (found.kind, found.target, found.days) == ("attempt", 0.999, 30)
    assert found.where == {"provider": {"stripe"}, "operation": {"authorize"}}
    assert found.results == {"ok", "declined"}
    rules = [(r.long_minutes, r.short_minutes, r.factor, r.severity) for r in found.rules]
    assert rules == [
        (60, 5, 14.4, "page"), (360, 30, 6.0, "page"), (4320, 360, 1.0, "ticket"),
    ]  # fmt: skip


def test_bad_ones_percent_lists_and_references_are_read() -> None:
    indicator = {"ratioMetric": {"bad": metric(**WHERE, result="failed"), "total": metric(**WHERE)}}
    sli = {
        "apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "failing"},
        "spec": indicator,
    }  # fmt: skip
    condition = {
        "kind": "burnrate", "op": "gte", "threshold": 10, "lookbackWindow": "2h",
        "alertAfter": "10m",
    }  # fmt: skip
    policy = {
        "apiVersion": "openslo/v1", "kind": "AlertPolicy", "metadata": {"name": "fast"},
        "spec": {
            "conditions": [
                {"kind": "AlertCondition", "spec": {"severity": "page", "condition": condition}}
            ]
        },
    }  # fmt: skip
    one = slo(indicatorRef="failing", alertPolicies=["fast"], objectives=[{"targetPercent": 99}])
    del one["spec"]["indicator"]
    (found,) = read([sli, policy], one)
    assert found.results == {"ok", "declined"}
    assert found.target == pytest.approx(0.99)
    (rule,) = found.rules
    assert (rule.long_minutes, rule.short_minutes, rule.factor) == (120, 10, 10)


def test_plain_queries_for_our_own_metrics_are_read() -> None:
    requests = "tollkeeper_provider_requests_total"
    (found,) = read(
        queried(
            f'sum(rate({requests}{{operation="authorize", result=~"approved|answered|B2"}}[5m]))',
            f'sum(rate({requests}{{operation="authorize"}}[5m]))',
        )
    )
    assert found.where == {"operation": {"authorize"}}
    assert found.results == {"ok", "declined"}
    (quick,) = read(
        queried(
            'sum(tollkeeper_provider_request_seconds_bucket{operation="authorize",le="1.2"})',
            'sum(tollkeeper_provider_request_seconds_count{operation="authorize"})',
        )
    )
    assert quick.within_ms == 1_500  # the edge above: durations are counted in buckets


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([slo(budgetingMethod="Timeslices")], "only Occurrences"),
        ([slo(timeWindow=[{"duration": "30d", "isRolling": False}])], "isRolling: true"),
        ([slo(timeWindow=[{"duration": "1y", "isRolling": True}])], "no duration"),
        ([slo(objectives=[{"target": 1.0}])], "0.5 to 0.99999"),
        ([slo(objectives=[{"target": 0.9}, {"target": 0.99}])], "write several SLOs"),
        ([slo(indicator={"spec": {"thresholdMetric": {}}})], "write a threshold as a ratio"),
        ([slo(indicatorRef="x")], "one of them"),
        ([slo(alertPolicies=["fast"])], "no AlertPolicy 'fast'"),
        ([slo(), slo()], "twice"),
        ([slo("No Name")], "no name"),
        ([slo() | {"apiVersion": "openslo/v2"}], "Invalid enum value"),
        ([queried("sum(up)", "sum(up)")], "cannot be counted"),
        (
            [
                queried(
                    'sum(tollkeeper_provider_requests_total{result=~"approved|A"})',
                    "sum(tollkeeper_provider_requests_total)",
                )
            ],
            "counted together only",
        ),
        ([7], "Expected `object`"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_the_reason(objects: Any, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read(*objects)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff", b"a: [", b"x: &a [1]\ny: *a", b"- " * 3_000, b"!!python/object:os.system {}",
        b"{" * 5_000, b"? [a]\n: b", b"<<: 3", b"x" * 300_000,
    ],
)  # fmt: skip
def test_what_is_no_openslo_file_is_one_error(text: bytes) -> None:
    with pytest.raises(Invalid):
        openslo.read({"file.yaml": text})


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10**9), st.floats(), st.text(max_size=8),
    st.sampled_from(["30d", "openslo/v1", "SLO", "tollkeeper", "Prometheus", "gte", "ok", "1h"]),
    st.just([]), st.just({}),
)  # fmt: skip


def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    for key in _keys(node):
        found += paths(node[key], (*at, key))
    return found


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_file_it_is_objectives_or_one_error(data: st.DataObject) -> None:
    document = copy.deepcopy(slo(alertPolicies=[{"spec": {"conditions": [{"spec": {
        "condition": {"threshold": 2, "lookbackWindow": "1h", "op": "gt"}}}]}}]))  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(paths(document)))
        node: Any = document
        for key in at[:-1]:
            node = node[key]
        node[at[-1]] = data.draw(LEAVES)
    try:
        found = read(document)
    except Invalid:
        return
    assert all(0 < one.target < 1 and one.rules for one in found)


def _keys(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node)
    return list(range(len(node))) if isinstance(node, list) else []


def line(result: Any, n: int, **fields: Any) -> Counted:
    witnesses = fields.pop("witnesses", 0)
    took = fields.pop("took", {})
    cell = Cell(kind="attempt", provider="stripe", operation="authorize", result=result, **fields)
    return Counted(0, cell, Tally(n=n, witnesses=witnesses, took=took))


def test_a_share_counts_what_the_objective_names_and_a_customer_once() -> None:
    (one,) = read(slo())
    other = Counted(0, Cell(kind="attempt", provider="other", result="failed"), Tally(n=9))
    lines = [line("ok", 90), line("declined", 5), line("failed", 40, witnesses=2), other]
    assert share_of(one, lines) == Share(95, 2)


def test_slow_ones_are_bad_where_durations_matter() -> None:
    good = metric(**WHERE, result=["ok", "declined"], within_seconds=0.3)
    ratio = {"good": good, "total": metric(**WHERE)}
    (one,) = read(slo(indicator={"spec": {"ratioMetric": ratio}}))
    assert share_of(one, [line("ok", 10, took={0: 4, 6: 3, 7: 3})]) == Share(7, 3)


def spread(of: int, bad: int, minutes: int) -> dict[int, Share]:
    return {m: Share(of - bad, bad) for m in range(1_000 - minutes + 1, 1_001)}


def test_a_budget_burns_only_if_both_windows_do() -> None:
    (one,) = read(slo())
    assert burning(one, spread(1_000, 1, 500), 1_000) == []
    fast = burning(one, spread(1_000, 20, 60), 1_000)
    assert [found.rule.long_minutes for found in fast][:1] == [60]
    assert fast[0].long_rate == pytest.approx(20.0)
    over = spread(1_000, 20, 60) | {m: Share(1_000, 0) for m in range(995, 1_001)}
    assert 60 not in [each.rule.long_minutes for each in burning(one, over, 1_000)]


def test_a_single_failure_at_night_burns_nothing() -> None:
    (one,) = read(slo())
    night = {1_000: Share(0, 1), 950: Share(3, 0)}
    assert burning(one, night, 1_000) == []
    failing = {m: Share(0, 1) for m in range(990, 1_001)}
    assert burning(one, failing, 1_000)


def test_rules_of_a_shorter_objective_keep_their_part_of_the_budget() -> None:
    assert [rule.factor for rule in usual_rules(7)] == [3.36, 1.4, 0.233]
