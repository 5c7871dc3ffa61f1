"""Reading outgoing events: one, and a page of an account's."""

from tollkeeper.flows.ports import Store
from tollkeeper.kernel.errors import NotFound
from tollkeeper.payments.change import OutEvent


async def one(store: Store, event_id: str, account: str) -> OutEvent:
    """The event of `account`; raises `NotFound`, also for another account's."""
    event = await store.load_event(event_id)
    if event is None or event.account != account:
        raise NotFound(f"no event {event_id}")
    return event


async def page(store: Store, account: str, cursor: str, limit: int) -> list[OutEvent]:
    """At most `limit` events below `cursor` (an id), newest first."""
    return await store.list_events(account, cursor, limit)
