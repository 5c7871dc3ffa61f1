"""The score: what a verdict is worth, and that a wrong one cannot pass."""

from msgspec.structs import replace
from tests.proving.test_scenarios import SOUND

from tollkeeper.proving.played import Played, Said
from tollkeeper.proving.scenario import Scenario, Truth, parse
from tollkeeper.proving.scoring import mark, score

SCENARIO = parse(SOUND)
CHANGED = replace(
    SCENARIO,
    truth=Truth(domain="provider_changed", pointer="/status", slice={"provider": "stripe"}),
)
QUIET = replace(SCENARIO, truth=Truth(domain="none"), expect="silence", fault=())


def said(domain: str, after: float = 5.0, confidence: float = 0.9, pointer: str = "") -> Said:
    return Said(
        after_seconds=after, domain=domain, confidence=confidence, pointer=pointer,
        slice={"provider": "stripe"}, about="stripe", says="it is so",
    )  # fmt: skip


def played(*told: Said, moves: tuple[str, ...] = (), early: int = 0, bad: float = 0.9) -> Played:
    return Played(
        scenario="X1", rate=2, severity=1, seed=1, said=told, early=early, moves=moves,
        shoppers=100, bad_before=0.0, bad_during=bad, slow_before=0.1, slow_during=0.1,
    )  # fmt: skip


def test_the_first_clear_verdict_counts() -> None:
    told = (said("undetermined", 3.0), said("provider_slow", 4.0), said("provider_down", 9.0))
    one = mark(SCENARIO, played(*told))
    assert (one.detected_seconds, one.attributed_seconds, one.said) == (3.0, 4.0, "provider_slow")
    assert not one.right
    assert one.second_right
    assert one.sure_and_wrong
    assert mark(SCENARIO, played(said("provider_down"))).right


def test_grounded_needs_slice_and_pointer() -> None:
    assert not mark(CHANGED, played(said("provider_changed"))).grounded
    good = mark(CHANGED, played(said("provider_changed", pointer="/status")))
    assert good.grounded
    assert good.pointer_right
    other = replace(said("provider_changed", pointer="/status"), slice={"provider": "else"})
    assert not mark(CHANGED, played(other)).grounded


def test_silence_is_right_only_where_nothing_is_wrong() -> None:
    assert mark(QUIET, played()).false_page is False
    assert mark(QUIET, played(said("issuer"))).false_page
    assert mark(SCENARIO, played(early=1)).false_page
    assert mark(SCENARIO, played()).said == "nothing"


def test_a_move_is_wrong_unless_a_version_or_the_provider_changed() -> None:
    assert mark(SCENARIO, played(said("provider_down"), moves=("all moved",))).wrong_move
    assert not mark(CHANGED, played(said("provider_changed"), moves=("all moved",))).wrong_move


def test_a_fault_that_no_shopper_felt_does_not_count() -> None:
    assert not mark(SCENARIO, played(said("issuer"), bad=0.0)).valid
    found = score([mark(SCENARIO, played(said("issuer"), bad=0.0))])
    assert (found.cases, found.valid) == (1, 0)


def test_shares_are_of_what_was_detected() -> None:
    marks = [
        mark(SCENARIO, played(said("provider_down", 4.0))),
        mark(SCENARIO, played(said("issuer", 6.0, confidence=0.7))),
        mark(SCENARIO, played(said("undetermined", 8.0))),
        mark(SCENARIO, played()),
    ]
    found = score(marks)
    assert (found.valid, found.detected) == (4, 0.75)
    assert (found.top_1, found.abstained, found.sure_and_wrong) == (0.333, 0.333, 0.0)
    assert found.detected_p50 == 6.0


def test_a_second_fault_is_found_or_not() -> None:
    both = replace(SCENARIO, truth=Truth(domain="provider_down", also="our_database"))
    assert mark(both, played(said("provider_down"), said("our_database", 9.0))).both_found
    assert mark(both, played(said("provider_down"))).both_found is False
    assert isinstance(both, Scenario)


def test_a_fault_that_a_rescue_hid_from_shoppers_counts_by_what_it_struck() -> None:
    unseen = played(said("provider_down"), bad=0.0)
    assert not mark(SCENARIO, unseen).valid
    assert not mark(SCENARIO, replace(unseen, struck=4)).valid
    assert mark(SCENARIO, replace(unseen, struck=5)).valid
    assert mark(SCENARIO, replace(unseen, tail_before=0.1, tail_during=0.8)).valid
    assert mark(SCENARIO, replace(unseen, declined_during=0.1)).valid


def test_a_move_away_from_the_one_version_that_is_hit_is_right() -> None:
    one = replace(SCENARIO, truth=Truth(domain="provider_down", slice={"integration": "stripe@1"}))
    assert not mark(one, played(said("provider_down"), moves=("all moved",))).wrong_move
