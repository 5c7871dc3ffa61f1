"""Publishing: the status page, written when an incident changes and each half minute."""

from collections.abc import Mapping
from typing import Final

from tollkeeper.flows.ports import Job, Store
from tollkeeper.flows.reaching import plan_now
from tollkeeper.flows.runtime import Runtime
from tollkeeper.incidents.paging import status_message
from tollkeeper.incidents.statusfiles import files_of
from tollkeeper.incidents.statuspage import (
    COMPONENTS,
    HISTORY,
    WORDS,
    ComponentStatus,
    Override,
    Page,
    page_of,
)
from tollkeeper.kernel.errors import Fault, Invalid
from tollkeeper.payments.cards import find_card_numbers

SUBJECT: Final = "all"
EVERY_MS: Final = 30_000
NEWEST: Final = "~"
LONGEST_TEXT: Final = 300
LONGEST_S: Final = 30 * 86_400


async def plan(runtime: Runtime) -> None:
    """Makes sure that the page is written at once, and again and again."""
    await soon(runtime)


async def publish(runtime: Runtime, job: Job) -> None:
    """Runs the `publish_status` job: writes the files, and tells subscribers what is new."""
    if runtime.settings.status_page_folder is None or runtime.publish is None:
        await runtime.store.finish_job(job)
        return
    page = await page_now(runtime)
    await runtime.publish(files_of(page, runtime.settings.status_page_url))
    await _tell_subscribers(runtime, page)
    await runtime.store.postpone_job(job, runtime.store.now_ms() + EVERY_MS)


async def page_now(runtime: Runtime) -> Page:
    """The page as it is now."""
    store = runtime.store
    found = await store.list_incidents(NEWEST, HISTORY * 2)
    known = {one.id for one in found}
    found += [one for one in await store.list_open_incidents() if one.id not in known]
    with_entries = [(one, await store.list_entries(one.id)) for one in found]
    overrides = await store.list_overrides()
    return page_of(with_entries, overrides, store.now_ms(), runtime.settings.status_page_title)


async def _tell_subscribers(runtime: Runtime, page: Page) -> None:
    """A message for each update that subscribers have not had; its key is the update."""
    subscribers = (await plan_now(runtime)).status_subscribers
    for incident in page.incidents if subscribers else ():
        newest = incident.updates[0]
        if runtime.store.now_ms() - newest.at_ms > EVERY_MS * 10:
            continue  # who subscribes is not told of what was long ago
        for receiver in subscribers:
            message = status_message(
                runtime.new_id("ntf"), receiver, incident, newest, runtime.settings.status_page_url
            )
            await runtime.store.queue_notification(message)


async def override(
    runtime: Runtime, component: str, status: str, seconds: float, *, text: str, actor: str
) -> Override:
    """A person says how a component is, whatever the signals say, for so many seconds."""
    known: ComponentStatus | None = next((one for one in WORDS if one == status), None)
    faults = []
    if component not in COMPONENTS:
        faults.append(Fault("/component", f"one of {', '.join(COMPONENTS)}"))
    if known is None:
        faults.append(Fault("/status", f"one of {', '.join(WORDS)}"))
    if not 0 < seconds <= LONGEST_S:
        faults.append(Fault("/seconds", f"above 0, at most {LONGEST_S}"))
    if len(text) > LONGEST_TEXT or "\0" in text or find_card_numbers(text):
        faults.append(Fault("/text", f"at most {LONGEST_TEXT} characters, and no card number"))
    if faults or known is None:
        raise Invalid("this cannot be said on the status page", faults=tuple(faults))
    now_ms = runtime.store.now_ms()
    said = Override(
        component=component,
        status=known,
        text=text,
        by=actor,
        at_ms=now_ms,
        until_ms=now_ms + int(seconds * 1000),
    )
    await runtime.store.save_override(said)
    await soon(runtime)
    runtime.tell("status_overridden", component=component, status=status, actor=actor)
    return said


async def back(runtime: Runtime, component: str, *, actor: str) -> bool:
    """Takes an override back; false where there is none."""
    done = await runtime.store.remove_override(component)
    await soon(runtime)
    runtime.tell("status_override_removed", component=component, actor=actor)
    return done


async def overrides(store: Store) -> Mapping[str, Override]:
    """What persons say, by component."""
    return {one.component: one for one in await store.list_overrides()}


async def soon(runtime: Runtime) -> None:
    """The page is written at once; it is in any case within half a minute."""
    if runtime.settings.status_page_folder is not None:
        await runtime.store.enqueue_job("publish_status", SUBJECT, runtime.store.now_ms())
