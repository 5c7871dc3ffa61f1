"""Planning: the on-call plan as it is applied, and covers, which anyone may take."""

from typing import Final

import msgspec

from tollkeeper.flows.incidents import turning
from tollkeeper.flows.incidents.writing import change_of, covers_now, tell
from tollkeeper.flows.ports import SealedPlan
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.calendars import calendar_of, taken_of
from tollkeeper.incidents.escalation import shift_of
from tollkeeper.incidents.plan import Plan, owner_faults, plan_faults
from tollkeeper.incidents.schedule import Cover, Schedule, Shift
from tollkeeper.incidents.stepping import wakened
from tollkeeper.kernel.errors import Conflict, Fault, Invalid, NotFound
from tollkeeper.kernel.toml import read_toml
from tollkeeper.payments.cards import check_reason

DAY_MS: Final = 86_400_000
LONGEST_COVER_MS: Final = 60 * 86_400_000


def read_plan(text: bytes) -> Plan:
    """A plan from TOML; raises `Invalid` with everything that is wrong."""
    plan = read_toml(text, Plan, "the plan")
    faults = plan_faults(plan)
    if faults:
        raise Invalid("the plan cannot be taken", faults=tuple(faults))
    return plan


def shown(plan: Plan) -> Plan:
    """A plan without its secrets: addresses and keys."""
    hidden = {
        name: msgspec.structs.replace(one, url="", key="") for name, one in plan.receivers.items()
    }
    inputs = {name: msgspec.structs.replace(one, key="") for name, one in plan.inputs.items()}
    return msgspec.structs.replace(plan, receivers=hidden, inputs=inputs)


async def apply(runtime: Runtime, plan: Plan, *, actor: str) -> int:
    """Makes a plan the one in force; gives its revision."""
    faults = [*plan_faults(plan), *owner_faults(await plan_now(runtime), plan, actor)]
    if faults:
        raise Invalid("the plan cannot be taken", faults=tuple(faults))
    known = await runtime.store.load_plan()
    revision = known.revision + 1 if known is not None else 1
    sealed = SealedPlan(
        revision=revision,
        at_ms=runtime.store.now_ms(),
        actor=actor,
        sealed=runtime.vault.seal(msgspec.json.encode(plan)),
    )
    if not await runtime.store.save_plan(sealed):
        raise Conflict("another plan was applied meanwhile: read it, and apply yours again")
    await _wake(runtime, plan)
    await turning.plan(runtime)
    runtime.tell("plan_applied", revision=revision, actor=actor, people=sorted(plan.people))
    return revision


async def _wake(runtime: Runtime, plan: Plan) -> None:
    """Pages for incidents for which no one could be paged before; one that changes meanwhile is
    looked at again by whoever changes it."""
    for incident in await runtime.store.list_open_incidents():
        writing = wakened(incident, plan, runtime.store.now_ms())
        if writing is not None and await runtime.store.save_incident(change_of(runtime, writing)):
            tell(runtime, writing)


async def on_call(runtime: Runtime, at_ms: int | None = None) -> dict[str, Shift | None]:
    """Who is on call in each schedule, now or at a moment."""
    plan, covers = await plan_now(runtime), await covers_now(runtime)
    moment = runtime.store.now_ms() if at_ms is None else at_ms
    return {name: shift_of(plan, covers, name, moment) for name in plan.schedules}


async def cover(
    runtime: Runtime,
    schedule: str,
    person: str,
    from_ms: int | None,
    until_ms: int,
    *,
    reason: str,
    actor: str,
) -> Cover:
    """A person takes the pages of a schedule for a while; from now on where `from_ms` is `None`."""
    if reason:
        check_reason(reason)
    plan = await plan_now(runtime)
    faults = []
    if schedule not in plan.schedules:
        faults.append(Fault("/schedule", f"one of {', '.join(plan.schedules) or 'none'}"))
    if person not in plan.people:
        faults.append(Fault("/person", f"one of {', '.join(plan.people) or 'none'}"))
    now_ms = runtime.store.now_ms()
    from_ms = now_ms if from_ms is None else from_ms
    if not now_ms - 60_000 <= from_ms < until_ms <= from_ms + LONGEST_COVER_MS:
        faults.append(Fault("/until", "after the beginning, which is not past; at most 60 days"))
    if faults:
        raise Invalid("this turn cannot be covered", faults=tuple(faults))
    taken = Cover(
        id=runtime.new_id("cov"),
        schedule=schedule,
        person=person,
        from_ms=from_ms,
        until_ms=until_ms,
        by=actor,
        reason=reason,
    )
    await runtime.store.save_covers([taken])
    await turning.plan(runtime)
    runtime.tell("cover_taken", schedule=schedule, person=person, actor=actor)
    return taken


async def calendar(runtime: Runtime, schedule: str, days: float) -> bytes:
    """The shifts of the next so many days as iCalendar; raises `NotFound`."""
    plan = await plan_now(runtime)
    found = plan.schedules.get(schedule)
    if found is None:
        raise NotFound(
            f"the plan has no schedule {schedule}: {', '.join(plan.schedules) or 'none'}"
        )
    now_ms = runtime.store.now_ms()
    covers = (await covers_now(runtime)).get(schedule, ())
    until_ms = now_ms + int(min(max(days, 0.0), 366.0) * DAY_MS)
    return calendar_of(schedule, found, plan, covers, now_ms, until_ms)


def _schedule_of(plan: Plan, name: str) -> Schedule:
    found = plan.schedules.get(name)
    if found is None:
        known = ", ".join(plan.schedules) or "none"
        raise NotFound(f"the plan has no schedule {name}; it has {known}")
    return found


async def cover_by_calendar(
    runtime: Runtime, schedule: str, text: bytes, days: float, *, actor: str
) -> list[Cover]:
    """Takes the events of a calendar as covers of a schedule; all of them or none."""
    plan = await plan_now(runtime)
    found = plan.schedules.get(schedule)
    if found is None:
        raise NotFound(
            f"the plan has no schedule {schedule}: {', '.join(plan.schedules) or 'none'}"
        )
    now_ms = runtime.store.now_ms()
    until_ms = now_ms + int(min(max(days, 0.0), 60.0) * DAY_MS)
    made = []
    for one in taken_of(text, plan, found, now_ms, until_ms):
        taken = Cover(
            id=runtime.new_id("cov"),
            schedule=schedule,
            person=one.person,
            from_ms=one.from_ms,
            until_ms=one.until_ms,
            by=actor,
            reason="a calendar",
        )
        made.append(taken)
    await runtime.store.save_covers(made)
    await turning.plan(runtime)
    runtime.tell("calendar_taken", schedule=schedule, covers=len(made), actor=actor)
    return made


async def covers(runtime: Runtime) -> list[Cover]:
    """Covers that are not over."""
    return await runtime.store.list_covers(runtime.store.now_ms())


async def uncover(runtime: Runtime, cover_id: str, *, actor: str) -> Cover:
    """Takes a cover back."""
    found = next((one for one in await covers(runtime) if one.id == cover_id), None)
    if found is None or not await runtime.store.remove_cover(cover_id):
        raise NotFound("there is no such cover; `tollkeeper oncall show` lists them")
    await turning.plan(runtime)
    runtime.tell("cover_removed", cover=cover_id, actor=actor)
    return found
