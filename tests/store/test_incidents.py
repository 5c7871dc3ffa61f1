"""Messages about incidents in the store: none is lost with the message that it is told along in."""

from msgspec.structs import replace
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.flows.ports import IncidentWrite, Job, Store
from tollkeeper.incidents.incident import Incident
from tollkeeper.incidents.paging import Notification, Try

INCIDENT = Incident(
    id="inc_1", fingerprint="stripe", status="triggered", severity="sev3", title="it fails",
    policy="all", opened_ms=EPOCH_MS, began_ms=EPOCH_MS,
)  # fmt: skip


def page(number: int) -> Notification:
    return Notification(
        id=f"ntf_{number}", key=f"k{number}", incident=f"inc_{number}", kind="page",
        receiver="one", person="", step=1, created_ms=EPOCH_MS, subject="it fails", text="",
    )  # fmt: skip


async def told_along(store: Store) -> Notification:
    """The first of three pages, which is being sent with the others."""
    for number in (1, 2, 3):
        write = IncidentWrite(
            incident=replace(INCIDENT, id=f"inc_{number}", fingerprint=f"p{number}"), entries=()
        )
        assert await store.save_incident(write)
        assert await store.queue_notification(page(number))
    sending = replace(
        page(1), status="sending", along=("ntf_2", "ntf_3"), tries=(Try(at_ms=EPOCH_MS),)
    )
    assert await store.begin_notification(sending, "queued")
    return sending


async def statuses(store: Store) -> list[str]:
    found = [await store.load_notification(f"ntf_{number}") for number in (1, 2, 3)]
    return [one.status for one in found if one is not None]


async def jobs(store: Store, now_ms: int) -> list[Job]:
    return [job for job in await store.claim_jobs(now_ms, 1_000, 9) if job.kind == "notify"]


async def test_what_was_told_along_waits_again_unless_it_was_answered(backend: Backend) -> None:
    async with backend.store() as store:
        sending = await told_along(store)
        (job,) = await jobs(store, EPOCH_MS)
        assert await statuses(store) == ["sending", "told_along", "told_along"]
        answered = replace(
            INCIDENT, id="inc_2", fingerprint="p2", status="acknowledged", revision=2
        )
        assert await store.save_incident(IncidentWrite(incident=answered, entries=(), cancels=True))
        failed = replace(sending, status="queued", along=())
        await store.end_notification(job, failed, EPOCH_MS + 5_000, sending.along)
        assert await statuses(store) == ["queued", "canceled", "queued"]
        assert await jobs(store, EPOCH_MS + 4_999) == []
        due = {job.subject for job in await jobs(store, EPOCH_MS + 5_000)}
        assert {"ntf_1", "ntf_3"} <= due


async def test_a_page_that_is_answered_while_it_is_sent_is_not_sent_again(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        sending = await told_along(store)
        (job,) = await jobs(store, EPOCH_MS)
        answered = replace(
            INCIDENT, id="inc_1", fingerprint="p1", status="acknowledged", revision=2
        )
        assert await store.save_incident(IncidentWrite(incident=answered, entries=(), cancels=True))
        await store.end_notification(
            job, replace(sending, status="queued", along=()), EPOCH_MS + 5_000, sending.along
        )
        assert await statuses(store) == ["canceled", "queued", "queued"]


async def test_what_has_arrived_stays_told(backend: Backend) -> None:
    async with backend.store() as store:
        sending = await told_along(store)
        (job,) = await jobs(store, EPOCH_MS)
        await store.end_notification(job, replace(sending, status="sent", sent_ms=EPOCH_MS), None)
        assert await statuses(store) == ["sent", "told_along", "told_along"]
        assert await jobs(store, EPOCH_MS + 99_999) == []
