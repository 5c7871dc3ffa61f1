"""Webhooks in and out: stored with their effect, fanned out with their change."""

from msgspec.structs import replace
from tests.store import stage
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.flows.ports import Delivery, Endpoint
from tollkeeper.payments.commit import Duplicate
from tollkeeper.store.store import SqlStore


def endpoint(id_: str, **fields: object) -> Endpoint:
    defaults = {
        "id": id_, "account": "acc_1", "url": "https://shop.example/hook", "secrets": ("s",),
        "enabled": True, "created_ms": EPOCH_MS,
    }  # fmt: skip
    return Endpoint(**(defaults | fields))  # type: ignore[arg-type]


async def told(store: SqlStore) -> str:
    """Commits a payment and its authorization; the id of the one event of it."""
    books = stage.fresh_books()
    opening = stage.opening(books)
    await store.commit(opening)
    before = stage.as_stored(books, opening)
    change = stage.change(before, stage.authorized(before), look_at_ms=None)
    await store.commit(change)
    return change.events[0].id


async def test_an_event_is_owed_to_every_enabled_endpoint_of_its_account(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        await store.save_endpoint(endpoint("we_1"))
        await store.save_endpoint(endpoint("we_2"))
        await store.save_endpoint(endpoint("we_3", enabled=False))
        await store.save_endpoint(endpoint("we_4", account="acc_2"))
        event = await told(store)
        due = await store.claim_jobs(EPOCH_MS + 10, 1_000, 10)
        assert [(j.kind, j.subject) for j in due] == [
            ("deliver", f"{event}|we_1"),
            ("deliver", f"{event}|we_2"),
        ]
        for name in ("we_1", "we_2"):
            row = await store.load_delivery(event, name)
            assert row is not None
            assert (row.state, row.tries, row.last_status) == ("pending", 0, None)
        assert await store.load_delivery(event, "we_3") is None
        held = await store.holdings()
        assert held.pending_deliveries == held.delivery_jobs
        assert held.pending_deliveries == {f"{event}|we_1", f"{event}|we_2"}


async def test_a_delivery_is_written_with_its_job_or_not_at_all(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_endpoint(endpoint("we_1"))
        event = await told(store)
        (lost,) = await store.claim_jobs(EPOCH_MS + 10, 1_000, 1)
        (held,) = await store.claim_jobs(EPOCH_MS + 2_000, 1_000, 1)
        row = Delivery(
            event_id=event, endpoint_id="we_1", state="pending", tries=1, last_status=500,
            last_error="no", updated_ms=EPOCH_MS,
        )  # fmt: skip
        assert not await store.finish_delivery(lost, replace(row, tries=9), None)
        assert await store.finish_delivery(held, row, EPOCH_MS + 5_000)
        assert await store.load_delivery(event, "we_1") == row
        assert await store.next_job_ms(EPOCH_MS) == EPOCH_MS + 5_000
        (last,) = await store.claim_jobs(EPOCH_MS + 5_000, 1_000, 1)
        done = replace(row, state="delivered", tries=2, last_status=200, last_error=None)
        assert await store.finish_delivery(last, done, None)
        assert await store.list_deliveries("we_1", 10) == [done]
        assert await store.count_jobs() == {}


async def test_deliveries_are_listed_newest_first_in_pages(backend: Backend) -> None:
    async with backend.store() as store:
        await store.save_endpoint(endpoint("we_1"))
        events = [await told(store) for _ in range(4)]
        listed = await store.list_deliveries("we_1", 3)
        assert [row.event_id for row in listed] == events[:0:-1]


async def test_an_endpoint_is_kept_and_changed(backend: Backend) -> None:
    async with backend.store() as store:
        first = endpoint("we_1")
        await store.save_endpoint(first)
        await store.save_endpoint(endpoint("we_0", account="acc_2"))
        assert await store.load_endpoint("we_1") == first
        changed = replace(first, enabled=False, secrets=("new", "s"))
        await store.save_endpoint(changed)
        assert await store.list_endpoints("acc_1") == [changed]
        assert await store.load_endpoint("we_9") is None


async def test_a_webhook_is_stored_once_with_its_refresh(backend: Backend) -> None:
    async with backend.store() as store:
        hook = stage.inbound("evt_a", "pay_1")
        assert await store.receive(hook) is None
        assert await store.count_jobs() == {"refresh": (1, EPOCH_MS)}
        (job,) = await store.claim_jobs(EPOCH_MS, 1_000, 1)
        await store.finish_job(job)
        assert await store.receive(hook) == Duplicate()
        assert await store.count_jobs() == {}
        assert await store.receive(replace(hook, provider="other")) is None
        assert await store.receive(stage.inbound("evt_b")) is None


async def test_old_payloads_are_removed_and_their_events_stay_known(backend: Backend) -> None:
    async with backend.store() as store:
        await store.receive(stage.inbound("evt_a"))
        assert await store.expire(EPOCH_MS + 9, 10) == 0
        assert await store.expire(EPOCH_MS + 10, 10) == 1
        assert await store.expire(EPOCH_MS + 10, 10) == 0
        assert await store.receive(stage.inbound("evt_a")) == Duplicate()
