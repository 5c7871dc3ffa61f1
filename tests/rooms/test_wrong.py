"""What a list of rollouts says is wrong with each of them."""

import pytest
from msgspec.structs import replace
from tests.rooms.test_rollouts import OLD, rollout

from tollkeeper.rollouts import deciding
from tollkeeper.rollouts.afterwards import Watch, begin_watch, observe
from tollkeeper.rollouts.rollout import Crossings, Rollout
from tollkeeper.rollouts.wrong import what_is_wrong

CALM = {"cautious": False, "share_ppm": 10_000}


def alarmed() -> Watch:
    return observe(begin_watch(5, 1_000, prior=0.005, strength=200), ok=0, bad=9)


def promoted(**fields: object) -> Rollout:
    made = deciding.promoted(rollout(), "by hand", 0)
    return replace(made, alarmed=True, **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ""),
        ({"paused": "a sale"}, "paused: a sale"),
        ({"baseline_fails": True}, f"the baseline {OLD} fails"),
        ({"gate": "broken"}, "the gate has closed: broken"),
        ({"step": 2, "cautious": True}, "held back by contract"),
        ({"paused": "x", "gate": "y"}, "paused: x; the gate has closed: y"),
        ({"status": "rolled_back", "paused": "x"}, ""),
    ],
    ids=str,
)
def test_a_running_rollout_says_what_keeps_it(fields: dict[str, object], said: str) -> None:
    assert what_is_wrong(rollout(**(CALM | fields))) == said


def test_an_alarm_of_a_promoted_version_says_what_it_saw() -> None:
    assert what_is_wrong(promoted(watch=alarmed())) == (
        "alarm: 9 of 9 payments failed, more than before"
    )
    assert "were declined" in what_is_wrong(promoted(decline_watch=alarmed()))
    late = promoted(crossings=Crossings(disagreed=2, asked=9))
    assert what_is_wrong(late) == "alarm: 2 cross-reads disagree"
    assert what_is_wrong(replace(late, alarmed=False)) == ""
