"""The provider desk in the store: a change of a notice is one unit, with its lines and its jobs."""

from msgspec.structs import replace
from tests.store.backends import EPOCH_MS, Backend

from tollkeeper.flows.ports import IncidentWrite, NoticeWrite, SealedBook
from tollkeeper.incidents.incident import Finding, Incident, Writing
from tollkeeper.incidents.paging import Try
from tollkeeper.providers.announcement import Announcement
from tollkeeper.providers.following import message_of
from tollkeeper.providers.notice import Notice

INCIDENT = Incident(
    id="inc_1", fingerprint="stripe", status="triggered", severity="sev1", title="it fails",
    policy="", opened_ms=EPOCH_MS, began_ms=EPOCH_MS,
    finding=Finding(domain="provider_down", provider="stripe"),
)  # fmt: skip
NOTICE = Notice(
    id="ntc_1", incident="inc_1", provider="stripe", title="Stripe", about="", status="approved",
    priority="P1", created_ms=EPOCH_MS, verdict_ms=EPOCH_MS, ready_ms=EPOCH_MS, subject="s",
    text="t", due_ms=EPOCH_MS + 5,
)  # fmt: skip


def entered(incident: Incident, text: str) -> IncidentWrite:
    writing = Writing(incident, EPOCH_MS)
    writing.write("notice", "machine:desk", text)
    return IncidentWrite(incident=writing.after, entries=tuple(writing.written))


async def test_a_notice_is_changed_upon_its_revision_and_with_its_incident(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        assert await store.save_incident(IncidentWrite(incident=INCIDENT, entries=()))
        first = NoticeWrite(
            notice=NOTICE, at_ms=EPOCH_MS, pack=b"zip", incident=entered(INCIDENT, "ready")
        )
        assert await store.save_notice(first)
        assert not await store.save_notice(first)
        assert await store.load_pack("ntc_1") == b"zip"
        second = replace(NOTICE, revision=2, due_ms=None)
        stale = NoticeWrite(notice=second, at_ms=EPOCH_MS, incident=entered(INCIDENT, "stale"))
        assert not await store.save_notice(stale)  # the incident has moved on
        assert await store.load_notice("ntc_1") == NOTICE
        assert [one.text for one in await store.list_entries("inc_1")] == ["ready"]
        assert await store.save_notice(NoticeWrite(notice=second, at_ms=EPOCH_MS))
        assert await store.load_pack("ntc_1") == b"zip"  # stays as it was
        assert await store.list_notices("~", 9) == await store.notices_of("inc_1") == [second]
        assert await store.notices_of("inc_2") == []
        await store.forget_incidents(EPOCH_MS + 1)
        assert await store.load_notice("ntc_1") is None
        assert await store.load_pack("ntc_1") is None


async def test_the_end_of_a_message_wakes_the_job_that_follows_its_notice(
    backend: Backend,
) -> None:
    async with backend.store() as store:
        message = message_of(NOTICE, "provider:stripe/support/0", "ntf_1", EPOCH_MS)
        later = replace(NOTICE, due_ms=EPOCH_MS + 900_000)
        await store.save_notice(NoticeWrite(notice=later, at_ms=EPOCH_MS, message=message))
        (job,) = await store.claim_jobs(EPOCH_MS + 1, 1_000, 9)
        assert job.kind == "notify"
        tried = replace(message, tries=(Try(at_ms=EPOCH_MS + 2),), status="sent")
        await store.end_notification(job, tried, None)
        (job,) = await store.claim_jobs(EPOCH_MS + 2, 1_000, 9)
        assert (job.kind, job.subject) == ("follow_notice", "ntc_1")
        await store.save_notice(
            NoticeWrite(notice=replace(later, revision=2, due_ms=None), at_ms=EPOCH_MS + 3)
        )
        assert await store.count_jobs() == {}


async def test_acknowledging_the_incident_stops_pages_and_no_notice(backend: Backend) -> None:
    async with backend.store() as store:
        message = message_of(NOTICE, "provider:stripe/support/0", "ntf_1", EPOCH_MS)
        await store.save_incident(IncidentWrite(incident=INCIDENT, entries=()))
        await store.save_notice(NoticeWrite(notice=NOTICE, at_ms=EPOCH_MS, message=message))
        after = replace(INCIDENT, revision=2, status="acknowledged")
        assert await store.save_incident(
            IncidentWrite(incident=after, entries=(), cancels=True, jobs={"draft_notice": EPOCH_MS})
        )
        (found,) = await store.list_notifications("inc_1")
        assert (found.status, found.notice) == ("queued", "ntc_1")
        assert "draft_notice" in await store.count_jobs()


async def test_cards_have_revisions_and_announcements_are_kept(backend: Backend) -> None:
    async with backend.store() as store:
        assert await store.load_book() is None
        book = SealedBook(revision=1, at_ms=EPOCH_MS, actor="me", sealed=b"s", shown=b"{}")
        assert await store.save_book(book)
        assert not await store.save_book(replace(book, actor="other"))
        assert await store.save_book(replace(book, revision=2))
        assert (await store.load_book()) == replace(book, revision=2)
        made = [
            Announcement(
                id=f"ann_{number}", provider="stripe", kind="news", text="x", version="", link="",
                from_ms=None, until_ms=None, by="me", at_ms=EPOCH_MS,
            )
            for number in range(3)
        ]  # fmt: skip
        for one in made:
            await store.save_announcement(one)
        assert await store.list_announcements(2) == [made[2], made[1]]
