"""Verdicts on kinds of fault that real scenarios showed: what hangs, stalls, or is one side's."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.rooms.counted import END_S, Instead, window

from tollkeeper.flows.live.counting import Counting
from tollkeeper.integrations.version import WireReply
from tollkeeper.signals.counts import Cell, Change, Counted, Gauges, Probe, Tally, Waiting, Window
from tollkeeper.signals.detectors import alarms_in
from tollkeeper.signals.evidence import Evidence, place_of
from tollkeeper.signals.history import LATE_LEAST_MS, parts_beyond, usual_of
from tollkeeper.signals.rows import rows_of
from tollkeeper.signals.scene import scene_of
from tollkeeper.signals.series import unroll
from tollkeeper.signals.verdict import Verdict, attribute
from tollkeeper.signals.words import is_callers, trouble_of


def failing(integration: str = "", **given: Any) -> Instead:
    """Attempts at one provider that fail so, of one version where it is named."""
    return Instead(
        lambda one: replace(one, **{"result": "failed", "shows_id": False} | given),
        lambda one: one.provider == "stripe" and integration in {"", one.integration},
    )


def slow(one: Cell) -> int:
    return 13 if one.kind == "attempt" else 6


def verdict(seen: Window) -> Verdict:
    looked = attribute(seen)
    assert looked.verdicts, "there is a verdict"
    return looked.verdicts[0]


def rows_in(seen: Window) -> dict[str, Evidence]:
    usual = usual_of(seen.usual, seen.usual_seconds)
    series = unroll(seen, usual)
    scene = scene_of(seen, usual, series, alarms_in(series, usual))
    return rows_of(scene, place_of(scene))


def rows(found: Verdict) -> set[str]:
    return {one.name for one in (*found.evidence_for, *found.evidence_against)}


def test_operations_of_our_store_that_hang_are_an_alarm_before_they_fail() -> None:
    seen = window(
        since=12,
        waiting=lambda second: [
            Waiting(started, "", "", "store", "persist", 2) for started in range(END_S - 12, second)
        ],
    )
    found = verdict(seen)
    assert found.domain == "our_database"
    assert "store_errors" in rows(found)


def test_an_event_loop_that_stands_still_is_ours_before_anyone_fails() -> None:
    found = verdict(window(since=15, gauges=Gauges(lag_ms=1_200.0)))
    assert found.domain == "our_infrastructure"
    assert "our_infrastructure" in found.vetoes


def test_a_process_without_descriptors_is_ours() -> None:
    found = verdict(window(since=15, gauges=Gauges(lag_ms=2.0, descriptors=0.99)))
    assert found.domain == "our_infrastructure"
    assert "descriptors_out" in rows(found)


def anchors(now_ms: float) -> Window:
    """Slow providers, beside neutral addresses that take so long."""
    seen = window(since=30, took=slow)

    def asked(second: int) -> list[Probe]:
        took = now_ms if second >= END_S - 28 else 20.0
        return [Probe(at_ms=second * 1000, name="anchor", tried=1, failed=0, took_ms=took)]

    return replace(
        seen,
        batches=tuple(
            replace(batch, probes=asked(batch.second) if batch.second % 5 == 0 else [])
            for batch in seen.batches
        ),
    )


@pytest.mark.parametrize(("took_ms", "state"), [(25.0, "no"), (900.0, "yes")])
def test_slow_neutral_addresses_tell_our_network_from_a_provider(
    took_ms: float, state: str
) -> None:
    assert rows_in(anchors(took_ms))["anchor_slow"].state == state
    if state == "yes":
        assert verdict(anchors(took_ms)).domain == "our_infrastructure"


def test_what_one_version_meets_inside_the_provider_is_the_providers() -> None:
    found = verdict(window(failing("stripe@2", error="status", status=500), since=25))
    assert (found.domain, found.slice["integration"]) == ("provider_down", "stripe@2")


@pytest.mark.parametrize(
    ("parameter", "is_ours"),
    [("mandate_data", True), ("amount", False), ("metadata[order]", False), ("return_url", True)],
)
def test_no_account_is_blamed_for_a_parameter_that_it_cannot_set(
    parameter: str, *, is_ours: bool
) -> None:
    assert is_callers(parameter) is not is_ours
    told = failing(error="parameter", status=400, pointer=f"request:{parameter}")
    found = verdict(window(told, since=25))
    named = [one for one in found.evidence_for if one.name == "our_parameter"]
    assert bool(named) is is_ours
    if is_ours:
        assert found.likeliest == "provider_changed"


@pytest.mark.parametrize("status", [301, 308, 404, 410])
def test_an_address_that_moved_is_gone(status: int) -> None:
    assert trouble_of(Cell(kind="attempt", result="failed", status=status)) == "gone"
    found = verdict(window(failing(error="status", status=status), since=25))
    assert found.domain == "provider_changed"


def test_a_certificate_that_was_known_to_end_is_the_providers() -> None:
    refused = window(
        Instead(
            lambda one: replace(
                one, result="failed", shows_id=False, stage="tls", error="tls_certificate_error"
            ),
            lambda one: one.kind == "attempt" and one.provider == "stripe",
        ),
        since=25,
    )
    ended = Change(
        at_ms=(END_S - 25) * 1000, kind="certificate", text="the certificate of stripe has ended",
        provider="stripe", until_ms=(END_S - 26) * 1000,
    )  # fmt: skip
    found = verdict(replace(refused, changes=(ended,)))
    assert (found.domain, found.provider) == ("provider_down", "stripe")
    assert "certificate_ended" in rows(found)
    soon = replace(ended, until_ms=(END_S + 9_000) * 1000)
    assert "certificate_ended" not in rows(verdict(replace(refused, changes=(soon,))))


def test_keys_that_are_in_use_are_the_providers_confusion() -> None:
    found = verdict(window(failing(error="in_use", status=409), since=25))
    assert found.likeliest == "provider_down"


def refused_hooks(one: Cell) -> Cell:
    return replace(one, result="failed", stage="webhook", error="bad_signature")


HOOKS = Instead(refused_hooks, lambda one: one.kind == "webhook_in" and one.provider == "stripe")


def test_refused_webhooks_are_the_providers_and_with_a_wrong_clock_ours() -> None:
    assert verdict(window(HOOKS, since=25)).likeliest == "provider_changed"
    off = Gauges(lag_ms=2.0, clock_ms=1_200_000.0)
    assert verdict(window(HOOKS, since=25, gauges=off)).domain == "our_infrastructure"


def test_refused_webhooks_since_new_settings_are_our_settings() -> None:
    new = Instead(lambda one: replace(one, settings="s2"), lambda one: one.kind == "attempt")
    found = verdict(window(HOOKS, new, since=25))
    assert found.likeliest == "our_configuration"


@pytest.mark.parametrize(("seconds_ago", "state"), [(26, "yes"), (90, "no")])
def test_what_went_well_under_a_deploy_acquits_it(seconds_ago: int, state: str) -> None:
    broken = failing(error="parameter", status=400, pointer="request:mandate_data")
    deploy = Change(at_ms=(END_S - seconds_ago) * 1000, kind="deploy", text="", provider="stripe")
    assert rows_in(window(broken, since=25, changes=(deploy,)))["our_deploy"].state == state


def test_no_reply_is_late_before_shoppers_notice() -> None:
    quick = [Counted(0, Cell(kind="attempt", provider="p", operation="authorize"), Tally(
        n=100, took={0: 100}
    ))]  # fmt: skip
    usual = usual_of(quick, 60)
    assert usual.late_ms["p", "authorize"] < LATE_LEAST_MS
    assert usual.late_parts("p", "authorize") == parts_beyond(LATE_LEAST_MS)


def test_our_clock_is_compared_with_the_dates_of_replies() -> None:
    counting = Counting()
    dated = WireReply(status=200, headers=(("date", "Thu, 01 Jan 2026 00:00:00 GMT"),))
    counting.compare_clocks(1_767_225_600_000 + 90_000, dated)
    assert counting.clock_ms == 90_000.0
    counting.compare_clocks(1_767_225_700_000, WireReply(status=200))
    assert counting.clock_ms == 90_000.0
