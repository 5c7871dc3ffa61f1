"""Schedules: whose turn it is, in the time zone of those who take turns; and who covers for whom.

Law: turns are counted in local days, so that a hand-over stays at its hour when clocks change.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tollkeeper.kernel.errors import Fault

LONGEST_TURN_DAYS: Final = 366
MOST_SHIFTS: Final = 1_000
QUARTER_MS: Final = 900_000
FOREVER_MS: Final = 1 << 62


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation: `people` take turns of `turn_days` days from `start` on (local date and time,
    like `2026-11-23T09:00`). `owners`: who may change it, by key id or `cli:...` name; empty for
    every operator. Anyone may cover a turn. `daily_from` and `daily_until` (`09:00`, local): only
    these hours are covered, over midnight where they end before they begin; `weekdays`: only days
    on which they begin, 1 for Monday; empty for all."""

    people: tuple[str, ...]
    start: str
    time_zone: str
    turn_days: int = 7
    owners: tuple[str, ...] = ()
    daily_from: str = ""
    daily_until: str = ""
    weekdays: tuple[int, ...] = ()


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """A person who takes a schedule's pages for a while, whoever's turn it is."""

    id: str
    schedule: str
    person: str
    from_ms: int
    until_ms: int
    by: str
    reason: str = ""


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call from when to when. `cover`: the id of the cover, empty for a plain turn."""

    person: str
    from_ms: int
    until_ms: int
    cover: str = ""


def members_of(schedule: Schedule) -> set[str]:
    """Everyone who takes turns."""
    return set(schedule.people)


def schedule_faults(
    place: str, schedule: Schedule, people: Mapping[str, object]
) -> Iterator[Fault]:
    """What is wrong with a schedule."""
    if not schedule.people:
        yield Fault(f"{place}/people", "at least one person")
    for name in schedule.people:
        if name not in people:
            yield Fault(f"{place}/people", f"{name} is no person of this plan")
    if not 1 <= schedule.turn_days <= LONGEST_TURN_DAYS:
        yield Fault(f"{place}/turn_days", f"1 to {LONGEST_TURN_DAYS}")
    if zone_of(schedule.time_zone) is None:
        yield Fault(f"{place}/time_zone", "a time zone like Europe/Berlin")
    if _start_of(schedule) is None:
        yield Fault(f"{place}/start", "a local date and time like 2026-11-23T09:00")
    yield from _hour_faults(place, schedule)


def _hour_faults(place: str, schedule: Schedule) -> Iterator[Fault]:
    if bool(schedule.daily_from) != bool(schedule.daily_until):
        yield Fault(f"{place}/daily_until", "both `daily_from` and `daily_until`, or neither")
    for name in ("daily_from", "daily_until"):
        if getattr(schedule, name) and clock_of(getattr(schedule, name)) is None:
            yield Fault(f"{place}/{name}", "a local time like 09:00")
    if not set(schedule.weekdays) <= set(range(1, 8)):
        yield Fault(f"{place}/weekdays", "1 (Monday) to 7 (Sunday)")


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of this name, if there is one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _start_of(schedule: Schedule) -> datetime | None:
    try:
        start = datetime.fromisoformat(schedule.start)
    except ValueError:
        return None
    return start if start.tzinfo is None else None


def turn_at(schedule: Schedule, at_ms: int) -> Shift | None:
    """Whose turn it is, without covers; `None` before the first one."""
    start, zone = _start_of(schedule), zone_of(schedule.time_zone)
    if start is None or zone is None or not schedule.people:
        return None
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).replace(tzinfo=None)
    number = (local - start) // timedelta(days=schedule.turn_days)
    if number < 0:
        return None
    begins = start + timedelta(days=schedule.turn_days * number)
    ends = begins + timedelta(days=schedule.turn_days)
    return Shift(
        person=schedule.people[number % len(schedule.people)],
        from_ms=_ms(begins, zone),
        until_ms=_ms(ends, zone),
    )


def on_call(schedule: Schedule, covers: Sequence[Cover], at_ms: int) -> Shift | None:
    """Who takes the pages of a schedule at a moment; of several covers the newest one."""
    mine = [cover for cover in covers if cover.from_ms <= at_ms < cover.until_ms]
    if mine:
        cover = max(mine, key=lambda one: one.id)
        newer = [c.from_ms for c in covers if c.id > cover.id and at_ms < c.from_ms]
        until_ms = min([cover.until_ms, *newer])
        return Shift(person=cover.person, from_ms=cover.from_ms, until_ms=until_ms, cover=cover.id)
    turn = turn_at(schedule, at_ms)
    hours = window_at(schedule, at_ms)
    if turn is None or hours is None:
        return None
    later = [cover.from_ms for cover in covers if at_ms < cover.from_ms < turn.until_ms]
    until_ms = min([turn.until_ms, hours[1], *later])
    return msgspec.structs.replace(turn, from_ms=max(turn.from_ms, hours[0]), until_ms=until_ms)


def window_at(schedule: Schedule, at_ms: int) -> tuple[int, int] | None:
    """The covered hours around a moment; `None` where it lies outside of them."""
    start, end = clock_of(schedule.daily_from), clock_of(schedule.daily_until)
    zone = zone_of(schedule.time_zone)
    if zone is None:
        return None
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        if schedule.weekdays and day.isoweekday() not in schedule.weekdays:
            continue
        begins = datetime.combine(day, start or time.min)
        ends = datetime.combine(day, end or time.min)
        ends += timedelta(days=int(ends <= begins))
        from_ms, until_ms = _ms(begins, zone), _ms(ends, zone)
        if from_ms <= at_ms < until_ms:
            return (
                (from_ms, until_ms) if start is not None or schedule.weekdays else (0, FOREVER_MS)
            )
    return None


def shifts_between(
    schedule: Schedule, covers: Sequence[Cover], from_ms: int, until_ms: int
) -> list[Shift]:
    """Every shift of a span, at most `MOST_SHIFTS` of them, in order; gaps are left out."""
    found: list[Shift] = []
    at_ms = from_ms
    while at_ms < until_ms and len(found) < MOST_SHIFTS:
        shift = on_call(schedule, covers, at_ms)
        if shift is None:
            at_ms = _next_minute(at_ms)
            continue
        begins = max(shift.from_ms, at_ms if found else shift.from_ms)
        found.append(msgspec.structs.replace(shift, from_ms=begins))
        at_ms = shift.until_ms
    return found


def _next_minute(at_ms: int) -> int:
    """The next quarter of an hour: every time zone's offset is a multiple of it."""
    return (at_ms // QUARTER_MS + 1) * QUARTER_MS


def clock_of(text: str) -> time | None:
    """A local time from its text; `None` where it is none."""
    try:
        return time.fromisoformat(text) if text else None
    except ValueError:
        return None


def _ms(local: datetime, zone: ZoneInfo) -> int:
    return int(local.replace(tzinfo=zone).timestamp() * 1000)
