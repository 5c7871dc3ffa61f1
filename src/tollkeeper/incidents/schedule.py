"""Schedules: whose turn it is, in the time zone of those who take turns; and who covers for whom.

Law: turns are counted in local days, so that a hand-over stays at its hour when clocks change.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tollkeeper.kernel.errors import Fault

LONGEST_TURN_DAYS: Final = 366


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation: `people` take turns of `turn_days` days from `start` on (local date and time,
    like `2026-11-23T09:00`). `owners`: who may change it, by key id or `cli:...` name; empty for
    every operator. Anyone may cover a turn."""

    people: tuple[str, ...]
    start: str
    time_zone: str
    turn_days: int = 7
    owners: tuple[str, ...] = ()


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
        return Shift(
            person=cover.person, from_ms=cover.from_ms, until_ms=cover.until_ms, cover=cover.id
        )
    turn = turn_at(schedule, at_ms)
    if turn is None:
        return None
    later = [cover.from_ms for cover in covers if at_ms < cover.from_ms < turn.until_ms]
    return msgspec.structs.replace(turn, until_ms=min(later, default=turn.until_ms))


def _ms(local: datetime, zone: ZoneInfo) -> int:
    return int(local.replace(tzinfo=zone).timestamp() * 1000)
