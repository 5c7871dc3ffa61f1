"""Rollouts' pure part: evidence that may be looked at at any time, and the table that decides."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms.books import NOW_MS, charge, paid

from tollkeeper.payments.correction import corrected
from tollkeeper.rollouts import counting, deciding, tripwire
from tollkeeper.rollouts.afterwards import begin_watch, observe
from tollkeeper.rollouts.certificate import Certificate, attest, projected
from tollkeeper.rollouts.counting import Counted
from tollkeeper.rollouts.crossing import disagreement
from tollkeeper.rollouts.evidence import (
    GUARDRAILS,
    Evidence,
    Guardrail,
    add,
    baseline_rate,
    begin,
    counted_wealth,
    excess,
    whole_wealth,
)
from tollkeeper.rollouts.rollout import (
    Crossings,
    Plan,
    Rollout,
    Shadows,
    margin_for,
    start,
)
from tollkeeper.rollouts.starting import plan_faults
from tollkeeper.rollouts.tally import Tally, tally, total
from tollkeeper.rollouts.units import Seen
from tollkeeper.routing.routes import (
    Canary,
    Condition,
    Routes,
    RoutingContext,
    Rule,
    choose_route,
    number_of,
)

RAIL = GUARDRAILS[0]
OLD, NEW = "stripe@2022-08-01", "stripe@2022-11-15"


def unit(*, canary: bool, failed: bool = False, share: int = 50_000, latency_ms: int = 100) -> Seen:
    return Seen(
        share_ppm=share, canary=canary, failed=failed, unreadable=failed, declined=False,
        latency_ms=latency_ms,
    )  # fmt: skip


def rollout(**fields: object) -> Rollout:
    plan = Plan(steps_percent=(1, 5, 25, 100), dwell_seconds=10)
    made = start(
        Rollout(
            id="ro_1", provider="stripe", candidate=NEW, baseline=OLD, salt="s",
            condition=Condition(), plan=plan, status="running", actor="test", created_ms=0,
            updated_ms=0, valid_until_ms=10_000, step_began_ms=0,
        )
    )  # fmt: skip
    return replace(made, **fields)


def test_parts_and_stakes_sum_to_one() -> None:
    assert math.isclose(sum(rail.part for rail in GUARDRAILS), 1)
    for rail in GUARDRAILS:
        assert math.isclose(rail.cash + sum(cause.stake for cause in rail.causes), 1), rail.name
        assert math.isclose(begin(rail).wealth, 1)


@pytest.mark.parametrize("rail", GUARDRAILS, ids=lambda rail: rail.name)
@given(
    share_ppm=st.integers(1, 999_999),
    rate=st.floats(0, 1),
    before=st.tuples(*[st.integers(0, 500)] * 2),
)
def test_one_unit_changes_the_mean_of_no_wealth_under_the_null(
    rail: object, share_ppm: int, rate: float, before: tuple[int, int]
) -> None:
    """Whatever fails, at whatever rate, as long as it fails alike on both arms."""
    assert isinstance(rail, type(RAIL))
    seen = replace(begin(rail), baseline_ok=before[0], baseline_bad=before[1])
    share = share_ppm / 1_000_000
    mean = 0.0
    for canary, bad in itertools.product((False, True), repeat=2):
        chance = (share if canary else 1 - share) * (rate if bad else 1 - rate)
        after = add(rail, seen, tally([(share_ppm, canary, bad)]))
        mean += chance * after.wealth
    assert mean == pytest.approx(1, abs=1e-6)


@given(share_ppm=st.integers(1, 999_999), rates=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_better_candidate_loses_wealth(share_ppm: int, rates: tuple[float, float]) -> None:
    better, worse = sorted(rates)
    share = share_ppm / 1_000_000
    mean = 0.0
    for canary, bad in itertools.product((False, True), repeat=2):
        rate = better if canary else worse
        chance = (share if canary else 1 - share) * (rate if bad else 1 - rate)
        mean += chance * add(RAIL, begin(RAIL), tally([(share_ppm, canary, bad)])).wealth
    assert mean <= 1 + 1e-6


def test_a_share_of_nothing_says_nothing() -> None:
    after = add(RAIL, begin(RAIL), tally([(0, False, True)] * 50))
    assert after.wealth == pytest.approx(1)
    assert after.baseline_bad == 50


def test_the_baseline_is_estimated_from_earlier_units_only() -> None:
    bad = [(50_000, False, True)] * 10
    together = add(RAIL, begin(RAIL), tally([*bad, (50_000, True, True)]))
    apart = add(RAIL, add(RAIL, begin(RAIL), tally(bad)), tally([(50_000, True, True)]))
    assert together.stakes != apart.stakes
    assert baseline_rate(RAIL, together) == baseline_rate(RAIL, apart)


def test_an_excess_never_reaches_certainty() -> None:
    for rail in GUARDRAILS:
        for cause in rail.causes:
            assert 0 < excess(cause, 0.9) < 1


def test_three_unreadable_replies_take_a_canary_out() -> None:
    now = rollout()
    for number in range(1, 5):
        if now.status != "running":
            break
        share = now.share_ppm or 10_000
        units = (
            *(unit(canary=False, share=share) for _ in range(60)),
            unit(canary=True, failed=True, share=share),
        )
        now, decision = deciding.advance(now, Counted(units=units), number * 1000)
    assert decision.kind == "roll_back"
    assert now.status == "rolled_back"
    assert now.share_ppm == 0


def luck_of_the_arms(now: Rollout, units: int) -> Rollout:
    """So many sound baseline units in a row that the arms alone look like a bad candidate."""
    share = 250_000
    lucky = Counted(units=tuple(unit(canary=False, share=share) for _ in range(units)))
    return counting.count(now, counting.tallies_of(now, lucky))


def test_a_guardrail_without_a_bad_canary_unit_takes_nobody_out() -> None:
    """Found in the laboratory: "0 of 0 canary payments against 0 of 31 of the baseline's"."""
    before = luck_of_the_arms(rollout(), 60)
    assert whole_wealth(before.evidence, capped=False) > 1 / before.plan.alpha
    after, decision = deciding.advance(before, Counted(), 1)
    assert (decision.kind, after.status) == ("hold", "running")
    assert whole_wealth(after.evidence) <= 1


def test_the_first_bad_canary_unit_counts_all_that_was_seen() -> None:
    before = luck_of_the_arms(rollout(), 60)
    bad = Counted(units=(unit(canary=True, failed=True, share=250_000),))
    _, decision = deciding.advance(before, bad, 1)
    assert decision.kind == "roll_back"
    assert decision.reason.startswith(("failure: 1 of 1", "contract: 1 of 1"))


@pytest.mark.parametrize("rail", GUARDRAILS, ids=lambda rail: rail.name)
@given(
    share_ppm=st.integers(1, 999_999),
    seen=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30),
)
def test_what_counts_is_never_more_than_the_wealth(
    rail: Guardrail, share_ppm: int, seen: list[tuple[bool, bool]]
) -> None:
    """So that the chance of a false rollback stays below alpha."""
    evidence = begin(rail)
    for canary, bad in seen:
        evidence = add(rail, evidence, tally([(share_ppm, canary, bad)]))
        assert counted_wealth(evidence) <= evidence.wealth
        assert evidence.canary_bad or counted_wealth(evidence) <= 1


def test_a_rollout_is_held_only_by_what_is_still_suspected() -> None:
    """It once said "held until 0.7 % of expected excess falls below 1.0 %"."""
    now = rollout()
    for number in range(1, 40):
        now, _ = healthy(now, number * 1_000, 2)
        if "falls below" in now.waiting:
            assert now.cautious
    assert not now.cautious


def test_an_outage_of_both_arms_takes_nobody_out() -> None:
    chance = random.Random(1)  # noqa: S311 - a seeded stream
    now = rollout()
    for second in range(400):
        failing = 0.001 if second < 100 or second > 200 else 0.9
        share = now.share_ppm or 10_000
        units = tuple(
            unit(
                canary=chance.random() < share / 1e6, failed=chance.random() < failing, share=share
            )
            for _ in range(20)
        )
        now, decision = deciding.advance(now, Counted(units=units), 1000 + second)
        assert decision.kind == "hold", decision


def test_one_disagreement_takes_a_canary_out_even_at_a_gate() -> None:
    plan = Plan(steps_percent=(1, 100), pause_at=(1,), dwell_seconds=1e6)
    _, decision = deciding.advance(
        rollout(plan=plan), Counted(crossings=Crossings(agreed=9, disagreed=1, asked=10)), 1
    )
    assert decision.kind == "roll_back"
    assert "cross-read" in decision.reason


def test_no_data_decides_nothing() -> None:
    after, decision = deciding.advance(rollout(), Counted(), 1_000_000)
    assert decision.kind == "hold"
    assert after.status == "running"


def test_an_undecided_rollout_is_not_promoted_when_time_is_up() -> None:
    after, decision = deciding.advance(rollout(), Counted(), 10**12)
    assert decision.kind == "inconclusive"
    assert after.share_ppm == 0


def test_the_shadow_ends_and_says_what_it_knows() -> None:
    shadowing = rollout(status="shadow")
    after, decision = deciding.advance(shadowing, Counted(), 1_000)
    assert decision.kind == "hold"
    after, decision = deciding.advance(
        shadowing, Counted(shadows=Shadows(computed=20, differing=3)), 1_000
    )
    assert (after.status, after.step) == ("running", 0)
    assert "3 of 20" in decision.reason
    _, decision = deciding.advance(shadowing, Counted(), 61_000)
    assert "nothing could be computed" in decision.reason


def healthy(now: Rollout, at_ms: int, canaries: int) -> tuple[Rollout, str]:
    share = now.share_ppm or 10_000
    baseline = canaries * 1_000_000 // share - canaries
    units = tuple(unit(canary=False, share=share) for _ in range(baseline)) + tuple(
        unit(canary=True, share=share) for _ in range(canaries)
    )
    counted = Counted(units=units, crossings=Crossings(agreed=5, asked=5))
    now, decision = deciding.advance(now, counted, at_ms)
    return now, decision.kind


def test_a_healthy_canary_is_promoted_step_by_step() -> None:
    now, kinds = rollout(), []
    for number in range(1, 200):
        now, kind = healthy(now, number * 20_000, 20)
        kinds.append(kind)
        if now.status == "promoted":
            break
    assert kinds.count("advance") == 2
    assert kinds[-1] == "promote"
    assert now.certificates[-1].granted
    assert now.watch is not None


def test_a_gate_waits_for_an_approval_and_for_nothing_else() -> None:
    plan = Plan(steps_percent=(1, 5, 100), pause_at=(1,), dwell_seconds=0)
    now = rollout(plan=plan)
    now = start(now)
    for number in range(1, 30):
        now, kind = healthy(now, number * 20_000, 20)
        assert kind == "hold"
    assert "approval" in now.waiting
    now, kind = healthy(replace(now, approved_steps=(0,)), 10**7, 1)
    assert kind == "advance"


def test_the_same_records_give_the_same_evidence() -> None:
    now, stored = rollout(), []
    chance = random.Random(2)  # noqa: S311 - a seeded stream
    for number in range(50):
        units = tuple(
            unit(canary=chance.random() < 0.05, failed=chance.random() < 0.02) for _ in range(30)
        )
        stored.append(counting.tallies_of(now, Counted(units=units)))
        now, _ = deciding.advance(now, Counted(units=units), number)
    again = rollout()
    for tallies in stored:
        again = counting.count(again, tallies)
    assert now.limits_ms
    assert again.evidence == now.evidence


def test_slowness_is_compared_with_the_baselines_history() -> None:
    chance = random.Random(3)  # noqa: S311 - a seeded stream
    now = rollout(plan=Plan(steps_percent=(50, 100), dwell_seconds=1e9, floor_percent=50))
    slow_canaries = 0
    for number in range(400):
        units = []
        for _ in range(10):
            canary = chance.random() < 0.5
            latency = int(chance.lognormvariate(5, 0.4)) * (2 if canary and number > 60 else 1)
            slow_canaries += canary and number > 60
            units.append(unit(canary=canary, share=500_000, latency_ms=latency))
        now, decision = deciding.advance(now, Counted(units=tuple(units)), number)
        if decision.kind == "roll_back":
            break
    assert decision.kind == "roll_back"
    assert decision.reason.startswith("slower_than")
    assert slow_canaries < 60


def test_steps_ask_for_the_margin_that_their_harm_allows() -> None:
    margins = [margin_for(share) for share in (1, 5, 25, 50, 100)]
    assert margins == pytest.approx([0.2, 0.1, 0.02, 0.01, 0.005])


@given(
    share=st.floats(0.01, 0.99),
    baseline=st.floats(0, 1),
    margin=st.sampled_from([0.005, 0.02, 0.1]),
)
def test_a_certificate_is_fair_on_the_border_of_its_null(
    share: float, baseline: float, margin: float
) -> None:
    """A candidate that is worse by exactly the margin gains nothing on average, at any rate."""
    rate = baseline * (1 - margin)
    share_ppm = int(share * 1_000_000)
    mean = 0.0
    for canary, bad in itertools.product((False, True), repeat=2):
        fails = rate + margin if canary else rate
        chance = (share_ppm / 1e6 if canary else 1 - share_ppm / 1e6) * (
            fails if bad else 1 - fails
        )
        after = attest(
            Certificate(margin=margin), tally([(share_ppm, canary, bad)]), prior=0.005, strength=100
        )
        mean += chance * math.exp(after.log_wealth)
    assert mean <= 1 + 1e-6


def test_the_projection_is_where_the_divergence_is_least() -> None:
    def divergence(rate: float) -> float:
        def kl(a: float, b: float) -> float:
            return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))

        return 0.25 * kl(0.02, rate + 0.01) + 0.75 * kl(0.02, rate)

    found = projected(0.02, 0.02, 0.01, 0.25)
    assert divergence(found) <= min(divergence(found - 1e-4), divergence(found + 1e-4))


def test_a_watch_alarms_after_a_handful_of_failures_and_not_at_the_old_rate() -> None:
    watch = begin_watch(5, 1000, prior=0.005, strength=200)
    chance = random.Random(4)  # noqa: S311 - a seeded stream
    for _ in range(20_000):
        bad = chance.random() < 0.005
        watch = observe(watch, ok=not bad, bad=bad)
        assert not watch.alarmed
    failing = 0
    while not watch.alarmed:
        watch = observe(watch, ok=0, bad=1)
        failing += 1
    assert failing <= 5


def test_a_tripwire_pauses_until_newer_results_were_considered() -> None:
    wire = tripwire.Tripwire()
    for _ in range(tripwire.CONSECUTIVE):
        wire = tripwire.heard(wire, 1_000, failed=True)
    assert wire.tripped_ms == 1_000
    assert tripwire.released(wire, 1_000).tripped_ms == 1_000
    assert tripwire.released(wire, 1_000 + tripwire.SETTLE_MS).tripped_ms is None
    assert tripwire.heard(tripwire.Tripwire(2), 5, failed=False).consecutive == 0


def canary(**fields: object) -> Canary:
    made = Canary(
        rollout_id="ro_1", candidate=NEW, salt="s", condition=Condition(), share_ppm=50_000,
        status="running", valid_until_ms=10_000, keep=False, most_outstanding=3, considered_ms=0,
    )  # fmt: skip
    return replace(made, **fields)


def routes(*canaries: Canary) -> Routes:
    return Routes(rules=(Rule(condition=Condition(), weights={OLD: 100.0}),), canaries=canaries)


def facts(name: str, **fields: object) -> RoutingContext:
    made = RoutingContext(unit=name, payment_id=f"pay-{name}", currency="EUR", account="acc")
    return replace(made, **fields)


def canaries_at(share_ppm: int) -> set[str]:
    table = routes(canary(share_ppm=share_ppm))
    names = [f"c{number}" for number in range(5_000)]
    return {name for name in names if choose_route(table, "r", facts(name), 0).is_canary}


def test_raising_the_share_only_adds_customers() -> None:
    one, five, half = (canaries_at(share) for share in (10_000, 50_000, 500_000))
    assert one < five < half
    assert 180 < len(five) < 320


def test_a_customer_stays_and_another_account_is_another_customer() -> None:
    table = routes(canary(share_ppm=500_000))
    assert len({choose_route(table, "r", facts("ada"), 0).integration for _ in range(20)}) == 1
    units = {choose_route(table, "r", facts("ada", account=name), 0).unit for name in ("a", "b")}
    assert len(units) == 2


def test_a_share_that_nobody_renewed_runs_out() -> None:
    table = routes(canary(share_ppm=1_000_000))
    assert choose_route(table, "r", facts("ada"), 9_999).is_canary
    late = choose_route(table, "r", facts("ada"), 10_000)
    assert (late.is_canary, late.share_ppm, late.integration) == (False, 0, OLD)
    assert choose_route(
        routes(canary(share_ppm=1_000_000, keep=True)), "r", facts("ada"), 10_000
    ).is_canary


def test_a_withheld_canary_takes_nobody_and_says_so() -> None:
    taken = choose_route(routes(canary(share_ppm=1_000_000)), "r", facts("ada"), 0, ["ro_1"])
    assert (taken.is_canary, taken.share_ppm) == (False, 0)


def test_a_rollout_of_a_slice_leaves_the_rest_alone() -> None:
    table = routes(canary(share_ppm=1_000_000, condition=Condition(currency="EUR", country="DE")))
    assert choose_route(table, "r", facts("ada", country="DE"), 0).is_canary
    assert choose_route(table, "r", facts("ada", country="FR"), 0).canary is None
    assert choose_route(table, "r", facts("ada", currency="USD", country="DE"), 0).canary is None


def test_numbers_are_uniform_enough() -> None:
    below = sum(number_of("salt", f"unit-{n}") < 250_000 for n in range(20_000))
    assert 4_700 < below < 5_300


def test_tallies_are_in_the_order_of_shares_and_count_everything() -> None:
    found = tally([(5, True, True), (1, False, False), (5, False, True), (1, True, False)])
    assert [one.share_ppm for one in found] == [1, 5]
    assert total(found) == {"baseline_ok": 1, "baseline_bad": 1, "canary_ok": 1, "canary_bad": 1}
    assert found[1] == Tally(share_ppm=5, canary_bad=1, baseline_bad=1)


def test_wealth_of_all_guardrails_begins_at_one() -> None:
    evidence: dict[str, Evidence] = {rail.name: begin(rail) for rail in GUARDRAILS}
    assert whole_wealth(evidence) == pytest.approx(1)


def test_a_cross_read_sees_amounts_states_and_captures() -> None:
    books = paid()
    seen = charge(books, "captured")
    assert disagreement(books.payment, seen) is None
    amount = books.payment.amount_minor
    for wrong in (
        {"amount_minor": amount * 100, "captured_minor": amount * 100},
        {"currency": "USD"},
        {"state": "authorized", "captured_minor": 0, "capturable_minor": amount},
        {"state": "declined", "captured_minor": 0},
        {"captured_minor": amount - 1},
    ):
        assert disagreement(books.payment, replace(seen, **wrong)) is not None, wrong


def test_a_misread_payment_is_corrected_and_belongs_to_its_reader() -> None:
    books = paid()
    amount = books.payment.amount_minor
    for state, status, fields in (
        ("authorized", "requires_capture", {"capturable_minor": amount, "captured_minor": 0}),
        ("declined", "failed", {"captured_minor": 0}),
    ):
        seen = replace(charge(books, "captured"), state=state, **fields)
        after = corrected(books, seen, OLD, "why", NOW_MS, asked_ms=NOW_MS).payment
        assert (after.status, after.integration, after.captured_minor) == (status, OLD, 0)
        assert after.moved_from == books.payment.integration
    other = replace(charge(books, "captured"), amount_minor=amount * 100)
    after = corrected(books, other, OLD, "a hundred times", NOW_MS, asked_ms=NOW_MS).payment
    assert after.attention == "cross-read: a hundred times"


@pytest.mark.parametrize("fault", ["failed", "unreadable", "declined"])
def test_one_fault_makes_a_payment_bad(fault: str) -> None:
    well = Seen(
        share_ppm=10_000, canary=True, failed=False, unreadable=False, declined=False, latency_ms=1
    )
    assert not well.is_bad
    assert replace(well, **{fault: True}).is_bad


def test_a_rollout_without_time_is_refused() -> None:
    timeless = Plan(steps_percent=(1, 100), limit_seconds=0)
    assert [fault.pointer for fault in plan_faults(timeless)] == ["/limit_seconds"]
    assert plan_faults(replace(timeless, limit_seconds=0.1)) == ()
