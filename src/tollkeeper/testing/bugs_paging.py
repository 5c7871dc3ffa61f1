"""Planted bugs about incidents: pages that are lost, doubled, or sent once they are answered."""

from typing import Any, Final

import msgspec

from tollkeeper.flows.incidents import escalating, hearing, notifying, writing
from tollkeeper.incidents import stepping
from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.paging import Notification
from tollkeeper.store import incidents as stored
from tollkeeper.store.incidents import Incidents
from tollkeeper.testing import planting
from tollkeeper.testing.planting import Bug, Patch

_OWN: Final[list[Bug]] = []
_bug = planting.collector(_OWN)


@_bug("A page is forgotten where its process dies between the save and the send, or after it.")
def begun_page_forgotten() -> list[Patch]:
    return [(Notification, "is_waiting", property(lambda one: one.status == "queued"))]


@_bug("Each try of a page has an identity of its own.")
def identity_of_each_try() -> list[Patch]:
    real: Any = vars(notifying)["message"]

    def message(notification: Any, *rest: Any) -> Any:
        made = real(notification, *rest)
        return msgspec.structs.replace(made, id=f"{made.id}/{len(notification.tries)}")

    return [(notifying, "message", message)]


@_bug("An acknowledgement cancels nothing that is queued.")
def answer_cancels_nothing() -> list[Patch]:
    real: Any = vars(writing)["change_of"]

    def change_of(*values: Any, **named: Any) -> Any:
        return real(*values, **(named | {"cancels": False}))

    return [(writing, "change_of", change_of)]


@_bug("Who has acknowledged an incident is paged for it all the same.")
def answered_is_paged() -> list[Patch]:
    real: Any = vars(stepping)["moved"]

    def moved(incident: Incident, act: Any) -> Any:
        after = real(incident, act)
        goes_on = after is not None and act == "acknowledge"
        return msgspec.structs.replace(after, next_ms=incident.next_ms) if goes_on else after

    return [(Incident, "is_paging", Incident.is_open), (stepping, "moved", moved)]


@_bug("The timer of an incident is not in the commit that opens it.")
def timer_outside_the_commit() -> list[Patch]:
    real: Any = vars(stored)["_timer"]

    def timer(incident: Incident) -> Any:
        return iter(()) if incident.revision == 1 else real(incident)

    return [(stored, "_timer", timer)]


@_bug("What was told along is lost with a message that does not arrive.")
def told_along_lost() -> list[Patch]:
    real: Any = vars(Incidents)["end_notification"]

    async def end_notification(store: Any, job: Any, done: Any, again: Any, _: Any = ()) -> None:
        await real.__get__(store, Incidents)(job, done, again)

    return [(Incidents, "end_notification", end_notification)]


@_bug("The pages of a step are written after the step, and a crash loses them.")
def pages_outside_the_commit() -> list[Patch]:
    real: Any = vars(Incidents)["save_incident"]

    async def save_incident(store: Any, *writes: Any) -> bool:
        bare = [msgspec.structs.replace(write, notifications=()) for write in writes]
        if not await real.__get__(store, Incidents)(*bare):
            return False
        for write in writes:
            for notification in write.notifications:
                await store.queue_notification(notification)
        return True

    return [(Incidents, "save_incident", save_incident)]


@_bug("An alert that another process was faster with is not heard.")
def overtaken_news_dropped() -> list[Patch]:
    real: Any = vars(hearing)["take"]

    async def take(*values: Any) -> bool:
        await real(*values)
        return True

    return [(hearing, "take", take)]


@_bug("Where no page of a step arrives, the next step waits as if one had.")
def lost_step_waits() -> list[Patch]:
    async def hurry(*_: Any) -> None:
        pass

    return [(notifying, "_hurry", hurry)]


@_bug("A step pages, and its pages go to nobody.")
def step_without_pages() -> list[Patch]:
    real: Any = vars(escalating)["change_of"]

    def change_of(runtime: Any, made: Any, *, call: Any = None) -> Any:
        late = call is not None and made.after.step > 1
        return real(runtime, made, call=None if late else call)

    return [(escalating, "change_of", change_of)]


BUGS: Final = tuple(_OWN)
"""The planted bugs of this file."""
