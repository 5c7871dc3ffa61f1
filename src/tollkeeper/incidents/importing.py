"""Importing schedules of PagerDuty and Opsgenie, as their REST APIs give them, into a plan's own.

Sources: PagerDuty's REST API v2 (`GET /schedules/ID`), Opsgenie's schedule API (`GET
/v2/schedules/ID?expand=rotation`). What a schedule of ours cannot say is refused with the reason.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from tollkeeper.incidents.schedule import Schedule, clock_of, zone_of
from tollkeeper.kernel.errors import Fault, Invalid

DAY_S: Final = 86_400
TURNS: Final = {"daily": 1, "weekly": 7}


class _User(msgspec.Struct):
    summary: str = ""
    id: str = ""
    name: str = ""


class _Member(msgspec.Struct):
    user: _User


class _Restriction(msgspec.Struct):
    type: str
    start_time_of_day: str
    duration_seconds: int
    start_day_of_week: int | None = None


class _Layer(msgspec.Struct):
    rotation_virtual_start: str
    rotation_turn_length_seconds: int
    users: list[_Member]
    restrictions: list[_Restriction] = []
    end: str | None = None


class _PagerDuty(msgspec.Struct):
    name: str
    time_zone: str
    schedule_layers: list[_Layer]


class _Participant(msgspec.Struct):
    type: str = "user"
    username: str = ""
    id: str = ""


class _Restrictions(msgspec.Struct):
    type: str = ""
    restriction: dict[str, Any] = {}
    restrictions: list[Any] = []


class _Rotation(msgspec.Struct, rename="camel"):
    start_date: str
    type: str
    participants: list[_Participant]
    length: int = 1
    end_date: str | None = None
    time_restriction: _Restrictions | None = None


class _Opsgenie(msgspec.Struct):
    name: str
    timezone: str
    rotations: list[_Rotation]


def imported(text: bytes) -> dict[str, Schedule]:
    """Schedules by name, from one export of either kind; raises `Invalid` with every reason."""
    try:
        value = msgspec.json.decode(text)
        whole = value if isinstance(value, dict) else {}
        if isinstance(found := whole.get("schedule"), dict):
            return _of_pagerduty(msgspec.convert(found, _PagerDuty))
        if isinstance(found := whole.get("data"), dict):
            return _of_opsgenie(msgspec.convert(found, _Opsgenie))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"this export cannot be read: {error}") from None
    raise Invalid(
        "an export of PagerDuty has `schedule`, one of Opsgenie has `data`; this has none"
    )


def _of_pagerduty(found: _PagerDuty) -> dict[str, Schedule]:
    made: dict[str, Schedule] = {}
    faults: list[Fault] = []
    alive = [layer for layer in found.schedule_layers if layer.end is None]
    for number, layer in enumerate(alive):
        place = f"/schedule/schedule_layers/{number}"
        days, rest = divmod(layer.rotation_turn_length_seconds, DAY_S)
        if rest or not days:
            faults.append(Fault(f"{place}/rotation_turn_length_seconds", "whole days"))
        hours = _hours_of(layer.restrictions, place, faults)
        people = tuple(
            _slug(one.user.summary or one.user.name or one.user.id) for one in layer.users
        )
        start = _local(layer.rotation_virtual_start, found.time_zone, place, faults)
        name = found.name if len(alive) == 1 else f"{found.name} {number + 1}"
        made[name] = Schedule(
            people=people,
            start=start,
            time_zone=found.time_zone,
            turn_days=max(days, 1),
            daily_from=hours[0],
            daily_until=hours[1],
        )
    return _checked(made, faults)


def _hours_of(restrictions: list[_Restriction], place: str, faults: list[Fault]) -> tuple[str, str]:
    if not restrictions:
        return "", ""
    (one, *more) = restrictions
    if more or one.type != "daily_restriction" or one.duration_seconds >= DAY_S:
        faults.append(Fault(f"{place}/restrictions", "at most one daily restriction"))
        return "", ""
    start = clock_of(one.start_time_of_day[:5])
    if start is None:
        faults.append(Fault(f"{place}/restrictions", "a time of day like 09:00:00"))
        return "", ""
    end = (start.hour * 60 + start.minute + one.duration_seconds // 60) % (24 * 60)
    return start.isoformat("minutes"), f"{end // 60:02d}:{end % 60:02d}"


def _of_opsgenie(found: _Opsgenie) -> dict[str, Schedule]:
    made: dict[str, Schedule] = {}
    faults: list[Fault] = []
    alive = [one for one in found.rotations if one.end_date is None]
    for number, rotation in enumerate(alive):
        place = f"/data/rotations/{number}"
        days = TURNS.get(rotation.type, 0) * rotation.length
        if not days:
            faults.append(Fault(f"{place}/type", "daily or weekly"))
        if rotation.time_restriction is not None:
            faults.append(Fault(f"{place}/timeRestriction", "none: write its hours by hand"))
        if any(one.type != "user" for one in rotation.participants):
            faults.append(Fault(f"{place}/participants", "users alone, no teams and no gaps"))
        name = found.name if len(alive) == 1 else f"{found.name} {number + 1}"
        made[name] = Schedule(
            people=tuple(_slug(one.username or one.id) for one in rotation.participants),
            start=_local(rotation.start_date, found.timezone, place, faults),
            time_zone=found.timezone,
            turn_days=max(days, 1),
        )
    return _checked(made, faults)


def _checked(made: dict[str, Schedule], faults: list[Fault]) -> dict[str, Schedule]:
    if not made:
        faults.append(Fault("", "no rotation that goes on"))
    if faults:
        raise Invalid("this schedule cannot be said in a plan", faults=tuple(faults[:20]))
    return made


def _local(text: str, zone_name: str, place: str, faults: list[Fault]) -> str:
    """A moment as local date and time in the schedule's time zone."""
    zone = zone_of(zone_name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        faults.append(Fault(place, f"{text[:40]!r} is no moment"))
        return ""
    if zone is None:
        faults.append(Fault(place, f"{zone_name[:40]!r} is no time zone"))
        return ""
    local = moment.astimezone(zone) if moment.tzinfo is not None else moment
    return local.replace(tzinfo=None, microsecond=0).isoformat(timespec="minutes")


def _slug(name: str) -> str:
    """A person's name as a plan has it: without colons and blanks at the ends."""
    return name.replace(":", " ").strip()[:60] or "unnamed"


def as_toml(schedules: dict[str, Schedule]) -> str:
    """The schedules as a part of a plan, with the people that the operator has to fill in."""
    lines: list[str] = []
    people = dict.fromkeys(name for one in schedules.values() for name in one.people)
    for name in people:
        lines += [f"[people.{_quoted(name)}]", f"title = {_quoted(name)}", "receivers = []", ""]
    for name, one in schedules.items():
        lines.append(f"[schedules.{_quoted(name)}]")
        for field, value in msgspec.structs.asdict(one).items():
            if value not in ((), ""):
                lines.append(f"{field} = {_quoted(value)}")
        lines.append("")
    return "\n".join(lines)


def _quoted(value: object) -> str:
    """A value in TOML: of strings, numbers and lists JSON's form is TOML's."""
    return msgspec.json.encode(value).decode()
