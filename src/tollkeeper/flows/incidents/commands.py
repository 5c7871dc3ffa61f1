"""What people do with incidents: read, open, acknowledge, note, grade, merge, split, resolve."""

from collections.abc import Callable
from typing import Final

from tollkeeper.flows.incidents.hearing import take
from tollkeeper.flows.incidents.writing import change_of, changed, loaded, tell
from tollkeeper.flows.ports import Store
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents import stepping
from tollkeeper.incidents.escalation import Target
from tollkeeper.incidents.incident import Entry, Incident, Writing
from tollkeeper.incidents.news import News, person_news
from tollkeeper.incidents.paging import Notification, test_message
from tollkeeper.kernel.errors import Fault, Invalid, Unavailable
from tollkeeper.payments.cards import check_reason, find_card_numbers

NEWEST: Final = "~"
"""Above the id of every incident."""

LONGEST_NOTE: Final = 2_000
LONGEST_NAME: Final = 120


async def one(store: Store, incident_id: str) -> Incident:
    """One incident; raises `NotFound`."""
    return await loaded(store, incident_id)


async def timeline(store: Store, incident_id: str) -> list[Entry]:
    """The timeline of an incident."""
    return await store.list_entries(incident_id)


async def messages(store: Store, incident_id: str) -> list[Notification]:
    """The ledger of what was sent about an incident."""
    return await store.list_notifications(incident_id)


async def page(store: Store, before: str, limit: int) -> list[Incident]:
    """At most `limit` incidents, the newest first; `before`: the id of the last one seen."""
    return await store.list_incidents(before or NEWEST, limit)


async def open_ones(store: Store) -> list[Incident]:
    """Every incident that goes on."""
    return await store.list_open_incidents()


async def open_by_hand(runtime: Runtime, title: str, about: str, *, actor: str) -> Incident:
    """A person opens an incident; gives the one that is open about the same already, joined."""
    _check_text("/title", title, LONGEST_NOTE)
    known = {*runtime.settings.providers, "service", ""}
    if about not in known:
        fault = Fault("/about", f"one of {', '.join(sorted(known - {''}))}")
        raise Invalid(f"about is {fault.detail}", faults=(fault,))
    news = person_news(runtime.new_id("evt"), runtime.store.now_ms(), title, about, actor)
    for _ in range(5):
        if await take(runtime, news):
            return await _home_of(runtime, news)
    raise Unavailable("incidents are being changed by too many at once")


async def _home_of(runtime: Runtime, news: News) -> Incident:
    for incident in await runtime.store.list_open_incidents():
        entries = await runtime.store.list_entries(incident.id)
        if any(entry.facts.get("event") == news.event for entry in entries):
            return incident
    raise Unavailable("the incident was resolved at once")


async def acknowledge(runtime: Runtime, incident_id: str, *, note: str, actor: str) -> Incident:
    """A person works on it: all paging of it stops, in one commit."""
    if note:
        _check_text("/note", note, LONGEST_NOTE)
    return await _act(
        runtime,
        incident_id,
        lambda it, now: stepping.acknowledged(it, actor, note, now),
        over=True,
    )


async def resolve(runtime: Runtime, incident_id: str, *, reason: str, actor: str) -> Incident:
    """A person says that it is over."""
    check_reason(reason)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.resolved(it, actor, reason, now), over=True
    )


async def reopen(runtime: Runtime, incident_id: str, *, reason: str, actor: str) -> Incident:
    """A person says that it is not over."""
    check_reason(reason)
    plan = await plan_now(runtime)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.reopened(it, plan, actor, reason, now)
    )


async def note(
    runtime: Runtime, incident_id: str, *, text: str, corrects: int | None, actor: str
) -> Incident:
    """A person's line in the timeline."""
    _check_text("/text", text, LONGEST_NOTE)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.noted(it, actor, text, corrects, now)
    )


async def grade(
    runtime: Runtime, incident_id: str, *, severity: str, reason: str, actor: str
) -> Incident:
    """A person sets the severity."""
    check_reason(reason)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.graded(it, severity, actor, reason, now)
    )


async def cast(
    runtime: Runtime, incident_id: str, *, role: str, person: str, actor: str
) -> Incident:
    """A person takes a role, or gives it to someone."""
    _check_text("/person", person, LONGEST_NAME)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.cast(it, role, person, actor, now)
    )


async def classify(runtime: Runtime, incident_id: str, *, reason: str, actor: str) -> Incident:
    """A person classifies it as major: the regulatory clock starts."""
    check_reason(reason)
    return await _act(
        runtime, incident_id, lambda it, now: stepping.classified(it, actor, reason, now)
    )


async def merge(
    runtime: Runtime, incident_id: str, *, into: str, reason: str, actor: str
) -> Incident:
    """An incident goes on in another one; gives that one."""
    check_reason(reason)
    for _ in range(5):
        mine, other = await loaded(runtime.store, incident_id), await loaded(runtime.store, into)
        now_ms = runtime.store.now_ms()
        left = stepping.merged(mine, other, actor, reason, now_ms)
        right = stepping.took_in(other, mine, actor, reason, now_ms)
        writes = change_of(runtime, left, cancels=True), change_of(runtime, right)
        if await runtime.store.save_incident(*writes):
            tell(runtime, left)
            return right.after
    raise Unavailable("the incident is being changed by too many at once")


async def split(
    runtime: Runtime, incident_id: str, *, title: str, actor: str
) -> tuple[Incident, Incident]:
    """A part of an incident becomes one of its own; gives both."""
    _check_text("/title", title, LONGEST_NOTE)
    plan = await plan_now(runtime)
    for _ in range(5):
        mine = await loaded(runtime.store, incident_id)
        old, new = stepping.split(
            mine, title, runtime.new_id("inc"), plan, actor, runtime.store.now_ms()
        )
        if await runtime.store.save_incident(change_of(runtime, old), change_of(runtime, new)):
            tell(runtime, new)
            return old.after, new.after
    raise Unavailable("the incident is being changed by too many at once")


async def send_tests(runtime: Runtime, only: str = "", *, actor: str) -> list[str]:
    """Sends a test message to every receiver of the plan, or to one; gives their ids."""
    plan = await plan_now(runtime)
    if only and only not in plan.receivers:
        fault = Fault("/receiver", f"one of {', '.join(plan.receivers) or 'none'}")
        raise Invalid(f"the receiver is {fault.detail}", faults=(fault,))
    queued = []
    for name in [only] if only else plan.receivers:
        new_id = runtime.new_id("ntf")
        text = f"A test that {actor} asked for. It needs no answer."
        message = test_message(new_id, Target(receiver=name), text, runtime.store.now_ms())
        await runtime.store.queue_notification(message)
        queued.append(new_id)
    return queued


async def sent(store: Store, ids: list[str]) -> list[Notification]:
    """What came of messages so far."""
    found = [await store.load_notification(id_) for id_ in ids]
    return [one for one in found if one is not None]


async def _act(
    runtime: Runtime,
    incident_id: str,
    act: Callable[[Incident, int], Writing],
    *,
    over: bool = False,
) -> Incident:
    """Changes an incident; `over`: what is queued for it is canceled, and those who were paged are
    told."""

    async def decide(incident: Incident) -> Writing:
        return act(incident, runtime.store.now_ms())

    return await changed(runtime, incident_id, decide, tells="over" if over else None, cancels=over)


def _check_text(pointer: str, text: str, longest: int) -> None:
    if not 1 <= len(text.strip()) <= longest or "\0" in text:
        fault = Fault(pointer, f"1 to {longest} characters, and no NUL")
        raise Invalid(f"{pointer[1:]}: {fault.detail}", faults=(fault,))
    if find_card_numbers(text):
        fault = Fault(pointer, "must not hold a card number")
        raise Invalid(f"{pointer[1:]} {fault.detail}", faults=(fault,))
