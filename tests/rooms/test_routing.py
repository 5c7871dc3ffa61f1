"""Routing: the same customer, the same version; shares as the weights say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.kernel.errors import Misconfigured
from tollkeeper.routing.routes import (
    PPM,
    Condition,
    Routes,
    RoutingContext,
    Rule,
    Share,
    choose_route,
)
from tollkeeper.routing.weights import BUCKETS, bucket_of, check, choose, failover_order

INSTALLED = ("p@1", "p@2", "p@3")
SHARES = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)


def table(cuts: list[int]) -> dict[str, float]:
    return {"p@1": cuts[0], "p@2": cuts[1] - cuts[0], "p@3": 100 - cuts[1]}


@given(SHARES, st.text(), st.text())
def test_a_key_always_takes_the_same_version_that_has_weight(
    cuts: list[int], salt: str, key: str
) -> None:
    weights = table(cuts)
    chosen = choose(weights, salt, key)
    assert weights[chosen] > 0
    assert choose(dict(weights), salt, key) == chosen


@given(st.integers(0, 100), st.integers(0, 100), st.text())
def test_raising_a_weight_moves_nobody_away_from_it(low: int, high: int, key: str) -> None:
    low, high = sorted((low, high))
    before = choose({"p@1": low, "p@2": 100 - low}, "s", key)
    after = choose({"p@1": high, "p@2": 100 - high}, "s", key)
    if before == "p@1" and low > 0:
        assert after == "p@1"


def test_raising_a_canary_anywhere_in_the_table_moves_nobody_away_from_it() -> None:
    keys = [f"customer-{n}" for n in range(3_000)]
    for names in (("old", "new"), ("new", "old"), ("old", "new", "older")):
        had: set[str] = set()
        for share in (1, 5, 25, 50, 100):
            rest = [n for n in names if n != "new"]
            weights = {n: float(share) if n == "new" else (100 - share) / len(rest) for n in names}
            has = {key for key in keys if choose(weights, "salt", key) == "new"}
            assert had <= has, (names, share)
            had = has


def test_shares_match_the_weights() -> None:
    weights = {"p@1": 1.0, "p@2": 24.0, "p@3": 75.0}
    chosen = [choose(weights, "salt", f"c{n}") for n in range(20_000)]
    for name, weight in weights.items():
        assert abs(chosen.count(name) / 200 - weight) < 1.0


def test_another_salt_is_another_assignment() -> None:
    same = sum(bucket_of("a", f"{n}") * 2 // BUCKETS == bucket_of("b", f"{n}") * 2 // BUCKETS
               for n in range(2_000))  # fmt: skip
    assert 900 < same < 1_100


@pytest.mark.parametrize(
    "weights",
    [{"p@1": 99}, {"p@9": 100}, {"p@1": 150, "p@2": -50}, {}, {"p@1": float("nan")}],
)
def test_a_table_that_makes_no_sense_is_refused(weights: dict[str, float]) -> None:
    with pytest.raises(Misconfigured):
        check(weights, INSTALLED)


def test_a_failover_takes_the_heaviest_that_was_not_tried() -> None:
    weights = {"p@1": 10, "p@2": 60, "p@3": 30}
    assert failover_order(weights, [], ["p@2"]) == ["p@3", "p@1"]
    assert failover_order(weights, [], ["p@1", "p@2", "p@3"]) == []


def test_a_failover_takes_a_sound_version_of_no_weight_after_those_that_have_some() -> None:
    weights = {"p@1": 0, "p@2": 60, "p@3": 40}
    assert failover_order(weights, ["p@1", "p@3"], ["p@2"]) == ["p@3", "p@1"]
    assert failover_order({"p@2": 100}, ["p@1"], ["p@2"]) == ["p@1"]


def test_no_failover_goes_to_a_version_that_is_not_sound() -> None:
    assert failover_order({"p@1": 0, "p@2": 100}, [], ["p@2"]) == []


def test_a_failover_draws_each_payment_by_itself_however_often_a_customer_comes() -> None:
    share = Share(candidate="p@2", share_ppm=PPM // 2, salt="s", is_open=True)
    rules = (Rule(condition=Condition(), weights={"p@1": 100.0}),)
    routes = Routes(rules=rules, shares={"p@1": (share,)})
    moved = 0
    for number in range(400):
        facts = RoutingContext(
            unit="one", payment_id=f"pay_{number}", currency="EUR", account="acc_1"
        )
        moved += choose_route(routes, "salt", facts, 0).is_moved
    assert 150 < moved < 250
