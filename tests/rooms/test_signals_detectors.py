"""Detectors: each bank alarms on its own kind of trouble, and none on innocent traffic."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms.counted import END_S, Instead, Second, cell, line, window

from tollkeeper.signals.counts import (
    Batch,
    Cell,
    Change,
    Counted,
    Gauges,
    Probe,
    Tally,
    Waiting,
    Window,
    fold,
)
from tollkeeper.signals.detectors import BANKS, NAMES, banks, walk
from tollkeeper.signals.history import late_count, parts_beyond, point_of, usual_of
from tollkeeper.signals.verdict import attribute
from tollkeeper.signals.words import trouble_of


def failing(fits: Callable[[Cell], bool] = lambda one: True, **given_: Any) -> Instead:
    return Instead(
        lambda one: replace(one, **{"result": "failed"} | given_),
        lambda one: one.kind == "attempt" and fits(one),
    )


class Seldom(Instead):
    """Turns cells in each third second only."""

    def turned(self, second: int, one: Cell, n: int) -> tuple[Cell, int]:
        return super().turned(second, one, n) if second % 3 == 0 else (one, n)


def guesses(second: int) -> list[tuple[Cell, int]]:
    return [(cell(result="declined", error="incorrect_security_code"), 8)]


def repeats(second: int) -> list[tuple[Cell, int]]:
    return [(cell(repeat=3), 6)]


def broken_api(second: int) -> list[tuple[Cell, int]]:
    failed = Cell(kind="api", operation="POST /v1/payments", result="failed", status=500, host="h1")
    return [(failed, 2), (replace(failed, result="ok", status=201), 6)]


def rejected(second: int) -> list[tuple[Cell, int]]:
    hook = Cell(
        kind="webhook_in", provider="stripe", operation="charge", result="failed",
        stage="webhook", error="bad_signature",
    )  # fmt: skip
    return [(hook, 3)]


NO_HOOKS = Instead(lambda one: replace(one, kind="job"), lambda one: one.kind == "webhook_in")

_errors = failing(error="status", status=500)
of_errors = (_errors.turn, _errors.fits)


@cache
def kinds() -> dict[str, Window]:
    """By bank: a window with its kind of trouble."""
    return {
        "fail": window(failing(error="status", status=500), since=12),
        "sustained": window(Seldom(*of_errors), since=120),
        "contract": window(failing(error="decode", unreadable=True), since=10),
        "not_now": window(failing(error="rate_limit", status=429), since=10),
        "internal": window(failing(stage="build", error="build_error"), since=10),
        "build": window(failing(stage="build", error="build_error"), since=4),
        "storm": window(repeats, since=15),
        "decline": window(
            Instead(
                lambda one: replace(one, result="declined", error="do_not_honor"),
                lambda one: one.kind == "attempt" and one.issuer == "bank_2",
            ),
            since=40,
        ),
        "unavailable": window(
            Instead(
                lambda one: replace(one, result="declined", error="try_again_later"),
                lambda one: one.kind == "attempt" and one.issuer == "bank_2",
            ),
            since=40,
        ),
        "attack": window(guesses, since=15),
        "webhooks": window(rejected, since=15),
        "api": window(broken_api, since=15),
        "missing": window(
            Instead(lambda one: replace(one, provider="adyen"), lambda one: True),
            since=12,
            waiting=lambda second: [
                Waiting(started, "stripe", "stripe@2", "authorize", "wait", 3)
                for started in range(END_S - 12, second - 3)
            ],
        ),
        "latency": window(since=25, took=lambda one: 13),
        "missing_webhooks": window(NO_HOOKS, since=20),
        "late_webhooks": window(since=20, took=lambda one: 16 if one.kind == "webhook_in" else 6),
        "stalls": standing_still(window(), since=20),
    }


def standing_still(seen: Window, since: int) -> Window:
    """A window in whose last seconds every second one has a stall of the event loop."""
    return replace(
        seen,
        batches=tuple(
            replace(batch, gauges=Gauges(lag_ms=900.0))
            if batch.second >= END_S - since and batch.second % 2
            else replace(batch, gauges=Gauges(lag_ms=2.0))
            for batch in seen.batches
        ),
    )


def test_three_payments_that_cannot_be_built_are_an_alarm_and_two_are_not() -> None:
    def unbuilt(seconds: int) -> set[str]:
        one = cell(result="failed", stage="build", error="build_error", integration="stripe@3")
        times = {END_S - 2 * number - 1 for number in range(seconds)}
        seen = window(lambda second: [(one, 1)] if second in times else [], since=10)
        return {alarm.bank for alarm in banks(seen)}

    assert "build" in unbuilt(3)
    assert unbuilt(2) == set()


def test_one_long_pause_of_the_event_loop_is_no_alarm() -> None:
    assert banks(standing_still(window(), since=3)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_bank_finds_its_kind_of_trouble(name: str) -> None:
    assert name in {alarm.bank for alarm in banks(kinds()[name])}


@pytest.mark.parametrize("name", NAMES)
def test_an_alarm_says_when_its_climb_began_and_when_it_stood(name: str) -> None:
    seen = kinds()[name]
    for alarm in banks(seen):
        assert (END_S - 300) * 1000 <= alarm.since_ms <= alarm.at_ms < seen.at_ms
        assert alarm.statistic >= alarm.threshold
        assert 0 < alarm.bad <= alarm.of


def surge(second: int) -> list[tuple[Cell, int]]:
    hook = Cell(kind="webhook_in", provider="stripe", operation="charge")
    return [(cell(account=f"acct_{second % 3 + 1}"), 20), (hook, 20)]


def mistyping(second: int) -> list[tuple[Cell, int]]:
    typed = cell(result="declined", error="incorrect_details", status=402)
    return [(typed, 1)] if second % 5 == 0 else []


def burst(second: int) -> list[tuple[Cell, int]]:
    """A blip of two seconds, whose victims time out."""
    lost = cell(result="failed", stage="wait", error="http_response_timeout", status=0)
    return [(lost, 12)] if second in {END_S - 30, END_S - 29} else []


INNOCENT: dict[str, tuple[Second, ...]] = {
    "nothing": (),
    "a flash sale": (surge,),
    "customers who mistype": (mistyping,),
    "a burst of two seconds": (burst,),
    "a new operation of webhooks": (
        lambda second: [(Cell(kind="webhook_in", provider="stripe", operation="new"), 2)],
    ),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_innocent_traffic_alarms_nothing(name: str) -> None:
    assert not banks(window(*INNOCENT[name], since=150))


def test_innocent_traffic_without_history_alarms_nothing() -> None:
    assert not banks(window(history=False))


def test_a_fault_is_found_without_history() -> None:
    seen = window(failing(error="status", status=503), since=15, history=False)
    assert "fail" in {alarm.bank for alarm in banks(seen)}


def test_one_customer_who_tries_again_is_one_witness() -> None:
    seen = window(since=60)
    again = cell(result="failed", error="status", status=500)
    for batch in seen.batches[-60:]:
        batch.counted.append(Counted(batch.second, again, Tally(n=5, witnesses=0, took={6: 5})))
    assert not banks(seen)


def test_an_alarm_ends_after_its_cause() -> None:
    bad = window(failing(error="status", status=500), since=100)
    healed = [
        replace(batch, counted=[one for one in batch.counted if one.cell.result == "ok"])
        if batch.second >= END_S - 60 else batch
        for batch in window().batches[-60:]
    ]  # fmt: skip
    after = replace(bad, batches=(*bad.batches[:-60], *healed))
    assert banks(bad)
    assert not banks(after)


def test_a_good_second_never_raises_a_statistic() -> None:
    climb = walk({3: 5.0, 4: 5.0}, [9] * 10, (0.01, 0.12), 10, 4)
    assert climb.peak == pytest.approx(5.0)
    assert climb.value < climb.peak


def test_one_second_adds_a_part_of_the_threshold_at_most() -> None:
    assert walk({3: 1e9}, [0] * 10, (0.01, 0.12), 10, 4).peak == pytest.approx(2.5)


def test_every_bank_has_its_own_name_and_sane_rates() -> None:
    assert len(set(NAMES)) == len(BANKS) + 4
    for bank in BANKS:
        for rate in (0.0, 0.01, 0.2, 0.9):
            assert bank.usual(rate) > 0


def test_durations_beyond_the_point_are_a_twentieth_of_history() -> None:
    took = {4: 300, 5: 400, 6: 200, 8: 70, 11: 30}
    point = point_of(took, 0.95)
    assert point is not None
    assert late_count(took, parts_beyond(point)) == pytest.approx(50)


def test_history_draws_a_part_to_the_whole() -> None:
    lines = fold([line(0, cell(result="failed", error="status", account="few"), 2)], 0)
    usual = usual_of([*lines, line(0, cell(account="many"), 10_000)], 100)
    assert usual.rate("failing", (("account", "few"),)) < 0.1
    assert usual.rate("failing", (("account", "many"),)) < usual.rate("failing") * 1.1


@pytest.mark.parametrize(
    ("given_", "trouble"),
    [
        ({"stage": "build", "error": "build_error"}, "build"),
        ({"stage": "persist", "error": "no_space"}, "no_space"),
        ({"stage": "persist", "error": "db_timeout"}, "store"),
        ({"stage": "dns", "error": "dns_timeout"}, "network"),
        ({"stage": "tls", "error": "tls_certificate_error"}, "certificate"),
        ({"stage": "wait", "error": "http_response_timeout"}, "silent"),
        ({"stage": "read", "error": "http_response_incomplete", "status": 200}, "broken"),
        ({"error": "decode", "status": 200}, "unreadable"),
        ({"error": "status", "status": 503}, "server_error"),
        ({"error": "http_429", "status": 429}, "limited"),
        ({"error": "http_401", "status": 401}, "key_refused"),
        ({"error": "resource_missing", "status": 404}, "gone"),
        ({"error": "parameter_missing", "status": 400}, "refused"),
        ({"error": "in_use", "status": 409}, "busy_key"),
        ({"kind": "webhook_in", "stage": "webhook", "error": "bad_signature"}, "signature"),
        ({}, "other"),
    ],
)
def test_a_failure_is_one_kind_of_trouble(given_: dict[str, Any], trouble: str) -> None:
    assert trouble_of(Cell(**{"kind": "attempt", "result": "failed"} | given_)) == trouble


# whatever comes, a look never raises

TEXTS = st.sampled_from(["", "stripe", "stripe@2", "(other)", "authorize", "x" * 300, "é\n"])
COUNTS = st.sampled_from([0, 1, 3, 40, 10**12])
SECONDS = st.integers(END_S - 400, END_S + 20) | st.sampled_from([-(10**12), 0, 10**12])
FLOATS = st.sampled_from([0.0, 1.0, 250.0, 1e15, float("inf"), float("nan")])
CELLS = st.builds(
    Cell,
    kind=st.sampled_from(["attempt", "webhook_in", "webhook_out", "api", "job"]),
    provider=TEXTS, integration=TEXTS, operation=TEXTS, host=TEXTS,
    result=st.sampled_from(["ok", "declined", "failed"]),
    stage=st.sampled_from(["", "build", "connect", "wait", "persist", "admit", "odd"]),
    error=st.sampled_from(["", "decode", "try_again_later", "incorrect_details", "no_space"]),
    status=st.sampled_from([0, 200, 401, 404, 429, 503, -7, 10**9]),
    pointer=TEXTS, repeat=st.integers(0, 3), account=TEXTS, currency=TEXTS, country=TEXTS,
    method=TEXTS, issuer=TEXTS, settings=TEXTS,
)  # fmt: skip
TALLIES = st.builds(
    Tally,
    n=COUNTS, witnesses=COUNTS, crowded=COUNTS, small=COUNTS,
    took=st.dictionaries(st.sampled_from([-3, 0, 6, 17, 99]), COUNTS, max_size=3),
    connect_n=COUNTS, connect_ms=FLOATS, tls_n=COUNTS, tls_ms=FLOATS, wait_n=COUNTS, wait_ms=FLOATS,
)  # fmt: skip
LINES = st.builds(Counted, SECONDS, CELLS, TALLIES)
BATCHES = st.builds(
    Batch,
    second=SECONDS, replica=TEXTS, host=TEXTS, counted=st.lists(LINES, max_size=12),
    waiting=st.lists(st.builds(Waiting, SECONDS, TEXTS, TEXTS, TEXTS, TEXTS, COUNTS), max_size=3),
    probes=st.lists(
        st.builds(
            Probe, at_ms=SECONDS, tried=COUNTS, failed=COUNTS, asked=st.booleans(),
            name=st.sampled_from(["anchor", "golden", "golden_previous", "second", "store"]),
        ),
        max_size=3,
    ),
    gauges=st.builds(
        Gauges, lag_ms=st.none() | FLOATS, store_ms=FLOATS, disk=FLOATS, clock_ms=FLOATS
    ),
)  # fmt: skip
CHANGES = st.builds(
    Change,
    at_ms=SECONDS.map(lambda second: second * 1000), text=TEXTS, provider=TEXTS, host=TEXTS,
    kind=st.sampled_from(["deploy", "settings", "migration", "status_feed", "description"]),
)  # fmt: skip
WINDOWS = st.builds(
    Window,
    at_ms=st.just(END_S * 1000) | SECONDS, batches=st.lists(BATCHES, max_size=8).map(tuple),
    usual=st.lists(LINES, max_size=6).map(tuple), usual_seconds=st.sampled_from([-5, 0, 3_000]),
    changes=st.lists(CHANGES, max_size=3).map(tuple),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(WINDOWS)
def test_no_window_makes_a_look_fail(seen: Window) -> None:
    attribute(seen)


@settings(max_examples=20, deadline=None)
@given(CELLS, st.sampled_from([1, 5, 400]), st.integers(1, 60))
def test_a_burst_of_any_cell_over_healthy_seconds_gives_a_look(
    one: Cell, n: int, since: int
) -> None:
    def happen(second: int) -> list[tuple[Cell, int]]:
        return [(one, n)]

    seen = window(happen, since=since)
    assert attribute(seen) == attribute(seen)
