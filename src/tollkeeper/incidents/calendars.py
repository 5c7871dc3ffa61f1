"""Calendars: a schedule as iCalendar (RFC 5545), and the events of a calendar as covers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import icalendar
import msgspec
import recurring_ical_events

from tollkeeper.incidents.plan import Plan
from tollkeeper.incidents.schedule import Cover, Schedule, shifts_between, zone_of
from tollkeeper.kernel.errors import Fault, Invalid

LARGEST: Final = 1_000_000
MOST_EVENTS: Final = 500
DOMAIN: Final = "tollkeeper.invalid"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a calendar that says who covers, from when to when."""

    person: str
    from_ms: int
    until_ms: int


def calendar_of(
    name: str, schedule: Schedule, plan: Plan, covers: Sequence[Cover], from_ms: int, until_ms: int
) -> bytes:
    """The shifts of a span as a calendar. A shift keeps its UID as long as it begins when it does,
    so that a calendar program moves it and makes no second one."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Tollkeeper//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"on call: {name}")
    for shift in shifts_between(schedule, covers, from_ms, until_ms):
        person = plan.people.get(shift.person)
        event = icalendar.Event()
        event.add("uid", f"{shift.from_ms}.{name}@{DOMAIN}".replace(" ", "-"))
        event.add("dtstamp", _moment(from_ms))
        event.add("dtstart", _moment(shift.from_ms))
        event.add("dtend", _moment(shift.until_ms))
        title = person.title if person is not None else shift.person
        event.add("summary", f"{shift.person} ({title}) is on call: {name}")
        if shift.cover:
            event.add("description", f"covers the turn ({shift.cover})")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)


def taken_of(
    text: bytes, plan: Plan, schedule: Schedule, from_ms: int, until_ms: int
) -> list[Taken]:
    """Who covers when, by a calendar whose events name a person of the plan in their summary or as
    their attendee. Recurring events are unrolled within the span. Raises `Invalid`."""
    if len(text) > LARGEST:
        raise Invalid(f"a calendar has at most {LARGEST} bytes")
    try:
        calendar = icalendar.Calendar.from_ical(text)
        _refuse_dense(calendar)
        events = recurring_ical_events.of(calendar).between(_moment(from_ms), _moment(until_ms))
    except Exception as error:  # noqa: BLE001 - the libraries raise what they like for bad input
        said = " ".join(str(error).split())[:200]
        raise Invalid(f"this is no iCalendar file: {said or type(error).__name__}") from None
    if len(events) > MOST_EVENTS:
        raise Invalid(f"a calendar has at most {MOST_EVENTS} events within the span")
    found = []
    faults = []
    for number, event in enumerate(events):
        try:
            found.append(_taken(event, plan, schedule))
        except LookupError as error:
            faults.append(Fault(f"/events/{number}", str(error.args[0])))
    if faults:
        raise Invalid("the calendar cannot be taken", faults=tuple(faults[:20]))
    return sorted(found, key=lambda one: (one.from_ms, one.person))


def _refuse_dense(calendar: Any) -> None:
    """Raises `ValueError` for events that recur within a day: they would be unrolled for ever."""
    for event in calendar.walk("VEVENT"):
        rules = event.get("rrule", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            often = {str(word).upper() for word in rule.get("FREQ", [])}
            if often & {"SECONDLY", "MINUTELY", "HOURLY"}:
                raise ValueError("an event recurs within a day")


def _taken(event: Any, plan: Plan, schedule: Schedule) -> Taken:
    summary = str(event.get("summary", ""))[:200]
    person = next(_people(event, summary, plan), None)
    if person is None:
        raise LookupError(f"{summary!r} names no person of the plan")
    start, end = event.get("dtstart"), event.get("dtend")
    if start is None:
        raise LookupError(f"{summary!r} has no beginning")
    begins = _ms(start.dt, schedule)
    ends = _ms(end.dt, schedule) if end is not None else begins
    if ends <= begins:
        raise LookupError(f"{summary!r} has no length")
    return Taken(person=person, from_ms=begins, until_ms=ends)


def _people(event: Any, summary: str, plan: Plan) -> Iterator[str]:
    """Persons of the plan that an event names, the likeliest first."""
    given = event.get("attendee", [])
    attendees = [str(one).lower() for one in (given if isinstance(given, list) else [given])]
    text = summary.lower()
    for name, person in plan.people.items():
        mails = _mails(plan, person.receivers)
        if any(f"mailto:{mail}" in attendees for mail in mails):
            yield name
    by_length: Mapping[str, str] = {
        word.lower(): name for name, person in plan.people.items() for word in (name, person.title)
    }
    for word in sorted(by_length, key=len, reverse=True):
        if word in text:
            yield by_length[word]


def _mails(plan: Plan, receivers: Sequence[str]) -> list[str]:
    mine = [plan.receivers[name] for name in receivers if name in plan.receivers]
    return [one.to.lower() for one in mine if one.to]


def _ms(moment: date | datetime, schedule: Schedule) -> int:
    """Unix milliseconds; whole days and floating times are those of the schedule's time zone."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(schedule.time_zone) or UTC)
    return int(moment.timestamp() * 1000)
