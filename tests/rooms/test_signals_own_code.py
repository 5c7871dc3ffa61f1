"""Deploys of ours that storm a provider, or lose what the process lives on."""

from typing import Any

from msgspec.structs import replace
from tests.rooms.counted import END_S, Instead, window

from tollkeeper.signals.cells import SENT_AGAIN, cell_of
from tollkeeper.signals.counts import Cell, Change, Gauges, Window
from tollkeeper.signals.observation import Observation
from tollkeeper.signals.verdict import Verdict, attribute


def verdict(seen: Window) -> Verdict:
    return attribute(seen).verdicts[0]


def limited(repeat: int, **given: Any) -> Instead:
    """Every version of one provider is limited, and one of them sends with such repeats."""

    def turn(one: Cell) -> Cell:
        told: dict[str, Any] = {"result": "failed", "shows_id": False, "error": "rate_limit"}
        mine = repeat if one.integration == "stripe@2" else 0
        return replace(one, **told | {"status": 429, "stage": "provider", "repeat": mine} | given)

    return Instead(turn, lambda one: one.kind == "attempt" and one.provider == "stripe")


def test_a_storm_of_the_same_requests_is_our_codes_though_the_provider_limits_us() -> None:
    found = verdict(window(limited(SENT_AGAIN), since=12))
    assert found.domain == "our_code"
    names = {one.name for one in found.evidence_for}
    assert {"sent_again", "limited_by_us"} <= names


def test_a_limit_without_repeats_is_the_providers() -> None:
    assert verdict(window(limited(0), since=12)).domain == "provider_limited"


def test_the_same_request_sent_again_is_counted_apart_from_later_attempts() -> None:
    seen = Observation(
        at_ms=0, provider="stripe", integration="stripe@2", operation="authorize", kind="approved"
    )
    again = replace(seen, repeats=2)
    assert cell_of(seen, host="h", settings="", repeat=7).repeat == 3
    assert cell_of(replace(seen, repeats=1), host="h", settings="", repeat=0).repeat == 0
    assert cell_of(again, host="h", settings="", repeat=0).repeat == SENT_AGAIN


DEPLOY = Change(
    at_ms=(END_S - 42) * 1000, kind="deploy", text="4.2", provider="stripe", integration="stripe@2"
)


def losing(shares: list[float], *changes: Change) -> Window:
    """A window whose last seconds have these shares of descriptors in use; without any left, every
    attempt fails."""
    none_left = Instead(
        lambda one: replace(
            one, result="failed", shows_id=False, stage="connect", error="too_many_files"
        ),
        lambda one: one.kind == "attempt",
    )
    seen = window(none_left, since=10, changes=changes)
    first = END_S - len(shares)
    return replace(
        seen,
        batches=tuple(
            replace(
                batch,
                gauges=Gauges(
                    lag_ms=2.0,
                    descriptors=shares[batch.second - first] if batch.second >= first else 0.05,
                ),
            )
            for batch in seen.batches
        ),
    )


LEAK = [min(0.1 + 0.03 * second, 1.0) for second in range(40)]
SUDDEN = [0.1] * 30 + [1.0] * 10


def test_descriptors_lost_one_by_one_since_a_deploy_are_our_codes() -> None:
    found = verdict(losing(LEAK, DEPLOY))
    assert (found.domain, found.slice["integration"]) == ("our_code", "stripe@2")
    assert {"descriptors_climb", "lost_since_deploy"} <= {one.name for one in found.evidence_for}


def test_descriptors_that_are_gone_at_once_are_our_machines() -> None:
    assert verdict(losing(SUDDEN)).domain == "our_infrastructure"
    assert verdict(losing(SUDDEN, DEPLOY)).domain == "our_infrastructure"


def test_a_deploy_on_another_host_has_lost_nothing_here() -> None:
    found = verdict(losing(LEAK, replace(DEPLOY, host="elsewhere")))
    assert found.domain == "our_infrastructure"
