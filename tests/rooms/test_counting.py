"""What a process counts in a second: exact, and bounded at any rate."""

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.flows.live.counting import MAX_LINES, Counting, Shopper
from tollkeeper.signals.counts import Batch, Cell, Gauges, decode, encode, fold

CELL = Cell(kind="attempt", provider="stripe", operation="authorize")
FAILED = Cell(kind="attempt", provider="stripe", operation="authorize", result="failed")


def taken(counting: Counting, second: int = 100) -> Batch:
    return counting.take(second, "a", Gauges())


def test_a_count_belongs_to_the_second_in_which_its_attempt_started() -> None:
    counting = Counting(host="one")
    counting.add(CELL, 100_500, 3_000)
    counting.add(CELL, 100_500, 100)
    batch = taken(counting)
    assert [(line.started_s, line.tally.n) for line in batch.counted] == [(97, 1), (100, 1)]
    assert batch.host == "one"
    assert taken(counting).counted == []


def test_a_customer_who_tries_again_is_one_witness_a_minute() -> None:
    counting = Counting()
    for at_ms in (60_000, 61_000, 90_000, 121_000):
        counting.add(FAILED, at_ms, 10, shopper=Shopper(customer="c1"))
    counting.add(FAILED, 121_500, 10, shopper=Shopper(customer="c2"))
    counting.add(FAILED, 121_600, 10)
    assert sum(line.tally.witnesses for line in taken(counting, 200).counted) == 4
    counting.add(CELL, 122_000, 10, shopper=Shopper(customer="c3"))
    assert taken(counting, 200).counted[0].tally.witnesses == 0


def test_a_customer_with_many_cards_is_counted_from_the_third() -> None:
    counting = Counting()
    for number in range(4):
        counting.add(CELL, 60_000, 10, shopper=Shopper(customer="c1", method=f"pm_{number}"))
    assert sum(line.tally.crowded for line in taken(counting).counted) == 2


def test_small_amounts_are_small_beside_what_is_usual() -> None:
    counting = Counting()
    for amount in (10_000, 9_000, 100, 12_000):
        shopper = Shopper(customer="c", method="pm", amount_minor=amount, currency="EUR")
        counting.add(CELL, 60_000, 10, shopper=shopper)
    assert sum(line.tally.small for line in taken(counting).counted) == 1


def test_an_attempt_under_way_shows_after_three_seconds_without_its_future() -> None:
    counting = Counting()
    number = counting.begin(95_000, "stripe", "stripe@1", "authorize")
    counting.begin(99_000, "stripe", "stripe@1", "authorize")
    (waiting,) = taken(counting).waiting
    assert (waiting.started_s, waiting.n, waiting.stage) == (95, 1, "")
    counting.end(number)
    assert taken(counting).waiting == []


def test_lines_are_bounded_and_nothing_is_lost_beyond() -> None:
    counting = Counting()
    count = MAX_LINES * 3
    for number in range(count):
        cell = Cell(kind="attempt", provider="stripe", account=f"acc_{number}", error="declined")
        counting.add(cell, 60_000, 10)
    batch = taken(counting)
    assert len(batch.counted) <= MAX_LINES + 1
    assert batch.dropped == count - MAX_LINES
    assert sum(line.tally.n for line in batch.counted) == count


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from([CELL, FAILED]),
            st.floats(0, 60_000),
        ),
        max_size=60,
    ),
    st.integers(1, 4),
)
def test_batches_of_any_cut_add_up_to_the_same(
    events: list[tuple[int, Cell, float]], replicas: int
) -> None:
    """Exact over replicas: how the same things are spread over processes and seconds is nothing."""
    one = Counting()
    many = [Counting() for _ in range(replicas)]
    batches = []
    for number, (gap, cell, took_ms) in enumerate(events):
        at_ms = 1_000_000 + number * 300 + gap
        one.add(cell, at_ms, took_ms, phases_ms={"connect": 2.0})
        many[gap % replicas].add(cell, at_ms, took_ms, phases_ms={"connect": 2.0})
        if gap == 5:
            batches += [decode(encode(taken(each, at_ms // 1000))) for each in many]
    batches += [taken(each, 2_000) for each in many]
    whole = {line.cell: line.tally for line in fold(taken(one, 2_000).counted, 0)}
    parts = {line.cell: line.tally for line in fold((x for b in batches for x in b.counted), 0)}
    assert parts == whole


def test_what_started_after_the_second_of_a_batch_is_in_the_next_one() -> None:
    counting = Counting()
    counting.add(CELL, 100_900, 100)
    counting.add(CELL, 101_020, 10)
    assert [line.started_s for line in taken(counting, 100).counted] == [100]
    assert [line.started_s for line in taken(counting, 101).counted] == [101]
    assert taken(counting, 102).counted == []


def test_words_of_a_provider_without_end_are_folded_like_accounts() -> None:
    counting = Counting()
    for number in range(MAX_LINES * 3):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        cell = Cell(kind="attempt", stage="provider", result="failed", status=400, error=word)
        counting.add(cell, 60_000, 10)
    batch = taken(counting)
    assert len(batch.counted) <= MAX_LINES + 1
    assert sum(line.tally.n for line in batch.counted) == MAX_LINES * 3
