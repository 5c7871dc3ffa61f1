"""The picture of a rollout says what its records say."""

from typing import Any
from xml.etree import ElementTree

import pytest

import rollout_picture
from documents import ROOT


def record(second: int, share_ppm: int, wealth: float, bad: int = 0) -> dict[str, Any]:
    tallies = {"failure": [{"share_ppm": share_ppm, "canary_ok": 1, "canary_bad": bad}]}
    return {"at_ms": second * 1000, "share_ppm": share_ppm, "wealth": wealth, "tallies": tallies}


@pytest.fixture
def story() -> dict[str, Any]:
    return {
        "rollout": {
            "candidate": "stripe@2022-11-15",
            "baseline": "stripe@2022-08-01",
            "created_ms": 0,
            "plan": {"alpha": 0.01},
        },
        "records": [
            record(1, 10_000, 1.0),
            record(60, 50_000, 0.5),
            record(122, 50_000, 9.0, bad=1),
            record(124, 0, 120.0, bad=2),
        ],
        "broken_ms": 120_000,
        "rate": 20.0,
    }


def test_the_picture_says_when_the_rollback_came_and_after_how_many_payments(
    story: dict[str, Any],
) -> None:
    drawn = rollout_picture.svg(story)
    words = " ".join(ElementTree.fromstring(drawn).itertext())  # noqa: S314 - drawn by ourselves
    assert "rolled back 4.0 s later, after 3 failing payments" in words
    assert "stripe@2022-11-15 against stripe@2022-08-01, 20 payments a second" in words
    assert drawn.count("<circle") == 2


def test_a_rollout_that_was_not_rolled_back_is_drawn_without_a_verdict(
    story: dict[str, Any],
) -> None:
    story["records"] = story["records"][:2]
    words = rollout_picture.svg(story)
    assert "rolled back" not in words


def test_the_picture_in_the_readme_is_one_that_this_draws() -> None:
    text = (ROOT / "docs/pictures/rollout.svg").read_text()
    assert rollout_picture.STYLE in text
    assert "rolled back" in text
