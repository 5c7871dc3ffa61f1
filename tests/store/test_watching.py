"""Descriptions that were seen: stored once by digest, with the events about them."""

from msgspec.structs import replace
from tests.store.backends import EPOCH_MS, Backend
from tests.store.test_hooks import endpoint

from tollkeeper.flows.ports import SeenDescription
from tollkeeper.payments.change import OutEvent

SEEN = SeenDescription(
    provider="stripe",
    digest="d1",
    seen_ms=EPOCH_MS,
    checked_ms=EPOCH_MS,
    etag='"1"',
    text=b"zip",
    verdicts=b"{}",
)
EVENT = OutEvent(
    id="evt_1", account="acc_1", payment_id="", type="contract.broken", created_ms=EPOCH_MS,
    data=b"{}",
)  # fmt: skip


async def test_a_text_is_stored_once_and_its_event_is_owed_in_the_same_commit(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.save_endpoint(endpoint("we_1"))
        assert await store.save_description(SEEN, (EVENT,)) is True
        again = replace(EVENT, id="evt_2")
        assert await store.save_description(SEEN, (again,)) is False
        assert await store.list_descriptions("stripe", 10) == [SEEN]
        assert await store.load_event("evt_1") == EVENT
        assert await store.load_event("evt_2") is None
        assert (await store.holdings()).pending_deliveries == {"evt_1|we_1"}


async def test_texts_are_listed_newest_first_and_by_provider(backend: Backend) -> None:
    async with backend.store() as store:
        newer = replace(SEEN, digest="d2", seen_ms=EPOCH_MS + 5)
        other = replace(SEEN, provider="adyen")
        for seen in (SEEN, newer, other):
            await store.save_description(seen, ())
        assert await store.list_descriptions("stripe", 10) == [newer, SEEN]
        assert await store.list_descriptions("stripe", 1) == [newer]


async def test_a_look_that_brings_nothing_new_notes_the_time_the_tag_and_the_notes(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.save_description(SEEN, ())
        later = replace(SEEN, checked_ms=EPOCH_MS + 9, etag='"2"', notes=b"soon")
        await store.touch_description(later)
        assert await store.list_descriptions("stripe", 1) == [later]
