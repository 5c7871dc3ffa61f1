"""On call: hours and weekdays, calendars out and in, and schedules of other tools."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.rooms.test_incidents import NOW, plan

from tollkeeper.flows.incidents.planning import read_plan
from tollkeeper.incidents.calendars import calendar_of, taken_of
from tollkeeper.incidents.importing import as_toml, imported
from tollkeeper.incidents.paging import turn_messages
from tollkeeper.incidents.schedule import Cover, Schedule, on_call, shifts_between
from tollkeeper.kernel.errors import Invalid

DUTY = plan().schedules["duty"]
DAY_MS = 86_400_000


def at(year: int, month: int, day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


def test_only_the_hours_of_a_schedule_are_covered() -> None:
    office = replace(DUTY, daily_from="09:00", daily_until="17:00", weekdays=(1, 2, 3, 4, 5))
    assert on_call(office, (), at(2026, 11, 26, 7, 59)) is None  # 08:59 in Berlin
    shift = on_call(office, (), at(2026, 11, 26, 8))
    assert shift is not None
    assert (shift.from_ms, shift.until_ms) == (at(2026, 11, 26, 8), at(2026, 11, 26, 16))
    assert on_call(office, (), at(2026, 11, 28, 10)) is None  # a Saturday
    night = replace(DUTY, daily_from="22:00", daily_until="06:00", weekdays=(5,))
    assert on_call(night, (), at(2026, 11, 28, 2)) is not None  # the night from Friday on
    assert on_call(night, (), at(2026, 11, 27, 2)) is None


@given(st.integers(NOW, NOW + 300 * DAY_MS), st.integers(1, 40))
def test_shifts_follow_each_other_and_leave_no_gap_out(from_ms: int, days: int) -> None:
    found = shifts_between(DUTY, (), from_ms, from_ms + days * DAY_MS)
    assert found[0].from_ms <= from_ms
    assert found[-1].until_ms >= from_ms + days * DAY_MS
    assert all(a.until_ms == b.from_ms for a, b in pairwise(found))


def events_of(text: bytes) -> list[Any]:
    """The events of a calendar, as the library reads them."""
    return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


def test_a_calendar_has_every_shift_and_keeps_its_identities() -> None:
    cover = Cover(id="cov_1", schedule="duty", person="two", from_ms=NOW + DAY_MS,
                  until_ms=NOW + 2 * DAY_MS, by="p")  # fmt: skip
    text = calendar_of("duty", DUTY, plan(), (cover,), NOW, NOW + 30 * DAY_MS)
    events = events_of(text)
    shifts = shifts_between(DUTY, (cover,), NOW, NOW + 30 * DAY_MS)
    assert len(events) == len(shifts) >= 5
    assert [int(e["dtstart"].dt.timestamp() * 1000) // 1000 for e in events] == [
        shift.from_ms // 1000 for shift in shifts
    ]
    later = calendar_of("duty", DUTY, plan(), (cover,), NOW + 3 * DAY_MS, NOW + 30 * DAY_MS)
    mine = {str(e["uid"]) for e in events}
    assert {str(e["uid"]) for e in events_of(later)} <= mine


ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//EN
{events}
END:VCALENDAR
"""


def event(**fields: str) -> str:
    lines = [f"{name.upper()}:{value}" for name, value in fields.items()]
    return "\n".join(["BEGIN:VEVENT", "UID:1@x", *lines, "END:VEVENT"])


def test_events_become_covers_recurring_ones_each_time() -> None:
    weekly = event(
        dtstart="20261130T080000Z", dtend="20261130T160000Z", rrule="FREQ=WEEKLY;COUNT=3",
        summary="second has the day",
    )  # fmt: skip
    found = taken_of(
        ICS.format(events=weekly).encode(), plan(), DUTY, at(2026, 11, 29, 0), at(2027, 1, 30, 0)
    )
    assert [one.person for one in found] == ["two"] * 3
    assert [one.until_ms - one.from_ms for one in found] == [8 * 3_600_000] * 3
    assert found[1].from_ms - found[0].from_ms == 7 * DAY_MS
    whole = event(**{"dtstart;value=date": "20261224", "dtend;value=date": "20261225"},
                  summary="x", attendee="mailto:A@demo.invalid")  # fmt: skip
    (one,) = taken_of(
        ICS.format(events=whole).encode(), plan(), DUTY, at(2026, 12, 1, 0), at(2027, 1, 1, 0)
    )
    assert (one.person, one.from_ms) == ("one", at(2026, 12, 23, 23))  # midnight in Berlin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no iCalendar"),
        (b"\xff\xfe", "no iCalendar"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT", "no iCalendar"),
        (ICS.format(events=event(dtstart="20261130T080000Z", dtend="20261130T090000Z",
                                 summary="a stranger")).encode(), "cannot be taken"),
        (ICS.format(events=event(dtstart="20261130T080000Z", summary="one")).encode(),
         "cannot be taken"),
        (b"x" * 1_000_001, "at most"),
    ],
)  # fmt: skip
def test_a_calendar_that_says_nothing_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        taken_of(text, plan(), DUTY, at(2026, 11, 29, 0), at(2027, 1, 30, 0))


@given(st.lists(st.sampled_from(
    ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "DTSTART:20261130T080000Z",
     "DTEND:x", "RRULE:FREQ=SECONDLY", "RRULE:FREQ=DAILY;INTERVAL=0", "SUMMARY:one", "UID:1",
     "DTSTART;TZID=Mars/Base:20261130T080000", "DURATION:PT1H"]), max_size=14))  # fmt: skip
def test_any_lines_are_a_calendar_or_refused(lines: list[str]) -> None:
    text = "\r\n".join(lines).encode()
    try:
        taken_of(text, plan(), DUTY, at(2026, 11, 29, 0), at(2026, 12, 2, 0))
    except Invalid:
        return


# schedules of other tools

PAGERDUTY: dict[str, Any] = {
    "schedule": {
        "name": "Engineers",
        "time_zone": "Europe/Berlin",
        "schedule_layers": [
            {
                "rotation_virtual_start": "2026-01-05T09:00:00+01:00",
                "rotation_turn_length_seconds": 604800,
                "users": [{"user": {"id": "P1", "summary": "first"}}, {"user": {"id": "P2"}}],
                "restrictions": [
                    {"type": "daily_restriction", "start_time_of_day": "08:00:00",
                     "duration_seconds": 36000}
                ],
                "end": None,
            }
        ],
    }
}  # fmt: skip
OPSGENIE: dict[str, Any] = {
    "data": {
        "name": "Backend",
        "timezone": "America/New_York",
        "rotations": [
            {"startDate": "2026-03-01T14:00:00Z", "type": "daily", "length": 2,
             "participants": [{"type": "user", "username": "a@demo.invalid"}]}
        ],
    }
}  # fmt: skip


def test_schedules_of_other_tools_become_ours() -> None:
    found = imported(json.dumps(PAGERDUTY).encode())
    assert found["Engineers"] == Schedule(
        people=("first", "P2"), start="2026-01-05T09:00", time_zone="Europe/Berlin", turn_days=7,
        daily_from="08:00", daily_until="18:00",
    )  # fmt: skip
    other = imported(json.dumps(OPSGENIE).encode())
    assert (other["Backend"].start, other["Backend"].turn_days) == ("2026-03-01T09:00", 2)
    with pytest.raises(Invalid) as refused:  # people need receivers, which no export has
        read_plan(as_toml(found).encode())
    assert {fault.pointer for fault in refused.value.faults} == {
        "/people/first/receivers",
        "/people/P2/receivers",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rotation_turn_length_seconds": 3600}, "whole days"),
        ({"rotation_virtual_start": "soon"}, "no moment"),
        ({"restrictions": [{"type": "weekly_restriction", "start_time_of_day": "08:00:00",
                            "duration_seconds": 60}]}, "daily restriction"),
        ({"restrictions": [{"type": "daily_restriction", "start_time_of_day": "8",
                            "duration_seconds": 60}]}, "time of day"),
        ({"end": "2026-01-01T00:00:00Z"}, "goes on"),
    ],
)  # fmt: skip
def test_what_a_plan_cannot_say_is_refused_with_the_reason(change: Any, said: str) -> None:
    value = json.loads(json.dumps(PAGERDUTY))
    value["schedule"]["schedule_layers"][0] |= change
    with pytest.raises(Invalid) as refused:
        imported(json.dumps(value).encode())
    assert any(said in fault.detail for fault in refused.value.faults)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda it: st.lists(it, max_size=2) | st.dictionaries(
        st.sampled_from(["schedule", "data", "name", "time_zone", "timezone", "schedule_layers",
                         "rotations", "users", "user", "startDate", "type", "participants"]),
        it, max_size=4), max_leaves=9))  # fmt: skip
def test_any_export_is_read_or_refused(value: Any) -> None:
    try:
        imported(json.dumps(value).encode())
    except Invalid:
        return


def test_a_hand_over_is_told_to_who_comes_and_who_goes() -> None:
    now = shifts_between(DUTY, (), NOW, NOW + 8 * DAY_MS)
    before, after = now[0], now[1]
    ids = iter(f"ntf_{n}" for n in range(9))
    told = turn_messages(plan(), "duty", before, after, ids, after.from_ms)
    assert {(one.person, one.kind) for one in told} == {
        (before.person, "hand_over"), (after.person, "hand_over"),
    }  # fmt: skip
    assert turn_messages(plan(), "duty", after, after, ids, after.from_ms) == []
    assert timedelta(milliseconds=after.until_ms - after.from_ms) >= timedelta(days=6)
