"""Incidents: one thing is one incident, severity is a table, escalation ends in no one mailbox."""

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollkeeper.incidents import stepping
from tollkeeper.incidents.escalation import call_of, place_of, quiet_until_ms
from tollkeeper.incidents.incident import (
    MOVES,
    STATES,
    Act,
    Impact,
    Incident,
    Status,
    Writing,
    moved,
)
from tollkeeper.incidents.news import News, news_of
from tollkeeper.incidents.opening import REOPENED_MS, home_of, joined, opened
from tollkeeper.incidents.paging import (
    TRY_AGAIN_S,
    Answer,
    Notification,
    answered,
    begun,
    wait_ms,
)
from tollkeeper.incidents.plan import (
    EscalationPolicy,
    Level,
    Person,
    Plan,
    QuietHours,
    Receiver,
    owner_faults,
    plan_faults,
)
from tollkeeper.incidents.regulation import HOUR_MS, deadlines
from tollkeeper.incidents.schedule import Cover, Schedule, on_call, turn_at
from tollkeeper.incidents.severity import severity_of
from tollkeeper.kernel.errors import Conflict, Invalid

NOW = 1_795_000_000_000
CHAT = Receiver(kind="slack", url="https://hooks.invalid/x")
MAIL = Receiver(kind="mail", url="smtp://mail.invalid", to="a@demo.invalid")


def plan(**fields: Any) -> Plan:
    made = Plan(
        people={
            "one": Person(title="first", receivers=("mail",), louder=("chat",)),
            "two": Person(title="second", receivers=("mail",)),
        },
        receivers={"mail": MAIL, "chat": CHAT},
        schedules={
            "duty": Schedule(people=("one", "two"), start="2026-01-05T09:00",
                             time_zone="Europe/Berlin")
        },
        policies={
            "all": EscalationPolicy(
                levels=(
                    Level(targets=("schedule:duty",), wait_seconds=60),
                    Level(targets=("person:one", "person:two"), wait_seconds=120),
                ),
                rounds=2,
            )
        },
    )  # fmt: skip
    return replace(made, **fields)


def news(kind: str = "alert.opened", about: str = "stripe", at_ms: int = NOW, **more: Any) -> News:
    said = {"id": "alr_1", "about": about, "says": "it fails", "domain": "provider_changed"}
    data = msgspec.json.encode(said | {"provider": about} | more)
    found = news_of(f"evt_{kind}_{at_ms}", kind, at_ms, data, at_ms - 5_000)
    assert found is not None
    return found


def incident(**fields: Any) -> Incident:
    made = opened(news(), plan(), Impact(), "inc_1", NOW).after
    return replace(made, **fields)


# states


def test_every_state_is_said_and_every_move_ends_in_one() -> None:
    assert set(STATES) == set(get_args(Status.__value__))
    assert {status for status, _ in MOVES} | set(MOVES.values()) == set(STATES)


@given(st.lists(st.sampled_from(get_args(Act.__value__)), max_size=8))
def test_what_no_move_allows_is_refused(acts: list[Any]) -> None:
    it = incident()
    for act in acts:
        after = moved(it, act)
        assert (after is None) == ((it.status, act) not in MOVES)
        it = after if after is not None else it
        assert it.status == "triggered" or it.next_ms is None


def test_a_resolved_incident_cannot_be_acknowledged() -> None:
    over = stepping.resolved(incident(), "p", "done", NOW).after
    with pytest.raises(Conflict, match="cannot be acknowledged"):
        stepping.acknowledged(over, "p", "", NOW)


def test_entries_only_grow_and_a_correction_names_one() -> None:
    it = incident()
    after = stepping.noted(it, "p", "the first line is wrong", 1, NOW)
    assert after.after.entries == it.entries + 1
    assert after.written[-1].corrects == 1
    with pytest.raises(Invalid, match="no such entry"):
        stepping.noted(it, "p", "x", it.entries + 1, NOW)


# one thing is one incident


def test_news_joins_the_open_incident_of_its_provider() -> None:
    it, other = incident(), incident(id="inc_2", fingerprint="adyen")
    told = news_of("evt", "failover.moved", NOW, b'{"provider": "stripe"}', 0)
    assert told is not None
    assert home_of(told, [other, it]) == it
    assert home_of(news(about="adyen", id="alr_2"), [it, other]) == other
    assert home_of(news(about="third", id="alr_3"), [it, other]) is None
    assert home_of(news(about="service", id="alr_4"), [it]) == it


def test_what_comes_back_soon_is_opened_again_and_paged_again() -> None:
    it = incident(step=3, next_ms=None)
    quiet = joined(it, news("alert.resolved"), plan(), Impact(), NOW + 1)
    over = quiet.after
    assert (over.status, over.resolution) == ("resolved", "the signals are quiet")
    soon = news(at_ms=NOW + 60_000)
    assert home_of(soon, [over]) == over
    back = joined(over, soon, plan(), Impact(), NOW + 60_000).after
    assert (back.status, back.step, back.next_ms, back.openings) == (
        "triggered", 0, NOW + 60_000, 2,
    )  # fmt: skip
    assert home_of(news(at_ms=NOW + 1 + REOPENED_MS), [over]) is None


def test_another_alert_that_ends_does_not_end_the_incident() -> None:
    it = incident()
    other = joined(it, news("alert.resolved", id="alr_2"), plan(), Impact(), NOW + 1).after
    assert other.status == "triggered"


def test_news_that_opens_nothing_opens_nothing() -> None:
    for kind in ("failover.alarm", "rollout.advanced", "contract.broken", "routes.set"):
        told = news_of("evt", kind, NOW, b'{"provider": "stripe"}', 0)
        assert told is not None
        assert home_of(told, []) is None
        assert told.weight == "joins"
    assert news_of("evt", "payment.failed", NOW, b"{}", 0) is None


@given(st.binary(max_size=80))
def test_foreign_bytes_are_no_news_or_news_and_never_an_error(data: bytes) -> None:
    for kind in ("alert.opened", "failover.moved"):
        found = news_of("evt", kind, NOW, data, 0)
        assert found is None or found.fingerprint


# severity


@pytest.mark.parametrize(
    ("impact", "expected"),
    [
        (Impact(), "sev4"),
        (Impact(minutes=5, failed=1, of=100, users=1), "sev3"),
        (Impact(minutes=1, failed=2, of=3, users=2), "sev3"),
        (Impact(minutes=1, failed=3, of=4, users=3), "sev1"),
        (Impact(minutes=1, failed=10, of=1000, users=10), "sev2"),
        (Impact(minutes=1, failed=60, of=100_000, users=60), "sev1"),
        (Impact(minutes=1, failed=1, of=100, users=1, money_minor={"EUR": 600_000}), "sev1"),
    ],
)
def test_severity_is_a_table(impact: Impact, expected: str) -> None:
    assert severity_of(impact) == expected


def test_severity_rises_by_itself_and_never_falls_unless_a_person_says_so() -> None:
    grave = Impact(minutes=1, failed=9, of=10, users=9)
    it = joined(incident(), news(), plan(), grave, NOW + 1).after
    assert it.severity == "sev1"
    assert joined(it, news(), plan(), Impact(), NOW + 2).after.severity == "sev1"
    set_by = stepping.graded(it, "sev3", "p", "a test shop", NOW + 3).after
    assert joined(set_by, news(), plan(), grave, NOW + 4).after.severity == "sev3"


# escalation


def steps(it: Incident, of: Plan, count: int, covers: Any = ()) -> list[tuple[int, list[str]]]:
    """The moments of the next steps, and whom they page."""
    found = []
    for _ in range(count):
        assert it.next_ms is not None
        now_ms = it.next_ms
        step = stepping.escalated(it, of, {"duty": covers}, now_ms)
        assert step is not None
        writing, call = step
        it = writing.after
        assert call is not None
        found.append((now_ms - NOW, [f"{t.person}/{t.receiver}" for t in call.targets]))
    return found


def test_levels_follow_each_other_get_louder_and_never_end() -> None:
    found = steps(incident(), plan(), 6)
    assert [at for at, _ in found] == [0, 60_000, 180_000, 240_000, 360_000, 1_260_000]
    who = turn_at(plan().schedules["duty"], NOW)
    assert who is not None
    assert found[0][1] == [f"{who.person}/mail"]  # the first page is quiet
    assert set(found[1][1]) == {"one/mail", "one/chat", "two/mail"}
    assert set(found[3][1]) == {"one/mail", "one/chat", "two/mail"}  # all levels of the round


def test_nothing_is_due_before_its_time_or_after_an_answer() -> None:
    it = incident(next_ms=NOW + 1)
    assert stepping.escalated(it, plan(), {}, NOW) is None
    ours = stepping.acknowledged(it, "p", "", NOW).after
    assert stepping.escalated(ours, plan(), {}, NOW + 9_999_999) is None


def test_a_level_that_reaches_no_one_does_not_hold_the_next_one_up() -> None:
    empty = plan(schedules={"duty": replace(plan().schedules["duty"], start="2099-01-01T09:00")})
    found = steps(incident(), empty, 2)
    assert found[0] == (0, [])
    assert (found[1][0], len(found[1][1])) == (0, 3)


def test_quiet_hours_hold_the_page_of_what_is_slight() -> None:
    quiet = QuietHours(start="22:00", end="07:00", time_zone="Europe/Berlin")
    night = int(datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp() * 1000)  # clocks change
    until = quiet_until_ms(quiet, night)
    assert until is not None
    assert datetime.fromtimestamp(until / 1000, UTC) == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
    assert quiet_until_ms(quiet, until) is None
    slight = opened(news(), plan(quiet_hours=quiet), Impact(), "inc_1", night).after
    assert slight.next_ms == until
    grave = Impact(minutes=1, failed=9, of=10, users=9)
    assert opened(news(), plan(quiet_hours=quiet), grave, "inc_1", night).after.next_ms == night


@given(st.integers(0, 200), st.integers(1, 5), st.integers(1, 5))
def test_every_step_has_a_place(step: int, levels: int, rounds: int) -> None:
    policy = EscalationPolicy(levels=(Level(targets=("person:one",)),) * levels, rounds=rounds)
    level, turn = place_of(policy, step)
    assert 0 <= level < levels
    assert 1 <= turn <= rounds + 1


def test_without_a_policy_the_timeline_says_that_no_page_is_sent() -> None:
    it = opened(news(), Plan(), Impact(), "inc_1", NOW)
    assert any("no escalation policy" in entry.text for entry in it.written)
    assert call_of(it.after, Plan(), {}, NOW) is None


# plans


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (("person:two",), "one mailbox"),
        (("person:one",), "one person"),
        (("receiver:mail",), "one mailbox"),
        (("receiver:chat",), "one mailbox"),
        (("person:two", "receiver:mail"), "one mailbox"),
        (("receiver:mail", "receiver:mail2"), "mail alone"),
        (("provider",), "one mailbox"),
        (("schedule:duty",), ""),
        (("person:one", "person:two"), ""),
        (("receiver:mail", "receiver:chat"), ""),
    ],
)
def test_a_policy_that_ends_alone_is_refused_with_the_reason(
    targets: tuple[str, ...], said: str
) -> None:
    policy = EscalationPolicy(levels=(Level(targets=targets),))
    receivers = plan().receivers | {"mail2": MAIL}
    faults = plan_faults(plan(policies={"all": policy}, receivers=receivers))
    assert [said in fault.detail for fault in faults] == ([True] if said else [])


def test_everything_that_is_wrong_with_a_plan_is_said_at_once() -> None:
    wrong = plan(
        people={"one": Person(title="x", receivers=("none",))},
        schedules={
            "duty": Schedule(people=("ghost",), start="soon", time_zone="Mars/Base", turn_days=0)
        },
        policies={"all": EscalationPolicy(levels=(Level(targets=("person:ghost",)),), rounds=0)},
    )
    said = {fault.pointer for fault in plan_faults(wrong)}
    assert {
        "/people/one/receivers",
        "/schedules/duty/people",
        "/schedules/duty/start",
        "/schedules/duty/time_zone",
        "/schedules/duty/turn_days",
        "/policies/all/levels/0/targets",
        "/policies/all/rounds",
    } <= said


def test_only_owners_change_a_rota() -> None:
    owned = replace(plan().schedules["duty"], owners=("key_1",))
    before = plan(schedules={"duty": owned})
    after = plan(schedules={"duty": replace(owned, turn_days=1)})
    assert owner_faults(before, after, "key_2")
    assert owner_faults(before, plan(schedules={}), "key_2")
    assert not owner_faults(before, after, "key_1")
    assert not owner_faults(before, before, "key_2")


# schedules


def test_a_hand_over_keeps_its_hour_when_clocks_change() -> None:
    weekly = plan().schedules["duty"]
    for moment in (datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC)):
        turn = turn_at(weekly, int(moment.timestamp() * 1000))
        assert turn is not None
        hours = (turn.until_ms - turn.from_ms) / 3_600_000
        assert hours == (167 if moment.month == 3 else 169)
        after = turn_at(weekly, turn.until_ms)
        assert after is not None
        assert after.person != turn.person
        assert turn_at(weekly, turn.until_ms - 1) == turn


@given(st.integers(NOW, NOW + 400 * 86_400_000))
def test_there_is_always_one_person_and_turns_do_not_overlap(at_ms: int) -> None:
    turn = turn_at(plan().schedules["duty"], at_ms)
    assert turn is not None
    assert turn.from_ms <= at_ms < turn.until_ms


def test_the_newest_cover_counts_and_the_turn_says_when_it_ends() -> None:
    weekly = plan().schedules["duty"]
    first = Cover(id="cov_1", schedule="duty", person="one", from_ms=NOW, until_ms=NOW + 9, by="p")
    second = replace(first, id="cov_2", person="two", from_ms=NOW + 3, until_ms=NOW + 5)
    found = [on_call(weekly, (second, first), NOW + at) for at in (-1, 0, 3, 5, 9)]
    assert [shift.cover if shift else None for shift in found] == [
        "",
        "cov_1",
        "cov_2",
        "cov_1",
        "",
    ]
    assert found[0] is not None
    assert found[0].until_ms == NOW


# messages


def page(**fields: Any) -> Notification:
    made = Notification(
        id="ntf_1", key="k", incident="inc_1", kind="page", receiver="mail", person="one", step=1,
        created_ms=NOW, subject="s", text="t",
    )  # fmt: skip
    return replace(made, **fields)


def test_a_page_is_tried_again_and_then_given_up() -> None:
    it = page()
    for number in range(len(TRY_AGAIN_S) + 1):
        it = answered(begun(it, (), NOW), Answer(ok=False, said="down"), NOW)
        assert it.status == ("queued" if number < len(TRY_AGAIN_S) else "failed")
    assert len(it.tries) == len(TRY_AGAIN_S) + 1
    refused = answered(begun(page(), (), NOW), Answer(ok=False, said="no", again=False), NOW)
    assert refused.status == "failed"


def test_what_a_dead_process_had_begun_is_sent_as_it_was() -> None:
    others = [page(id="ntf_2"), page(id="ntf_3")]
    first = begun(page(), others, NOW)
    assert first.along == ("ntf_2", "ntf_3")
    assert begun(first, [page(id="ntf_4")], NOW + 1).along == first.along


def test_a_receiver_is_not_flooded() -> None:
    assert wait_ms(10, None, NOW) == 0
    assert wait_ms(10, NOW - 4_000, NOW) == 6_000
    assert wait_ms(10, NOW - 40_000, NOW) == 0


# the regulatory clock


def test_the_clock_runs_from_classification_and_from_detection() -> None:
    assert deadlines(incident(), NOW) == []
    soon = incident(opened_ms=NOW, classified_ms=NOW + HOUR_MS)
    assert deadlines(soon, NOW)[0].due_ms == NOW + 5 * HOUR_MS
    late = incident(opened_ms=NOW, classified_ms=NOW + 23 * HOUR_MS)
    assert deadlines(late, NOW)[0].due_ms == NOW + 24 * HOUR_MS
    assert deadlines(late, NOW + 25 * HOUR_MS)[0].left_ms == -HOUR_MS


def test_merging_keeps_the_graver_and_splitting_pages_again() -> None:
    one, two = incident(severity="sev3"), incident(id="inc_2", severity="sev1", fingerprint="b")
    left = stepping.merged(one, two, "p", "same", NOW).after
    assert (left.status, left.merged_into) == ("merged", "inc_2")
    assert (
        stepping.took_in(replace(two, severity="sev4"), one, "p", "s", NOW).after.severity == "sev3"
    )
    with pytest.raises(Conflict):
        stepping.merged(one, one, "p", "same", NOW)
    old, new = stepping.split(one, "refunds", "inc_3", plan(), "p", NOW)
    assert isinstance(old, Writing)
    assert (new.after.revision, new.after.step, new.after.next_ms) == (1, 0, NOW)
    assert new.after.fingerprint != old.after.fingerprint
