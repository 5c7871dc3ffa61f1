"""Verdicts: each fault domain from the counts that it leaves, and none where nothing is wrong."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.rooms.counted import END_S, Instead, Second, cell, healthy, probe, window

from tollkeeper.signals.cells import webhook_in_cell
from tollkeeper.signals.counts import Cell, Change, Gauges, Waiting, Window
from tollkeeper.signals.detectors import alarms_in
from tollkeeper.signals.evidence import Evidence, place_of
from tollkeeper.signals.history import usual_of
from tollkeeper.signals.rows import rows_of
from tollkeeper.signals.rules import RULES
from tollkeeper.signals.scene import scene_of
from tollkeeper.signals.series import Rolling, unroll
from tollkeeper.signals.verdict import Look, Verdict, attribute
from tollkeeper.signals.weights import DOMAINS, EXPECTED, WEIGHTS


def failing(fits: Callable[[Cell], bool] = lambda one: True, **given: Any) -> Instead:
    """Attempts that fail so, where they fit."""
    return Instead(
        lambda one: replace(one, **{"result": "failed", "shows_id": False} | given),
        lambda one: one.kind == "attempt" and fits(one),
    )


def declined(fits: Callable[[Cell], bool], error: str) -> Instead:
    return Instead(
        lambda one: replace(one, result="declined", error=error, status=402),
        lambda one: one.kind == "attempt" and one.operation == "authorize" and fits(one),
    )


def at_stripe(one: Cell) -> bool:
    return one.provider == "stripe"


def through_new(one: Cell) -> bool:
    return one.integration == "stripe@2"


def change(kind: Any, **given: Any) -> Change:
    return Change(at_ms=(END_S - 30) * 1000, kind=kind, text="", **given)


def verdict(seen: Window) -> Verdict:
    looked = attribute(seen)
    assert looked.verdicts, "there is a verdict"
    return looked.verdicts[0]


UNREADABLE = failing(
    at_stripe, error="decode", pointer="/latest_charge", unreadable=True, shows_id=True
)
DOWN = failing(at_stripe, error="status", status=503)
NO_WAY = failing(stage="connect", error="connection_timeout", status=0)


def attack(second: int) -> list[tuple[Cell, int]]:
    typed = cell(result="declined", error="incorrect_details", status=402, account="acct_2")
    return [(typed, 6)]


@cache
def faults() -> dict[str, tuple[Window, dict[str, str]]]:
    """By domain: a window in which it is to blame, and what the slice must name."""
    return {
        "provider_changed": (window(UNREADABLE, since=20), {"provider": "stripe"}),
        "provider_down": (window(DOWN, since=20), {"provider": "stripe"}),
        "provider_limited": (
            window(failing(at_stripe, error="rate_limit", status=429), since=20),
            {"provider": "stripe"},
        ),
        "provider_slow": (
            window(
                since=30, took=lambda one: 13 if one.kind == "attempt" and at_stripe(one) else 6
            ),
            {"provider": "stripe"},
        ),
        "our_infrastructure": (
            window(NO_WAY, since=20, probes=(probe("anchor", 5, 5, host="h1"),)), {},
        ),
        "our_code": (
            window(
                failing(through_new, error="parameter_missing", status=400),
                since=25, changes=(change("rollout", provider="stripe", integration="stripe@2"),),
            ),
            {"integration": "stripe@2"},
        ),
        "our_configuration": (
            window(failing(at_stripe, error="http_401", status=401, settings="s2"), since=20),
            {"provider": "stripe"},
        ),
        "our_database": (
            window(
                failing(stage="persist", error="db_timeout"), since=20,
                gauges=Gauges(lag_ms=4.0, store_ms=2_000.0), probes=(probe("store", 2, 2),),
            ),
            {},
        ),
        "issuer": (
            window(declined(lambda one: one.issuer == "bank_1", "try_again_later"), since=40),
            {"issuer": "bank_1"},
        ),
        "bad_traffic": (window(attack, since=30), {"account": "acct_2"}),
    }  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_domain_is_found_with_its_slice(domain: str) -> None:
    seen, slice_ = faults()[domain]
    found = verdict(seen)
    assert found.domain == domain, found
    assert slice_.items() <= found.slice.items()
    assert found.evidence_for, "a verdict shows what speaks for it"


def test_a_healthy_window_has_no_alarm_and_no_verdict() -> None:
    assert attribute(window()) == Look(at_ms=END_S * 1000)


def test_an_empty_window_has_no_alarm_and_no_verdict() -> None:
    assert attribute(Window(at_ms=0, batches=())) == Look(at_ms=0)


def test_a_changed_reply_is_found_with_its_pointer_and_its_reader() -> None:
    found = verdict(faults()["provider_changed"][0])
    assert found.pointer == "/latest_charge"
    sentence = next(row.sentence for row in found.evidence_for if row.name == "unreadable")
    assert "departed at /latest_charge, which stripe@2 reads" in sentence


def test_no_other_domain_has_a_pointer() -> None:
    mixed = window(UNREADABLE, NO_WAY, since=20, probes=(probe("anchor", 5, 5, host="h1"),))
    assert verdict(mixed).domain == "our_infrastructure"
    assert verdict(mixed).pointer == ""


def test_the_onset_is_found_within_its_interval() -> None:
    found = verdict(window(DOWN, since=25))
    assert found.earliest_ms <= (END_S - 25) * 1000 <= found.latest_ms
    assert abs(found.since_ms - (END_S - 25) * 1000) <= 3_000


def test_an_innocent_deploy_at_the_onset_is_acquitted_by_failures_outside_its_radius() -> None:
    deploy = change("deploy", provider="stripe", integration="stripe@2")
    found = verdict(window(UNREADABLE, since=20, changes=(deploy,)))
    assert found.domain == "provider_changed"


def test_settings_that_changed_without_an_event_are_found_by_their_fingerprint() -> None:
    found = verdict(faults()["our_configuration"][0])
    assert "our_settings" in {row.name for row in found.evidence_for}


def test_new_settings_without_failures_are_no_evidence() -> None:
    moved = Instead(lambda one: replace(one, settings="s2"), lambda one: one.kind == "attempt")
    assert not attribute(window(moved, since=60)).alarms


def test_replies_that_do_not_come_are_an_alarm_before_they_time_out() -> None:
    def waiting(second: int) -> list[Waiting]:
        return [
            Waiting(started, "stripe", "stripe@2", "authorize", "wait", 4)
            for started in range(END_S - 12, second - 3)
        ]

    silent = Instead(lambda one: replace(one, provider="adyen"), at_stripe)
    found = attribute(window(silent, since=12, waiting=waiting))
    assert "missing" in {alarm.bank for alarm in found.alarms}
    assert found.verdicts[0].provider == "stripe"


def test_two_disturbances_give_a_second_verdict() -> None:
    stores = failing(
        lambda one: not at_stripe(one), stage="persist", error="db_timeout", operation="capture"
    )
    found = attribute(window(UNREADABLE, stores, since=25, probes=(probe("store", 2, 2),)))
    assert {one.domain for one in found.verdicts} == {"provider_changed", "our_database"}


def test_an_account_is_not_blamed_while_the_others_are_hardly_seen() -> None:
    few = failing(error="parameter_missing", status=400)
    only = Instead(lambda one: replace(one, account="acct_1"), lambda one: True)
    found = attribute(window(only, few, since=8))
    assert all("account" not in one.slice for one in found.verdicts)


def test_a_verdict_in_doubt_wants_probes_and_waits_for_them() -> None:
    refused = failing(at_stripe, error="http_401", status=401, settings="")
    found = verdict(window(refused, since=8))
    assert found.domain == "undetermined"
    assert set(found.wants) >= {"golden", "anchor"}
    assert found.likeliest != "undetermined"


def test_no_confidence_is_shown_above_nine_tenths() -> None:
    for seen, _ in faults().values():
        assert verdict(seen).confidence <= 0.9


@pytest.mark.parametrize(
    ("domain", "veto"),
    [
        ("issuer", "issuer"), ("bad_traffic", "bad_traffic"),
        ("our_infrastructure", "our_infrastructure"), ("our_database", "our_database"),
    ],
)  # fmt: skip
def test_named_rows_refuse_a_failover(domain: str, veto: str) -> None:
    assert veto in verdict(faults()[domain][0]).vetoes


@pytest.mark.parametrize("domain", ["provider_changed", "our_code"])
def test_where_another_version_helps_nothing_is_refused(domain: str) -> None:
    assert not verdict(faults()[domain][0]).vetoes


def test_the_same_window_gives_the_same_look() -> None:
    for seen, _ in faults().values():
        assert attribute(seen) == attribute(seen)


def test_an_earlier_moment_computes_again_from_more_batches() -> None:
    seen = faults()["provider_down"][0]
    then_ms = (END_S - 10) * 1000
    then = replace(seen, at_ms=then_ms)
    only = replace(then, batches=tuple(one for one in seen.batches if one.second < END_S - 10))
    assert attribute(then) == attribute(only)


def test_series_that_go_on_give_the_same_looks() -> None:
    for seen, _ in faults().values():
        usual = usual_of(seen.usual, seen.usual_seconds)
        rolling = Rolling(usual)
        for ago in (300, 40, 12, 11, 3, 0):
            now = replace(seen, at_ms=seen.at_ms - ago * 1000)
            assert attribute(now, usual, rolling.series_of(now)) == attribute(now)


def test_a_batch_that_comes_late_is_counted_late() -> None:
    seen = faults()["provider_down"][0]
    usual = usual_of(seen.usual, seen.usual_seconds)
    rolling = Rolling(usual)
    without = replace(seen, batches=tuple(one for one in seen.batches if one.second != END_S - 7))
    assert attribute(without, usual, rolling.series_of(without)) == attribute(without)
    assert attribute(seen, usual, rolling.series_of(seen)) == attribute(seen)


def test_a_line_that_started_after_its_batch_is_counted_when_the_series_reach_it() -> None:
    """Clocks of replicas differ by a little."""
    seen = faults()["provider_down"][0]
    usual = usual_of(seen.usual, seen.usual_seconds)
    early = tuple(replace(one, second=one.second - 1) for one in seen.batches)
    ahead = replace(seen, batches=early)
    rolling = Rolling(usual)
    for ago in range(30, -1, -1):
        now = replace(ahead, at_ms=ahead.at_ms - ago * 1000)
        assert attribute(now, usual, rolling.series_of(now)) == attribute(now)


def test_the_order_of_replicas_does_not_matter() -> None:
    seen = faults()["provider_changed"][0]
    halves = []
    for batch in seen.batches:
        half = len(batch.counted) // 2
        halves.append(replace(batch, counted=batch.counted[:half], replica="r2", waiting=[]))
        halves.append(replace(batch, counted=batch.counted[half:]))
    assert verdict(replace(seen, batches=tuple(halves))).domain == "provider_changed"


def test_a_look_is_json() -> None:
    looked = attribute(faults()["our_code"][0])
    assert msgspec.json.decode(msgspec.json.encode(looked), type=Look) == looked


def test_the_fingerprint_names_domain_place_and_pointer() -> None:
    assert verdict(faults()["provider_changed"][0]).fingerprint == (
        "provider_changed|stripe|/latest_charge"
    )
    assert "issuer=bank_1" in verdict(faults()["issuer"][0]).fingerprint


def rows(seen: Window) -> dict[str, Evidence]:
    usual = usual_of(seen.usual, seen.usual_seconds)
    series = unroll(seen, usual)
    scene = scene_of(seen, usual, series, alarms_in(series, usual))
    return rows_of(scene, place_of(scene))


def test_every_row_is_in_the_table_and_every_line_of_the_table_is_a_row() -> None:
    broken = Cell(kind="api", operation="create", result="failed", status=500, host="h1")
    own = window(lambda second: [(broken, 3)], since=20)
    stopped = Instead(lambda one: replace(one, kind="job"), lambda one: one.kind == "webhook_in")
    no_hooks = window(stopped, since=30)
    old = webhook_in_cell("stripe", "stripe@2", "unread", host="h1", version="1")
    skewed = window(lambda second: [(old, 3)], since=20)
    seen_in = (own, no_hooks, skewed, *(seen for seen, _ in faults().values()))
    read = {name for seen in seen_in for name in rows(seen)}
    assert read <= set(WEIGHTS)
    assert read | {rule.name for rule in RULES} == set(WEIGHTS)


def test_every_row_is_one_sentence_with_what_it_counted() -> None:
    for seen, _ in faults().values():
        for row in rows(seen).values():
            assert row.sentence.endswith("."), row
            assert len(row.sentence.split()) <= 30, row
            assert row.seen >= 0, row


def test_every_domain_expects_rows_of_the_table_that_speak_for_it() -> None:
    for domain in DOMAINS:
        for name in EXPECTED[domain]:
            assert WEIGHTS[name].yes.get(domain, 0) > 0, (domain, name)


def test_every_weight_is_of_a_domain_that_competes() -> None:
    for name, weights in WEIGHTS.items():
        assert {*weights.yes, *weights.no} <= set(DOMAINS), name


def test_healthy_seconds_have_both_providers() -> None:
    happened: Second = healthy
    assert {one.provider for second in range(9) for one, _ in happened(second)} == {
        "stripe", "adyen",
    }  # fmt: skip
