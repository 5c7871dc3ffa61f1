"""Escalation: who is paged now, by what, and when the next ones are if nobody answers.

Law: each step of an incident pages once. Its number is in the key of every page, so that a repeated
run of the same step writes the same pages.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.plan import (
    PROVIDER_TARGET,
    EscalationPolicy,
    Plan,
    QuietHours,
)
from tollkeeper.incidents.schedule import Cover, Shift, clock_of, on_call, zone_of

LAST_LEVEL_EVERY_S: Final = 900.0
"""How often the last level is paged again at least once all rounds are over."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver that is paged, and whom it stands for: a person, or nobody by name."""

    receiver: str
    person: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an escalation. `level` counts from 1. `gaps`: targets that reach nobody, and why.
    `provider`: the provider's own contact is asked for. `next_ms`: when the next step is due."""

    level: int
    round: int
    targets: tuple[Target, ...]
    gaps: tuple[str, ...]
    provider: bool
    next_ms: int


def begins_ms(incident: Incident, plan: Plan, now_ms: int) -> int:
    """When the first page of an incident is due: now, or after quiet hours."""
    quiet = plan.quiet_hours
    if quiet is None or incident.severity not in quiet.severities:
        return now_ms
    return quiet_until_ms(quiet, now_ms) or now_ms


def quiet_until_ms(quiet: QuietHours, now_ms: int) -> int | None:
    """When the quiet hours end that hold at a moment; `None` outside of them."""
    zone = zone_of(quiet.time_zone)
    start, end = clock_of(quiet.start), clock_of(quiet.end)
    if zone is None or start is None or end is None or start == end:
        return None
    local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
    at = local.time()
    inside = start <= at < end if start < end else (at >= start or at < end)
    if not inside:
        return None
    day = local.date() + timedelta(days=int(start > end and at >= start))
    return int(datetime.combine(day, end, zone).timestamp() * 1000)


def call_of(
    incident: Incident, plan: Plan, covers: Mapping[str, Sequence[Cover]], now_ms: int
) -> Call | None:
    """The next step of an incident that nobody has acknowledged; `None` where no policy is."""
    policy = plan.policies.get(incident.policy)
    if policy is None or not policy.levels:
        return None
    number, turn = place_of(policy, incident.step)
    level = policy.levels[number]
    targets: list[Target] = []
    gaps: list[str] = []
    for earlier in policy.levels[: number + 1] if turn > 1 else (level,):
        for target in earlier.targets:
            found, gap = _targets(plan, covers, target, now_ms, loud=incident.step > 0)
            targets += [one for one in found if one not in targets]
            gaps += [gap] if gap and gap not in gaps else []
    wait_s = level.wait_seconds
    if incident.step >= policy.rounds * len(policy.levels):
        wait_s = max(wait_s, LAST_LEVEL_EVERY_S)
    return Call(
        level=number + 1,
        round=turn,
        targets=tuple(targets),
        gaps=tuple(gaps),
        provider=PROVIDER_TARGET in level.targets,
        next_ms=now_ms + int(wait_s * 1000),
    )


def place_of(policy: EscalationPolicy, step: int) -> tuple[int, int]:
    """The level (from 0) and the round (from 1) of a step (from 0)."""
    count = len(policy.levels)
    if step >= policy.rounds * count:
        return count - 1, policy.rounds + 1
    return step % count, step // count + 1


def _targets(
    plan: Plan,
    covers: Mapping[str, Sequence[Cover]],
    target: str,
    now_ms: int,
    *,
    loud: bool,
) -> tuple[list[Target], str]:
    """The receivers behind one target, and why there are none."""
    kind, _, name = target.partition(":")
    if target == PROVIDER_TARGET:
        return [], ""
    if kind == "receiver":
        return [Target(receiver=name)], ""
    if kind == "schedule":
        shift = shift_of(plan, covers, name, now_ms)
        if shift is None:
            return [], f"nobody is on call in schedule {name}"
        name = shift.person
    person = plan.people.get(name)
    if person is None:
        return [], f"{name} is no person of the plan"
    used = (*person.receivers, *person.louder) if loud else person.receivers
    return [Target(receiver=receiver, person=name) for receiver in used], ""


def shift_of(
    plan: Plan, covers: Mapping[str, Sequence[Cover]], schedule: str, now_ms: int
) -> Shift | None:
    """Who takes the pages of a schedule of the plan at a moment."""
    found = plan.schedules.get(schedule)
    return on_call(found, covers.get(schedule, ()), now_ms) if found is not None else None
