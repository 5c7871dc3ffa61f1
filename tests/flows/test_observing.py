"""Observations: one for each request to a provider, whoever sends it."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.altering import alter
from tests.flows.stage import NEW, OLD, Stage, stage

from tollkeeper.flows.live.tally import Durations
from tollkeeper.integrations.version import WireReply
from tollkeeper.signals.observation import Observation

CREATE = "POST /v1/payment_intents"


def seen_by(s: Stage) -> list[Observation]:
    """Every observation from now on."""
    seen: list[Observation] = []
    take = s.runtime.live.tally.add

    def add(one: Observation) -> None:
        seen.append(one)
        take(one)

    s.runtime.live.tally.add = add  # type: ignore[assignment, method-assign]
    return seen


async def test_a_payment_is_one_observation_with_its_account_and_currency(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={NEW: 100.0}) as s:
        seen = seen_by(s)
        await s.create(currency="USD")
        (one,) = seen
        assert (one.provider, one.integration, one.operation) == ("stripe", NEW, "authorize")
        assert (one.account, one.currency, one.status) == ("acc_1", "USD", 200)
        assert (one.result, one.stage, one.error, one.shows_id) == ("approved", "", "", True)
        assert s.runtime.live.tally.results == {(NEW, "authorize", "approved", ""): 1}


async def test_what_goes_wrong_is_named_and_questions_are_observed_as_well(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={NEW: 100.0}, rescue_seconds=0) as s:
        seen = seen_by(s)
        await s.create(payment_method="pm_card_visa_chargeDeclined")
        assert (seen[-1].result, seen[-1].error) == ("B2", "declined")
        s.wire.pull(CREATE, "deaf")
        await s.create()
        assert (seen[-1].result, seen[-1].stage) == ("C", "read")
        assert seen[-1].error == "http_response_incomplete"
        await s.work(60)
        assert {one.result for one in seen if one.operation == "find"} == {"answered"}


async def test_a_reply_that_cannot_be_read_says_where_and_not_what(tmp_path: Path) -> None:
    async with stage(tmp_path, weights={OLD: 100.0}) as s:
        seen = seen_by(s)
        s.fault("rename_field", object="payment_intent", path="status", to="renamed",
                api_version=OLD[7:])  # fmt: skip
        await s.create()
        first = seen[0]
        assert (first.integration, first.result, first.unreadable) == (OLD, "C", True)
        assert first.drift is not None
        assert (first.drift.kind, first.drift.seen) == ("shape", "")
        assert list(s.runtime.live.drifts.values()) == [1]


async def test_a_request_that_cannot_be_built_is_observed(tmp_path: Path) -> None:
    def broken(*_: object) -> WireReply:
        raise KeyError("x")

    async with stage(tmp_path, weights={NEW: 100.0}) as s:
        one = replace(s.runtime.installed[NEW], request=broken)
        alter(s.runtime, installed={NEW: one})
        seen = seen_by(s)
        await s.create()
        assert [(o.result, o.stage, o.error) for o in seen] == [("A", "build", "build_error")]


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.05, 0), (0.06, 1), (31.0, 9)])
def test_durations_fall_into_the_bucket_below_their_edge(seconds: float, bucket: int) -> None:
    taken = Durations()
    taken.add(seconds)
    assert taken.buckets[bucket] == 1
    assert sum(taken.buckets) == 1
